//! Measures how fast `zibrato-carbon` delivers a window, beside bucky's client and carbon-relay.

mod peers;
mod points;
mod protocol;
mod receiver;
mod zibrato;

use peers::{BUCKY, CARBON_RELAY, Given};
use points::{Arrived, Points};
use protocol::Protocol;
use std::env;
use std::process::ExitCode;
use std::time::Duration;
use zibrato_benchmark_pipeline::{Failure, Row, json, load, median, text};

/// Points per second that bucky's client sent as lines and as pickles, in an earlier run on an AMD
/// EPYC with two processors.
const RECORDED: [f64; 2] = [0.13e6, 0.17e6];

/// The target: the ratio to bucky's client.
const TARGET: f64 = 20.0;

/// The targets of a million counters: seconds, and bytes for each series beyond the window itself.
const SECONDS: f64 = 2.0;
const ENCODING_BYTES: f64 = 300.0;

/// What one sender needed for all points of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Until the receiver had read the last point.
    pub(crate) seconds: f64,
    pub(crate) bytes: usize,
    pub(crate) cpu: Duration,
    /// The peak of its resident memory, in bytes.
    pub(crate) peak: u64,
    pub(crate) arrived: Arrived,
}

/// The number of windows, and the number by which the series are divided.
#[derive(Debug, Clone, Copy)]
struct Pace {
    windows: usize,
    divisor: usize,
}

/// One part of the benchmark.
struct Part {
    word: &'static str,
    name: &'static str,
    points: fn(usize) -> Points,
    protocol: Protocol,
    /// The rows of the worker's own targets: seconds and memory.
    budgets: Option<[&'static str; 2]>,
}

const PARTS: [Part; 3] = [
    Part {
        word: "lines",
        name: "counters as lines",
        points: |divisor| Points::Counters(1_000_000 / divisor),
        protocol: Protocol::Lines,
        budgets: Some(["lines: until the last point", "lines: memory of encoding, per series"]),
    },
    Part {
        word: "pickle",
        name: "counters as pickles",
        points: |divisor| Points::Counters(1_000_000 / divisor),
        protocol: Protocol::Pickle,
        budgets: Some(["pickles: until the last point", "pickles: memory of encoding, per series"]),
    },
    Part {
        word: "timers",
        name: "timers as lines, nine points each",
        points: |divisor| Points::Timers(100_000 / divisor),
        protocol: Protocol::Lines,
        budgets: None,
    },
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("carbon: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every point arrived once.
fn run() -> Result<bool, Failure> {
    let (mut as_json, mut only) = (false, None);
    let mut pace = Pace { windows: 3, divisor: 1 };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--json" => as_json = true,
            "--only" => only = Some(next()?),
            "--short" => pace = Pace { windows: 1, divisor: 10 },
            other => {
                let known = "--json, --short, --only lines|pickle|timers";
                return Err(format!("unknown argument {other}; the flags are {known}").into());
            }
        }
    }
    if let Some(only) = only.as_ref().filter(|only| !PARTS.iter().any(|part| part.word == **only)) {
        return Err(format!("unknown part {only}").into());
    }
    for sender in [&BUCKY, &CARBON_RELAY] {
        if !sender.is_there() {
            eprintln!("carbon: {} is missing; to compare with it, {}", sender.name, sender.hint);
        }
    }
    let machine = load();
    let (mut rows, mut is_exact) = (Vec::new(), true);
    for part in PARTS.iter().filter(|part| only.as_ref().is_none_or(|only| part.word == only)) {
        let (of_part, exact) = part.rows(pace)?;
        rows.extend(of_part);
        is_exact &= exact;
    }
    if as_json {
        println!("{}", json(&rows));
    } else {
        print!("{}", text(&rows));
        println!("{machine} at the beginning; medians of {} windows", pace.windows);
        println!("{}", if is_exact { "every point arrived once" } else { "POINTS ARE WRONG" });
    }
    Ok(is_exact)
}

impl Part {
    /// Also returns whether every point of every sender arrived once.
    fn rows(&self, pace: Pace) -> Result<(Vec<Row>, bool), Failure> {
        let points = (self.points)(pace.divisor);
        eprintln!("carbon: {} {}", points.series(), self.name);
        let needed = zibrato::measure(points, self.protocol, pace.windows)?;
        let mut all_exact = needed.windows.iter().all(|window| is_exact("zibrato-carbon", window));
        let middle = |of: fn(&Measured) -> f64| median(needed.windows.iter().map(of).collect());
        let ours = points.count() as f64 / middle(|window| window.seconds);
        let mut peers = shown("zibrato-carbon", points, middle);
        let until_first = median(needed.first_point.clone());
        peers.push(("zibrato-carbon: until the first point, s".to_owned(), until_first));
        let mut floor =
            ("bucky, recorded", RECORDED[usize::from(self.protocol == Protocol::Pickle)]);
        let given = Given { points, protocol: self.protocol, lines: &points.lines() };
        for sender in [&BUCKY, &CARBON_RELAY] {
            let Some(theirs) = sender.measure(&given)? else { continue };
            all_exact &= is_exact(sender.name, &theirs);
            let rate = points.count() as f64 / theirs.seconds;
            peers.push((format!("{}: points per second", sender.name), rate));
            peers.push((format!("zibrato-carbon, relative to {}", sender.name), ours / rate));
            peers.extend(shown(sender.name, points, |of| of(&theirs)));
            if sender.name == BUCKY.name {
                floor = ("bucky", rate);
            }
        }
        let name = self.name;
        let mut rows = vec![Row { name, unit: "points/s", ours, floor, peers, target: TARGET }];
        if let Some([until_last, encoding]) = self.budgets {
            let seconds = middle(|window| window.seconds);
            let per_series = |bytes: u64| bytes as f64 / points.series() as f64;
            let row = |name, unit, ours, budget, peers| {
                let floor = ("the budget", budget);
                Row { name, unit, ours, floor, peers, target: -1.0 }
            };
            let fold = vec![("the window itself".to_owned(), per_series(needed.fold))];
            rows.extend([
                row(until_last, "s", seconds, SECONDS / pace.divisor as f64, vec![]),
                row(encoding, "bytes", per_series(needed.encoding), ENCODING_BYTES, fold),
            ]);
        }
        Ok((rows, all_exact))
    }
}

/// The figures of a sender.
fn shown(
    who: &str,
    points: Points,
    of: impl Fn(fn(&Measured) -> f64) -> f64,
) -> Vec<(String, f64)> {
    let per_point = of(|measured| measured.cpu.as_nanos() as f64) / points.count() as f64;
    vec![
        (format!("{who}: until the last point, s"), of(|measured| measured.seconds)),
        (format!("{who}: bytes"), of(|measured| measured.bytes as f64)),
        (format!("{who}: CPU time per point, ns"), per_point),
        (
            format!("{who}: resident memory at most, MiB"),
            of(|m| m.peak as f64) / f64::from(1 << 20),
        ),
    ]
}

/// Whether every point arrived once. Prints what is wrong.
fn is_exact(who: &str, measured: &Measured) -> bool {
    let Arrived { points, lost, doubled, foreign } = measured.arrived;
    let is_exact = measured.arrived.is_exact();
    if !is_exact {
        eprintln!("carbon: {who}: points={points} lost={lost} doubled={doubled} foreign={foreign}");
    }
    is_exact
}
