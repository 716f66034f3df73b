//! Failures of a relay: whether it tries again, when, and what the log says.

use crate::deliver::causes;
use crate::slack::client::{Error, ErrorKind};
use std::io;
use std::time::{Duration, Instant};
use zibrato::daemon::LogLimit;

/// The wait after a rate limit without a time.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(30);

/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why a step did not succeed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The token is not valid any more, or lacks a scope. Nothing works until somebody fixes it.
    End(String),
    /// It is tried again, after this wait if Slack asks for one.
    Later(String, Option<Duration>),
    /// The program is to stop.
    Stopped,
    /// The state cannot be written. What is not on disk would be forgotten by a crash, so nothing else
    /// is done until it can.
    Unsaved(io::Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let why = causes(&error);
        match (error.kind(), &error) {
            (_, Error::Stopped) => Self::Stopped,
            (ErrorKind::Access, _) => Self::End(why),
            (ErrorKind::RateLimited, _) => {
                Self::Later(why, Some(error.retry_after().unwrap_or(RATE_LIMIT_WAIT)))
            }
            _ => Self::Later(why, error.retry_after()),
        }
    }
}

/// A task that fails, perhaps several times in a row.
#[derive(Debug)]
pub(super) struct Failing {
    /// For log lines.
    task: &'static str,
    failures: u32,
    limit: LogLimit,
}

impl Failing {
    pub(super) fn at(task: &'static str) -> Self {
        Self { task, failures: 0, limit: LogLimit::default() }
    }

    /// Logs a failure, and returns the wait before the next attempt: as long as Slack asks, or else a
    /// second, which doubles up to a minute.
    pub(super) fn failed(&mut self, channel: &str, why: &str, asked: Option<Duration>) -> Duration {
        let wait = asked.unwrap_or_else(|| {
            let wait = Duration::from_secs(1 << self.failures.min(6)).min(LONGEST_WAIT);
            self.failures = self.failures.saturating_add(1);
            wait
        });
        if let Some(left_out) = self.limit.admit(Instant::now()) {
            let (task, retry_s) = (self.task, wait.as_secs());
            tracing::warn!(event = "relay_failed", task, channel, why, retry_s, left_out);
        }
        wait
    }

    /// It has succeeded.
    pub(super) fn succeeded(&mut self, channel: &str) {
        self.failures = 0;
        if self.limit.is_over() {
            tracing::info!(event = "relay_recovered", task = self.task, channel);
        }
    }
}

/// What fails at a relay, and limits of its log lines.
#[derive(Debug)]
pub(super) struct Troubles {
    pub(super) relaying: Failing,
    pub(super) deleting: Failing,
    pub(super) saving: Failing,
    pub(super) undeletable: LogLimit,
    pub(super) elsewhere: LogLimit,
    pub(super) renamed: LogLimit,
}

impl Default for Troubles {
    fn default() -> Self {
        Self {
            relaying: Failing::at("relay"),
            deleting: Failing::at("delete"),
            saving: Failing::at("save"),
            undeletable: LogLimit::default(),
            elsewhere: LogLimit::default(),
            renamed: LogLimit::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Failing;
    use std::time::Duration;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_success() {
        let mut failing = Failing::at("deliver");
        let mut waits = || failing.failed("metrics", "x", None).as_secs();
        let all: Vec<_> = (0..8).map(|_| waits()).collect();
        assert_eq!(all, [1, 2, 4, 8, 16, 32, 60, 60]);
        failing.succeeded("metrics");
        assert_eq!(failing.failed("metrics", "x", None).as_secs(), 1);
        let asked = Some(Duration::from_secs(90));
        assert_eq!(failing.failed("metrics", "x", asked).as_secs(), 90);
    }
}
