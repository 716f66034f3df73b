//! Legitimate traffic that must not be affected: a program that counts, a worker, and single lines
//! whose latency is measured.

use std::fmt;
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use zibrato::{Guard, Zibrato};
use zibrato_benchmark_pipeline::{Carbon, Failure, Peer, Process, put_frame, scratch};

/// A worker of this broker that delivers to `carbon` every second. It receives garbage too.
pub fn worker(port: u16, carbon: &Carbon) -> Result<Process, Failure> {
    let program = std::env::current_exe()?.with_file_name("zibrato-carbon");
    let mut command = Command::new(program);
    command.env("STATE_DIRECTORY", scratch("hostile-worker")?);
    command.args(["--port", &(port + 1).to_string(), "--http", "off"]);
    command.args(["--levels", "info,garbage", "--flush", "1", "--prefix", ""]);
    command.args(["--carbon", &format!("127.0.0.1:{}", carbon.port())]);
    Process::start(&mut command, true)
}

/// A program that counts continuously.
pub struct Legitimate {
    guard: Guard,
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Legitimate {
    pub fn start(port: u16) -> Result<Self, Failure> {
        let guard = Zibrato::builder()
            .port(port)
            .source("legitimate")
            .levels(["info"])
            .demand(false)
            .flush_deadline(Duration::from_secs(30))
            .install()?;
        let zibrato = guard.handle();
        let over = Arc::<AtomicBool>::default();
        let is_over = Arc::clone(&over);
        let thread = thread::Builder::new().name("legitimate".to_owned()).spawn(move || {
            let mut recorded = 0;
            while !is_over.load(Ordering::Relaxed) {
                for n in 0..200 {
                    zibrato.count("info", &format!("legitimate.{n}"), 1);
                    recorded += 1;
                }
                thread::sleep(Duration::from_millis(20));
            }
            recorded
        })?;
        Ok(Self { guard, over, thread })
    }

    /// Stops, and returns the number of counts.
    pub fn stop(self) -> Result<u64, Failure> {
        self.over.store(true, Ordering::Relaxed);
        let recorded = self.thread.join().map_err(|_| "the program panicked")?;
        let stats = self.guard.shutdown();
        println!("the program: {stats:?}");
        Ok(recorded)
    }
}

/// Measures the latency of lines from a publisher to a subscriber.
pub struct Latency {
    sorted: Vec<Duration>,
    lost: usize,
}

impl Latency {
    /// Sends single lines for this time, over separate connections.
    pub fn measure(port: u16, time: Duration) -> Result<Self, Failure> {
        let begun = Instant::now();
        let (mut sorted, mut lost, mut probe) = (Vec::new(), 0, None);
        while begun.elapsed() < time {
            // A broker that is short of memory disconnects all clients; well-behaved ones
            // reconnect.
            let took = match &mut probe {
                Some(probe) => Probe::send(probe),
                None => {
                    probe = Probe::new(port).ok();
                    continue;
                }
            };
            match took {
                Ok(took) => sorted.push(took),
                Err(_) => (probe, lost) = (None, lost + 1),
            }
            thread::sleep(Duration::from_millis(10));
        }
        sorted.sort_unstable();
        Ok(Self { sorted, lost })
    }

    fn at(&self, percent: usize) -> f64 {
        let at = (self.sorted.len() * percent / 100).min(self.sorted.len().saturating_sub(1));
        self.sorted.get(at).map_or(f64::NAN, Duration::as_secs_f64) * 1e3
    }
}

/// Separate connections, for lines whose arrival is measured.
struct Probe {
    reader: Peer,
    publisher: Peer,
    sent: u64,
}

impl Probe {
    fn new(port: u16) -> Result<Self, Failure> {
        let mut reader = Peer::connect(port + 1, "SUB")?;
        reader.subscribe("probe|")?;
        reader.stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let publisher = Peer::connect(port, "PUSH")?;
        thread::sleep(Duration::from_millis(200));
        Ok(Self { reader, publisher, sent: 0 })
    }

    fn send(&mut self) -> Result<Duration, Failure> {
        self.sent += 1;
        let line = format!("probe|Counter|probe|{}|1700000000|probe", self.sent);
        let (mut bytes, sent) = (Vec::new(), Instant::now());
        put_frame(&mut bytes, line.as_bytes(), false);
        self.publisher.stream.write_all(&bytes)?;
        while self.reader.message()?[0] != line.as_bytes() {}
        Ok(sent.elapsed())
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99, most) = (self.at(50), self.at(99), self.at(100));
        let (lines, lost) = (self.sorted.len(), self.lost);
        write!(f, "p50 {p50:.2} ms, p99 {p99:.2} ms, max {most:.2} ms, {lines} lines, {lost} lost")
    }
}
