//! Count, mean and sum of squared deviations from the mean, combined without cancellation.
//!
//! The difference between a sum of squares and the square of a sum loses all digits when readings
//! are close to each other: of 1000 s ± 1 µs nothing is left. So readings are added by Welford's
//! algorithm (Technometrics 4, 1962), and parts are combined by that of Chan, Golub and LeVeque
//! (1979).

use crate::measurement::finite_sum;

/// The moments of any number of readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moments {
    pub(crate) count: u64,
    /// 0 when there is no reading.
    pub(crate) mean: f64,
    /// The sum of squared deviations from the mean; finite.
    pub(crate) deviations: f64,
}

impl Moments {
    pub(crate) const fn new() -> Self {
        Self { count: 0, mean: 0.0, deviations: 0.0 }
    }

    /// The moments of readings that another program summarized. Values that are impossible for
    /// `count` readings between `min` and `max` become the nearest possible ones.
    pub(crate) const fn folded(
        count: u64,
        sum: f64,
        (min, max): (f64, f64),
        deviations: f64,
    ) -> Self {
        let mean = mean(count, sum, min, max);
        Self { count, mean, deviations: possible(deviations, count, mean, min, max) }
    }

    /// Adds a finite reading.
    pub(crate) fn add(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        let (count, before) = (self.count as f64, value - self.mean);
        if before.is_finite() {
            self.mean += before / count;
            self.deviations = finite_sum(self.deviations, before * (value - self.mean));
        } else {
            self.mean += value / count - self.mean / count;
            self.deviations = f64::MAX;
        }
    }

    /// Adds the readings of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let share = theirs / (ours + theirs);
        let apart = other.mean - self.mean;
        self.count = self.count.saturating_add(other.count);
        self.deviations = finite_sum(self.deviations, other.deviations);
        if apart.is_finite() {
            self.mean += apart * share;
            self.deviations = finite_sum(self.deviations, apart * apart * (ours * share));
        } else {
            self.mean = self.mean * (1.0 - share) + other.mean * share;
            self.deviations = f64::MAX;
        }
    }
}

/// The mean of `count` readings, clamped to the range from the smallest to the largest.
const fn mean(count: u64, sum: f64, min: f64, max: f64) -> f64 {
    if count == 0 { 0.0 } else { (sum / count as f64).max(min).min(max) }
}

/// The sum of squared deviations, from the sum of squares. The closer readings are to each other,
/// the less exact it is.
pub(crate) const fn from_squares(count: u64, sum: f64, sum_squares: f64) -> f64 {
    sum_squares - sum * (sum / count as f64)
}

/// The nearest possible sum for `count` readings. It is smallest if all but the two extremes are in
/// the middle between them, and largest if every reading is one of the two extremes.
const fn possible(deviations: f64, count: u64, mean: f64, min: f64, max: f64) -> f64 {
    let range = max - min;
    if count < 2 || range <= 0.0 {
        return 0.0;
    }
    let least = range * range / 2.0;
    let most = count as f64 * ((max - mean) * (mean - min));
    deviations.min(most).max(least).min(f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Moments, from_squares};
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::new();
        values.iter().for_each(|value| moments.add(*value));
        moments
    }

    /// The sum of squared deviations of whole numbers, exactly: `(n Σv² - (Σv)²) / n`.
    fn exact(values: &[i64]) -> f64 {
        let count = i128::try_from(values.len()).unwrap();
        let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
        let squares: i128 = values.iter().map(|value| i128::from(*value).pow(2)).sum();
        (count * squares - sum * sum) as f64 / count as f64
    }

    #[test]
    fn readings_that_are_close_to_each_other_keep_their_deviation() {
        // In whole microseconds the reference is exact; 1e9 µs are 1000 s.
        let values: Vec<i64> = (0..100_000).map(|n| 1_000_000_000 + n % 3 - 1).collect();
        let moments = of(&values.iter().map(|value| *value as f64 / 1e6).collect::<Vec<_>>());
        let exact = exact(&values) * 1e-12;
        assert!((moments.deviations / exact - 1.0).abs() < 1e-6, "{moments:?} {exact}");
    }

    #[test]
    fn equal_readings_have_no_deviation_in_any_combination() {
        let mut all = Moments::new();
        for thread in 1..=24 {
            all.merge(&of(&vec![0.1; thread * 7]));
            // As another process would report it, with the rounding errors of its sum.
            let sum = (0..thread).map(|_| 0.1).sum();
            let squares = (0..thread).map(|_| 0.1 * 0.1).sum();
            let count = thread as u64;
            let deviations = from_squares(count, sum, squares);
            all.merge(&Moments::folded(count, sum, (0.1, 0.1), deviations));
        }
        assert_eq!((all.mean, all.deviations), (0.1, 0.0));
    }

    #[test]
    fn impossible_values_become_the_nearest_possible_ones() {
        let of = |count, sum, range, deviations| {
            Moments::folded(count, sum, range, deviations).deviations
        };
        assert_eq!(of(2, 3.0, (1.0, 2.0), 0.0), 0.5);
        assert_eq!(of(4, 6.0, (1.0, 2.0), 1e9), 1.0);
        assert_eq!(of(1, 3.0, (3.0, 3.0), 1e9), 0.0);
        assert_eq!(of(9, 27.0, (3.0, 3.0), f64::NAN), 0.0);
        assert_eq!(of(4, 6.0, (1.0, 2.0), 0.75), 0.75);
        assert_eq!(of(0, 0.0, (f64::INFINITY, f64::NEG_INFINITY), 0.0), 0.0);
        // The sum of these is more than their largest; the mean is not.
        assert_eq!(Moments::folded(2, 9.0, (1.0, 2.0), 0.0).mean, 2.0);
    }

    #[test]
    fn the_deviation_is_always_finite() {
        for values in [
            &[f64::MAX, f64::MIN, f64::MAX][..],
            &[f64::MAX, f64::MAX],
            &[1e200, -1e200, 0.0],
            &[5e-324, 0.0],
        ] {
            let whole = of(values);
            let mut parts = Moments::new();
            values.iter().for_each(|value| parts.merge(&of(&[*value])));
            for moments in [whole, parts] {
                assert!(moments.mean.is_finite() && moments.deviations.is_finite(), "{moments:?}");
                assert!(moments.deviations >= 0.0, "{moments:?}");
            }
        }
        let mut many = Moments { count: u64::MAX, ..of(&[1.0]) };
        many.add(1.0);
        many.merge(&of(&[1.0, 2.0]));
        assert_eq!(many.count, u64::MAX);
    }

    proptest! {
        #[test]
        fn whole_and_parts_are_as_exact_as_integers(
            values in prop::collection::vec(-1000..1000_i64, 1..200),
            offset in prop::sample::select(vec![0, 1_000_000_000, 1_000_000_000_000]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        ) {
            let whole: Vec<i64> = values.iter().map(|value| value + offset).collect();
            let doubles: Vec<f64> = whole.iter().map(|value| *value as f64).collect();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(values.len())).collect();
            cuts.extend([0, values.len()]);
            cuts.sort_unstable();
            let mut merged = Moments::new();
            cuts.windows(2).for_each(|cut| merged.merge(&of(&doubles[cut[0]..cut[1]])));
            let exact = exact(&whole);
            for moments in [of(&doubles), merged] {
                prop_assert_eq!(moments.count, values.len() as u64);
                // An error of at most a thousandth of a reading.
                prop_assert!(
                    (moments.deviations - exact).abs() <= exact * 1e-6 + 1e-6 * values.len() as f64,
                    "{:?} {}", moments, exact
                );
            }
        }
    }
}
