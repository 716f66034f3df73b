//! Shared parts of the daemons: command line and configuration file, logging, stopping, exit codes,
//! systemd notifications, and HTTP pages for health and metrics.

mod cli;
mod exit;
mod findings;
mod hangup;
mod http;
mod log_limit;
mod logging;
mod nearest;
mod number;
mod program;
mod prometheus;
mod signals;
mod state;
mod stderr;
mod stdout;
mod stop;
mod systemd;
mod text;
mod time;
mod waker;

pub use cli::{CommonFlags, check_configuration};
pub use exit::{Exit, Failure, warn};
pub use findings::{Findings, look_up};
pub use hangup::Hangup;
pub use http::{HttpError, HttpServer, Page};
pub use log_limit::{LeftOut, LogLimit};
pub use logging::{LogFormat, log_metrics};
pub use nearest::nearest;
pub use number::{NumberError, number, seconds, whole_number};
pub use program::{Doubts, Program, main, main_with, subcommands};
pub use prometheus::{Exposition, Family};
pub use state::{NoStateFolder, make_folder, probe_folder, state_folder, state_variable};
pub use stderr::dropped_log_lines;
pub use stdout::{Output, print, stdout_failure};
pub use stop::{NotifyOnDrop, Stop};
pub use systemd::Systemd;
pub use text::one_line;
pub use time::{parse_rfc3339, rfc3339};
pub use waker::Waker;

/// Reads a file of at most `most` bytes and its metadata.
///
/// A pipe, such as a shell's `<(…)` or `/dev/stdin`, is read too, if it ends within five seconds.
///
/// # Errors
/// If the file cannot be read, has more bytes, does not end in time, or is an empty pipe.
pub fn read_bounded(
    path: &std::path::Path,
    most: u64,
) -> std::io::Result<(Vec<u8>, std::fs::Metadata)> {
    crate::bounded::read_bounded(path, most)
}
