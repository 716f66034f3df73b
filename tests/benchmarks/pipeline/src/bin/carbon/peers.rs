//! Other senders: how each is found, started, and given the points that the worker wrote.

use crate::Measured;
use crate::points::Points;
use crate::protocol::Protocol;
use crate::receiver::Receiver;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use zibrato_benchmark_pipeline::{Failure, Memory, Process, cpu_of, installed, scratch};

/// Maximum time until a peer is ready: bucky first reads all points.
const STARTS: Duration = Duration::from_secs(120);

/// Maximum time until a peer ends.
const ENDS: Duration = Duration::from_secs(10);

/// Another sender.
pub(crate) struct Sender {
    pub(crate) name: &'static str,
    /// The environment variable with the path of the program.
    variable: &'static str,
    program: &'static str,
    /// How to provide it.
    pub(crate) hint: &'static str,
    measure: fn(&Path, &Given<'_>) -> Result<Measured, Failure>,
}

/// What a sender must send.
pub(crate) struct Given<'a> {
    pub(crate) points: Points,
    pub(crate) protocol: Protocol,
    /// The points as lines.
    pub(crate) lines: &'a [u8],
}

pub(crate) const BUCKY: Sender = Sender {
    name: "bucky",
    variable: "ZIBRATO_BENCH_BUCKY",
    program: "bucky",
    hint: "with Python 2.7, pip install bucky==2.3.0, and set ZIBRATO_BENCH_BUCKY=/path/to/bin/bucky",
    measure: bucky,
};

pub(crate) const CARBON_RELAY: Sender = Sender {
    name: "carbon-relay",
    variable: "ZIBRATO_BENCH_CARBON_RELAY",
    program: "carbon-relay",
    hint: "install Debian's graphite-carbon, or set ZIBRATO_BENCH_CARBON_RELAY=/path/to/carbon-relay",
    measure: carbon_relay,
};

impl Sender {
    pub(crate) fn is_there(&self) -> bool {
        installed(self.variable, self.program).is_some()
    }

    /// What it needs. `None` if it is not installed.
    pub(crate) fn measure(&self, given: &Given<'_>) -> Result<Option<Measured>, Failure> {
        let Some(program) = installed(self.variable, self.program) else { return Ok(None) };
        let measured = (self.measure)(&program, given);
        measured.map(Some).map_err(|why| format!("{}: {why}", self.name).into())
    }
}

/// bucky's client, which is a process of its own, gets samples over its pipe, as bucky's main process
/// gives them. All samples are in memory before, and nothing else of bucky is running: neither its
/// StatsD server nor the queue between that and the main process.
///
/// bucky executes its configuration as a program, so this one is executed with bucky's own Python.
const DRIVER: &str = r#"
import multiprocessing
import sys
import bucky.carbon
graphite_ip = "127.0.0.1"
graphite_port = PORT
samples = []
send, receive = multiprocessing.Pipe()
class Client(bucky.carbon.CLIENT):
    def run(self):
        # So that it ends if this process is killed.
        send.close()
        super(Client, self).run()
client = Client(sys.modules["bucky.cfg"], receive)
client.start()
for line in open("POINTS"):
    name, value, stamp = line.split()
    samples.append((None, name, float(value) if "." in value or "e" in value else int(value), int(stamp)))
sys.stdout.write("%d\n" % client.pid)
sys.stdout.flush()
sys.stdin.readline()
for sample in samples:
    send.send(sample)
sys.stdin.readline()
send.send(None)
client.join()
sys.exit(0)
"#;

fn bucky(program: &Path, given: &Given<'_>) -> Result<Measured, Failure> {
    let folder = scratch("bucky-client")?;
    let (file, points) = (folder.join("bucky.conf"), folder.join("points"));
    fs::write(&points, given.lines)?;
    let receiver = Receiver::start(given.protocol)?;
    let client = match given.protocol {
        Protocol::Lines => "PlaintextClient",
        Protocol::Pickle => "PickleClient",
    };
    let driver = DRIVER
        .replace("PORT", &receiver.port().to_string())
        .replace("CLIENT", client)
        .replace("POINTS", &points.to_string_lossy());
    fs::write(&file, driver)?;
    let mut process = Process::start(Command::new(program).arg(file), false)?;
    let client: u32 = process.line(STARTS)?.trim().parse()?;
    let cpu = || Duration::from_nanos(cpu_of(client).values().sum());
    let (begun, before) = (Instant::now(), cpu());
    process.tell("go")?;
    let received = receiver.take(given.points)?;
    let measured = Measured {
        seconds: (received.last - begun).as_secs_f64(),
        bytes: received.bytes,
        cpu: cpu() - before,
        peak: Memory::of(&client.to_string()).peak,
        arrived: received.arrived,
    };
    // It ends its client, which would otherwise run on.
    process.tell("end")?;
    let told = Instant::now();
    while process.is_alive() && told.elapsed() < ENDS {
        thread::sleep(Duration::from_millis(10));
    }
    Ok(measured)
}

/// The relay of Carbon gets the lines over a connection.
fn carbon_relay(program: &Path, given: &Given<'_>) -> Result<Measured, Failure> {
    let receiver = Receiver::start(given.protocol)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let file = relay_files(&receiver, given.protocol, port)?;
    let mut command = Command::new(program);
    command.arg("--config").arg(file).args(["--nodaemon", "start"]);
    // Its libraries warn about themselves.
    command.env("PYTHONWARNINGS", "ignore");
    let process = Process::start(&mut command, false)?;
    let begun = Instant::now();
    let mut connection = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(connection) if receiver.connections() > 0 => break connection,
            Err(why) if begun.elapsed() > STARTS => return Err(why.into()),
            Ok(_) if begun.elapsed() > STARTS => return Err("it does not connect".into()),
            _ => thread::sleep(Duration::from_millis(100)),
        }
    };
    let cpu = || Duration::from_nanos(process.cpu().values().sum());
    let (begun, before) = (Instant::now(), cpu());
    connection.write_all(given.lines)?;
    let received = receiver.take(given.points)?;
    let measured = Measured {
        seconds: (received.last - begun).as_secs_f64(),
        bytes: received.bytes,
        cpu: cpu() - before,
        peak: process.memory().peak,
        arrived: received.arrived,
    };
    // It ends with the signal, and not with a code.
    process.stop().ok();
    Ok(measured)
}

/// Writes its configuration: one rule, so that no name is hashed, and none of its own metrics.
fn relay_files(receiver: &Receiver, protocol: Protocol, port: u16) -> Result<PathBuf, Failure> {
    let folder = scratch("carbon-relay")?;
    let (file, at) = (folder.join("carbon.conf"), folder.display());
    let protocol = match protocol {
        Protocol::Lines => "line",
        Protocol::Pickle => "pickle",
    };
    let destination = format!("127.0.0.1:{}:a", receiver.port());
    fs::write(
        &file,
        format!(
            "[relay]\nUSER =\nSTORAGE_DIR = {at}\nLOG_DIR = {at}\nPID_DIR = {at}\n\
             LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {port}\n\
             PICKLE_RECEIVER_PORT = 0\nRELAY_METHOD = rules\nDESTINATIONS = {destination}\n\
             DESTINATION_PROTOCOL = {protocol}\nMAX_QUEUE_SIZE = 2000000\n\
             USE_FLOW_CONTROL = True\nCARBON_METRIC_INTERVAL = 0\n"
        ),
    )?;
    let rules = format!("[default]\ndefault = true\ndestinations = {destination}\n");
    fs::write(folder.join("relay-rules.conf"), rules)?;
    // Every program of Carbon needs this file.
    fs::write(folder.join("storage-schemas.conf"), "")?;
    Ok(file)
}
