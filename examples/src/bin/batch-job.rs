//! A recipe of docs/recipes.md: a job that works through its input and ends.
#![expect(clippy::print_stderr, reason = "a program tells its user what failed")]

use std::error::Error;
use std::io;
use std::num::ParseIntError;
use std::process::ExitCode;
use std::time::Duration;
use zibrato::{Zibrato, count_me, gauge, time_me};

#[count_me(name = "import.rows", outcomes)]
fn import(row: &str) -> Result<u64, ParseIntError> {
    row.trim().parse()
}

#[time_me(name = "import", outcomes)]
fn import_all() -> io::Result<u64> {
    let mut sum = 0;
    for row in io::stdin().lines() {
        match import(&row?) {
            Ok(amount) => sum += amount,
            Err(why) => eprintln!("skipped a row: {why}"),
        }
    }
    Ok(sum)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let zibrato = Zibrato::builder()
        .source("import")
        .flush_deadline(Duration::from_secs(30)) // waits that long for a broker at the end
        .install()?;
    gauge!("info", "import.sum", import_all()?); // with `?` the guard is dropped, which flushes too
    let stats = zibrato.shutdown();
    if stats.delivered < stats.recorded {
        eprintln!("not everything was delivered: {stats:?}");
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::SUCCESS)
}
