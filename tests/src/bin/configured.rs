//! A program whose instrument is configured by the environment, and which writes its log to
//! standard error: `configured [SETTING…]`.
//!
//! It counts twice, prints `counted`, and waits for SIGTERM. At the end it prints the statistics.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of tests, which prints")]

use log::{LevelFilter, Log, Metadata, Record};
use signal_hook::consts::SIGTERM;
use std::io::{self, Read};
use std::process::ExitCode;
use std::time::Duration;
use zibrato::{Builder, Zibrato, count};

struct StandardError;

impl Log for StandardError {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // A logger may measure.
        count!("info", "configured.lines");
        eprintln!("{} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Changes a setting in the code of the program.
fn set(builder: Builder, setting: &str) -> Builder {
    match setting.split_once('=') {
        Some(("port", port)) => builder.port(port.parse().unwrap_or_default()),
        Some(("source", source)) => builder.source(source),
        Some(("report_after_ms", ms)) => {
            builder.report_after(Duration::from_millis(ms.parse().unwrap_or_default()))
        }
        Some(("flush_deadline_ms", ms)) => {
            builder.flush_deadline(Duration::from_millis(ms.parse().unwrap_or_default()))
        }
        None if setting == "env_overrides" => builder.env_overrides(),
        _ => panic!("no setting {setting}"),
    }
}

fn main() -> io::Result<ExitCode> {
    log::set_logger(&StandardError).map_err(|error| io::Error::other(error.to_string()))?;
    log::set_max_level(LevelFilter::Info);
    let (mut ends, end) = io::pipe()?;
    signal_hook::low_level::pipe::register(SIGTERM, end)?;
    let builder = Zibrato::builder().interval(Duration::from_millis(10));
    let builder = std::env::args().skip(1).fold(builder, |builder, arg| set(builder, &arg));
    let guard = match builder.install() {
        Ok(guard) => guard,
        Err(error) => {
            println!("{error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    (0..2).for_each(|_| count!("info", "configured.calls"));
    println!("counted");
    ends.read_exact(&mut [0])?;
    println!("{:?}", guard.shutdown());
    Ok(ExitCode::SUCCESS)
}
