//! The frame of every program: process setup, command line, work, last log lines, exit code.

use super::cli::{self, CommonFlags, FileFormat, Given, Note, Origins, doubtful_levels};
use super::exit::{Exit, Failure};
use super::findings::Findings;
use super::logging::init_logging;
use super::{signals, stderr};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::ffi::OsString;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Maximum time to write the last log lines at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Maximum time to write log lines when a thread panics, which may end the process.
const PANIC_LINES: Duration = Duration::from_millis(200);

/// Memory that must be available to read the command line, because Rust aborts if an allocation
/// fails.
const COMMAND_LINE_BYTES: usize = 4 << 20;

/// A program: its command line, and what it does with it.
pub trait Program: clap::Parser {
    /// The configuration file that is read without `--config`, if it exists. Defaults to none.
    const DEFAULT_CONFIG: Option<&'static str> = None;

    /// Converts a configuration file in another format to TOML, so that each key stays on its line.
    /// Defaults to no change.
    ///
    /// # Errors
    /// What is wrong with the file.
    fn config_to_toml(_path: &Path, text: String) -> Result<String, String> {
        Ok(text)
    }

    /// The flags that every program has.
    fn common(&self) -> &CommonFlags;

    /// The program's flags that a subcommand uses, by their long names, for its help. `path` is the
    /// subcommand, such as `journal dump`. Defaults to `None`, which means all.
    fn subcommand_flags(_path: &str) -> Option<Vec<String>> {
        None
    }

    /// Changes the help of a subcommand: texts for flags that mean something else there, and
    /// examples. `path` is as in [`subcommand_flags`](Self::subcommand_flags). Defaults to no
    /// change.
    #[must_use]
    fn subcommand_help(_path: &str, command: clap::Command) -> clap::Command {
        command
    }

    /// Commands of the same name that another [`Program`] parses: the caller of [`main_with`] chooses
    /// it by the first argument. Help, the manual page and completions list them: see
    /// [`subcommands`]. Defaults to none.
    #[must_use]
    fn other_commands() -> Vec<clap::Command> {
        Vec::new()
    }

    /// Whether these flags run the daemon, and not a subcommand that ends. Defaults to yes.
    fn runs(&self) -> bool {
        true
    }

    /// The levels of the flags, to warn about probable mistakes. Defaults to none.
    fn levels(&self) -> Vec<String> {
        Vec::new()
    }

    /// For `--check`: checks everything that the flags name, without changing anything. Defaults to
    /// no check.
    fn check(&self, _findings: &mut Findings) {}

    /// Does the work of the program. [Log](Doubts::log) `doubts` once it has started.
    ///
    /// # Errors
    /// [`Failure`] with the exit code and the message.
    fn run(self, doubts: Doubts) -> Result<ExitCode, Failure>;
}

/// Runs a program from its arguments to its exit code.
///
/// First it unblocks the signals that stop the process, in case its parent has blocked or ignored
/// them, raises the descriptor limit to the hard limit, and installs a panic hook that logs. Then
/// it reads the command line, the variables and the configuration file, and the program checks them
/// or runs.
///
/// ```no_run
/// use std::process::ExitCode;
/// use zibrato::daemon::{CommonFlags, Doubts, Failure, Program};
///
/// #[derive(clap::Parser)]
/// #[command(name = "zibrato-example")]
/// struct Example {
///     #[command(flatten)]
///     common: CommonFlags,
/// }
///
/// impl Program for Example {
///     fn common(&self) -> &CommonFlags {
///         &self.common
///     }
///
///     fn run(self, _: Doubts) -> Result<ExitCode, Failure> {
///         zibrato::daemon::print("hello\n")?;
///         Ok(ExitCode::SUCCESS)
///     }
/// }
///
/// fn main() -> ExitCode {
///     zibrato::daemon::main::<Example>()
/// }
/// ```
#[must_use]
pub fn main<T: Program>() -> ExitCode {
    main_with::<T>(std::env::args_os().collect())
}

/// The subcommands of a program with all their flags, for the
/// [`other_commands`](Program::other_commands) of another one.
#[must_use]
pub fn subcommands<T: Program>() -> Vec<clap::Command> {
    let command = cli::whole(T::command(), &T::subcommand_flags, &T::subcommand_help);
    command.get_subcommands().cloned().collect()
}

/// Runs a program with other arguments than those of the process, the first of which is its path.
#[must_use]
pub fn main_with<T: Program>(args: Vec<OsString>) -> ExitCode {
    signals::reset();
    signals::raise_descriptor_limit();
    std::panic::set_hook(Box::new(log_panic));
    if !has_memory() {
        let mib = COMMAND_LINE_BYTES >> 20;
        let why = format!("too little memory: {mib} MiB more are needed (ulimit -v)");
        let name = std::env::args().next().unwrap_or_default();
        Failure::new(Exit::Unavailable, why).report(name.rsplit('/').next().unwrap_or_default());
        stderr::flush(LAST_LINES);
        return Exit::Unavailable.into();
    }
    let code = match cli::parse::<T>(
        args,
        FileFormat { default: T::DEFAULT_CONFIG, to_toml: T::config_to_toml },
        &T::subcommand_flags,
        &T::subcommand_help,
        T::other_commands(),
    ) {
        Ok(given) => {
            let Given { flags, origins, notes } = given;
            start(flags, &origins, notes).unwrap_or_else(|mut failure| {
                failure.message = origins.explain(&failure.message);
                failure.report(T::command().get_name());
                failure.exit.into()
            })
        }
        Err(exit) => exit.into(),
    };
    stderr::flush(LAST_LINES);
    code
}

/// Whether there is enough memory to read the command line.
fn has_memory() -> bool {
    let mut bytes = Vec::<u8>::new();
    let has = bytes.try_reserve_exact(COMMAND_LINE_BYTES).is_ok();
    // Otherwise the compiler may remove the allocation.
    std::hint::black_box(&bytes);
    has
}

fn start<T: Program>(
    flags: T,
    origins: &Origins,
    mut notes: Vec<Note>,
) -> Result<ExitCode, Failure> {
    let CommonFlags { log_level, log_format, check, .. } = flags.common();
    let logs = init_logging(log_level, *log_format)
        .map_err(|why| Failure::new(Exit::Config, format!("--log-level: {why}")));
    if !flags.runs() {
        return logs.and_then(|()| flags.run(Doubts::default()));
    }
    notes.extend(doubtful_levels(&flags.levels()));
    if *check {
        let mut findings = Findings::new();
        findings.take(logs);
        notes.iter().for_each(|note| findings.warning(note));
        flags.check(&mut findings);
        return findings.report(T::command().get_name(), origins);
    }
    logs?;
    // A misspelt variable may be the reason why the program does not start.
    let (variables, others) = notes.into_iter().partition(Note::is_variable);
    Doubts(variables).log();
    flags.run(Doubts(others))
}

/// Probable mistakes in the configuration of a program that can start nevertheless.
#[derive(Debug, Default)]
pub struct Doubts(Vec<Note>);

impl Doubts {
    /// Logs them.
    pub fn log(self) {
        self.0.iter().for_each(Note::log);
    }
}

/// Logs a panic, with the text that the standard library writes to standard error, but without
/// blocking.
fn log_panic(info: &PanicHookInfo<'_>) {
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
