//! The command line of a worker program.

use super::http::Http;
use super::single::Point;
use crate::backend::BackendProgram;
use crate::curve::CurveFlags;
use crate::dead_letters::command::Action;
use crate::feed::FeedKind;
use crate::idle_gauges::IdleGauges;
use crate::levels::Levels;
use crate::worker::{Worker, WorkerBuilder};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zibrato::daemon::{
    CommonFlags, Exit, Failure, number, probe_folder, seconds, state_folder, whole_number,
};

/// All flags of a worker program.
#[derive(Debug, clap::Parser)]
#[command(name = B::PROGRAM, about = B::ABOUT, after_help = B::EXAMPLES, version)]
#[command(subcommand_value_name = "COMMAND", disable_help_subcommand = true)]
pub(super) struct ProgramFlags<B: BackendProgram> {
    #[command(subcommand)]
    pub(super) task: Option<Task>,
    #[command(flatten)]
    pub(super) worker: WorkerFlags,
    #[command(flatten)]
    pub(super) backend: B::Flags,
    #[command(flatten, next_help_heading = "General")]
    pub(super) common: CommonFlags,
}

/// The subcommand.
#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum Task {
    /// List, resend or delete payloads that the backend rejected
    Deadletter {
        #[command(subcommand)]
        action: Action,
    },
    /// Connect to each destination without delivering, and say what works and what does not. The
    /// flag --check checks the configuration instead
    Check,
    /// Deliver measurements until TERM, INT or QUIT. This is the default command
    Run,
    /// Send one point, without the broker
    #[command(alias = "submit")]
    Send(Point),
}

/// The flags of every worker.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Worker")]
pub(super) struct WorkerFlags {
    /// Host of the broker, or the folder of its Unix sockets, such as ipc:///run/zibrato
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub(super) host: String,

    /// Port for subscribers of the broker: its --port + 1. The journal is read on the next port
    #[arg(long, value_name = "PORT", default_value_t = 5551, value_parser = whole_number::<u16>("a port", 1..=65_535))]
    pub(super) port: u16,

    #[command(flatten)]
    pub(super) curve: CurveFlags,

    /// Levels to deliver, separated by commas; `*` means all
    #[arg(long, value_name = "LEVELS", default_value_t = Levels::default())]
    pub(super) levels: Levels,

    /// Name of this worker's cursor (its position in the journal). No two workers may share one
    /// [default: the program's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Read the live stream instead of the journal. Measurements published while this worker or its
    /// backend is down are lost
    #[arg(long)]
    live: bool,

    /// Length of a window, in seconds. Windows are aligned to the clock; each is delivered as it ends
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = flush)]
    pub(super) flush: Duration,

    /// Maximum number of series in a window. Further names are summed up as `_overflow`
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = whole_number::<usize>("a whole number of series", 1..))]
    max_series: usize,

    /// Maximum number of windows queued for the backend. Beyond it the journal holds the rest; with
    /// --live the oldest window is dropped and counted [default: 4, or 60 with --live]
    #[arg(long, value_name = "NUMBER", value_parser = whole_number::<usize>("a whole number of windows", 1..=10_000))]
    max_windows: Option<usize>,

    /// What to deliver for a gauge that nobody set in a window: `repeat` its last value, `zero`, or
    /// `omit` it. Applies only while the gauge's publisher runs
    /// [default: repeat; digests of zibrato-slack: omit]
    #[arg(long, value_name = "WORD")]
    idle_gauges: Option<IdleGauges>,

    /// Maximum speed at which a backlog is delivered, as a multiple of real time. 0 means unlimited
    #[arg(long, value_name = "TIMES", default_value_t = 60, value_parser = catch_up)]
    catch_up: u32,

    /// Time to wait before the first retry, in seconds: a random time of at most this
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds(0.0..=3_600.0))]
    reconnect_delay: Duration,

    /// Factor by which that time grows with each further retry
    #[arg(long, value_name = "FACTOR", default_value_t = 2.0, value_parser = number("a factor", 1.0..=100.0))]
    backoff_factor: f64,

    /// Longest time between two retries, in seconds. There are retries until the backend accepts
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds(0.1..=86_400.0))]
    backoff_max: Duration,

    /// Folder for payloads that the backend rejects (dead letters), or `off` to count and drop them
    /// [default: $STATE_DIRECTORY/dead-letters, or zibrato/NAME/dead-letters in $XDG_STATE_HOME or
    /// ~/.local/state]
    #[arg(long, value_name = "DIR")]
    dead_letters: Option<PathBuf>,

    /// Maximum total size of dead letters, in bytes. Further ones are dropped and counted
    #[arg(long, value_name = "BYTES", default_value_t = 100 << 20, value_parser = whole_number::<u64>("a whole number of bytes", ..))]
    dead_letters_max: u64,

    /// Address of the HTTP pages /healthz, /readyz and /metrics, such as 127.0.0.1:5581, or `off`
    #[arg(long, value_name = "ADDR", default_value = "off")]
    pub(super) http: Http,

    /// Print what would be delivered instead of delivering it. It reads the live stream, and does not
    /// change the worker's cursor
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Maximum time to deliver queued windows when stopping, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds(0.0..=3_600.0))]
    pub(super) shutdown_timeout: Duration,
}

impl WorkerFlags {
    /// The name of the worker.
    pub(super) fn name(&self, program: &str) -> String {
        self.name.clone().unwrap_or_else(|| program.to_owned())
    }

    /// The folder of dead letters; `None` if they are only counted.
    ///
    /// # Errors
    /// [`Failure`] with 78 if the environment names no folder.
    pub(super) fn folder(
        &self,
        program: &str,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<PathBuf>, Failure> {
        match &self.dead_letters {
            Some(off) if off.as_os_str() == "off" => return Ok(None),
            Some(folder) => return Ok(Some(folder.clone())),
            None => {}
        }
        let below = Path::new("zibrato").join(self.name(program));
        let state = state_folder(below, variable).map_err(|why| {
            let message = format!(
                "there is no folder for dead letters: {why}; give one with --dead-letters, or set \
                 STATE_DIRECTORY or HOME, or drop and count them with --dead-letters off"
            );
            Failure::new(Exit::Config, message)
        })?;
        Ok(Some(state.join("dead-letters")))
    }

    /// Fails if the default folder for dead letters cannot be created or written. A full disk is no
    /// failure, because it may have space later.
    pub(super) fn probe(&self, folder: &Path) -> Result<(), Failure> {
        if self.dead_letters.is_some() {
            return Ok(());
        }
        match probe_folder(folder) {
            Err(why)
                if !matches!(why.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
            {
                let folder = folder.display();
                let message = format!(
                    "dead letters cannot be kept in {folder}, the default folder: {why}; give a \
                     folder with --dead-letters, or set STATE_DIRECTORY or HOME to one that this \
                     user can write, or drop and count them with --dead-letters off"
                );
                Err(Failure::new(Exit::Config, message))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn builder<B: BackendProgram>(
        &self,
        dead_letters: Option<PathBuf>,
        backend: &B::Flags,
    ) -> WorkerBuilder {
        let program = B::PROGRAM;
        let mut builder = Worker::builder()
            .host(&*self.host)
            .port(self.port)
            .name(self.name(program))
            .levels(self.levels.clone())
            .flush(self.flush)
            .max_series(self.max_series)
            .idle_gauges(self.idle_gauges.unwrap_or(B::idle_gauges(backend)))
            .catch_up(self.catch_up)
            .retry_between(self.reconnect_delay, self.backoff_max)
            .retry_factor(self.backoff_factor);
        if let Some(max_windows) = self.max_windows {
            builder = builder.max_windows(max_windows);
        }
        if let Some(folder) = dead_letters {
            builder = builder.dead_letters(folder, self.dead_letters_max).program(program);
        }
        builder.feed(if self.live || self.dry_run { FeedKind::Live } else { FeedKind::Replay })
    }
}

/// Why a number on the command line is invalid.
#[derive(Debug, thiserror::Error)]
enum NumberError {
    #[error(
        "expected a whole number, at least 2, or 0 for no limit; at 1 a backlog would never shrink"
    )]
    CatchUp,
    #[error(
        "expected a number of seconds from 0.1 to 86400, without a unit, such as `--flush 60` for \
         one minute"
    )]
    Flush,
}

fn flush(text: &str) -> Result<Duration, NumberError> {
    seconds(0.1..=86_400.0)(text).map_err(|_| NumberError::Flush)
}

fn catch_up(text: &str) -> Result<u32, NumberError> {
    text.parse().ok().filter(|times| *times != 1).ok_or(NumberError::CatchUp)
}

#[cfg(test)]
mod tests {
    use super::{WorkerFlags, catch_up, flush};
    use clap::Parser;
    use std::ffi::OsString;
    use std::path::PathBuf;
    use std::time::Duration;

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(flush("60").unwrap(), Duration::from_secs(60));
        assert_eq!(flush("0.1").unwrap(), Duration::from_millis(100));
        for bad in ["0", "0.05", "-1", "nan", "inf", "soon", "", "86401"] {
            assert!(flush(bad).unwrap_err().to_string().contains("--flush 60"), "{bad:?}");
        }
    }

    #[test]
    fn a_catch_up_is_faster_than_real_time() {
        assert_eq!((catch_up("0").unwrap(), catch_up("2").unwrap()), (0, 2));
        assert!(catch_up("1").is_err() && catch_up("-1").is_err());
    }

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        worker: WorkerFlags,
    }

    #[test]
    fn dead_letters_are_where_state_is_kept() {
        let place = |args: &[&str], variables: &[(&str, &str)]| {
            let args = ["x"].iter().chain(args);
            let flags = Flags::try_parse_from(args).unwrap().worker;
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            flags.folder("zibrato-carbon", variable)
        };
        let [state, xdg, home] =
            [("STATE_DIRECTORY", "/s:/t"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        for (args, variables, expected) in [
            (&["--dead-letters", "/d"][..], &[state, xdg, home][..], Some("/d")),
            (&[], &[state, xdg, home], Some("/s/dead-letters")),
            (&[], &[xdg, home], Some("/x/zibrato/zibrato-carbon/dead-letters")),
            (&["--name", "n"], &[home], Some("/h/.local/state/zibrato/n/dead-letters")),
            (&["--dead-letters", "off"], &[state, xdg, home], None),
            (
                &[],
                &[("XDG_STATE_HOME", "x"), home],
                Some("/h/.local/state/zibrato/zibrato-carbon/dead-letters"),
            ),
        ] {
            let place = place(args, variables).unwrap();
            assert_eq!(place, expected.map(PathBuf::from), "{variables:?}");
        }
        for home in ["", "/", "h"] {
            let failure = place(&[], &[("HOME", home)]).unwrap_err();
            let names = ["HOME", "STATE_DIRECTORY", "--dead-letters"];
            assert!(names.iter().all(|name| failure.message.contains(name)), "{failure}");
            assert_eq!(failure.exit as u8, 78);
        }
    }
}
