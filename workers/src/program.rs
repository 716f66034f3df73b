//! The program around a backend: flags, logging, run, exit code.

use crate::backend::BackendProgram;
use crate::curve::CurveFlags;
use crate::levels::Levels;
use crate::worker::{StartError, Worker, WorkerBuilder};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use zibrato::daemon::{CommonFlags, Exit, Failure, Stop, init_logging, parse};

/// Runs a worker program from flags to exit code: subscribes, folds, delivers to `B`, until TERM,
/// INT or QUIT.
///
/// The whole of `zibrato-carbon` is
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     zibrato_workers::main::<zibrato_workers::carbon::Carbon>()
/// }
/// ```
#[must_use]
pub fn main<B: BackendProgram>() -> ExitCode {
    let flags = match parse::<ProgramFlags<B>>() {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    match run::<B>(flags) {
        Ok(()) => Exit::Fine.into(),
        Err(failure) => failure.report(B::PROGRAM),
    }
}

/// All flags of a worker program.
#[derive(Debug, clap::Parser)]
#[command(name = B::PROGRAM, about = B::ABOUT, after_help = B::EXAMPLES, version)]
struct ProgramFlags<B: BackendProgram> {
    #[command(flatten)]
    worker: WorkerFlags,
    #[command(flatten)]
    backend: B::Flags,
    #[command(flatten, next_help_heading = "General")]
    common: CommonFlags,
}

/// The flags of every worker.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Worker")]
struct WorkerFlags {
    /// The broker's host, or the folder it listens in, such as ipc:///run/zibrato
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,

    /// The port on which the broker publishes: its own port + 1
    #[arg(long, value_name = "PORT", default_value_t = 5551, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    #[command(flatten)]
    curve: CurveFlags,

    /// Deliver these levels, with commas between them; `*` is every level
    #[arg(long, value_name = "LEVELS", default_value_t = Levels::default())]
    levels: Levels,

    /// Fold and deliver every so many seconds, aligned to the clock
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = flush)]
    flush: Duration,

    /// Fold new names into `_overflow` beyond so many series in a window
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = at_least_one)]
    max_series: usize,

    /// Drop the oldest window, and count it, when more than so many wait for the backend
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = at_least_one)]
    max_windows: usize,

    /// Take so many seconds at most to deliver the rest when stopped
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = timeout)]
    shutdown_timeout: Duration,
}

impl WorkerFlags {
    fn builder(&self) -> Result<WorkerBuilder, Failure> {
        let builder = Worker::builder()
            .host(&*self.host)
            .port(self.port)
            .levels(self.levels.clone())
            .flush(self.flush)
            .max_series(self.max_series)
            .max_windows(self.max_windows);
        Ok(match self.curve.read()? {
            Some(curve) => builder.curve(curve),
            None => builder,
        })
    }
}

/// Why a number on the command line cannot be.
#[derive(Debug, thiserror::Error)]
enum NumberError {
    #[error("a window has at least 0.1 seconds and at most a day: for one minute, `--flush 60`")]
    Flush,
    #[error("at least 1 is needed")]
    NotOne,
    #[error("give seconds from {0} to {1}, such as 10 or 0.5")]
    Seconds(f64, f64),
}

fn flush(text: &str) -> Result<Duration, NumberError> {
    seconds(text, 0.1, 86_400.0).map_err(|_| NumberError::Flush)
}

fn timeout(text: &str) -> Result<Duration, NumberError> {
    seconds(text, 0.0, 3_600.0)
}

fn at_least_one(text: &str) -> Result<usize, NumberError> {
    text.parse().ok().filter(|number| *number > 0).ok_or(NumberError::NotOne)
}

/// Seconds, with a fraction or without.
fn seconds(text: &str, least: f64, most: f64) -> Result<Duration, NumberError> {
    let seconds: Option<f64> = text.trim().parse().ok().filter(|s| (least..=most).contains(s));
    seconds.map(Duration::from_secs_f64).ok_or(NumberError::Seconds(least, most))
}

fn run<B: BackendProgram>(flags: ProgramFlags<B>) -> Result<(), Failure> {
    let ProgramFlags { worker: flags, backend, common } = flags;
    init_logging(&common.log_level, common.log_format)
        .map_err(|why| Failure::new(Exit::Config, format!("--log-level: {why}")))?;
    if flags.flush < B::SHORTEST_FLUSH {
        let least = B::SHORTEST_FLUSH.as_secs_f64();
        let message = format!("--flush: this backend needs at least {least} s between windows");
        return Err(Failure::new(Exit::Config, message));
    }
    let builder = flags.builder()?;
    builder.check().map_err(failure)?;
    let backend = B::open(backend)?;
    if common.check {
        // Whoever has closed stdout still gets the exit code.
        drop(writeln!(std::io::stdout(), "fine"));
        return Ok(());
    }
    let stop = Stop::on_signals()
        .map_err(|why| Failure::new(Exit::Unavailable, format!("signals: {why}")))?;
    let worker = builder.start_with(backend, stop.clone()).map_err(failure)?;
    tracing::info!(
        event = "started",
        program = B::PROGRAM,
        host = flags.host,
        port = flags.port,
        levels = %flags.levels,
        flush_s = flags.flush.as_secs_f64(),
    );
    while !stop.wait(Duration::MAX) {}
    tracing::info!(event = "stopping");
    let report = worker.stop(flags.shutdown_timeout);
    let (series, windows) = (report.series_delivered, report.windows_delivered);
    tracing::info!(event = "ended", series, windows, series_lost = report.series_lost);
    if report.panicked {
        let message = "a thread panicked; the line above says where. Start the worker again";
        return Err(Failure::new(Exit::Unavailable, message));
    }
    Ok(())
}

fn failure(error: StartError) -> Failure {
    let exit = match error {
        StartError::Address { .. } | StartError::Flush { .. } => Exit::Config,
        StartError::Socket { .. } | StartError::System(_) => Exit::Unavailable,
    };
    let why = std::error::Error::source(&error).map_or(String::new(), |why| format!(": {why}"));
    Failure::new(exit, format!("{error}{why}"))
}

#[cfg(test)]
mod tests {
    use super::{at_least_one, flush, timeout};
    use std::time::Duration;

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(flush("60").unwrap(), Duration::from_secs(60));
        assert_eq!(flush("0.1").unwrap(), Duration::from_millis(100));
        assert_eq!(timeout("0").unwrap(), Duration::ZERO);
        for bad in ["0", "0.05", "-1", "nan", "inf", "soon", "", "86401"] {
            assert!(flush(bad).unwrap_err().to_string().contains("--flush 60"), "{bad:?}");
        }
        for bad in ["-1", "nan", "inf", "3601"] {
            assert!(timeout(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bound_is_at_least_one() {
        assert_eq!(at_least_one("7").unwrap(), 7);
        for bad in ["0", "-1", "1.5", "many"] {
            assert!(at_least_one(bad).is_err(), "{bad:?}");
        }
    }
}
