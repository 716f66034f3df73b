//! Measures throughput and memory of broker and worker, beside a bare pump.

mod idle;
mod pump;
mod series;
mod stalled;
mod throughput;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use zibrato_benchmark_pipeline::{Failure, Row, json, load, svg, text};

/// The durations and the number of rounds.
#[derive(Debug, Clone, Copy)]
struct Pace {
    rounds: usize,
    round: Duration,
    /// How long one subscriber reads nothing.
    stall: Duration,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipeline: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let (mut as_json, mut chart, mut only) = (false, None, None);
    let mut pace =
        Pace { rounds: 7, round: Duration::from_secs(2), stall: Duration::from_secs(60) };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--json" => as_json = true,
            "--svg" => chart = Some(PathBuf::from(next()?)),
            "--only" => only = Some(next()?),
            "--short" => {
                pace = Pace {
                    rounds: 3,
                    round: Duration::from_secs(1),
                    stall: Duration::from_secs(5),
                };
            }
            // The program starts itself with this argument.
            "--part" => {
                return match next()?.as_str() {
                    "pump" => pump::run(),
                    "series" => series::part(&next()?),
                    other => Err(format!("unknown part {other}").into()),
                };
            }
            other => {
                let known = "--json, --short, --only lines|batches|stalled|idle|series, --svg FILE";
                return Err(format!("unknown argument {other}; the flags are {known}").into());
            }
        }
    }
    let rows = rows(pace, only.as_deref())?;
    if as_json {
        println!("{}", json(&rows));
    } else {
        print!("{}", text(&rows));
        println!("{} at the end; medians of {} rounds, in turns", load(), pace.rounds);
    }
    if let Some(chart) = chart {
        fs::write(chart, svg("Throughput and memory of broker and worker", &rows))?;
    }
    Ok(())
}

fn rows(pace: Pace, only: Option<&str>) -> Result<Vec<Row>, Failure> {
    type Part = fn(Pace) -> Result<Vec<Row>, Failure>;
    let parts: [(&str, Part); 5] = [
        ("lines", throughput::lines),
        ("batches", throughput::batches),
        ("stalled", stalled::rows),
        ("idle", idle::rows),
        ("series", series::rows),
    ];
    let mut rows = Vec::new();
    for (name, part) in parts.into_iter().filter(|(name, _)| only.is_none_or(|o| o == *name)) {
        eprintln!("pipeline: {name} ({})", load());
        rows.extend(part(pace)?);
    }
    Ok(rows)
}
