//! Measures the StatsD intake of the broker beside other StatsD servers.

mod delivered;
mod load;
mod series;
mod servers;
mod single;
mod sustained;
mod throughput;

use std::env;
use std::process::ExitCode;
use std::time::Duration;
use zibrato_benchmark_pipeline::{Failure, Row, json, load as load_of_machine, text};

/// Counters that peers received per second, with one line and with twenty lines per packet, in an
/// earlier run on an AMD EPYC with two processors.
const RECORDED: [(&str, f64, f64); 3] =
    [("statsite", 0.29e6, 6.25e6), ("statsd", 0.24e6, 0.99e6), ("bucky", 0.19e6, 0.34e6)];

/// The durations and the number of rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
    /// How long a load near the maximum lasts.
    pub(crate) sustained: Duration,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("statsd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let (mut as_json, mut only) = (false, None);
    let mut pace =
        Pace { rounds: 5, round: Duration::from_secs(2), sustained: Duration::from_secs(600) };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--json" => as_json = true,
            "--only" => only = Some(next()?),
            "--minutes" => pace.sustained = Duration::from_secs_f64(60.0 * next()?.parse::<f64>()?),
            "--short" => (pace.rounds, pace.round) = (3, Duration::from_secs(1)),
            other => {
                let known =
                    "--json, --short, --only throughput|single|series|sustained, --minutes M";
                return Err(format!("unknown argument {other}; the flags are {known}").into());
            }
        }
    }
    let machine = load_of_machine();
    servers::confine_this()?;
    for peer in &servers::PEERS {
        if !peer.is_there() {
            eprintln!("statsd: {} is missing; to compare with it, {}", peer.name, peer.hint);
        }
    }
    let rows = rows(pace, only.as_deref())?;
    if as_json {
        println!("{}", json(&rows));
    } else {
        print!("{}", text(&rows));
        println!("{machine} at the beginning; medians of {} rounds", pace.rounds);
    }
    Ok(())
}

fn rows(pace: Pace, only: Option<&str>) -> Result<Vec<Row>, Failure> {
    type Part = fn(Pace) -> Result<Vec<Row>, Failure>;
    let parts: [(&str, Part); 4] = [
        ("throughput", throughput::rows),
        ("single", single::rows),
        ("series", series::rows),
        ("sustained", sustained::rows),
    ];
    let known = |only: &str| parts.iter().any(|(name, _)| *name == only);
    if let Some(only) = only.filter(|only| !known(only)) {
        return Err(format!("unknown part {only}").into());
    }
    let mut rows = Vec::new();
    // The last part takes long, and is only run by itself.
    let is_meant = |name: &str| only.map_or(name != "sustained", |only| only == name);
    for (name, part) in parts.into_iter().filter(|(name, _)| is_meant(name)) {
        eprintln!("statsd: {name}");
        rows.extend(part(pace)?);
    }
    Ok(rows)
}
