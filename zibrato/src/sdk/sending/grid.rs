//! The times at which the sender's intervals end: points of the wall clock that are one interval
//! apart.
//!
//! If an interval began when the work of the last one was finished, it would be a little too long,
//! by a thousandth for example, and then one in a thousand windows of a worker would be empty.
//! Windows of workers begin at full seconds, so the points stay away from these: each publisher has
//! its own offset, between a tenth and nine tenths of the interval. It also prevents programs that
//! were started together from sending at the same time.

use crate::wire::PublisherId;
use std::time::Duration;

/// The points of one publisher. Times are Unix microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    interval: u64,
    /// The offset of each point from a multiple of the interval.
    phase: u64,
    /// The next point.
    next: u64,
}

impl Grid {
    /// The points of `publisher`, the first of them at least half an interval from now.
    pub(crate) fn new(interval: Duration, publisher: PublisherId, now: u64) -> Self {
        let interval = micros(interval).max(1);
        let PublisherId(id) = publisher;
        let place = id.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(257) + u64::from(*byte));
        let phase = interval / 10 + place % (interval * 8 / 10).max(1);
        let mut grid = Self { interval, phase, next: 0 };
        grid.next = grid.after(now.saturating_add(interval / 2));
        grid
    }

    /// The first point after `now`.
    const fn after(&self, now: u64) -> u64 {
        let since = (now % self.interval + self.interval - self.phase) % self.interval;
        now.saturating_add(self.interval - since)
    }

    /// Whether an interval has ended. If so, the next point is the first one after `now`, even if
    /// some were missed. `elapsed` is the time since the last one ended, by a monotonic clock.
    pub(crate) fn ends(&mut self, now: u64, elapsed: Duration) -> bool {
        // The sender must not wait forever if the clock was set back or stands still.
        let overdue = micros(elapsed) >= self.interval.saturating_mul(2);
        let ends = now >= self.next || overdue;
        if ends || self.next - now > self.interval.saturating_mul(2) {
            self.next = self.after(now);
        }
        ends
    }

    /// The time until the next point.
    pub(crate) const fn wait(&self, now: u64) -> Duration {
        Duration::from_micros(self.next.saturating_sub(now))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Grid;
    use crate::wire::PublisherId;
    use proptest::prelude::*;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000;
    const NOW: u64 = 1_700_000_000 * SECOND + 123_456;

    fn grid(id: u8) -> Grid {
        Grid::new(Duration::from_secs(1), PublisherId([id; 16]), NOW)
    }

    /// The ends of `count` intervals, if the work in between takes `work` microseconds.
    fn ends(mut grid: Grid, count: usize, work: impl Fn(usize) -> u64) -> Vec<u64> {
        let (mut now, mut last, mut ends) = (NOW, NOW, Vec::new());
        while ends.len() < count {
            if grid.ends(now, Duration::from_micros(now - last)) {
                ends.push(now);
                last = now;
                now += work(ends.len());
            }
            // A system wakes a thread a little too late.
            now += u64::try_from(grid.wait(now).as_micros()).unwrap() + 60;
        }
        ends
    }

    #[test]
    fn no_second_of_a_day_is_without_an_end_whatever_the_work_takes() {
        let ends = ends(grid(7), 86_400, |n| 500 + (n as u64 * 7919) % 90_000);
        let mut seconds: Vec<_> = ends.iter().map(|end| end / SECOND).collect();
        seconds.dedup();
        assert_eq!(seconds.len(), 86_400);
        assert_eq!(seconds[86_399] - seconds[0], 86_399);
    }

    #[test]
    fn after_a_stall_points_that_were_missed_are_skipped() {
        let ends = ends(grid(1), 4, |n| if n == 2 { 5 * SECOND + SECOND / 3 } else { 0 });
        let apart: Vec<_> = ends.windows(2).map(|two| (two[1] - two[0]) * 10 / SECOND).collect();
        // The late one ends immediately, and the next one at its normal time.
        assert_eq!(apart, [10, 53, 6]);
        let phases: Vec<_> = ends.iter().map(|end| end % SECOND).collect();
        assert_eq!((phases[1], phases[3]), (phases[0], phases[0]));
    }

    #[test]
    fn a_clock_that_is_set_back_or_stands_still_delays_one_interval() {
        let mut grid = grid(3);
        let (back, second) = (NOW - 3600 * SECOND, Duration::from_secs(1));
        assert!(!grid.ends(back, Duration::ZERO));
        assert!(grid.wait(back) <= second);
        assert!(!grid.ends(back, second));
        assert!(grid.ends(back, second * 2));
        assert!(!grid.ends(back, Duration::ZERO));
    }

    #[test]
    fn a_clock_that_is_set_forward_ends_one_interval() {
        let mut grid = grid(3);
        let later = NOW + 3600 * SECOND;
        assert!(grid.ends(later, Duration::from_millis(10)));
        assert!(!grid.ends(later, Duration::ZERO));
        assert!(grid.wait(later) <= Duration::from_secs(1));
    }

    #[test]
    fn publishers_are_spread_and_keep_away_from_full_seconds() {
        let phase = |n: u64| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
            let grid = Grid::new(Duration::from_secs(1), PublisherId(id), NOW);
            (NOW + u64::try_from(grid.wait(NOW).as_micros()).unwrap()) % SECOND
        };
        let mut tenths = [0; 10];
        (0..1000).for_each(|n| tenths[usize::try_from(phase(n) / 100_000).unwrap()] += 1);
        assert_eq!((tenths[0], tenths[9]), (0, 0), "{tenths:?}");
        assert!(tenths[1..9].iter().all(|count| (80..170).contains(count)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn the_next_point_is_ahead_and_at_most_an_interval_away(
            interval in 10_000_u64..3_600_000_000,
            id: [u8; 16],
            start in 0_u64..4_000_000_000_000_000,
            later in 0_u64..10_000_000_000,
        ) {
            let interval = Duration::from_micros(interval);
            let mut grid = Grid::new(interval, PublisherId(id), start);
            let first = grid.wait(start);
            prop_assert!(first > interval / 2 - Duration::from_micros(1));
            prop_assert!(first <= interval * 3 / 2 + Duration::from_micros(1));
            grid.ends(start + later, Duration::ZERO);
            if later >= u64::try_from(first.as_micros()).unwrap() {
                let wait = grid.wait(start + later);
                prop_assert!(!wait.is_zero() && wait <= interval);
            }
        }
    }
}
