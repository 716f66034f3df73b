//! A closed loop: sends messages on one side and receives them on the other, and never has more in
//! flight than all queues can hold, so that nothing is lost.

use crate::{Cpu, Failure, Peer, Process, put_frame};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zibrato::wire::{BatchWriter, PublisherId, batch_topic};
use zibrato::{Gauge, Summary};

/// Maximum time without a message.
const DEADLINE: Duration = Duration::from_secs(30);

/// The size of the stamp that the broker adds to a batch: a frame of 16 bytes and its head.
const STAMP: u64 = 18;

/// Messages that are sent repeatedly.
pub struct Load {
    /// The messages as they are sent over a connection.
    bytes: Vec<u8>,
    /// Number of messages.
    messages: u64,
    /// The position of the sequence in each message, if it has one.
    sequences: Vec<usize>,
    /// The length of each message when it arrives.
    arrives: u64,
    /// Maximum number of messages in transit.
    window: u64,
    topic: &'static str,
    /// The sequence of the last message that was sent.
    sent: u64,
}

/// One line per message, of a hundred series.
pub fn lines() -> Load {
    let mut bytes = Vec::new();
    for n in 0..1_000 {
        let line = format!("info|Counter|requests.of.{:03}|{}|1700000000|web-1", n % 100, n % 10);
        put_frame(&mut bytes, line.as_bytes(), false);
    }
    // A queue of 10,000 may count 5,000 messages that were already read.
    let (arrives, window) = (bytes.len() as u64 / 1_000, 3_000);
    Load { bytes, messages: 1_000, sequences: vec![], arrives, window, topic: "info|", sent: 0 }
}

/// Batches of a hundred entries: 60 counters, 20 gauges, 20 timers.
pub fn batches(publisher: u8) -> Load {
    const MESSAGES: u64 = 50;
    let (mut bytes, mut sequences, mut arrives) = (Vec::new(), Vec::new(), 0);
    for n in 0..MESSAGES {
        let (begun, body) = (bytes.len(), body(n));
        put_frame(&mut bytes, batch_topic("info").as_bytes(), true);
        sequences.push(bytes.len() + 2 + 16);
        let id = [PublisherId([publisher; 16]).0.to_vec(), vec![0; 8]].concat();
        put_frame(&mut bytes, &id, true);
        put_frame(&mut bytes, &body, false);
        arrives = (bytes.len() - begun) as u64 + STAMP;
    }
    let topic = "zb1|info|";
    Load { bytes, messages: MESSAGES, sequences, arrives, window: 1_000, topic, sent: 0 }
}

fn body(n: u64) -> Vec<u8> {
    let mut batch = BatchWriter::new("web-1", 1_700_000_000_000, 1_000);
    for entry in 0..60 {
        let name = format!("requests.of.{n:02}.{entry:02}");
        batch.counter(&name, &[("host", "web-1")], 1_000.5);
    }
    for entry in 0..20 {
        let gauge = Gauge::folded(7.5, 1_700_000_000_123, 3, 20.5, 6.5, 7.5);
        batch.gauge(&format!("queue.of.{n:02}.{entry:02}"), &[], &gauge);
    }
    let mut summary = Summary::default();
    (1..=20).for_each(|n| summary.record(f64::from(n) / 1000.0));
    for entry in 0..20 {
        batch.timer(&format!("time.of.{n:02}.{entry:02}"), &[], &summary);
    }
    batch.finish()
}

/// The result of one run of the loop.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Messages that every subscriber received.
    pub messages: u64,
    pub took: Duration,
    /// The CPU time of the process that forwarded them.
    pub cpu: Cpu,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.messages as f64 / self.took.as_secs_f64()
    }

    /// CPU time per message of all threads together, in nanoseconds.
    pub fn cpu_ns(&self) -> f64 {
        self.cpu.values().sum::<u64>() as f64 / self.messages as f64
    }
}

/// A publisher, some subscribers, and the process between them.
pub struct Loop {
    load: Load,
    publisher: Peer,
    readers: Vec<Peer>,
    received: Vec<AtomicU64>,
    arrived: Mutex<()>,
    wake: Condvar,
}

impl Loop {
    /// Connects them to `port` and to the next port, and waits until each receives a message.
    pub fn new(load: Load, port: u16, readers: usize) -> Result<Self, Failure> {
        let publisher = Peer::connect(port, "PUSH")?;
        let mut all = Vec::new();
        for _ in 0..readers {
            let mut reader = Peer::connect(port + 1, "SUB")?;
            reader.subscribe(load.topic)?;
            all.push(reader);
        }
        // The subscriptions are in place once the level is wanted; a raw peer gets no other
        // confirmation.
        thread::sleep(Duration::from_millis(300));
        let received = (0..readers).map(|_| AtomicU64::new(0)).collect();
        let (arrived, wake) = (Mutex::new(()), Condvar::new());
        Ok(Self { load, publisher, readers: all, received, arrived, wake })
    }

    /// Sends for this time, as fast as all subscribers receive; then waits until all have received
    /// everything.
    pub fn run(&mut self, process: &Process, time: Duration) -> Result<Measured, Failure> {
        let Self { load, publisher, readers, received, arrived, wake } = self;
        received.iter().for_each(|bytes| bytes.store(0, Ordering::Relaxed));
        let over = AtomicBool::new(false);
        let (received, arrived, wake, over) = (&*received, &*arrived, &*wake, &over);
        let arrives = load.arrives;
        thread::scope(|scope| {
            let all: Vec<_> = readers
                .iter_mut()
                .zip(received)
                .map(|(reader, bytes)| {
                    scope.spawn(move || read(reader, bytes, || wake.notify_all(), over))
                })
                .collect();
            let least = || {
                let bytes = received.iter().map(|bytes| bytes.load(Ordering::Acquire));
                bytes.min().unwrap_or(0) / arrives
            };
            let wait = |wanted: u64| {
                let lock = arrived.lock().unwrap_or_else(PoisonError::into_inner);
                let short = Duration::from_micros(500);
                let (mut lock, begun) = (lock, Instant::now());
                while least() < wanted {
                    let waited = wake.wait_timeout(lock, short);
                    lock = waited.unwrap_or_else(PoisonError::into_inner).0;
                    if begun.elapsed() > DEADLINE {
                        let got: Vec<_> =
                            received.iter().map(|b| b.load(Ordering::Acquire) / arrives).collect();
                        return Err(format!("{got:?} of {wanted} messages have arrived"));
                    }
                }
                Ok(())
            };
            let before = process.cpu();
            let begun = Instant::now();
            let mut sent = 0;
            let mut ran = Ok(());
            while begun.elapsed() < time && ran.is_ok() {
                ran = load.send(publisher).map_err(|error| error.to_string());
                sent += load.messages;
                ran = ran.and_then(|()| wait(sent.saturating_sub(load.window)));
            }
            let ran = ran.and_then(|()| wait(sent));
            let took = begun.elapsed();
            let after = process.cpu();
            over.store(true, Ordering::Relaxed);
            for reader in all {
                reader.join().map_err(|_| "a reader panicked")??;
            }
            ran?;
            let cost = |(name, after): (String, u64)| {
                let before = before.get(&name).copied().unwrap_or(0);
                (name, after.saturating_sub(before))
            };
            let cpu = after.into_iter().map(cost).collect();
            Ok(Measured { messages: sent, took, cpu })
        })
    }

    /// Closes the connections.
    pub fn close(self) {
        for peer in self.readers.iter().chain([&self.publisher]) {
            peer.stream.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Load {
    /// For a pump, which adds no stamp.
    pub fn unstamped(mut self) -> Self {
        self.arrives -= STAMP;
        self
    }

    fn send(&mut self, publisher: &mut Peer) -> Result<(), Failure> {
        for at in &self.sequences {
            self.sent += 1;
            self.bytes[*at..*at + 8].copy_from_slice(&self.sent.to_be_bytes());
        }
        Ok(publisher.stream.write_all(&self.bytes)?)
    }
}

fn read(
    reader: &mut Peer,
    bytes: &AtomicU64,
    on_bytes: impl Fn(),
    over: &AtomicBool,
) -> Result<(), Failure> {
    reader.stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.stream.read(&mut buffer) {
            Ok(0) => return Err("the other side has ended the connection".into()),
            Ok(more) => {
                bytes.fetch_add(more as u64, Ordering::Release);
                on_bytes();
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if over.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
