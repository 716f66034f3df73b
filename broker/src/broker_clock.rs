//! The broker's time, which never goes back.
//!
//! Workers assign batches to windows by the time at which they were received, and never open a
//! window again. So if the machine's clock is set back, the broker's clock continues at half speed
//! until the other has caught up.

use std::time::{Duration, Instant};

/// If the broker's clock is further ahead of the machine's clock than this, it jumps back instead
/// of slowing down.
const TOO_FAR_AHEAD_MS: u64 = 6 * 3_600_000;

/// A clock that continues from the last time it returned.
#[derive(Debug)]
pub(crate) struct BrokerClock {
    last_ms: u64,
    /// When half speed began, and the clock's time then.
    slow_since: Option<(Instant, u64)>,
}

/// The time, and whether the clock has jumped back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Unix milliseconds.
    pub(crate) now_ms: u64,
    /// How far it jumped back, in milliseconds, because it was too far ahead.
    pub(crate) back_ms: u64,
}

impl BrokerClock {
    /// A clock that returns no time before this one.
    pub(crate) const fn after(last_ms: u64) -> Self {
        Self { last_ms, slow_since: None }
    }

    /// The time if the machine's clock shows `wall_ms`.
    pub(crate) fn now(&mut self, wall_ms: u64, at: Instant) -> Reading {
        let mut back_ms = 0;
        if wall_ms >= self.last_ms {
            (self.last_ms, self.slow_since) = (wall_ms, None);
        } else if self.last_ms - wall_ms > TOO_FAR_AHEAD_MS {
            back_ms = self.last_ms - wall_ms;
            (self.last_ms, self.slow_since) = (wall_ms, None);
        } else {
            let (since, from_ms) = *self.slow_since.get_or_insert((at, self.last_ms));
            let passed = at.saturating_duration_since(since) / 2;
            self.last_ms = from_ms + millis(passed);
        }
        Reading { now_ms: self.last_ms, back_ms }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_never_goes_back_and_is_caught_up_with() {
        let start = Instant::now();
        let mut clock = BrokerClock::after(10_000);
        let mut at =
            |wall_ms, after_ms| clock.now(wall_ms, start + Duration::from_millis(after_ms)).now_ms;
        assert_eq!(at(20_000, 0), 20_000);
        assert_eq!(at(20_001, 1), 20_001);
        // Set back by ten seconds.
        assert_eq!(at(10_002, 2), 20_001);
        assert_eq!(at(10_003, 3), 20_001);
        assert_eq!(at(10_004, 4), 20_002);
        assert_eq!(at(20_001, 10_001), 25_000);
        assert_eq!(at(30_000, 20_000), 30_000);
        assert_eq!(at(30_005, 20_005), 30_005);
        // Set forward by an hour, and then right again.
        assert_eq!(at(3_630_005, 20_005), 3_630_005);
        assert_eq!(at(30_007, 20_007), 3_630_005);
        assert_eq!(at(30_009, 20_009), 3_630_006);
    }

    #[test]
    fn a_time_that_is_absurd_is_given_up() {
        let mut clock = BrokerClock::after(u64::MAX / 2);
        let reading = clock.now(5_000, Instant::now());
        assert_eq!(reading, Reading { now_ms: 5_000, back_ms: u64::MAX / 2 - 5_000 });
    }
}
