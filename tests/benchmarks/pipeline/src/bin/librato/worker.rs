//! A window of `zibrato-librato`, beside python-librato, which queues and submits the same.

use crate::Pace;
use crate::receiver::{Received, Receiver};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zibrato::wire::{BatchWriter, PublisherId, batch_topic};
use zibrato_benchmark_pipeline::{
    Failure, Memory, Peer, Process, Row, broker, cpu_of, installed, median, put_frame, scratch,
};

/// Number of series in a window.
const SERIES: usize = 100_000;

/// Number of requests in which they are delivered, by both.
const REQUESTS: usize = SERIES.div_ceil(300);

/// Number of entries in each batch.
const ENTRIES: usize = 1_000;

/// The length of a window, in seconds.
const WINDOW: u64 = 10;

const STARTS: Duration = Duration::from_secs(60);

/// The target: the ratio to python-librato.
const TARGET: f64 = 20.0;

/// Measurements per second that python-librato delivered in an earlier run, on a machine with two
/// processors.
const RECORDED: f64 = 0.27e6;

/// The Python in which librato-metrics is installed.
const VARIABLE: &str = "ZIBRATO_BENCH_LIBRATO";

/// python-librato queues the same names and values, and submits them.
const DRIVER: &str = r#"
import sys
import librato
count = int(sys.argv[2])
api = librato.connect("user@example.com", "tok123", hostname=sys.argv[1], protocol="http")
names = ["bench.requests.%07d" % n for n in range(count)]
print("ready")
sys.stdout.flush()
sys.stdin.readline()
queue = api.new_queue()
for n, name in enumerate(names):
    queue.add(name, float(n % 1000 + 1), source="web-1", measure_time=1700000040)
queue.submit()
print("done")
sys.stdout.flush()
sys.stdin.readline()
"#;

/// What one sender needed for a window.
struct Measured {
    seconds: f64,
    cpu: Duration,
    /// The peak of its resident memory, in bytes.
    peak: u64,
    received: Received,
}

impl Measured {
    fn is_exact(&self) -> bool {
        self.received.measurements == SERIES && self.received.names == SERIES
    }

    fn figures(&self, who: &str) -> Vec<(String, f64)> {
        let per_point = self.cpu.as_nanos() as f64 / SERIES as f64;
        vec![
            (format!("{who}: until the last request, s"), self.seconds),
            (format!("{who}: requests"), self.received.requests as f64),
            (format!("{who}: bytes"), self.received.bytes as f64),
            (format!("{who}: CPU time per measurement, ns"), per_point),
            (format!("{who}: resident memory at most, MiB"), self.peak as f64 / f64::from(1 << 20)),
        ]
    }
}

/// The medians of all windows.
pub(crate) fn rows(pace: Pace) -> Result<Vec<Row>, Failure> {
    let mut ours = zibrato(pace.rounds)?;
    let rate = |all: &[Measured]| {
        SERIES as f64 / median(all.iter().map(|measured| measured.seconds).collect())
    };
    let mut theirs = Vec::new();
    if let Some(python) = installed(VARIABLE, "python3") {
        let has_it =
            Command::new(&python).args(["-c", "import librato"]).output()?.status.success();
        if has_it {
            for _ in 0..pace.rounds {
                theirs.push(python_librato(Command::new(&python))?);
            }
        }
    }
    if theirs.is_empty() {
        eprintln!(
            "librato: python-librato is missing; to compare with it, pip install librato-metrics, and \
             set {VARIABLE}=/path/to/python"
        );
    }
    let (ours_rate, mut peers) = (rate(&ours), Vec::new());
    let mut floor = ("python-librato, recorded", RECORDED);
    ours.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    theirs.sort_by(|a: &Measured, b: &Measured| a.seconds.total_cmp(&b.seconds));
    if !theirs.is_empty() {
        floor = ("python-librato", rate(&theirs));
    }
    for (who, all) in [("zibrato-librato", &ours), ("python-librato", &theirs)] {
        if let Some(middle) = all.get(all.len() / 2) {
            peers.extend(middle.figures(who));
        }
        if !all.iter().all(Measured::is_exact) {
            return Err(format!("{who}: measurements are lost or doubled").into());
        }
    }
    let name = "a window of 100,000 counters";
    Ok(vec![Row { name, unit: "per second", ours: ours_rate, floor, peers, target: TARGET }])
}

fn zibrato(windows: usize) -> Result<Vec<Measured>, Failure> {
    let journal = scratch("librato-worker-journal")?;
    let journal = journal.to_string_lossy();
    let (broker, port) =
        broker(&["--journal", &journal, "--journal-min-free", "1", "--keep-levels", "info"])?;
    let receiver = Receiver::start()?;
    let program = std::env::current_exe()?.with_file_name("zibrato-librato");
    let mut command = Command::new(program);
    command.env("STATE_DIRECTORY", scratch("librato-worker")?);
    command.args(["--port", &(port + 1).to_string(), "--flush", &WINDOW.to_string()]);
    command.args(["--api-url", &format!("http://127.0.0.1:{}", receiver.port())]);
    command.args(["--username", "user@example.com"]).env("ZIBRATO_LIBRATO_APITOKEN", "tok123");
    let worker = Process::start(&mut command, true)?;
    worker.line_with("event=\"broker_connected\"", STARTS)?;
    let mut publisher = Publisher { peer: Peer::connect(port, "PUSH")?, sequence: 0 };
    // Its cursor must exist, or it does not read what was published before.
    thread::sleep(Duration::from_secs(2));
    let cpu = || Duration::from_nanos(worker.cpu().values().sum());
    let mut all = Vec::new();
    for _ in 0..windows {
        thread::sleep(until_next_window());
        publisher.publish()?;
        let ends = Instant::now() + until_next_window();
        let left = ends.saturating_duration_since(Instant::now());
        if left < Duration::from_secs(3) {
            return Err("the machine is too busy: publishing took nearly the whole window".into());
        }
        thread::sleep(left.saturating_sub(Duration::from_millis(100)));
        let before = cpu();
        let received = receiver.take(REQUESTS)?;
        all.push(Measured {
            seconds: received.last.saturating_duration_since(ends).as_secs_f64(),
            cpu: cpu() - before,
            peak: worker.memory().peak,
            received,
        });
    }
    worker.stop()?;
    broker.stop()?;
    Ok(all)
}

fn python_librato(mut python: Command) -> Result<Measured, Failure> {
    let receiver = Receiver::start()?;
    python.args(["-c", DRIVER, &format!("127.0.0.1:{}", receiver.port()), &SERIES.to_string()]);
    let mut process = Process::start(&mut python, false)?;
    process.line_with("ready", STARTS)?;
    let id = process.id();
    let cpu = || Duration::from_nanos(cpu_of(id).values().sum());
    let (begun, before) = (Instant::now(), cpu());
    process.tell("go")?;
    process.line_with("done", Duration::from_secs(300))?;
    let (cpu, peak) = (cpu() - before, Memory::of(&id.to_string()).peak);
    let received = receiver.take(REQUESTS)?;
    let seconds = received.last.saturating_duration_since(begun).as_secs_f64();
    process.tell("end")?;
    Ok(Measured { seconds, cpu, peak, received })
}

struct Publisher {
    peer: Peer,
    sequence: u64,
}

impl Publisher {
    /// Publishes each series once.
    fn publish(&mut self) -> Result<(), Failure> {
        let topic = batch_topic("info");
        for first in (0..SERIES).step_by(ENTRIES) {
            let mut batch = BatchWriter::new("web-1", 0, 1_000);
            for n in first..first + ENTRIES {
                let name = format!("bench.requests.{n:07}");
                batch.counter(&name, &[], (n % 1_000 + 1) as f64);
            }
            self.sequence += 1;
            let id = [&PublisherId([7; 16]).0[..], &self.sequence.to_be_bytes()].concat();
            let mut bytes = Vec::new();
            put_frame(&mut bytes, topic.as_bytes(), true);
            put_frame(&mut bytes, &id, true);
            put_frame(&mut bytes, &batch.finish(), false);
            std::io::Write::write_all(&mut self.peer.stream, &bytes)?;
        }
        Ok(())
    }
}

/// The time until the current window ends. Windows are aligned to the wall clock.
fn until_next_window() -> Duration {
    let window = Duration::from_secs(WINDOW).as_nanos();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Duration::from_nanos((window - now % window) as u64)
}
