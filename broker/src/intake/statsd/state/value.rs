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

    /// Adds a reading of the same kind that came at `now_ms`, perhaps with a time of its own. Returns the
    /// number of new members of a set, or `None` if the set, or the table, is full.
    #[inline]
    pub(super) fn add(
        &mut self,
        reading: Reading<'_>,
        own_ms: Option<u64>,
        now_ms: u64,
        room: Room,
    ) -> Option<usize> {
        match (self, reading) {
            (Self::Counter(sum), Reading::Number { value, rate }) => {
                *sum = finite(*sum + value / rate);
            }
            (
                Self::Timer(readings) | Self::Histogram(readings),
                Reading::Number { value, rate },
            ) => readings.record(value, rate, room.octaves),
            (Self::Gauge(changes), Reading::Number { value, .. }) => {
                changes.set(value, own_ms, now_ms);
            }
            (Self::Gauge(changes), Reading::Change(change)) => {
                changes.change(change, own_ms.unwrap_or(now_ms));
            }
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

/// What happened to a gauge in one interval. Its value before, and the time of that, are not known
/// here.
///
/// A value without a time of its own replaces the one before. A value with a time replaces one that is
/// not newer, in whole seconds, because times have whole seconds. So the value of a gauge depends on the
/// order of its samples, and not on where an interval ends.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Changes {
    /// What the changes before the first value add up to, after each.
    relative: Option<Gauge>,
    /// The readings from the first value on.
    absolute: Option<Gauge>,
    /// What the samples mean if their values are older than the one before the interval. `None` if
    /// one of the values has no time of its own.
    late: Option<Box<Late>>,
}

/// Samples whose values do not replace the one before, but are published.
#[derive(Debug, Clone, PartialEq)]
struct Late {
    /// Time of the newest value.
    newest_ms: u64,
    values: Gauge,
    /// What all changes add up to, after each.
    relative: Option<Gauge>,
}

/// The value of a gauge, and its time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Current {
    pub(crate) value: f64,
    /// In Unix milliseconds.
    pub(crate) at_ms: u64,
}

impl Changes {
    pub(super) fn set(&mut self, value: f64, own_ms: Option<u64>, now_ms: u64) {
        let reading = Gauge::reading(value, own_ms.unwrap_or(now_ms));
        match (&mut self.absolute, &mut self.late, own_ms) {
            (None, _, None) => self.absolute = Some(reading),
            (Some(all), late, None) => {
                *late = None;
                append(all, &reading, now_ms);
            }
            (None, late, Some(newest_ms)) => {
                self.absolute = Some(reading);
                let relative = self.relative;
                *late = Some(Box::new(Late { newest_ms, values: reading, relative }));
            }
            (Some(all), late, Some(own_ms)) => {
                if let Some(late) = late {
                    late.values.merge(&reading);
                }
                if is_older(own_ms, all.at_ms) {
                    return widen(all, &reading);
                }
                append(all, &reading, own_ms.max(all.at_ms));
                if let Some(late) = late {
                    late.newest_ms = late.newest_ms.max(own_ms);
                }
            }
        }
    }

    pub(super) fn change(&mut self, change: f64, at_ms: u64) {
        let current = if self.absolute.is_some() { &mut self.absolute } else { &mut self.relative };
        let late = self.late.as_mut().map(|late| &mut late.relative);
        for gauge in [Some(current), late].into_iter().flatten() {
            let (before, before_ms) = gauge.map_or((0.0, 0), |gauge| (gauge.last, gauge.at_ms));
            // A change applies to the value that is known, even if its own time is older.
            merge(gauge, Gauge::reading(finite(before + change), at_ms.max(before_ms)));
        }
    }

    /// Replaces the changes by the readings that they mean.
    pub(super) fn settle(&mut self, readings: Gauge) {
        *self = Self { relative: None, absolute: Some(readings), late: None };
    }

    /// The readings of the interval, for a gauge that had the value `before`, or 0 if it is new. Also
    /// its value afterwards, if there is another one.
    pub(crate) fn readings(&self, before: Current) -> Option<(Gauge, Option<Current>)> {
        let since_ms = self.relative.map_or(0, |gauge| gauge.at_ms).max(before.at_ms);
        if let Some(late) = self.late.as_ref().filter(|late| is_older(late.newest_ms, since_ms)) {
            let Some(mut all) = late.relative.map(|gauge| shifted(&gauge, before.value)) else {
                return Some((late.values, None));
            };
            let at_ms = all.at_ms.max(before.at_ms);
            widen(&mut all, &late.values);
            return Some((all, Some(Current { value: all.last, at_ms })));
        }
        let mut all = self.relative.map(|gauge| shifted(&gauge, before.value));
        let mut not_before_ms = before.at_ms;
        if let Some(absolute) = self.absolute {
            // The clock may have been put back.
            if self.late.is_none() {
                not_before_ms = 0;
            }
            match &mut all {
                Some(all) => append(all, &absolute, absolute.at_ms),
                None => all = Some(absolute),
            }
        }
        let all = all?;
        Some((all, Some(Current { value: all.last, at_ms: all.at_ms.max(not_before_ms) })))
    }
}

/// Whether a value of one time is too old to replace one of another time.
const fn is_older(own_ms: u64, than_ms: u64) -> bool {
    own_ms / 1_000 < than_ms / 1_000
}

/// Readings relative to a value.
fn shifted(gauge: &Gauge, by: f64) -> Gauge {
    let shifted = |value: f64| finite(value + by);
    let sum = finite(gauge.sum + by * gauge.count as f64);
    let (last, min, max) = (shifted(gauge.last), shifted(gauge.min), shifted(gauge.max));
    Gauge::folded(last, gauge.at_ms, gauge.count, sum, min, max)
}

fn merge(gauge: &mut Option<Gauge>, more: Gauge) {
    match gauge {
        Some(gauge) => gauge.merge(&more),
        None => *gauge = Some(more),
    }
}

/// Adds readings of which the last one is the last of all, with this time.
fn append(gauge: &mut Gauge, more: &Gauge, at_ms: u64) {
    widen(gauge, more);
    (gauge.last, gauge.at_ms) = (more.last, at_ms);
}

/// Adds readings that are not the last ones.
fn widen(gauge: &mut Gauge, more: &Gauge) {
    gauge.count = gauge.count.saturating_add(more.count);
    gauge.sum = finite(gauge.sum + more.sum);
    (gauge.min, gauge.max) = (gauge.min.min(more.min), gauge.max.max(more.max));
}

/// A sum of finite numbers, limited to what a double can hold.
pub(super) const fn finite(sum: f64) -> f64 {
    sum.clamp(f64::MIN, f64::MAX)
}

#[cfg(test)]
mod tests;
