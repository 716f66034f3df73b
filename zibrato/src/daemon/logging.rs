//! Logs go to stderr: `key=value` for people, JSON for machines.

use std::io;
use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[non_exhaustive]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Time, level, and `key=value` pairs.
    #[default]
    Text,
}

/// Sends log lines of `level` (`error`, `warn`, `info`, `debug`, `trace`, or a `tracing` filter) and
/// above to stderr. Does nothing if the process already logs somewhere.
///
/// # Errors
/// When `level` is no filter.
pub fn init_logging(level: &str, format: LogFormat) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| error.to_string())?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(false);
    // A second subscriber is refused, which is what an embedding program wants.
    drop(match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    });
    Ok(())
}
