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
use zibrato_benchmark_pipeline::{
    Failure, Part, confine_this, load as load_of_machine, print, program, rows,
};

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

const PARTS: [Part<Pace>; 4] = [
    ("throughput", throughput::rows),
    ("single", single::rows),
    ("series", series::rows),
    ("sustained", sustained::rows),
];

fn main() -> ExitCode {
    program("statsd", run)
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
    confine_this()?;
    for peer in &servers::PEERS {
        if !peer.is_there() {
            eprintln!("statsd: {} is missing; to compare with it, {}", peer.name, peer.hint);
        }
    }
    // The last part takes long.
    let rows = rows(&PARTS, only.as_deref(), Some("sustained"), pace)?;
    let rounds = pace.rounds;
    print(&rows, as_json, &format!("{machine} at the beginning; medians of {rounds} rounds"));
    Ok(())
}
