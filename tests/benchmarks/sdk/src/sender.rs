//! The cost of the sender's thread while eight threads use a thousand call sites.

use crate::ours;
use crate::places::{self, Place};
use crate::processes::{Process, cpu_of, threads, threads_named};
use crate::table::{PERCENT, Row};
use std::collections::BTreeSet;
use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PLACES: usize = 1000;
const THREADS: usize = 8;

/// Duration of the measurement.
const WATCHED: Duration = Duration::from_secs(10);

/// Interval in which each thread uses all call sites.
const PERIOD: Duration = Duration::from_millis(200);

/// Returns the rows, and the CPU time of libzmq's threads.
pub fn rows() -> Result<(Vec<Row>, Vec<(&'static str, f64)>), Box<dyn Error>> {
    let (_broker, port) = Process::broker()?;
    let (_worker, _) = Process::part("worker", &(port + 1).to_string())?;
    let before = threads();
    let guard = ours::install(port)?;
    let sender = threads_named("zibrato-sender");
    let all: BTreeSet<_> = threads().difference(&before).copied().collect();
    let libzmq = all.difference(&sender).copied().collect();
    let counters = watch(&places::counters(PLACES), &sender, &libzmq);
    let mixed = [places::counters(PLACES / 2), places::timers(PLACES / 2)].concat();
    let mixed = watch(&mixed, &sender, &libzmq);
    drop(guard);
    let floor = ("reading 8,000 numbers a second", once_a_second(read_them_all()));
    let row = |name, ours, peers| Row::new(name, PERCENT, ours, floor, peers);
    let rows = vec![
        row("sender", mixed[0], peers(PLACES / 2, PLACES / 2)),
        row("sender, counters only", counters[0], peers(PLACES, 0)),
    ];
    let beside = vec![
        ("libzmq's threads of the program during `sender`, % of a core", mixed[1]),
        (
            "libzmq's threads of the program during `sender, counters only`, % of a core",
            counters[1],
        ),
    ];
    Ok((rows, beside))
}

/// The CPU time of groups of threads, in percent of a core, while eight other threads use all call
/// sites.
fn watch(places: &[Place], sender: &BTreeSet<u32>, libzmq: &BTreeSet<u32>) -> [f64; 2] {
    let stop = AtomicBool::new(false);
    let use_them = || {
        while !stop.load(Ordering::Relaxed) {
            places.iter().for_each(|place| place());
            thread::sleep(PERIOD);
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(use_them);
        }
        // All call sites are registered by then.
        thread::sleep(Duration::from_secs(2));
        let (begun, before) = (Instant::now(), [cpu_of(sender), cpu_of(libzmq)]);
        thread::sleep(WATCHED);
        let (after, took) = ([cpu_of(sender), cpu_of(libzmq)], begun.elapsed());
        stop.store(true, Ordering::Relaxed);
        [0, 1].map(|at| (after[at] - before[at]).as_secs_f64() / took.as_secs_f64() * 100.0)
    })
}

/// Percent of a core, if this is done once per second.
fn once_a_second(took: Duration) -> f64 {
    took.as_secs_f64() * 100.0
}

/// The lowest possible cost of a sender: reading the number of each call site for each thread.
fn read_them_all() -> Duration {
    let numbers: Vec<_> = (0..PLACES * THREADS).map(|n| AtomicU64::new(n as u64)).collect();
    best_of(|| {
        black_box(numbers.iter().map(|number| number.load(Ordering::Relaxed)).sum::<u64>());
    })
}

/// The cost of the peers if they are collected once per second.
fn peers(counters: usize, timers: usize) -> Vec<(&'static str, f64)> {
    let names = |kind: &'static str, number| (0..number).map(move |n| format!("{kind}_{n}"));
    let registry = prometheus::Registry::new();
    for name in names("counter", counters) {
        let counter = prometheus::IntCounter::new(name, "counted").expect("a valid name");
        counter.inc();
        registry.register(Box::new(counter)).expect("a new name");
    }
    for name in names("timer", timers) {
        let options = prometheus::HistogramOpts::new(name, "timed");
        let timer = prometheus::Histogram::with_opts(options).expect("a valid name");
        (0..THREADS).for_each(|_| timer.observe(1e-7));
        registry.register(Box::new(timer)).expect("a new name");
    }
    let gather = best_of(|| {
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather());
        black_box(text).expect("a text");
    });
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        names("counter", counters).for_each(|name| metrics::counter!(name).increment(1));
        for name in names("timer", timers) {
            let timer = metrics::histogram!(name);
            (0..THREADS).for_each(|_| timer.record(1e-7));
        }
    });
    let handle = recorder.handle();
    let render = best_of(|| drop(black_box(handle.render())));
    let mut peers = vec![
        ("prometheus, gather and encode", once_a_second(gather)),
        ("metrics, render", once_a_second(render)),
    ];
    peers.sort_by(|one, other| one.1.total_cmp(&other.1));
    peers
}

fn best_of(once: impl Fn()) -> Duration {
    let time = |_| {
        let begun = Instant::now();
        once();
        begun.elapsed()
    };
    (0..7).map(time).min().unwrap_or_default()
}
