//! What servers deliver: the number of lines that arrived, as their flushes say.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use zibrato::wire::{BatchReader, Value};
use zibrato_benchmark_pipeline::Failure;

/// How long a server may deliver nothing more before everything counts as delivered. All flush once
/// a second.
const QUIET: Duration = Duration::from_secs(2);

/// Number of lines that a server has delivered: sums of counters, numbers of readings of timers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delivered(Arc<AtomicU64>);

impl Delivered {
    pub(crate) fn lines(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The number, when it is `expected` or has not changed for a while.
    pub(crate) fn settled(&self, expected: u64) -> u64 {
        let (mut lines, mut changed) = (self.lines(), Instant::now());
        while lines < expected && changed.elapsed() < QUIET {
            thread::sleep(Duration::from_millis(50));
            let now = self.lines();
            if now != lines {
                (lines, changed) = (now, Instant::now());
            }
        }
        lines
    }

    /// A Graphite port: counts what StatsD servers deliver there. Also returns the port.
    pub(crate) fn to_graphite() -> Result<(Self, u16), Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let delivered = Self::default();
        let lines = delivered.clone();
        // Ends with the benchmark.
        thread::Builder::new().name("graphite".to_owned()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let lines = lines.clone();
                let read = move || {
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        lines.0.fetch_add(number_of_lines(&line), Ordering::AcqRel);
                    }
                };
                drop(thread::Builder::new().name("graphite-line".to_owned()).spawn(read));
            }
        })?;
        Ok((delivered, port))
    }

    /// A subscriber of the broker: counts what workers receive.
    pub(crate) fn to_subscriber(port: u16) -> Result<Self, Failure> {
        let socket = zmq::Context::new().socket(zmq::SUB)?;
        socket.set_rcvhwm(0)?;
        socket.set_subscribe(b"zb1|info|")?;
        socket.connect(&format!("tcp://127.0.0.1:{port}"))?;
        let delivered = Self::default();
        let lines = delivered.clone();
        // Ends with the benchmark.
        thread::Builder::new().name("subscriber".to_owned()).spawn(move || {
            while let Ok(frames) = socket.recv_multipart(0) {
                let Some(body) = frames.last() else { continue };
                lines.0.fetch_add(lines_of_batch(body), Ordering::AcqRel);
            }
        })?;
        Ok(delivered)
    }
}

/// Number of lines that one line of Graphite, or of statsite, stands for.
fn number_of_lines(line: &str) -> u64 {
    let mut words = line.split([' ', '|']);
    let (Some(name), Some(value)) = (words.next(), words.next()) else { return 0 };
    let is_ours = name.contains("bench.");
    let is_count = name.starts_with("counts.")
        || name.starts_with("stats_counts.")
        || name.ends_with(".count");
    if is_ours && is_count {
        value.parse::<f64>().map_or(0, |count| count.round() as u64)
    } else {
        0
    }
}

fn lines_of_batch(body: &[u8]) -> u64 {
    let Ok(batch) = BatchReader::new(body) else { return 0 };
    let entries = batch.entries().flatten();
    let lines =
        entries.filter(|entry| entry.name.starts_with("bench.")).map(|entry| match entry.value {
            Value::Counter(sum) => sum.round() as u64,
            Value::Timer(summary) => summary.count,
            Value::TimerReadings(readings) => readings.count() as u64,
            _ => 0,
        });
    lines.sum()
}
