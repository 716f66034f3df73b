//! Hostile peers at every port of a broker, while measurements flow through it to a worker: nothing
//! may crash, memory must stay bounded, and each measurement must arrive once.

mod attacks;
mod garbage;
mod legitimate;
mod random;
mod watch;

use attacks::ATTACKS;
use legitimate::{Latency, Legitimate};
use random::Random;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use watch::Watch;
use zibrato_benchmark_pipeline::{Carbon, Failure, Process, broker, load, scratch};

/// Memory limit of broker and worker, in MiB: the default of the broker's --max-memory.
const BOUND: u64 = 512;

/// Maximum time after the last attack until everything has arrived.
const ARRIVE: Duration = Duration::from_secs(60);

/// The ports of a broker, and the duration of the attack.
#[derive(Debug, Clone)]
pub struct Target {
    port: u16,
    http: u16,
    /// Number of connections to hold.
    connections: u64,
    over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Target {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Counts another attempt.
    fn count(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

struct Flags {
    time: Duration,
    seed: u64,
    connections: u64,
    only: Option<String>,
}

fn main() -> ExitCode {
    match flags().and_then(|flags| run(&flags)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hostile: {error}");
            ExitCode::FAILURE
        }
    }
}

fn flags() -> Result<Flags, Failure> {
    let seed = u64::from(std::process::id());
    let mut flags = Flags { time: Duration::from_secs(600), seed, connections: 10_000, only: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let next = arguments.next().ok_or(format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--minutes" => flags.time = Duration::try_from_secs_f64(60.0 * next.parse::<f64>()?)?,
            "--seed" => flags.seed = next.parse()?,
            "--connections" => flags.connections = next.parse()?,
            "--only" => flags.only = Some(next),
            _ => return Err("the flags are --minutes, --seed, --connections and --only".into()),
        }
    }
    Ok(flags)
}

fn run(flags: &Flags) -> Result<bool, Failure> {
    println!("seed {}, {} s, {}", flags.seed, flags.time.as_secs(), load());
    let held = raise_descriptors(flags.connections)?;
    let journal = scratch("hostile")?;
    let http = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let (mut broker, port) = broker(&[
        "--http",
        &format!("127.0.0.1:{http}"),
        "--journal",
        &journal.to_string_lossy(),
        "--journal-max-size",
        "1",
        "--journal-min-free",
        "0.5",
    ])?;
    let carbon = Carbon::start("legitimate.")?;
    let mut worker = legitimate::worker(port, &carbon)?;
    let legitimate = Legitimate::start(port)?;
    thread::sleep(Duration::from_secs(3));
    let watch = Watch::start(&[("broker", &broker), ("worker", &worker)])?;
    let quiet = Latency::measure(port, Duration::from_secs(3))?;
    println!("latency of a line before attacks: {quiet}");
    let target =
        Target { port, http, connections: held, over: Arc::default(), done: Arc::default() };
    let (latency, tries) = attack(flags, &target)?;
    println!("latency of a line during attacks: {latency}");
    for (name, tries) in tries {
        println!("  {name}: {tries} times");
    }
    let report = legitimate.stop()?;
    let arrived = arrives(&carbon, report)?;
    let alive = broker.is_alive() && worker.is_alive();
    thread::sleep(Duration::from_secs(5));
    let mut bounded = true;
    for (name, memory) in watch.stop()? {
        println!("memory of the {name}: {memory}");
        bounded &= memory.peak >> 20 <= BOUND;
    }
    println!("after: {}", Latency::measure(port, Duration::from_secs(2))?);
    let stopped = [("worker", stop(worker)), ("broker", stop(broker))];
    for (name, ended) in &stopped {
        if let Err(error) = ended {
            println!("the {name} did not stop normally: {error}");
        }
    }
    let exact = (arrived - report as f64).abs() < 0.5;
    let is_good = alive && bounded && exact && stopped.iter().all(|(_, ended)| ended.is_ok());
    println!(
        "recorded={report} delivered={arrived} crashed={} bounded={bounded} {}",
        !alive,
        if is_good { "GOOD" } else { "BAD" }
    );
    Ok(is_good)
}

fn stop(process: Process) -> Result<(), Failure> {
    process.stop()
}

/// Runs all attacks at the same time, each in its own thread; returns the number of attempts of
/// each.
fn attack(flags: &Flags, target: &Target) -> Result<(Latency, Vec<(&'static str, u64)>), Failure> {
    let chosen: Vec<_> = ATTACKS
        .iter()
        .filter(|(name, _)| {
            flags.only.as_deref().is_none_or(|only| only.split(',').any(|o| o == *name))
        })
        .collect();
    thread::scope(|scope| {
        let mut running = Vec::new();
        for (at, (name, attack)) in chosen.into_iter().enumerate() {
            let own = Target { done: Arc::default(), ..target.clone() };
            let done = Arc::clone(&own.done);
            let mut random = Random::new(flags.seed.wrapping_add(at as u64));
            // Errors of an attack, such as a closed connection, are not failures of the benchmark.
            scope.spawn(move || {
                while own.goes_on() {
                    if attack(&own, &mut random).is_err() {
                        thread::sleep(Duration::from_millis(5));
                    }
                    own.count();
                }
            });
            running.push((*name, done));
        }
        let latency = Latency::measure(target.port, flags.time);
        target.over.store(true, Ordering::Relaxed);
        let tries = running.into_iter().map(|(name, done)| (name, done.load(Ordering::Relaxed)));
        Ok((latency?, tries.collect()))
    })
}

/// Waits until all recorded measurements have arrived, and a little longer, in case more arrive.
fn arrives(carbon: &Carbon, recorded: u64) -> Result<f64, Failure> {
    let begun = Instant::now();
    while carbon.sum("legitimate.") < recorded as f64 && begun.elapsed() < ARRIVE {
        thread::sleep(Duration::from_millis(100));
    }
    println!("all arrived {} ms after the last attack", begun.elapsed().as_millis());
    thread::sleep(Duration::from_secs(2));
    Ok(carbon.sum("legitimate."))
}

/// Raises the descriptor limit of this process and of the broker that it starts; returns the
/// possible number of connections.
fn raise_descriptors(wanted: u64) -> Result<u64, Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = limit.maximum.unwrap_or(u64::MAX).min(1 << 16);
    setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum })?;
    // Other attacks need connections too.
    Ok(wanted.min(raised.saturating_sub(4_000)))
}
