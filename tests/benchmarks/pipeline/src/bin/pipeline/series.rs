//! The memory of a worker per series, and the number of entries it aggregates per second.

use crate::Pace;
use std::hint::black_box;
use std::time::Duration;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter};
use zibrato::{Gauge, Summary};
use zibrato_benchmark_pipeline::{Failure, Memory, Process, Row, cpu_of_this_thread, median};

const MANY: usize = 1_000_000;
const FEW: usize = 10_000;
/// Number of entries in each batch.
const ENTRIES: usize = 100;
/// Number of batches of a series in one window: one per second.
const INTERVALS: usize = 60;

/// The data that is aggregated.
#[derive(Debug, Clone, Copy)]
enum What {
    Counter,
    Gauge,
    /// Twenty readings of similar length in each of ten intervals.
    Timer,
    /// Readings over six octaves.
    WideTimer,
}

/// Runs in a separate process, so that its memory contains nothing else.
pub fn part(argument: &str) -> Result<(), Failure> {
    let what = match argument {
        "counter" => What::Counter,
        "gauge" => What::Gauge,
        "timer" => What::Timer,
        "wide-timer" => What::WideTimer,
        _ => {
            let series: usize = argument.parse()?;
            println!("{}", per_second(series));
            return Ok(());
        }
    };
    let series = if matches!(what, What::WideTimer) { MANY / 10 } else { MANY };
    let mut window = Window::new(0, 60_000, series);
    let before = Memory::of("self").own;
    let intervals = if matches!(what, What::Timer | What::WideTimer) { 10 } else { 1 };
    for interval in 0..intervals {
        for at in 0..series / ENTRIES {
            let body = batch(at, what, interval);
            fold(&mut window, &body)?;
        }
    }
    let held = Memory::of("self").own - before;
    println!("{}", held as f64 / window.len() as f64);
    black_box(&window);
    Ok(())
}

fn batch(at: usize, what: What, interval: usize) -> Vec<u8> {
    let mut batch = BatchWriter::new("web-1", 0, 1_000);
    for n in at * ENTRIES..(at + 1) * ENTRIES {
        let name = format!("requests.of.{n:07}");
        match what {
            What::Counter => batch.counter(&name, &[], 1_000.5),
            What::Gauge => batch.gauge(&name, &[], &Gauge::reading(7.5, 1_700_000_000_123)),
            What::Timer | What::WideTimer => batch.timer(&name, &[], &readings(what, n, interval)),
        }
    }
    batch.finish()
}

fn readings(what: What, series: usize, interval: usize) -> Summary {
    let mut summary = Summary::default();
    let mut random = (series * 31 + interval + 1) as u64;
    for _ in 0..20 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let unit = (random >> 11) as f64 / (1_u64 << 53) as f64;
        let octaves = if matches!(what, What::WideTimer) { 6.0 } else { 0.9 };
        summary.record(0.008 * (unit * octaves).exp2());
    }
    summary
}

fn fold(window: &mut Window, body: &[u8]) -> Result<(), Failure> {
    let mut refused = 0;
    window.fold_batch(&BatchReader::new(body)?, |_| refused += 1);
    if refused > 0 { Err("an entry was rejected".into()) } else { Ok(()) }
}

/// Entries per second of one thread: a batch is decoded, checked and aggregated.
fn per_second(series: usize) -> f64 {
    let what = |at| if at % 2 == 0 { What::Counter } else { What::Gauge };
    let bodies: Vec<_> = (0..series / ENTRIES).map(|at| batch(at, what(at), 0)).collect();
    let (mut entries, begun) = (0_u64, cpu_of_this_thread());
    while cpu_of_this_thread() - begun < Duration::from_secs(3) {
        let mut window = Window::new(0, 60_000, MANY);
        for _ in 0..INTERVALS {
            for body in &bodies {
                if fold(&mut window, body).is_err() {
                    return f64::NAN;
                }
            }
            if cpu_of_this_thread() - begun > Duration::from_secs(20) {
                break;
            }
        }
        entries += window.folded();
        black_box(window.into_series());
    }
    entries as f64 / (cpu_of_this_thread() - begun).as_secs_f64()
}

pub fn rows(pace: Pace) -> Result<Vec<Row>, Failure> {
    let ask = |argument: &str| -> Result<f64, Failure> {
        let (_process, line) = Process::part(&["series", argument])?;
        Ok(line.parse()?)
    };
    let mut rows = Vec::new();
    for (name, argument, budget) in [
        ("memory of a counter, 1 M series", "counter", 160.0),
        ("memory of a gauge, 1 M series", "gauge", 160.0),
        ("memory of a timer, 1 M series", "timer", 600.0),
        ("memory of a timer over 6 octaves", "wide-timer", 4096.0),
    ] {
        let (ours, floor) = (ask(argument)?, ("the budget", budget));
        rows.push(Row { name, unit: "bytes", ours, floor, peers: vec![], target: -1.0 });
    }
    for (name, series, budget) in [
        ("entries aggregated, 10 k series", FEW, 3e6),
        ("entries aggregated, 1 M series", MANY, 1.2e6),
    ] {
        let rounds = if series == MANY { 1 } else { pace.rounds.min(3) };
        let all: Result<Vec<_>, _> = (0..rounds).map(|_| ask(&series.to_string())).collect();
        let (ours, floor) = (median(all?), ("the budget", budget));
        rows.push(Row { name, unit: "1/s/core", ours, floor, peers: vec![], target: 1.0 });
    }
    Ok(rows)
}
