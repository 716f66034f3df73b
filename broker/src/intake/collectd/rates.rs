//! The last readings of each value list, and the rates between readings.
//!
//! Pure: takes bytes and times, opens nothing.

use super::parts::UNITS_PER_SECOND;
use super::types_db::SourceKind;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Maximum number of value lists whose last readings are kept.
const MAX_LISTS: usize = 500_000;

/// Shortest time for which the last readings are kept, in milliseconds. For this long they prevent
/// that earlier ones become the last.
const MIN_KEPT_MS: u64 = 300_000;

/// Longest time for which the last readings are kept, in milliseconds.
const MAX_KEPT_MS: u64 = 86_400_000;

/// Number of intervals for which the last readings are kept.
const KEPT_INTERVALS: u64 = 3;

/// How far the time of the last readings may be ahead of the broker's clock, in seconds, if new
/// ones are not. Otherwise the new ones are the first.
const MAX_AHEAD_SECONDS: u64 = 10;

/// Time between two searches for readings that are no longer kept, in milliseconds.
const SWEEP_MS: u64 = 60_000;

/// What is known about a value list, or about one of its values, when new readings arrive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Past<T> {
    /// They are the first ones.
    None,
    /// There are readings of this time, which stay the last ones.
    Same,
    /// There are later readings, which stay the last ones.
    Late,
    /// There are too many value lists to keep these.
    Full,
    /// What was read last, and the time since then, in seconds.
    Since { seconds: f64, last: T },
}

impl Past<&[u64]> {
    /// The past of the value at this place in the list.
    pub(super) fn at(&self, place: usize) -> Past<u64> {
        match *self {
            Self::None => Past::None,
            Self::Same => Past::Same,
            Self::Late => Past::Late,
            Self::Full => Past::Full,
            Self::Since { seconds, last } => match last.get(place) {
                Some(last) => Past::Since { seconds, last: *last },
                None => Past::None,
            },
        }
    }
}

/// The last readings of each value list.
#[derive(Debug)]
pub(super) struct Rates {
    lists: HashMap<Box<[u8]>, Last, RandomState>,
    max_lists: usize,
    next_sweep_ms: u64,
    /// The readings that the latest ones have replaced.
    replaced: Vec<u64>,
}

#[derive(Debug)]
struct Last {
    /// The time of the readings by the sender's clock, in units of 2^-30 s.
    time: u64,
    /// The uptime when they were received.
    received_ms: u64,
    /// The uptime until which they are kept.
    until_ms: u64,
    readings: Vec<u64>,
}

impl Default for Rates {
    fn default() -> Self {
        Self::with_max_lists(MAX_LISTS)
    }
}

impl Rates {
    fn with_max_lists(max_lists: usize) -> Self {
        Self { lists: HashMap::default(), max_lists, next_sweep_ms: 0, replaced: Vec::new() }
    }

    /// Keeps readings as the last ones of the value list with this key, and returns the ones before
    /// them. Time and interval are in units of 2^-30 s, by the sender's clock. The broker's clock, which
    /// may be set, is compared with that; how long readings are kept depends on its uptime.
    pub(super) fn replace(
        &mut self,
        key: &[u8],
        (time, interval): (u64, u64),
        readings: impl Iterator<Item = u64>,
        (now_ms, uptime_ms): (u64, u64),
    ) -> Past<&[u64]> {
        if uptime_ms >= self.next_sweep_ms {
            self.lists.retain(|_, last| last.until_ms > uptime_ms);
            self.next_sweep_ms = uptime_ms + SWEEP_MS;
        }
        let kept_ms = (interval / UNITS_PER_SECOND).saturating_mul(1_000 * KEPT_INTERVALS);
        let until_ms = uptime_ms + kept_ms.clamp(MIN_KEPT_MS, MAX_KEPT_MS);
        let Some(last) = self.lists.get_mut(key) else {
            if self.lists.len() >= self.max_lists {
                return Past::Full;
            }
            let readings = readings.collect();
            let last = Last { time, received_ms: uptime_ms, until_ms, readings };
            self.lists.insert(key.into(), last);
            return Past::None;
        };
        let is_ahead = |time| time / UNITS_PER_SECOND > now_ms / 1_000 + MAX_AHEAD_SECONDS;
        let blocks =
            uptime_ms < last.received_ms + MIN_KEPT_MS && (is_ahead(time) || !is_ahead(last.time));
        if blocks && time <= last.time {
            return if time == last.time { Past::Same } else { Past::Late };
        }
        let is_past = last.until_ms > uptime_ms && time > last.time;
        let seconds = time.saturating_sub(last.time) as f64 / UNITS_PER_SECOND as f64;
        (last.time, last.received_ms, last.until_ms) = (time, uptime_ms, until_ms);
        std::mem::swap(&mut self.replaced, &mut last.readings);
        last.readings.clear();
        last.readings.extend(readings);
        if is_past { Past::Since { seconds, last: &self.replaced } } else { Past::None }
    }

    /// Approximate memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.lists.len() * (size_of::<(Box<[u8]>, Last)>() + 120)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lists.len()
    }
}

/// The value of a reading: itself for a gauge, the rate since the last reading for other kinds.
/// First readings have no rate. With `resets`, a counter below 2^31 that became smaller was reset,
/// and has no rate.
///
/// # Errors
/// The reason to reject the reading, as a constant word.
pub(super) fn value(
    kind: SourceKind,
    new: u64,
    past: Past<u64>,
    resets: bool,
) -> Result<Option<f64>, &'static str> {
    let (old, seconds) = match past {
        Past::Late => return Err("late"),
        _ if kind == SourceKind::Gauge => return Ok(Some(f64::from_bits(new))),
        Past::Same => return Err("late"),
        Past::Full => return Err("series"),
        Past::None => return Ok(None),
        Past::Since { seconds, last } => (last, seconds),
    };
    Ok(match kind {
        SourceKind::Gauge => Some(f64::from_bits(new)),
        SourceKind::Absolute => Some(new as f64 / seconds),
        SourceKind::Derive => {
            let difference = i128::from(new.cast_signed()) - i128::from(old.cast_signed());
            Some(difference as f64 / seconds)
        }
        SourceKind::Counter if new < old && resets && old < 1 << 31 => None,
        SourceKind::Counter if new < old && old < 1 << 32 => {
            Some((new + (1 << 32) - old) as f64 / seconds)
        }
        SourceKind::Counter => Some(new.wrapping_sub(old) as f64 / seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::{MAX_KEPT_MS, MIN_KEPT_MS, Past, Rates, SWEEP_MS, value};
    use crate::intake::collectd::parts::UNITS_PER_SECOND;
    use crate::intake::collectd::types_db::SourceKind::{Absolute, Counter, Derive, Gauge};

    const NOW: u64 = 1_700_000_000_000;

    /// Replaces the one reading of a list, at whole seconds.
    fn put<'a>(
        rates: &'a mut Rates,
        key: &str,
        second: u64,
        reading: u64,
        now: u64,
    ) -> Past<&'a [u64]> {
        let (time, interval) = (second * UNITS_PER_SECOND, 10 * UNITS_PER_SECOND);
        rates.replace(key.as_bytes(), (time, interval), [reading].into_iter(), (now, now))
    }

    #[test]
    fn rates_of_each_kind() {
        let ten = |last| Past::Since { seconds: 10.0, last };
        for (kind, past, new, expected) in [
            (Derive, Past::None, 100, None),
            (Derive, ten(100), 150, Some(5.0)),
            (Derive, ten(150), 130, Some(-2.0)),
            (Derive, ten(0), (-50_i64).cast_unsigned(), Some(-5.0)),
            (
                Derive,
                ten(i64::MIN.cast_unsigned()),
                i64::MAX.cast_unsigned(),
                Some(1.8446744073709553e18),
            ),
            (Counter, Past::None, 100, None),
            (Counter, ten(1_000), 1_500, Some(50.0)),
            (Counter, ten(4_294_967_290), 10, Some(1.6)),
            (Counter, ten(4_294_967_295), 0, Some(0.1)),
            (Counter, ten(4_294_967_296), 0, Some(1.8446744069414584e18)),
            (Counter, ten(18_446_744_073_709_551_610), 10, Some(1.6)),
            (Counter, ten(1_000), 0, Some(429_496_629.6)),
            (Absolute, Past::None, 50, None),
            (Absolute, ten(50), 70, Some(7.0)),
            (Absolute, ten(70), 0, Some(0.0)),
            (Gauge, Past::None, 1.5_f64.to_bits(), Some(1.5)),
            (Gauge, ten(7), (-0.5_f64).to_bits(), Some(-0.5)),
        ] {
            assert_eq!(value(kind, new, past, false), Ok(expected), "{kind:?} {past:?} {new}");
        }
    }

    #[test]
    fn a_small_counter_that_shrinks_can_be_taken_for_reset() {
        for (last, new, expected) in
            [(1_000, 0, None), (4_294_967_290, 10, Some(1.6)), (1_000, 2_000, Some(100.0))]
        {
            let past = Past::Since { seconds: 10.0, last };
            assert_eq!(value(Counter, new, past, true), Ok(expected));
        }
    }

    #[test]
    fn readings_without_a_rate_are_rejected_with_the_reason() {
        for kind in [Absolute, Counter, Derive] {
            for (past, expected) in [
                (Past::None, Ok(None)),
                (Past::Same, Err("late")),
                (Past::Late, Err("late")),
                (Past::Full, Err("series")),
            ] {
                assert_eq!(value(kind, 1, past, false), expected);
            }
        }
        for past in [Past::None, Past::Same, Past::Full] {
            assert_eq!(value(Gauge, 2.0_f64.to_bits(), past, false), Ok(Some(2.0)));
        }
        assert_eq!(value(Gauge, 0, Past::Late, false), Err("late"));
    }

    #[test]
    fn readings_that_are_not_newer_do_not_become_the_last() {
        let mut rates = Rates::default();
        assert_eq!(put(&mut rates, "a", 100, 1, NOW), Past::None);
        assert_eq!(put(&mut rates, "a", 100, 2, NOW), Past::Same);
        assert_eq!(put(&mut rates, "a", 99, 3, NOW), Past::Late);
        assert_eq!(put(&mut rates, "b", 1, 4, NOW), Past::None);
        let since = Past::Since { seconds: 5.0, last: &[1][..] };
        assert_eq!(put(&mut rates, "a", 105, 5, NOW), since);
        let since = Past::Since { seconds: 1.0, last: &[5][..] };
        assert_eq!(put(&mut rates, "a", 106, 6, NOW), since);
    }

    #[test]
    fn times_within_a_second_differ() {
        let mut rates = Rates::default();
        let half = UNITS_PER_SECOND / 2;
        rates.replace(b"a", (half, 0), [0].into_iter(), (NOW, NOW));
        let past = rates.replace(b"a", (2 * half, 0), [5].into_iter(), (NOW, NOW));
        assert_eq!(past, Past::Since { seconds: 0.5, last: &[0][..] });
    }

    #[test]
    fn readings_of_lists_that_vanish_are_forgotten() {
        let mut rates = Rates::default();
        put(&mut rates, "a", 100, 1, NOW);
        put(&mut rates, "b", 100, 1, NOW);
        put(&mut rates, "a", 110, 2, NOW + MIN_KEPT_MS - 1);
        assert_eq!(rates.len(), 2);
        // Not yet swept, but no longer kept. An earlier time is not late then.
        assert_eq!(put(&mut rates, "b", 50, 3, NOW + MIN_KEPT_MS), Past::None);
        put(&mut rates, "c", 1, 1, NOW + MIN_KEPT_MS + MIN_KEPT_MS + SWEEP_MS);
        assert_eq!(rates.len(), 1);
        // Long intervals are kept for longer, to a limit.
        let day = MAX_KEPT_MS / 1_000 * UNITS_PER_SECOND;
        for (interval, kept_ms) in
            [(600 * UNITS_PER_SECOND, 1_800_000), (day, MAX_KEPT_MS), (u64::MAX, MAX_KEPT_MS)]
        {
            let mut rates = Rates::default();
            let (a, b) = (UNITS_PER_SECOND, 2 * UNITS_PER_SECOND);
            rates.replace(b"a", (a, interval), [1].into_iter(), (NOW, NOW));
            rates.replace(b"b", (a, interval), [1].into_iter(), (NOW, NOW));
            let since = Past::Since { seconds: 1.0, last: &[1][..] };
            let at = NOW + kept_ms;
            assert_eq!(rates.replace(b"a", (b, 0), [1].into_iter(), (at - 1, at - 1)), since);
            assert_eq!(rates.replace(b"b", (b, 0), [1].into_iter(), (at, at)), Past::None);
        }
    }

    #[test]
    fn no_interval_and_no_time_ahead_keep_earlier_readings_out_for_long() {
        let mut rates = Rates::default();
        let mut replace = |time: u64, now| {
            let time = (time * UNITS_PER_SECOND, u64::MAX);
            rates.replace(b"a", time, [1].into_iter(), (now, now)).at(0)
        };
        assert_eq!(replace(100, NOW), Past::None);
        assert_eq!(replace(99, NOW + MIN_KEPT_MS - 1), Past::Late);
        assert_eq!(replace(99, NOW + MIN_KEPT_MS), Past::None);
        let now = NOW / 1_000;
        replace(now + 200, NOW);
        assert_eq!(replace(now + 100, NOW), Past::Late);
        assert_eq!(replace(now + 10, NOW), Past::None);
        assert_eq!(replace(now + 9, NOW), Past::Late);
        // A sender whose clock is ahead.
        replace(now + 60, NOW);
        let since = Past::Since { seconds: 10.0, last: 1 };
        assert_eq!(replace(now + 70, NOW + 10_000), since);
    }

    #[test]
    fn a_clock_that_is_set_does_not_end_rates() {
        let mut rates = Rates::default();
        let mut replace = |time: u64, now_ms, uptime_ms| {
            let time = (time * UNITS_PER_SECOND, 10 * UNITS_PER_SECOND);
            rates.replace(b"a", time, [1].into_iter(), (now_ms, uptime_ms)).at(0)
        };
        let day = 86_400_000;
        assert_eq!(replace(100, NOW, 0), Past::None);
        for (time, now_ms, uptime_ms) in
            [(110, NOW + 2 * day, 10_000), (120, NOW - day, 20_000), (130, NOW, 30_000)]
        {
            let since = Past::Since { seconds: 10.0, last: 1 };
            assert_eq!(replace(time, now_ms, uptime_ms), since, "{time}");
        }
        assert_eq!(replace(140, NOW, 30_000 + MIN_KEPT_MS), Past::None);
    }

    #[test]
    fn the_number_of_lists_is_limited() {
        let mut rates = Rates::with_max_lists(2);
        for (key, expected) in [("a", Past::None), ("b", Past::None), ("c", Past::Full)] {
            assert_eq!(put(&mut rates, key, 1, 1, NOW), expected);
        }
        let since = Past::Since { seconds: 1.0, last: &[1][..] };
        assert_eq!(put(&mut rates, "a", 2, 2, NOW), since);
        assert_eq!(put(&mut rates, "c", 2, 2, NOW + MIN_KEPT_MS), Past::None);
    }
}
