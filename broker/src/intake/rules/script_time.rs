//! The time that scripts may take from the thread of an intake.
//!
//! Each call is bounded, but a thread makes many. Without this bound a slow script would take the whole
//! thread: packets would be lost in the kernel, and what is published would be late by minutes.

use std::time::{Duration, Instant};

/// The part of a second in which a thread may call scripts. In the rest it continues without them.
pub(super) const SHARE: Duration = Duration::from_millis(900);

/// How often the share is given.
const SECOND: Duration = Duration::from_secs(1);

/// What is left of the share of one thread.
#[derive(Debug, Default)]
pub(crate) struct ScriptTime {
    /// When the current second began: at the first call after the one before.
    begun: Option<Instant>,
    spent: Duration,
}

impl ScriptTime {
    /// Calls a script, unless the share of this second is used up.
    pub(super) fn call<T>(&mut self, script: impl FnOnce() -> T) -> Option<T> {
        let before = Instant::now();
        if !self.is_left(before) {
            return None;
        }
        let result = script();
        self.spent += before.elapsed();
        Some(result)
    }

    fn is_left(&mut self, now: Instant) -> bool {
        let is_over = self.begun.is_none_or(|begun| now.saturating_duration_since(begun) >= SECOND);
        if is_over {
            (self.begun, self.spent) = (Some(now), Duration::ZERO);
        }
        self.spent < SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::{SECOND, SHARE, ScriptTime};
    use std::time::{Duration, Instant};

    #[test]
    fn a_second_has_one_share() {
        let begun = Instant::now();
        let mut time = ScriptTime::default();
        assert!(time.is_left(begun));
        time.spent = SHARE - Duration::from_nanos(1);
        assert!(time.is_left(begun + SHARE));
        time.spent = SHARE;
        assert!(!time.is_left(begun + SHARE));
        assert!(!time.is_left(begun + SECOND - Duration::from_nanos(1)));
        assert!(time.is_left(begun + SECOND));
        assert_eq!(time.spent, Duration::ZERO);
    }

    #[test]
    fn a_call_counts() {
        let mut time = ScriptTime::default();
        assert_eq!(time.call(|| 1), Some(1));
        assert!(time.spent > Duration::ZERO);
        (time.begun, time.spent) = (Some(Instant::now() + SECOND), SHARE);
        assert_eq!(time.call(|| 1), None);
    }
}
