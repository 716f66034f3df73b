//! Measures the Librato intake of the broker beside a bare server, and `zibrato-librato` beside
//! python-librato.

mod bare;
mod intake;
mod load;
mod place;
mod receiver;
mod worker;

use std::env;
use std::process::ExitCode;
use std::time::Duration;
use zibrato_benchmark_pipeline::{Failure, Row, json, load as load_of_machine, text};

/// The durations and the number of rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("librato: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let (mut as_json, mut only) = (false, None);
    let mut pace = Pace { rounds: 5, round: Duration::from_secs(2) };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--json" => as_json = true,
            "--only" => only = Some(next()?),
            // This program in another role.
            "--part" => return bare::serve(),
            "--short" => pace = Pace { rounds: 3, round: Duration::from_secs(1) },
            other => {
                let known = "--json, --short, --only intake|worker";
                return Err(format!("unknown argument {other}; the flags are {known}").into());
            }
        }
    }
    let machine = load_of_machine();
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
    // The worker comes first, because the intake confines this program to one processor.
    let parts: [(&str, Part); 2] = [("worker", worker::rows), ("intake", intake::rows)];
    if let Some(only) = only.filter(|only| !parts.iter().any(|(word, _)| word == only)) {
        return Err(format!("unknown part {only}").into());
    }
    let mut rows = Vec::new();
    for (_, part) in parts.iter().filter(|(word, _)| only.is_none_or(|only| only == *word)) {
        rows.extend(part(pace)?);
    }
    Ok(rows)
}
