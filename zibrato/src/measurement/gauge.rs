//! A gauge summarized over an interval: the last reading and its time, with count, sum, min and
//! max.

use super::finite_sum;

/// The readings of one gauge over an interval.
///
/// It serves backends that store the last reading (Carbon) and backends that store a summary
/// (Librato).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Gauge {
    /// The latest reading.
    pub last: f64,
    /// Time of the latest reading, in Unix milliseconds.
    pub at_ms: u64,
    /// Number of readings.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Gauge {
    /// One reading, taken at `at_ms` (Unix milliseconds).
    #[must_use]
    pub const fn reading(value: f64, at_ms: u64) -> Self {
        Self { last: value, at_ms, count: 1, sum: value, min: value, max: value }
    }

    /// Several readings that another program summarized.
    #[must_use]
    pub const fn folded(last: f64, at_ms: u64, count: u64, sum: f64, min: f64, max: f64) -> Self {
        Self { last, at_ms, count, sum, min, max }
    }

    /// Adds the readings of `other`. The later reading becomes the last one. If both have the same
    /// time in whole milliseconds, that of `other` does. Windows add batches in the order in which
    /// the broker received them, so every worker has the same last reading.
    ///
    /// ```
    /// use zibrato::Gauge;
    /// let mut depth = Gauge::reading(4.0, 1_000);
    /// depth.merge(&Gauge::reading(2.0, 500));
    /// assert_eq!((depth.last, depth.count, depth.min), (4.0, 2, 2.0));
    /// ```
    pub fn merge(&mut self, other: &Self) {
        if other.at_ms >= self.at_ms {
            self.last = other.last;
            self.at_ms = other.at_ms;
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = finite_sum(self.sum, other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The mean of the readings.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    pub(crate) fn is_finite(&self) -> bool {
        [self.last, self.sum, self.min, self.max].iter().all(|v| v.is_finite()) && self.count > 0
    }
}
