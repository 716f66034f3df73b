//! The summary of a timer or histogram over an interval: exact count, sum, min, max, squares and deviations, and
//! a sketch.

use crate::measurement::finite_sum;
use crate::moments::{self, Moments};
use crate::percentile::Percentile;
use crate::sketch::Sketch;

/// A summary of any number of readings.
///
/// ```
/// use zibrato::Summary;
/// let summary: Summary = [0.010, 0.020, 0.030].into_iter().collect();
/// assert_eq!((summary.count(), summary.min(), summary.max()), (3, 0.010, 0.030));
/// assert!((summary.mean() - 0.020).abs() < 1e-12);
/// assert!((summary.quantile(0.99).unwrap() - 0.030).abs() < 0.030 * 0.008);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    moments: Moments,
    sum: f64,
    min: f64,
    max: f64,
    sum_squares: f64,
    sketch: Sketch,
    kept: Option<Box<Kept>>,
}

/// Every reading of a summary, while there are few.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    readings: Vec<f64>,
    most: usize,
}

impl Default for Summary {
    fn default() -> Self {
        Self::new()
    }
}

impl Summary {
    /// An empty summary.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            moments: Moments::new(),
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum_squares: 0.0,
            sketch: Sketch::new(),
            kept: None,
        }
    }

    /// An empty summary that keeps [every reading](Self::readings), as long as there are at most
    /// `most`.
    ///
    /// ```
    /// use zibrato::Summary;
    /// let mut summary = Summary::keeping(2);
    /// summary.record(0.3);
    /// summary.record(0.1);
    /// assert_eq!(summary.readings(), Some(&[0.3, 0.1][..]));
    /// summary.record(0.2);
    /// assert_eq!((summary.readings(), summary.count()), (None, 3));
    /// ```
    #[must_use]
    pub fn keeping(most: usize) -> Self {
        let kept = Some(Box::new(Kept { readings: Vec::new(), most }));
        Self { kept, ..Self::new() }
    }

    /// A summary whose exact parts another program computed. Fill its sketch with
    /// [`sketch_mut`](Self::sketch_mut). Its deviations are computed from the sum of squares;
    /// [`with_squared_deviations`](Self::with_squared_deviations) gives exact ones.
    #[must_use]
    pub const fn folded(count: u64, sum: f64, min: f64, max: f64, sum_squares: f64) -> Self {
        let deviations = moments::from_squares(count, sum, sum_squares);
        let moments = Moments::folded(count, sum, (min, max), deviations);
        Self { moments, sum, min, max, sum_squares, sketch: Sketch::new(), kept: None }
    }

    /// The same summary with this sum of squared deviations from the mean. It can also be computed
    /// from the sum of squares, but loses its digits if readings are close to each other. An
    /// impossible value for readings between min and max becomes the nearest possible one.
    #[must_use]
    pub const fn with_squared_deviations(mut self, deviations: f64) -> Self {
        let range = (self.min, self.max);
        self.moments = Moments::folded(self.moments.count, self.sum, range, deviations);
        self
    }

    /// Adds one reading. NaN and infinities are ignored.
    pub fn record(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.moments.add(value);
        self.sum = finite_sum(self.sum, value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum_squares = finite_sum(self.sum_squares, value * value);
        self.sketch.add(value, 1);
        self.keep(&[value]);
    }

    /// Keeps further readings, or none if there are too many.
    fn keep(&mut self, more: &[f64]) {
        let Some(kept) = &mut self.kept else { return };
        if kept.readings.len() + more.len() <= kept.most {
            kept.readings.extend_from_slice(more);
        } else {
            self.kept = None;
        }
    }

    /// Adds all readings of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.merge_exact(other);
        self.sketch.merge(&other.sketch);
    }

    /// Adds the exact parts of another summary, but not its sketch. Add the buckets to
    /// [`sketch_mut`](Self::sketch_mut).
    pub fn merge_exact(&mut self, other: &Self) {
        self.moments.merge(&other.moments);
        self.sum = finite_sum(self.sum, other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum_squares = finite_sum(self.sum_squares, other.sum_squares);
        match other.readings() {
            Some(readings) => self.keep(readings),
            None if other.is_empty() => {}
            None => self.kept = None,
        }
    }

    /// Keeps only the highest octaves of the sketch, at most `most` and at least one; returns the
    /// number of readings below them, which then count as the lowest value that is kept.
    #[cfg(feature = "window")]
    pub fn collapse(&mut self, most: usize) -> u64 {
        if self.sketch.octaves() <= most { 0 } else { self.sketch.collapse(most) }
    }

    /// Number of readings that are kept.
    #[cfg(feature = "window")]
    pub(crate) fn kept(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.readings.len())
    }

    /// Keeps no readings any more.
    #[cfg(feature = "window")]
    pub(crate) fn keep_none(&mut self) {
        self.kept = None;
    }

    /// Every reading, in the order of their arrival; see [`keeping`](Self::keeping). `None` if they
    /// were not kept, because there were too many, or because a publisher summarized them.
    #[must_use]
    pub fn readings(&self) -> Option<&[f64]> {
        self.kept.as_ref().map(|kept| &*kept.readings)
    }

    /// Number of readings.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.moments.count
    }

    /// Whether there are no readings.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.moments.count == 0
    }

    /// The sum of all readings.
    #[must_use]
    pub const fn sum(&self) -> f64 {
        self.sum
    }

    /// The smallest reading, exactly. Infinite if there is none.
    #[must_use]
    pub const fn min(&self) -> f64 {
        self.min
    }

    /// The largest reading, exactly. Negative infinity if there is none.
    #[must_use]
    pub const fn max(&self) -> f64 {
        self.max
    }

    /// The sum of the squares of all readings.
    #[must_use]
    pub const fn sum_squares(&self) -> f64 {
        self.sum_squares
    }

    /// The sum of squared deviations from the mean. It keeps its digits if readings are close to
    /// each other, and is exactly 0 if all are equal.
    #[must_use]
    pub const fn squared_deviations(&self) -> f64 {
        self.moments.deviations
    }

    /// The mean. NaN if there is no reading.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count() as f64
    }

    /// The population standard deviation of the readings. NaN if there are none.
    #[must_use]
    pub fn stddev(&self) -> f64 {
        (self.moments.deviations / self.count() as f64).sqrt()
    }

    /// The quantile `q` (0 to 1) of the readings; see [`percentile`](Self::percentile). `None` if
    /// there is no reading or `q` is not in 0 to 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.percentile(Percentile::of_share(q)?)
    }

    /// The reading at the rank of a percentile: exact at 0 and 100, within 0.8 % between. `None` if
    /// there is no reading.
    ///
    /// ```
    /// use zibrato::Summary;
    /// let summary: Summary = [0.010, 0.020, 0.030].into_iter().collect();
    /// assert_eq!(summary.percentile("100".parse().unwrap()), Some(0.030));
    /// ```
    #[must_use]
    pub fn percentile(&self, percentile: Percentile) -> Option<f64> {
        self.sketch.percentile(percentile).map(|value| {
            if percentile.is_zero() {
                self.min
            } else if percentile.is_hundred() {
                self.max
            } else {
                // The middle of the outermost buckets may be beyond the extremes of the readings.
                value.max(self.min).min(self.max)
            }
        })
    }

    /// The distribution of the readings.
    #[must_use]
    pub const fn sketch(&self) -> &Sketch {
        &self.sketch
    }

    /// The distribution, for a decoder to fill.
    pub const fn sketch_mut(&mut self) -> &mut Sketch {
        &mut self.sketch
    }
}

impl FromIterator<f64> for Summary {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut summary = Self::new();
        values.into_iter().for_each(|value| summary.record(value));
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn merging_adds_the_exact_parts() {
        let mut a: Summary = [1.0, 2.0].into_iter().collect();
        a.merge(&[4.0].into_iter().collect());
        assert_eq!(
            (a.count(), a.sum(), a.min(), a.max(), a.sum_squares()),
            (3, 7.0, 1.0, 4.0, 21.0)
        );
        assert_eq!(a.sketch().count(), 3);
    }

    #[test]
    fn readings_are_kept_until_there_are_too_many_or_a_summary_comes() {
        let of = |values: &[f64]| {
            let mut summary = Summary::keeping(3);
            values.iter().for_each(|value| summary.record(*value));
            summary
        };
        let mut both = of(&[2.0, f64::NAN]);
        both.merge(&of(&[1.0]));
        both.merge(&Summary::new());
        assert_eq!(both.readings(), Some(&[2.0, 1.0][..]));
        for more in [of(&[3.0, 4.0]), [3.0].into_iter().collect()] {
            let mut all = both.clone();
            all.merge(&more);
            all.record(5.0);
            assert_eq!((all.readings(), all.count()), (None, 3 + more.count()));
        }
    }

    #[test]
    fn quantiles_stay_between_min_and_max() {
        let one: Summary = [1.0].into_iter().collect();
        for q in [0.0, 0.5, 0.99, 1.0] {
            assert_eq!(one.quantile(q), Some(1.0));
        }
    }

    #[test]
    fn one_slow_reading_of_a_thousand_is_not_the_99_9th_percentile() {
        let summary: Summary = std::iter::repeat_n(1e-9, 999).chain([3600.0]).collect();
        assert_eq!(summary.percentile("99.9".parse().unwrap()), Some(1e-9));
        assert_eq!(summary.quantile(0.999), Some(1e-9));
        assert_eq!(summary.percentile("99.91".parse().unwrap()), Some(3600.0));
    }

    #[test]
    fn the_summary_stays_finite_if_squares_overflow() {
        let huge: Summary = [1e200, -1e308, -1e308].into_iter().collect();
        assert!(huge.sum().is_finite() && huge.sum_squares().is_finite());
        assert!(huge.stddev().is_finite());
    }

    #[test]
    fn equal_readings_have_no_deviation() {
        let same: Summary = [0.1; 10].into_iter().collect();
        assert_eq!(same.stddev(), 0.0);
    }

    #[test]
    fn small_deviations_of_large_readings_are_kept() {
        let close: Summary =
            [1000.0 - 1e-6, 1000.0 + 1e-6].iter().cycle().take(1000).copied().collect();
        assert!((close.stddev() - 1e-6).abs() < 1e-12, "{}", close.stddev());
        // As from a publisher that sends no deviations: they are lost, but not enlarged.
        let (sum, squares) = (close.sum(), close.sum_squares());
        let old = Summary::folded(1000, sum, close.min(), close.max(), squares);
        assert!((0.0..=1.000_001e-6).contains(&old.stddev()), "{}", old.stddev());
    }

    #[test]
    fn a_full_count_saturates() {
        let mut full = Summary::folded(u64::MAX, 1.0, 1.0, 1.0, 1.0);
        full.record(1.0);
        assert_eq!(full.count(), u64::MAX);
    }
}
