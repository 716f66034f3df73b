//! The broker and its peers: how each is found and started.
//!
//! A peer is found at its environment variable, or by its name in PATH. All flush once a second, and
//! deliver what they flush to this program.

use crate::delivered::Delivered;
use crate::load::send_once;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use zibrato_benchmark_pipeline::{Failure, Process, apart, broker, installed, scratch};

/// Maximum time until a server delivers a first line.
const STARTS: Duration = Duration::from_secs(30);

/// The receive buffer that servers request, in bytes; only statsite has a setting for it.
const RECEIVE_BUFFER: usize = 8 << 20;

/// A server that runs on one processor, on which nothing else of the benchmark runs.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) process: Process,
    pub(crate) at: SocketAddr,
    pub(crate) delivered: Delivered,
    /// The port of the broker's pages, or 0.
    pub(crate) pages: u16,
}

/// Another StatsD server.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The environment variable with the path of the program.
    variable: &'static str,
    program: &'static str,
    /// How to provide it.
    pub(crate) hint: &'static str,
    start: fn(&PathBuf) -> Result<Server, Failure>,
}

pub(crate) const PEERS: [Peer; 3] = [
    Peer {
        name: "statsite",
        variable: "ZIBRATO_BENCH_STATSITE",
        program: "statsite",
        hint: "build https://github.com/statsite/statsite, and set ZIBRATO_BENCH_STATSITE=/path/to/statsite",
        start: statsite,
    },
    Peer {
        name: "statsd",
        variable: "ZIBRATO_BENCH_STATSD",
        program: "statsd",
        hint: "npm install statsd, and set ZIBRATO_BENCH_STATSD=/path/to/node_modules/statsd/bin/statsd",
        start: statsd,
    },
    Peer {
        name: "bucky",
        variable: "ZIBRATO_BENCH_BUCKY",
        program: "bucky",
        hint: "with Python 2.7, pip install bucky==2.3.0, and set ZIBRATO_BENCH_BUCKY=/path/to/bin/bucky",
        start: bucky,
    },
];

impl Peer {
    /// Its program, if it is installed.
    fn path(&self) -> Option<PathBuf> {
        installed(self.variable, self.program)
    }

    pub(crate) fn is_there(&self) -> bool {
        self.path().is_some()
    }

    /// Starts it. `None` if it is not installed.
    pub(crate) fn start(&self) -> Result<Option<Server>, Failure> {
        let Some(program) = self.path() else { return Ok(None) };
        (self.start)(&program).and_then(Server::ready).map(Some).map_err(|error| {
            format!("{} ({}) does not start: {error}", self.name, program.display()).into()
        })
    }
}

impl Server {
    /// Waits until it delivers.
    fn ready(self) -> Result<Self, Failure> {
        let by = Instant::now() + STARTS;
        while self.delivered.lines() == 0 {
            if Instant::now() > by {
                return Err("it delivers nothing".into());
            }
            send_once(self.at, "bench.probe:1|c\n")?;
            thread::sleep(Duration::from_millis(100));
        }
        self.delivered.settled(u64::MAX);
        Ok(self)
    }

    /// The CPU time of all its processes so far.
    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.process.cpu().values().sum())
    }
}

/// The broker of this checkout, with a subscriber.
pub(crate) fn zibrato() -> Result<Server, Failure> {
    let (at, pages) = (free_port()?, free_port()?);
    // A million series, and the one that shows that the broker delivers.
    let (statsd, http) = (at.to_string(), pages.to_string());
    let flags = ["--statsd", &statsd, "--http", &http, "--statsd-max-series", "1000100"];
    let (process, port) = apart(|| broker(&flags))?;
    let delivered = Delivered::to_subscriber(port + 1)?;
    let pages = pages.port();
    Server { name: "zibrato", process, at, delivered, pages }.ready()
}

fn statsite(program: &PathBuf) -> Result<Server, Failure> {
    let at = free_port()?;
    let (delivered, graphite) = Delivered::to_graphite()?;
    let file = scratch("statsite")?.join("statsite.conf");
    let port = at.port();
    fs::write(
        &file,
        format!(
            "[statsite]\nbind_address = 127.0.0.1\ntcp_port = {port}\nudp_port = {port}\n\
             udp_rcvbuf = {RECEIVE_BUFFER}\nflush_interval = 1\nlog_level = WARN\n\
             stream_cmd = bash -c \"cat >/dev/tcp/127.0.0.1/{graphite}\"\n"
        ),
    )?;
    let process = apart(|| Process::start(Command::new(program).arg("-f").arg(file), true))?;
    Ok(Server { name: "statsite", process, at, delivered, pages: 0 })
}

fn statsd(program: &PathBuf) -> Result<Server, Failure> {
    let (at, admin) = (free_port()?, free_port()?);
    let (delivered, graphite) = Delivered::to_graphite()?;
    let file = scratch("statsd")?.join("config.js");
    fs::write(
        &file,
        format!(
            "{{ address: '127.0.0.1', port: {}, mgmt_address: '127.0.0.1', mgmt_port: {}, \
             flushInterval: 1000, graphiteHost: '127.0.0.1', graphitePort: {graphite}, \
             graphite: {{ legacyNamespace: false }}, deleteIdleStats: true }}\n",
            at.port(),
            admin.port()
        ),
    )?;
    let process = apart(|| Process::start(Command::new(program).arg(file), true))?;
    Ok(Server { name: "statsd", process, at, delivered, pages: 0 })
}

fn bucky(program: &PathBuf) -> Result<Server, Failure> {
    let at = free_port()?;
    let (delivered, graphite) = Delivered::to_graphite()?;
    let folder = scratch("bucky")?;
    let file = folder.join("bucky.conf");
    fs::write(
        &file,
        format!(
            "metricsd_enabled = False\ncollectd_enabled = False\nstatsd_ip = '127.0.0.1'\n\
             statsd_port = {}\nstatsd_flush_time = 1.0\nstatsd_delete_idlestats = True\n\
             graphite_ip = '127.0.0.1'\ngraphite_port = {graphite}\ndirectory = '{}'\n",
            at.port(),
            folder.display()
        ),
    )?;
    let process = apart(|| Process::start(Command::new(program).arg(file), true))?;
    Ok(Server { name: "bucky", process, at, delivered, pages: 0 })
}

/// An address at which nothing listens, neither over UDP nor over TCP.
fn free_port() -> Result<SocketAddr, Failure> {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if TcpListener::bind(udp).is_ok() {
            return Ok(udp);
        }
    }
}
