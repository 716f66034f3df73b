//! The wait before the next attempt: full jitter below a limit that grows by a factor.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The initial and the maximum limit of the wait between two attempts, and the factor by which it
/// grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    // Invariant: at least 1.
    pub(crate) factor: f64,
}

impl Pace {
    /// Waits that grow twofold.
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, factor: 2.0 }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(60))
    }
}

/// The waits between the attempts to send one payload.
#[derive(Debug)]
pub(crate) struct Backoff {
    pace: Pace,
    ceiling: Duration,
}

impl Backoff {
    pub(crate) const fn new(pace: Pace) -> Self {
        Self { pace, ceiling: pace.first }
    }

    /// Restarts with the initial limit, after a success or when little time is left.
    pub(crate) const fn reset(&mut self) {
        self.ceiling = self.pace.first;
    }

    /// The next wait; `dice` is a random number from 0 to 1.
    pub(crate) fn next(&mut self, dice: f64) -> Duration {
        let wait = self.ceiling.min(self.pace.longest).mul_f64(dice.clamp(0.0, 1.0));
        let next = self.ceiling.as_secs_f64() * self.pace.factor;
        self.ceiling = Duration::try_from_secs_f64(next)
            .map_or(self.pace.longest, |next| next.min(self.pace.longest));
        wait
    }

    /// The wait if another attempt can succeed only after an operator has fixed something.
    pub(crate) const fn slow(&self) -> Duration {
        self.pace.longest
    }
}

/// A random number from 0 to 1.
pub(crate) fn roll() -> f64 {
    // The standard library seeds each state from the system's randomness.
    RandomState::new().hash_one(0_u8) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Pace, roll};
    use std::time::Duration;

    #[test]
    fn the_ceiling_doubles_from_half_a_second_to_a_minute() {
        let mut backoff = Backoff::new(Pace::default());
        let waits: Vec<_> = (0..9).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(backoff.next(0.5), Duration::from_secs(30));
        backoff.reset();
        assert_eq!(backoff.next(0.5), Duration::from_millis(250));
    }

    #[test]
    fn the_ceiling_grows_by_the_factor_from_the_first_to_the_longest() {
        let seconds = Duration::from_secs_f64;
        let pace = Pace { first: seconds(1.0), longest: seconds(3.0), factor: 1.5 };
        let mut backoff = Backoff::new(pace);
        let waits: Vec<_> = (0..5).map(|_| backoff.next(1.0).as_secs_f64()).collect();
        assert_eq!(waits, [1.0, 1.5, 2.25, 3.0, 3.0]);
    }

    #[test]
    fn random_numbers_differ() {
        let rolls: Vec<_> = (0..100).map(|_| roll()).collect();
        assert!(rolls.iter().all(|r| (0.0..=1.0).contains(r)));
        assert!(rolls.iter().any(|r| *r < 0.5) && rolls.iter().any(|r| *r > 0.5));
    }
}
