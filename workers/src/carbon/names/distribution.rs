//! The statistics of a timer or histogram as StatsD defines them: also those of its smallest
//! readings alone.
//!
//! Pure. They are exact while each reading is known. Otherwise the smallest readings come from the
//! sketch, whose values are within 0.8 %; count, sum, sum of squares, minimum and maximum are exact
//! always.

use zibrato::Summary;

/// The readings of a timer or histogram.
#[derive(Debug)]
pub(super) struct Distribution {
    /// Each value, ascending, and how often it occurs; not empty.
    values: Vec<(f64, u64)>,
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) sum_squares: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) std: f64,
}

/// The statistics of some of the readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Group {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) sum_squares: f64,
    /// The last value: the largest of the smallest, or the smallest of the largest.
    pub(super) limit: f64,
}

impl Group {
    pub(super) fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// The milliseconds of a reading in seconds. A client gave a decimal number of milliseconds, which
/// was divided by 1000; this is that number.
fn milliseconds(seconds: f64) -> f64 {
    let product = seconds * 1e3;
    // The nearest whole number of picoseconds is exact enough to be that of the client.
    let decimal = (product * 1e9).round() / 1e9;
    if decimal / 1e3 == seconds { decimal } else { product }
}

impl Distribution {
    /// `None` if there is no reading. `in_seconds` says whether readings are seconds, which StatsD
    /// calls milliseconds.
    pub(super) fn of(summary: &Summary, in_seconds: bool) -> Option<Self> {
        if summary.is_empty() {
            return None;
        }
        let scaled = |value| if in_seconds { milliseconds(value) } else { value };
        if let Some(readings) = summary.readings() {
            let mut all: Vec<_> = readings.iter().map(|reading| (scaled(*reading), 1)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            return Self::exactly(all);
        }
        let (min, max) = (scaled(summary.min()), scaled(summary.max()));
        let scale = if in_seconds { 1e3 } else { 1.0 };
        // The middle of the outermost buckets may be beyond the extremes of the readings.
        let values = summary.sketch().values();
        let values = values.map(|(value, times)| ((value * scale).max(min).min(max), times));
        Some(Self {
            values: values.collect(),
            count: summary.count(),
            sum: scaled(summary.sum()),
            sum_squares: summary.sum_squares() * scale * scale,
            min,
            max,
            std: summary.stddev() * scale,
        })
    }

    fn exactly(values: Vec<(f64, u64)>) -> Option<Self> {
        let (first, last) = (values.first()?.0, values.last()?.0);
        let count = u64::try_from(values.len()).ok()?;
        let sum: f64 = values.iter().map(|(value, _)| value).sum();
        let sum_squares = values.iter().map(|(value, _)| value * value).sum();
        let mean = sum / count as f64;
        let squares: f64 = values.iter().map(|(value, _)| (value - mean) * (value - mean)).sum();
        let std = (squares / count as f64).sqrt();
        Some(Self { values, count, sum, sum_squares, min: first, max: last, std })
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The middle reading, or the mean of the two in the middle.
    pub(super) fn median(&self) -> f64 {
        let at = |rank| self.smallest(rank).map_or(self.max, |group| group.limit);
        let half = self.count / 2;
        if self.count % 2 == 1 { at(half + 1) } else { f64::midpoint(at(half), at(half + 1)) }
    }

    /// The `most` smallest readings; `None` if that is none.
    pub(super) fn smallest(&self, most: u64) -> Option<Group> {
        group(self.values.iter(), most.min(self.count))
    }

    /// The `most` largest readings; `None` if that is none.
    pub(super) fn largest(&self, most: u64) -> Option<Group> {
        group(self.values.iter().rev(), most.min(self.count))
    }

    /// Number of readings from `from` to below `to`.
    pub(super) fn between(&self, from: f64, to: f64) -> u64 {
        let inside = self.values.iter().filter(|(value, _)| from <= *value && *value < to);
        inside.fold(0, |sum, (_, times)| sum.saturating_add(*times))
    }
}

fn group<'a>(values: impl Iterator<Item = &'a (f64, u64)>, most: u64) -> Option<Group> {
    let mut group = Group { count: 0, sum: 0.0, sum_squares: 0.0, limit: 0.0 };
    for (value, times) in values {
        let taken = (*times).min(most - group.count);
        if taken == 0 {
            break;
        }
        group.count += taken;
        group.sum += value * taken as f64;
        group.sum_squares += value * value * taken as f64;
        group.limit = *value;
    }
    (group.count > 0).then_some(group)
}

#[cfg(test)]
mod tests {
    use super::{Distribution, milliseconds};
    use proptest::prelude::*;
    use zibrato::Summary;

    fn kept(readings: impl IntoIterator<Item = f64>) -> Summary {
        let mut summary = Summary::keeping(1_000);
        readings.into_iter().for_each(|reading| summary.record(reading));
        summary
    }

    #[test]
    fn milliseconds_are_those_of_the_client() {
        for tenths in 0..100_000_u32 {
            let given = f64::from(tenths) / 10.0;
            assert_eq!(milliseconds(given / 1e3), given);
        }
        for seconds in [1.0 / 3.0, 1e300, 1e-300] {
            assert_eq!(milliseconds(seconds), seconds * 1e3);
        }
    }

    #[test]
    fn the_smallest_and_the_largest_readings_have_their_own_statistics() {
        let ten = Distribution::of(&kept((1..=10).rev().map(f64::from)), false).unwrap();
        let of = |group: super::Group| (group.count, group.sum, group.sum_squares, group.limit);
        assert_eq!(ten.smallest(9).map(of), Some((9, 45.0, 285.0, 9.0)));
        assert_eq!(ten.largest(2).map(of), Some((2, 19.0, 181.0, 9.0)));
        assert_eq!((ten.smallest(0), ten.smallest(99).map(|all| all.count)), (None, Some(10)));
        assert_eq!((ten.median(), ten.mean(), ten.std), (5.5, 5.5, 2.872_281_323_269_014_3));
        assert_eq!([ten.between(0.0, 5.0), ten.between(5.0, f64::INFINITY)], [4, 6]);
        assert!(Distribution::of(&Summary::new(), false).is_none());
    }

    proptest! {
        #[test]
        fn a_sketch_gives_nearly_the_same(
            readings in prop::collection::vec(1e-6..1e4, 1..200),
            most in 1_u64..200,
        ) {
            let exact = Distribution::of(&kept(readings.clone()), true).unwrap();
            let sketched = Distribution::of(&readings.into_iter().collect(), true).unwrap();
            let near = |a: f64, b: f64| (a - b).abs() <= 0.008 * a.abs() + 1e-9;
            let (a, b) = (exact.smallest(most).unwrap(), sketched.smallest(most).unwrap());
            prop_assert_eq!(a.count, b.count);
            prop_assert!(near(a.sum, b.sum) && near(a.limit, b.limit), "{:?} {:?}", a, b);
            prop_assert!(near(exact.median(), sketched.median()));
            prop_assert!(near(exact.sum, sketched.sum) && exact.max == sketched.max);
        }
    }
}
