//! Measures what Zibrato's SDK costs a program, beside its peers and beside the least it could cost.

mod chart;
mod floors;
mod measure;
mod ours;
mod peers;
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
        match argument.as_str() {
            "--json" => json = true,
            "--svg" => svg = Some(PathBuf::from(arguments.next().ok_or("--svg needs a file")?)),
            other => return Err(format!("what is {other}? --json and --svg FILE are known").into()),
        }
    }

    let guard = ours::install()?;
    let zibrato = guard.handle();
    let mut cases = ours::cases(&zibrato);
    cases.extend(floors::cases());
    cases.extend(peers::cases()?);
    measure::measure(&mut cases);
    ours::prove(&zibrato, &cases)?;

    let (rows, beside) = table::rows(&cases);
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
