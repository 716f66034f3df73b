//! When a client of an API sends a request again.
//!
//! Pure.

use crate::backoff::{Backoff, Pace};
use std::time::Duration;

/// The longest wait before another attempt.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often, and for how long, a client sends a request again after an answer of 500 and above (except
/// 501) or of 429, after a timeout, and after a lost connection.
///
/// Waits are random up to a limit that begins at a second and doubles up to a minute. If the server
/// says how long to wait (`Retry-After`, or the end of an exhausted limit), the client does so. A
/// request that creates something (an alert, a chart, an annotation) is sent again only if it was
/// certainly not processed. Other rejections are final.
///
/// All attempts of a POST have the same random `Idempotency-Key`. A server that knows this header, such
/// as the Librato intake of a Zibrato broker, takes one of them. Other servers may take measurements
/// twice whose answer was lost.
///
/// ```
/// use std::time::Duration;
/// use zibrato_workers::librato::client::RetryPolicy;
/// let patient = RetryPolicy::default().attempts(10).within(Duration::from_secs(600));
/// let hasty = RetryPolicy::never();
/// assert_ne!(patient, hasty);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    // Invariant: at least 1.
    attempts: u32,
    first: Duration,
    within: Duration,
}

/// Five attempts within two minutes.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, first: Duration::from_secs(1), within: Duration::from_secs(120) }
    }
}

impl RetryPolicy {
    /// One attempt only.
    #[must_use]
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// The number of attempts, including the first; 0 is 1. Defaults to 5.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The limit of the first wait. Defaults to a second; a minute is the longest.
    #[must_use]
    pub fn first_wait(mut self, first: Duration) -> Self {
        self.first = first.min(LONGEST_WAIT);
        self
    }

    /// The time after which there is no further attempt. Defaults to two minutes.
    #[must_use]
    pub const fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }
}

/// What may be done if the fate of a request is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It creates something, and would create it twice.
    Never,
    /// Twice has the effect of once, or, for measurements, is better than never.
    Safe,
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failed<E> {
    pub(crate) error: E,
    pub(crate) again: Again,
}

/// Whether another attempt makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The error is final.
    Never,
    /// The request was not processed; the server may have said how long to wait.
    After(Option<Duration>),
    /// The request may have been processed.
    IfSafe,
}

/// The attempts of one request.
#[derive(Debug)]
pub(crate) struct Attempts {
    policy: RetryPolicy,
    backoff: Backoff,
    made: u32,
}

impl Attempts {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        let backoff = Backoff::new(Pace::new(policy.first, LONGEST_WAIT));
        Self { policy: policy.clone(), backoff, made: 0 }
    }

    /// The wait before the next attempt, if there is one. `dice` is a random number from 0 to 1.
    pub(crate) fn next(
        &mut self,
        again: Again,
        repeat: Repeat,
        elapsed: Duration,
        dice: f64,
    ) -> Option<Duration> {
        self.made += 1;
        let asked = match (again, repeat) {
            (Again::Never, _) | (Again::IfSafe, Repeat::Never) => return None,
            (Again::After(asked), _) => asked,
            (Again::IfSafe, Repeat::Safe) => None,
        };
        let wait = self.backoff.next(dice);
        let wait = asked.map_or(wait, |asked| asked.max(wait));
        let is_in_time = elapsed.saturating_add(wait) <= self.policy.within;
        (self.made < self.policy.attempts && is_in_time).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::{Again, Attempts, Repeat, RetryPolicy};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn waits(policy: &RetryPolicy, again: Again, repeat: Repeat) -> Vec<u64> {
        let (mut attempts, mut elapsed, mut waits) = (Attempts::new(policy), SECOND, Vec::new());
        while let Some(wait) = attempts.next(again, repeat, elapsed, 1.0) {
            elapsed += wait;
            waits.push(wait.as_secs());
        }
        waits
    }

    #[test]
    fn attempts_and_time_are_limited() {
        let policy = RetryPolicy::default();
        assert_eq!(waits(&policy, Again::IfSafe, Repeat::Safe), [1, 2, 4, 8]);
        let many = policy.clone().attempts(100).within(Duration::from_secs(300));
        assert_eq!(
            waits(&many, Again::After(None), Repeat::Safe),
            [1, 2, 4, 8, 16, 32, 60, 60, 60]
        );
        assert_eq!(waits(&RetryPolicy::never(), Again::IfSafe, Repeat::Safe), [0; 0]);
        assert_eq!(waits(&policy.attempts(0), Again::IfSafe, Repeat::Safe), [0; 0]);
    }

    #[test]
    fn the_wait_of_the_server_counts_if_there_is_time() {
        let policy = RetryPolicy::default();
        let asked = |seconds| Again::After(Some(Duration::from_secs(seconds)));
        assert_eq!(waits(&policy, asked(30), Repeat::Never), [30, 30, 30]);
        assert_eq!(waits(&policy, asked(3600), Repeat::Never), [0; 0]);
        assert_eq!(waits(&policy, asked(u64::MAX), Repeat::Safe), [0; 0]);
    }

    #[test]
    fn what_creates_something_is_repeated_only_if_it_was_not_processed() {
        let policy = RetryPolicy::default();
        assert_eq!(waits(&policy, Again::IfSafe, Repeat::Never), [0; 0]);
        assert_eq!(waits(&policy, Again::After(None), Repeat::Never), [1, 2, 4, 8]);
        assert_eq!(waits(&policy, Again::Never, Repeat::Safe), [0; 0]);
    }
}
