//! Logs go to stderr: `key=value` for people, JSON for machines.

use super::prometheus::Exposition;
use super::stderr::{LogWriter, dropped_log_lines};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[non_exhaustive]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Time, level, and `key=value` pairs.
    #[default]
    Text,
}

/// Sends log lines of `level` (`error`, `warn`, `info`, `debug`, `trace`, or a `tracing` filter)
/// and above to stderr. Does nothing if the process already has a subscriber.
///
/// # Errors
/// If `level` is not a valid filter.
pub(super) fn init_logging(level: &str, format: LogFormat) -> Result<(), String> {
    let filter = filter(level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| LogWriter)
        .with_target(false)
        .with_ansi(false);
    // A second subscriber is refused; an embedding program wants to keep its own.
    drop(match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    });
    Ok(())
}

/// Adds the metrics about its log that every daemon has.
pub fn log_metrics(to: &mut Exposition) {
    let help = "Log lines dropped because standard error could not be written or was not read.";
    to.counter("zibrato_log_lines_dropped_total", help).sample(&[], dropped_log_lines() as f64);
}

/// A filter takes a word that is not a level for the name of a module, and logs nothing else: a
/// typing error would silence a daemon.
fn filter(text: &str) -> Result<EnvFilter, String> {
    let is_word = |part: &str| part.chars().all(|c| c.is_alphanumeric() || "_-:".contains(c));
    for word in text.split(',').map(str::trim).filter(|part| is_word(part)) {
        if word.is_empty() || word.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "`{word}` is not a log level; give error, warn, info, debug or trace"
            ));
        }
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn an_unknown_level_is_rejected() {
        for text in ["info", "WARN", "off", "warn,zibrato_broker=debug", "[span{a=1}]=info"] {
            filter(text).unwrap();
        }
        for text in ["inof", "", "info,", "loud", "zibrato_broker", "warn,debgu"] {
            let why = filter(text).unwrap_err();
            assert!(why.ends_with("give error, warn, info, debug or trace"), "{text}: {why}");
        }
        filter("a=b=c").unwrap_err();
    }
}
