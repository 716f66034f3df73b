//! The frame of every program here: process, command line, work, last word, exit code.

use super::exit::Failure;
use super::{cli, signals, stderr};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::time::Duration;

/// How long standard error may take at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How long standard error may take when a thread panics, which may end the process.
const PANIC_LINES: Duration = Duration::from_millis(200);

/// Runs a program from its arguments to its exit code.
///
/// Before anything else it makes the process one that can be stopped, whatever its parent has
/// blocked or ignored; lets it open as many descriptors as its hard limit allows; and has panics
/// told of in the log. Then it reads the command line, the variables and the configuration file,
/// and gives them to `run`.
///
/// ```no_run
/// use std::process::ExitCode;
/// use zibrato::daemon::{CommonFlags, Failure};
///
/// #[derive(clap::Parser)]
/// #[command(name = "zibrato-example")]
/// struct Flags {
///     #[command(flatten)]
///     common: CommonFlags,
/// }
///
/// fn main() -> ExitCode {
///     zibrato::daemon::main(|flags: Flags| {
///         flags.common.init_logging()?;
///         zibrato::daemon::print("hello\n")?;
///         Ok(ExitCode::SUCCESS)
///     })
/// }
/// ```
pub fn main<T: clap::Parser>(run: impl FnOnce(T) -> Result<ExitCode, Failure>) -> ExitCode {
    signals::reset();
    signals::raise_descriptor_limit();
    std::panic::set_hook(Box::new(tell_of_panic));
    let code = match cli::parse::<T>() {
        Ok(flags) => run(flags).unwrap_or_else(|failure| {
            failure.report(T::command().get_name());
            failure.exit.into()
        }),
        Err(exit) => exit.into(),
    };
    stderr::flush(LAST_LINES);
    code
}

/// Writes of a panic in the log, as the standard library would on standard error, but without
/// waiting for that.
fn tell_of_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload_as_str().unwrap_or("no text");
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    if tracing::dispatcher::has_been_set() {
        tracing::error!(event = "panicked", thread, place, why = payload);
    } else {
        stderr::put(format!("thread '{thread}' panicked at {place}: {payload}\n").as_bytes());
    }
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        stderr::put(format!("{backtrace}\n").as_bytes());
    }
    stderr::flush(PANIC_LINES);
}
