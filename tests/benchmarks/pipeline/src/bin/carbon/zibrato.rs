//! The worker of this checkout, which reads from a real broker.

use crate::Measured;
use crate::points::{Points, Publisher};
use crate::protocol::Protocol;
use crate::receiver::Receiver;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zibrato_benchmark_pipeline::{Failure, Process, broker, scratch};

/// The length of a window, in seconds.
const WINDOW: u64 = 10;

/// How long before its end everything must be published, so that the worker has read it.
const MARGIN: Duration = Duration::from_secs(3);

const STARTS: Duration = Duration::from_secs(60);

/// What the worker needed.
pub(crate) struct Needed {
    /// For each window.
    pub(crate) windows: Vec<Measured>,
    /// From the end of the window until the first point had arrived, in seconds.
    pub(crate) first_point: Vec<f64>,
    /// Resident bytes while the first window was full, beyond those of the idle worker, and the
    /// peak until it was delivered, beyond these.
    pub(crate) fold: u64,
    pub(crate) encoding: u64,
}

pub(crate) fn measure(
    points: Points,
    protocol: Protocol,
    windows: usize,
) -> Result<Needed, Failure> {
    let journal = scratch("carbon-journal")?;
    let journal = journal.to_string_lossy();
    let (broker, port) =
        broker(&["--journal", &journal, "--journal-min-free", "1", "--keep-levels", "info"])?;
    let receiver = Receiver::start(protocol)?;
    let worker = worker(port, &receiver, protocol)?;
    worker.line_with("event=\"broker_connected\"", STARTS)?;
    let mut publisher = Publisher::connect(port)?;
    // Its cursor must exist, or it does not read what was published before.
    thread::sleep(Duration::from_secs(2));
    let idle = worker.memory().resident;
    let mut needed = Needed { windows: vec![], first_point: vec![], fold: 0, encoding: 0 };
    for _ in 0..windows {
        thread::sleep(until_next_window());
        publisher.publish(points)?;
        let ends = Instant::now() + until_next_window();
        let left = ends.saturating_duration_since(Instant::now());
        if left < MARGIN {
            return Err("the machine is too busy: publishing took nearly the whole window".into());
        }
        thread::sleep(left.saturating_sub(Duration::from_millis(100)));
        let (full, cpu) = (worker.memory().resident, cpu_time(&worker));
        let received = receiver.take(points)?;
        let since_end = |at: Instant| at.saturating_duration_since(ends).as_secs_f64();
        if needed.windows.is_empty() {
            (needed.fold, needed.encoding) =
                (full - idle, worker.memory().peak.saturating_sub(full));
        }
        needed.first_point.push(since_end(received.first));
        needed.windows.push(Measured {
            seconds: since_end(received.last),
            bytes: received.bytes,
            cpu: cpu_time(&worker) - cpu,
            peak: worker.memory().peak,
            arrived: received.arrived,
        });
    }
    worker.stop()?;
    broker.stop()?;
    if receiver.bytes() > 0 {
        return Err(format!("zibrato: {} more bytes arrived at the end", receiver.bytes()).into());
    }
    Ok(needed)
}

fn worker(port: u16, receiver: &Receiver, protocol: Protocol) -> Result<Process, Failure> {
    let program = std::env::current_exe()?.with_file_name("zibrato-carbon");
    let scheme = match protocol {
        Protocol::Lines => "tcp",
        Protocol::Pickle => "pickle",
    };
    let mut command = Command::new(program);
    command.env("STATE_DIRECTORY", scratch("carbon-worker")?);
    command.args(["--port", &(port + 1).to_string(), "--flush", &WINDOW.to_string()]);
    command.args(["--carbon", &format!("{scheme}://127.0.0.1:{}", receiver.port())]);
    Process::start(&mut command, true)
}

fn cpu_time(process: &Process) -> Duration {
    Duration::from_nanos(process.cpu().values().sum())
}

/// The time until the current window ends. Windows are aligned to the wall clock.
fn until_next_window() -> Duration {
    let window = Duration::from_secs(WINDOW).as_nanos();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Duration::from_nanos((window - now % window) as u64)
}
