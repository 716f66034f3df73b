//! Measures the Librato intake of the broker beside a bare server, and `zibrato-librato` beside
//! python-librato.

mod bare;
mod intake;
mod load;
mod receiver;
mod worker;

use std::env;
use std::process::ExitCode;
use std::time::Duration;
use zibrato_benchmark_pipeline::{Failure, Part, load as load_of_machine, print, program, rows};

/// The durations and the number of rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
}

/// The worker comes first, because the intake confines this program to one processor.
const PARTS: [Part<Pace>; 2] = [("worker", worker::rows), ("intake", intake::rows)];

fn main() -> ExitCode {
    program("librato", run)
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
    let rows = rows(&PARTS, only.as_deref(), None, pace)?;
    let rounds = pace.rounds;
    print(&rows, as_json, &format!("{machine} at the beginning; medians of {rounds} rounds"));
    Ok(())
}
