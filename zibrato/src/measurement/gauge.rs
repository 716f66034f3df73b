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
    /// Number of readings. 0 if nobody set the gauge in the interval; see [`idle`](Self::idle).
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

    /// A gauge that nobody set in the interval, and the last reading before it. Minimum and maximum
    /// are that reading too.
    ///
    /// ```
    /// use zibrato::Gauge;
    /// let mut depth = Gauge::idle(7.0, 1_000);
    /// assert_eq!((depth.last, depth.count, depth.mean()), (7.0, 0, 7.0));
    /// // A reading takes the place of what was before the interval.
    /// depth.merge(&Gauge::reading(2.0, 1_500));
    /// assert_eq!((depth.last, depth.count, depth.max), (2.0, 1, 2.0));
    /// ```
    #[must_use]
    pub const fn idle(last: f64, at_ms: u64) -> Self {
        Self { last, at_ms, count: 0, sum: 0.0, min: last, max: last }
    }

    /// Whether there is no reading in the interval; see [`idle`](Self::idle).
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.count == 0
    }

    /// Adds the readings of `other`. The later reading becomes the last one. If both have the same
    /// time in whole milliseconds, that of `other` does. Windows add batches in the order in which
    /// the broker received them, so every worker has the same last reading. If only one of the two
    /// has readings, the other one is ignored.
    ///
    /// ```
    /// use zibrato::Gauge;
    /// let mut depth = Gauge::reading(4.0, 1_000);
    /// depth.merge(&Gauge::reading(2.0, 500));
    /// assert_eq!((depth.last, depth.count, depth.min), (4.0, 2, 2.0));
    /// ```
    pub fn merge(&mut self, other: &Self) {
        if self.is_idle() != other.is_idle() {
            if self.is_idle() {
                *self = *other;
            }
            return;
        }
        if other.at_ms >= self.at_ms {
            self.last = other.last;
            self.at_ms = other.at_ms;
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = finite_sum(self.sum, other.sum);
        if self.is_idle() {
            (self.min, self.max) = (self.last, self.last);
            return;
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The mean of the readings; the last reading if there is none in the interval.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.is_idle() { self.last } else { self.sum / self.count as f64 }
    }

    pub(crate) fn is_finite(&self) -> bool {
        [self.last, self.sum, self.min, self.max].iter().all(|v| v.is_finite()) && self.count > 0
    }
}

#[cfg(test)]
mod tests {
    use super::Gauge;

    #[test]
    fn readings_take_the_place_of_what_was_before() {
        let (idle, later) = (Gauge::idle(9.0, 5_000), Gauge::idle(1.0, 6_000));
        let reading = Gauge::reading(2.0, 1_000);
        for (one, other, expected) in [
            (idle, reading, reading),
            (reading, idle, reading),
            (idle, later, later),
            (later, idle, later),
        ] {
            let mut all = one;
            all.merge(&other);
            assert_eq!(all, expected, "{one:?} {other:?}");
        }
    }
}
