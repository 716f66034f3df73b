//! The pace of a backlog: faster than real time, but not all at once.
//!
//! Pure: times are arguments.

use std::time::{Duration, Instant};

/// The initial speed, as a multiple of real time.
const FIRST_SPEED: u32 = 2;

/// Number of windows behind the broker's clock that count as late. One is always in progress, and a
/// second one if the backend is slow.
const LATE: u32 = 2;

/// The pace of windows while the worker is behind.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// Maximum speed; 0 means unlimited.
    fastest: u32,
    speed: u32,
    /// Time of the last window, while the worker is behind.
    last: Option<Instant>,
}

impl CatchUp {
    pub(super) const fn new(fastest: u32) -> Self {
        Self { fastest, speed: FIRST_SPEED, last: None }
    }

    /// The time for the next window, of this `length`, which ended `behind` ago; `None` means now.
    pub(super) fn due(&mut self, length: Duration, behind: Duration) -> Option<Instant> {
        if behind <= length * LATE {
            (self.last, self.speed) = (None, FIRST_SPEED);
            return None;
        }
        if self.fastest == 0 {
            return None;
        }
        self.last.map(|last| last + length / self.speed.min(self.fastest))
    }

    /// Records that a window is sent, and whether the worker is `behind`.
    pub(super) fn goes_out(&mut self, now: Instant, behind: bool) {
        self.last = behind.then_some(now);
    }

    /// The window was delivered.
    pub(super) fn delivered(&mut self) {
        if self.last.is_some() {
            self.speed = self.speed.saturating_mul(2).min(self.fastest.max(FIRST_SPEED));
        }
    }

    /// Records that the backend did not accept a payload at the first attempt.
    pub(super) const fn retried(&mut self) {
        self.speed = FIRST_SPEED;
    }

    /// Whether a window that ended `behind` ago is late.
    pub(super) fn is_late(length: Duration, behind: Duration) -> bool {
        behind > length * LATE
    }

    pub(super) fn speed(&self) -> u32 {
        self.speed.min(self.fastest)
    }
}

#[cfg(test)]
mod tests {
    use super::CatchUp;
    use std::time::{Duration, Instant};

    const MINUTE: Duration = Duration::from_secs(60);

    /// The wait of each window of a backlog for the previous one.
    fn waits(pace: &mut CatchUp, windows: u32) -> Vec<u64> {
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for left in (0..windows).rev() {
            let behind = MINUTE * (left + 3);
            let due = pace.due(MINUTE, behind);
            waits.push(due.map_or(0, |due| (due - now).as_millis() as u64));
            now = due.unwrap_or(now);
            pace.goes_out(now, CatchUp::is_late(MINUTE, behind));
            pace.delivered();
        }
        waits
    }

    #[test]
    fn the_speed_of_a_catch_up_doubles() {
        let mut pace = CatchUp::new(60);
        let expected = [0, 15_000, 7_500, 3_750, 1_875, 1_000, 1_000, 1_000];
        assert_eq!(waits(&mut pace, 8), expected);
        pace.retried();
        let due = pace.due(MINUTE, MINUTE * 5).unwrap();
        assert_eq!(due - pace.last.unwrap(), Duration::from_secs(30));
    }

    #[test]
    fn a_backlog_of_an_hour_takes_two_minutes() {
        let total: u64 = waits(&mut CatchUp::new(60), 60).iter().sum();
        assert!(total < 120_000, "{total}");
    }

    #[test]
    fn nothing_waits_without_a_limit_or_a_backlog() {
        assert_eq!(waits(&mut CatchUp::new(0), 5), [0; 5]);
        let mut pace = CatchUp::new(60);
        for _ in 0..5 {
            assert!(pace.due(MINUTE, MINUTE * 2).is_none());
            pace.goes_out(Instant::now(), false);
            pace.delivered();
        }
        assert_eq!(pace.speed(), 2);
    }
}
