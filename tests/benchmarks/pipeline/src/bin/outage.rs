//! An outage of the backend for an hour of 10,000 series per second.
//!
//! The hour is simulated: its batches, one per second for each series, are pushed within a minute.
//! The worker's windows are one second long, so their number is that of an hour with windows of a
//! minute. So journal, broker and worker hold as much data as in an hour. The catch-up pace of a
//! worker that is an hour behind is not part of this benchmark.

use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use zibrato::wire::{BatchWriter, PublisherId, batch_topic};
use zibrato_benchmark_pipeline::{
    Carbon, Failure, Peer, Process, broker, load, put_frame, scratch,
};

const SERIES: u64 = 10_000;
const ENTRIES: u64 = 100;

/// Duration of the outage.
const OUTAGE: Duration = Duration::from_secs(60);

/// Maximum time to catch up.
const CATCH_UP: Duration = Duration::from_secs(900);

/// Maximum growth of a process between the first tenth and the end of the outage, in bytes.
const FLAT: u64 = 32 << 20;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("outage: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let mut seconds = 3_600;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--seconds", Some(number)) => seconds = number.parse()?,
            _ => {
                return Err(
                    "the only flag is --seconds N, the length of the simulated outage".into()
                );
            }
        }
    }
    println!("{seconds} s of {SERIES} series a second, {}", load());
    let journal = scratch("outage")?;
    let journal = journal.to_string_lossy();
    let (broker, port) = broker(&["--journal", &journal, "--journal-min-free", "1"])?;
    let carbon = Carbon::start("series.")?;
    let worker = worker(port, &carbon)?;
    let mut publisher = Publisher { peer: Peer::connect(port, "PUSH")?, sequence: 0 };
    // The worker must be connected, or the level is not wanted.
    thread::sleep(Duration::from_secs(2));
    publisher.second()?;
    until("the first second has arrived", &carbon, SERIES)?;
    carbon.set_away(true);
    let (took, memory) = watched(&[&broker, &worker], || {
        let begun = Instant::now();
        for second in 1..seconds {
            publisher.second()?;
            let due = OUTAGE.mul_f64(second as f64 / seconds as f64);
            thread::sleep(due.saturating_sub(begun.elapsed()));
        }
        Ok(begun.elapsed())
    })?;
    // Until the worker has tried to deliver, and waits.
    thread::sleep(Duration::from_secs(10));
    println!("pushed in {:.1} s, while the backend was down", took.as_secs_f64());
    let flat = print_memory(&memory, [broker.memory().resident, worker.memory().resident]);
    let arrived = carbon.sum("series.");
    carbon.set_away(false);
    let begun = Instant::now();
    until("everything has arrived", &carbon, seconds * SERIES)?;
    let caught_up = begun.elapsed();
    // If more arrives than was sent, it arrives soon.
    thread::sleep(Duration::from_secs(3));
    let delivered = carbon.sum("series.");
    let lost = (seconds * SERIES) as f64 - delivered;
    let rate = (delivered - arrived) / caught_up.as_secs_f64();
    let (names, points) = carbon.points("series.");
    println!(
        "caught up in {:.1} s, {:.2} M measurements/s, {names} series in {points} points",
        caught_up.as_secs_f64(),
        rate / 1e6
    );
    for (name, process) in [("broker", broker), ("worker", worker)] {
        println!("{name} at the end: {} MiB", process.memory().resident >> 20);
        process.stop()?;
    }
    println!("recorded={} delivered={delivered} lost={lost} flat={flat}", seconds * SERIES);
    Ok(lost == 0.0 && flat)
}

fn worker(port: u16, carbon: &Carbon) -> Result<Process, Failure> {
    let program = std::env::current_exe()?.with_file_name("zibrato-carbon");
    let mut command = Command::new(program);
    command.env("STATE_DIRECTORY", scratch("outage-worker")?);
    command.args(["--port", &(port + 1).to_string(), "--http", "off", "--flush", "1"]);
    command.args(["--carbon", &format!("127.0.0.1:{}", carbon.port()), "--prefix", ""]);
    Process::start(&mut command, true)
}

struct Publisher {
    peer: Peer,
    sequence: u64,
}

impl Publisher {
    /// The measurements of all series for one second.
    fn second(&mut self) -> Result<(), Failure> {
        use std::io::Write;
        let mut bytes = Vec::new();
        for first in (0..SERIES).step_by(ENTRIES as usize) {
            let mut batch = BatchWriter::new("series", 1_700_000_000_000, 1_000);
            for n in first..first + ENTRIES {
                batch.counter(&format!("{n:05}"), &[], 1.0);
            }
            self.sequence += 1;
            let id = [&PublisherId([7; 16]).0[..], &self.sequence.to_be_bytes()].concat();
            put_frame(&mut bytes, batch_topic("info").as_bytes(), true);
            put_frame(&mut bytes, &id, true);
            put_frame(&mut bytes, &batch.finish(), false);
        }
        Ok(self.peer.stream.write_all(&bytes)?)
    }
}

fn until(what: &str, carbon: &Carbon, sum: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    while carbon.sum("series.") < sum as f64 {
        if begun.elapsed() > CATCH_UP {
            let arrived = carbon.sum("series.");
            return Err(format!("{arrived} of {sum} have arrived; timeout: {what}").into());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Executes something; returns the memory of the processes during that time, twice a second.
fn watched<T>(
    processes: &[&Process; 2],
    run: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, Vec<[u64; 2]>), Failure> {
    let (over, memory) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let numbers = processes.map(|process| process.id().to_string());
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let all = [0, 1]
                    .map(|at: usize| zibrato_benchmark_pipeline::Memory::of(&numbers[at]).resident);
                if let Ok(mut memory) = memory.lock() {
                    memory.push(all);
                }
                thread::sleep(Duration::from_millis(500));
            }
        });
        let done = run();
        over.store(true, Ordering::Relaxed);
        done
    });
    Ok((done?, memory.into_inner().map_err(|_| "the watch panicked")?))
}

/// Prints the memory of the processes over time, and returns whether it is flat.
fn print_memory(memory: &[[u64; 2]], last: [u64; 2]) -> bool {
    let mut flat = true;
    for (at, name) in ["broker", "worker"].into_iter().enumerate() {
        let tenth = |n: usize| memory.get(n * memory.len() / 10).map_or(0, |all| all[at]);
        let over_time: Vec<_> = (0..10).map(tenth).chain([last[at]]).collect();
        let mebibytes: Vec<_> = over_time.iter().map(|bytes| bytes >> 20).collect();
        println!("{name} over time, MiB: {mebibytes:?}");
        flat &= last[at] <= over_time[1] + FLAT;
    }
    flat
}
