//! What a timer holds for an interval: exact count, sum, min, max and sum of squares, and a sketch.

use crate::measurement::finite_sum;
use crate::sketch::Sketch;

/// Many readings folded into one.
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
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    sum_squares: f64,
    sketch: Sketch,
}

impl Default for Summary {
    fn default() -> Self {
        Self::new()
    }
}

impl Summary {
    /// A summary of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum_squares: 0.0,
            sketch: Sketch::new(),
        }
    }

    /// A summary whose exact parts were folded elsewhere; its sketch is filled by
    /// [`sketch_mut`](Self::sketch_mut).
    #[must_use]
    pub const fn folded(count: u64, sum: f64, min: f64, max: f64, sum_squares: f64) -> Self {
        Self { count, sum, min, max, sum_squares, sketch: Sketch::new() }
    }

    /// Folds one reading in. NaN and infinities are ignored.
    pub fn record(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.count += 1;
        self.sum = finite_sum(self.sum, value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum_squares = finite_sum(self.sum_squares, value * value);
        self.sketch.add(value, 1);
    }

    /// Folds everything in that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.merge_exact(other.count, other.sum, other.min, other.max, other.sum_squares);
        self.sketch.merge(&other.sketch);
    }

    /// Folds the exact parts of another summary in; its buckets go to
    /// [`sketch_mut`](Self::sketch_mut).
    pub fn merge_exact(&mut self, count: u64, sum: f64, min: f64, max: f64, sum_squares: f64) {
        self.count = self.count.saturating_add(count);
        self.sum = finite_sum(self.sum, sum);
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        self.sum_squares = finite_sum(self.sum_squares, sum_squares);
    }

    /// Leaves the highest octaves of the sketch only; gives how many readings were below.
    #[cfg(feature = "window")]
    pub(crate) fn collapse(&mut self, most: usize) -> u64 {
        if self.sketch.octaves() <= most { 0 } else { self.sketch.collapse(most) }
    }

    /// How many readings were folded.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing was folded.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The sum of all readings.
    #[must_use]
    pub const fn sum(&self) -> f64 {
        self.sum
    }

    /// The smallest reading, exactly. Infinite when there was none.
    #[must_use]
    pub const fn min(&self) -> f64 {
        self.min
    }

    /// The largest reading, exactly. Negative infinite when there was none.
    #[must_use]
    pub const fn max(&self) -> f64 {
        self.max
    }

    /// The sum of the squares of all readings.
    #[must_use]
    pub const fn sum_squares(&self) -> f64 {
        self.sum_squares
    }

    /// The mean. NaN when there was no reading.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The standard deviation of the readings as a population. NaN when there was none.
    #[must_use]
    pub fn stddev(&self) -> f64 {
        let mean = self.mean();
        (self.sum_squares / self.count as f64 - mean * mean).max(0.0).sqrt()
    }

    /// The value below which the share `q` (0 to 1) of the readings lies: exact at 0 and 1, within
    /// 0.8 % between. `None` when there was no reading or `q` is not in 0 to 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.sketch.quantile(q).map(|value| {
            if q == 0.0 {
                self.min
            } else if q == 1.0 {
                self.max
            } else {
                // The middle of the outermost buckets may lie beyond what was really read.
                value.max(self.min).min(self.max)
            }
        })
    }

    /// The distribution of the readings.
    #[must_use]
    pub const fn sketch(&self) -> &Sketch {
        &self.sketch
    }

    /// The distribution, to be filled by whoever decodes one.
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
    fn quantiles_stay_between_min_and_max() {
        let one: Summary = [1.0].into_iter().collect();
        for q in [0.0, 0.5, 0.99, 1.0] {
            assert_eq!(one.quantile(q), Some(1.0));
        }
    }

    #[test]
    fn readings_whose_squares_are_no_doubles_leave_the_summary_finite() {
        let huge: Summary = [1e200, -1e308, -1e308].into_iter().collect();
        assert!(huge.sum().is_finite() && huge.sum_squares().is_finite());
        assert!(huge.stddev().is_finite());
    }

    #[test]
    fn a_constant_has_no_deviation() {
        let same: Summary = [0.1; 10].into_iter().collect();
        assert!(same.stddev() < 1e-8);
    }
}
