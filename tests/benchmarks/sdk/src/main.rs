//! Measures what Zibrato's SDK costs a program, beside other crates and the least possible cost.

mod chart;
mod end_to_end;
mod first_use;
mod floors;
mod in_turn;
mod measure;
mod ours;
mod parts;
mod peers;
mod places;
mod processes;
mod sender;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sdk: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut json, mut svg) = (false, None);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--json" => json = true,
            "--svg" => svg = Some(PathBuf::from(next()?)),
            // The program starts itself with this argument.
            "--part" => return parts::take(&next()?, &next()?),
            other => {
                return Err(format!(
                    "unknown argument {other}; the flags are --json and --svg FILE"
                )
                .into());
            }
        }
    }

    let guard = ours::install(ours::unused_port()?)?;
    let zibrato = guard.handle();
    let mut cases = ours::cases(&zibrato);
    cases.extend(floors::cases());
    cases.extend(peers::cases()?);
    let (first, made) = first_use::rows();
    measure::measure(&mut cases);
    let (in_turn, made_in_turn) = in_turn::rows();
    ours::prove(&zibrato, made + made_in_turn, &cases)?;
    let (mut rows, mut beside) = table::rows(&cases);
    rows.extend(in_turn);
    rows.extend(first);
    drop((cases, zibrato, guard));

    eprintln!("sdk: the sender");
    let (sender, of_libzmq) = sender::rows()?;
    rows.extend(sender);
    beside.extend(of_libzmq);
    eprintln!("sdk: end to end");
    rows.extend(end_to_end::rows()?);

    if json {
        println!("{}", table::json(&rows));
    } else {
        print!("{}", table::text(&rows, &beside));
    }
    if let Some(svg) = svg {
        fs::write(svg, chart::svg(&rows))?;
    }
    Ok(())
}
