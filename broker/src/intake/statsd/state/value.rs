//! What the samples of one series in one interval add up to.

use super::readings::Readings;
use crate::intake::statsd::grammar::Reading;
use std::collections::BTreeSet;
use zibrato::window::{Fold, Histogram, MAX_SET_MEMBERS};
use zibrato::{Gauge, Kind};

/// The value of one series in one interval.
#[derive(Debug)]
pub(crate) enum Value {
    Counter(f64),
    Gauge(Box<Changes>),
    Histogram(Box<Readings>),
    #[expect(clippy::box_collection, reason = "a value of 16 bytes keeps slots small")]
    Set(Box<BTreeSet<Box<str>>>),
    /// In seconds.
    Timer(Box<Readings>),
}

/// What a table has room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// New members of sets.
    pub(super) members: usize,
    /// Octaves of the sketch of one series, of which the highest are kept.
    pub(super) octaves: usize,
}

/// What a series has at the end of an interval.
#[derive(Debug)]
pub(crate) enum Taken {
    Fold(Fold),
    Gauge(Changes),
}

impl Value {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Gauge => Self::Gauge(Box::default()),
            Kind::Histogram => Self::Histogram(Box::default()),
            Kind::Set => Self::Set(Box::default()),
            Kind::Timer => Self::Timer(Box::default()),
            _ => Self::Counter(0.0),
        }
    }

    /// Adds a reading of the same kind. Returns the number of new members of a set, or `None` if
    /// the set, or the table, is full.
    #[inline]
    pub(super) fn add(&mut self, reading: Reading<'_>, at_ms: u64, room: Room) -> Option<usize> {
        match (self, reading) {
            (Self::Counter(sum), Reading::Number { value, rate }) => {
                *sum = finite(*sum + value / rate);
            }
            (
                Self::Timer(readings) | Self::Histogram(readings),
                Reading::Number { value, rate },
            ) => readings.record(value, rate, room.octaves),
            (Self::Gauge(changes), Reading::Number { value, .. }) => changes.set(value, at_ms),
            (Self::Gauge(changes), Reading::Change(change)) => changes.change(change, at_ms),
            (Self::Set(members), Reading::Member(member)) => {
                if members.contains(member) {
                    return Some(0);
                }
                if members.len() >= MAX_SET_MEMBERS || room.members == 0 {
                    return None;
                }
                members.insert(Box::from(member));
                return Some(1);
            }
            _ => debug_assert!(false, "a series has one kind"),
        }
        Some(0)
    }

    /// The sum of a counter, the number of readings or members; 0 for a gauge.
    pub(super) fn amount(&self) -> f64 {
        match self {
            Self::Counter(sum) => *sum,
            Self::Gauge(_) => 0.0,
            Self::Timer(readings) | Self::Histogram(readings) => readings.count() as f64,
            Self::Set(members) => members.len() as f64,
        }
    }

    /// Number of members of a set.
    pub(super) fn members(&self) -> usize {
        if let Self::Set(members) = self { members.len() } else { 0 }
    }

    /// Number of octaves in the sketch of a timer or histogram.
    pub(super) fn octaves(&self) -> usize {
        match self {
            Self::Timer(readings) | Self::Histogram(readings) => readings.octaves(),
            _ => 0,
        }
    }

    /// Ends the interval: returns its value, and begins the next one.
    pub(super) fn take(&mut self) -> Taken {
        Taken::Fold(match self {
            Self::Counter(sum) => Fold::Counter(std::mem::take(sum)),
            Self::Gauge(changes) => return Taken::Gauge(std::mem::take(changes)),
            Self::Histogram(readings) => {
                let mut histogram = Histogram::default();
                histogram.summary = *readings.take();
                Fold::Histogram(Box::new(histogram))
            }
            Self::Set(members) => Fold::Set(std::mem::take(&mut **members)),
            Self::Timer(readings) => Fold::Timer(readings.take()),
        })
    }
}

/// What happened to a gauge in one interval, whose value before is not known here.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Changes {
    /// What the changes before the first value add up to, after each.
    relative: Option<Gauge>,
    /// The readings from the first value on.
    absolute: Option<Gauge>,
}

impl Changes {
    pub(super) fn set(&mut self, value: f64, at_ms: u64) {
        merge(&mut self.absolute, Gauge::reading(value, at_ms));
    }

    pub(super) fn change(&mut self, change: f64, at_ms: u64) {
        let gauge = if self.absolute.is_some() { &mut self.absolute } else { &mut self.relative };
        let (before, before_ms) = gauge.map_or((0.0, 0), |gauge| (gauge.last, gauge.at_ms));
        // A change applies to the value that is known, even if its own time is older.
        merge(gauge, Gauge::reading(finite(before + change), at_ms.max(before_ms)));
    }

    /// Replaces the changes by the readings that they mean.
    pub(super) const fn settle(&mut self, readings: Gauge) {
        *self = Self { relative: None, absolute: Some(readings) };
    }

    /// The readings of the interval, for a gauge that had the value `before`, or 0 if it is new.
    pub(crate) fn readings(&self, before: f64) -> Option<Gauge> {
        let mut all = self.relative.map(|gauge| {
            let shifted = |value: f64| finite(value + before);
            let sum = finite(gauge.sum + before * gauge.count as f64);
            let (last, min, max) = (shifted(gauge.last), shifted(gauge.min), shifted(gauge.max));
            Gauge::folded(last, gauge.at_ms, gauge.count, sum, min, max)
        });
        if let Some(absolute) = self.absolute {
            merge(&mut all, absolute);
        }
        all
    }
}

fn merge(gauge: &mut Option<Gauge>, more: Gauge) {
    match gauge {
        Some(gauge) => gauge.merge(&more),
        None => *gauge = Some(more),
    }
}

/// A sum of finite numbers, limited to what a double can hold.
pub(super) const fn finite(sum: f64) -> f64 {
    sum.clamp(f64::MIN, f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Changes, Room, Taken, Value};
    use crate::intake::statsd::grammar::Reading;
    use zibrato::window::Fold;
    use zibrato::{Gauge, Kind};

    const ROOM: Room = Room { members: 1, octaves: 64 };

    fn number(value: f64) -> Reading<'static> {
        Reading::Number { value, rate: 1.0 }
    }

    #[test]
    fn counters_are_divided_by_their_rate_and_keep_fractions() {
        let mut counter = Value::new(Kind::Counter);
        for _ in 0..3 {
            counter.add(Reading::Number { value: 1.0, rate: 0.3 }, 0, ROOM);
        }
        assert_eq!(counter.amount(), 10.0);
        for _ in 0..9 {
            counter.add(number(f64::MAX), 0, ROOM);
        }
        assert_eq!(counter.amount(), f64::MAX);
    }

    #[test]
    fn changes_begin_with_the_value_before() {
        let gauge = |steps: &[Reading<'_>], before| {
            let mut changes = Changes::default();
            for step in steps {
                match step {
                    Reading::Number { value, .. } => changes.set(*value, 1),
                    Reading::Change(change) => changes.change(*change, 1),
                    Reading::Member(_) => unreachable!("no set"),
                }
            }
            changes.readings(before)
        };
        let change = Reading::Change;
        for (steps, before, expected) in [
            (&[number(333.0), change(-10.0), change(4.0)][..], 9.0, (327.0, 3, 323.0, 333.0)),
            (&[change(-10.0)], 0.0, (-10.0, 1, -10.0, -10.0)),
            (&[change(1.0)], 10.0, (11.0, 1, 11.0, 11.0)),
            (&[change(-1.0), change(-1.0), change(-1.0)], 0.0, (-3.0, 3, -3.0, -1.0)),
            (&[number(0.0), change(-3.0)], 7.0, (-3.0, 2, -3.0, 0.0)),
            (&[change(5.0), number(1.0), change(1.0)], 10.0, (2.0, 3, 1.0, 15.0)),
        ] {
            let gauge = gauge(steps, before).unwrap();
            assert_eq!((gauge.last, gauge.count, gauge.min, gauge.max), expected, "{steps:?}");
        }
        assert_eq!(Changes::default().readings(5.0), None);
        let sum = gauge(&[change(1.0), change(1.0)], 10.0).map(|gauge: Gauge| gauge.sum);
        assert_eq!(sum, Some(23.0));
    }

    #[test]
    fn a_change_with_an_older_time_is_not_lost() {
        let mut changes = Changes::default();
        changes.change(1.0, 2_000);
        changes.change(2.0, 1_000);
        assert_eq!(changes.readings(10.0).unwrap().last, 13.0);
        changes.set(5.0, 3_000);
        changes.change(-1.0, 1_000);
        let gauge = changes.readings(10.0).unwrap();
        assert_eq!((gauge.last, gauge.at_ms), (4.0, 3_000));
    }

    #[test]
    fn a_set_counts_each_member_once_and_is_bounded() {
        let mut set = Value::new(Kind::Set);
        for member in ["765", "765", "766", "abc"] {
            assert!(set.add(Reading::Member(member), 0, ROOM).is_some());
        }
        assert_eq!(set.amount(), 3.0);
        let more = (0..200_000).filter_map(|n| set.add(Reading::Member(&n.to_string()), 0, ROOM));
        assert_eq!(more.sum::<usize>(), 99_997);
        assert_eq!((set.amount(), set.add(Reading::Member("765"), 0, ROOM)), (100_000.0, Some(0)));
        assert!(matches!(set.take(), Taken::Fold(Fold::Set(members)) if members.len() == 100_000));
        assert_eq!(set.amount(), 0.0);
    }
}
