//! The times that the API accepts: it rejects a whole request for one point that is too old, or too
//! far in the future.
//!
//! Pure.

use std::time::Duration;

/// How far this machine's clock may be behind that of the broker: a day.
const WRONG_CLOCK_MS: u64 = 24 * 3_600_000;

/// How far the time of a point may be from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AcceptedTimes {
    /// Zero for no limit.
    pub(super) past: Duration,
    pub(super) future: Duration,
}

impl AcceptedTimes {
    /// The documented error for old points has no limit in the API's documentation; users have
    /// reported two hours.
    pub(super) const DEFAULT_PAST: Duration = Duration::from_secs(120 * 60);
    pub(super) const DEFAULT_FUTURE: Duration = Duration::from_secs(5 * 60);

    /// The range of accepted times, in Unix seconds. A window of which the broker's clock says that
    /// it has ended is not in the future, whatever this machine's clock says.
    pub(super) fn at(self, now_ms: u64, window_end_ms: u64) -> Range {
        let ahead_ms = window_end_ms.saturating_sub(now_ms);
        let now_ms = if ahead_ms <= WRONG_CLOCK_MS { now_ms + ahead_ms } else { now_ms };
        let now_s = now_ms / 1000;
        let limit = |limit: Duration| (!limit.is_zero()).then_some(limit.as_secs());
        Range {
            first: limit(self.past).map_or(0, |past| now_s.saturating_sub(past)),
            last: limit(self.future).map_or(u64::MAX, |future| now_s.saturating_add(future)),
        }
    }
}

/// Accepted times, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    first: u64,
    last: u64,
}

impl Range {
    /// Why a time is not accepted; `None` if it is.
    pub(super) const fn outside(self, time: u64) -> Option<Omitted> {
        if time < self.first {
            Some(Omitted::Past)
        } else if time > self.last {
            Some(Omitted::Future)
        } else {
            None
        }
    }
}

/// Why a point is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Omitted {
    /// A number is too large.
    Number,
    /// The time is too far in the future.
    Future,
    /// The time is too far in the past.
    Past,
}

impl Omitted {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 3] = [Self::Number, Self::Future, Self::Past];

    /// The word in metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Number => "too_large",
            Self::Future => "too_new",
            Self::Past => "too_old",
        }
    }

    /// The reason, and what to do.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Number => "a number is beyond 1e126, which the API rejects",
            Self::Future => {
                "the time is further in the future than --accept-future; the clock of the \
                 publisher may be wrong. If the server accepts such times, set --accept-future 0"
            }
            Self::Past => {
                "the time is further in the past than --accept-past. If the server accepts such \
                 times, set --accept-past 0"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AcceptedTimes, Omitted};
    use std::time::Duration;

    const NOW_S: u64 = 1_800_000_000;

    fn outside(past: u64, future: u64, time: u64) -> Option<Omitted> {
        let [past, future] = [past, future].map(Duration::from_secs);
        AcceptedTimes { past, future }.at(NOW_S * 1000, (NOW_S - 60) * 1000).outside(time)
    }

    #[test]
    fn points_of_the_far_past_and_future_are_outside() {
        for (time, expected) in [
            (0, Some(Omitted::Past)),
            (NOW_S - 7_201, Some(Omitted::Past)),
            (NOW_S - 7_200, None),
            (NOW_S + 300, None),
            (NOW_S + 301, Some(Omitted::Future)),
            (4_102_444_800, Some(Omitted::Future)),
            (u64::MAX, Some(Omitted::Future)),
        ] {
            assert_eq!(outside(7_200, 300, time), expected, "{time}");
        }
    }

    #[test]
    fn zero_means_no_limit() {
        for time in [0, NOW_S, u64::MAX] {
            assert_eq!(outside(0, 0, time), None);
        }
        assert_eq!(outside(1, 0, 5), Some(Omitted::Past));
    }

    #[test]
    fn a_window_that_has_ended_is_not_in_the_future_of_a_wrong_clock() {
        let times = AcceptedTimes { past: Duration::ZERO, future: Duration::from_secs(300) };
        let an_hour_behind = (NOW_S - 3_600) * 1000;
        assert_eq!(times.at(an_hour_behind, NOW_S * 1000).outside(NOW_S - 60), None);
        let (now, in_2100) = (NOW_S * 1000, 4_102_444_800);
        assert_eq!(times.at(now, in_2100 * 1000).outside(in_2100), Some(Omitted::Future));
        assert_eq!(times.at(an_hour_behind, 0).outside(NOW_S - 60), Some(Omitted::Future));
    }
}
