//! The two clocks of an intake: the wall clock, which may be set, and its uptime.

use std::time::Instant;
use zibrato::clock;

/// What the clocks showed last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    /// Unix milliseconds, for times of readings and for schedules.
    pub(super) now_ms: u64,
    /// Milliseconds since the intake was opened, for ages and rates.
    pub(super) uptime_ms: u64,
    opened: Instant,
}

impl Clocks {
    /// The uptime begins now.
    pub(super) fn new() -> Self {
        Self { now_ms: clock::unix_ms(), uptime_ms: 0, opened: Instant::now() }
    }

    pub(super) fn read(&mut self) {
        self.now_ms = clock::unix_ms();
        self.uptime_ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
    }
}

/// The end of a wait, by the wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct WaitUntil {
    /// In Unix milliseconds; the largest number if it does not end.
    until_ms: u64,
    longest_ms: u64,
}

impl WaitUntil {
    /// A wait that begins now.
    pub(super) fn new(until_ms: u64) -> Self {
        Self::beginning_at(until_ms, clock::unix_ms())
    }

    const fn beginning_at(until_ms: u64, now_ms: u64) -> Self {
        Self { until_ms, longest_ms: until_ms.saturating_sub(now_ms) }
    }

    /// Whether it is over at this time, or the clock was put back to before its beginning.
    pub(super) const fn is_over(self, now_ms: u64) -> bool {
        let Self { until_ms, longest_ms } = self;
        let is_set_back = until_ms != u64::MAX && until_ms.saturating_sub(now_ms) > longest_ms;
        now_ms >= until_ms || is_set_back
    }
}

#[cfg(test)]
mod tests {
    use super::WaitUntil;

    #[test]
    fn a_clock_that_is_put_back_ends_a_wait() {
        for (until_ms, now_ms, is_over) in [
            (20_000, 10_000, false),
            (20_000, 19_999, false),
            (20_000, 20_000, true),
            (20_000, 9_999, true),
            (5_000, 9_000, true),
            (u64::MAX, 9_000, false),
        ] {
            let wait = WaitUntil::beginning_at(until_ms, 10_000);
            assert_eq!(wait.is_over(now_ms), is_over, "{until_ms} {now_ms}");
        }
    }
}
