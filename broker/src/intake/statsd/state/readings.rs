//! The readings of a timer or a histogram in one interval. A summary is made of them when there are
//! many, or at the end.

use crate::line_windows::FEW_READINGS;
use zibrato::Summary;

/// Maximum number of readings that are kept one by one. As many are published one by one, so that
/// workers know percentiles exactly.
const FEW: usize = FEW_READINGS;

/// The readings of one interval.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    /// The last readings. They are added to the summary together, because a summary takes up many
    /// lines of the processor's cache.
    few: Vec<f64>,
    /// The readings before them, if there are more than a few.
    many: Option<Box<Summary>>,
    /// Number of octaves in the sketch, and how many it may have.
    octaves: usize,
    most_octaves: usize,
    /// The part of a reading that sample rates have not yet added up to a whole one.
    rest: f64,
}

impl Readings {
    /// Adds a finite value, for itself and for those that its client did not send: with a rate of
    /// 0.1 it counts ten times. Keeps only the highest octaves of the sketch, at most
    /// `most_octaves`.
    pub(super) fn record(&mut self, value: f64, rate: f64, most_octaves: usize) {
        let times = if rate < 1.0 { self.times(rate) } else { 1 };
        if self.few.len() + times as usize <= FEW {
            if times == 1 {
                self.few.push(value);
            } else {
                self.few.extend(std::iter::repeat_n(value, times as usize));
            }
            return;
        }
        let many = self.many.get_or_insert_default();
        self.few.drain(..).for_each(|value| many.record(value));
        if times == 1 {
            self.few.push(value);
        } else {
            add(many, value, times);
        }
        many.collapse(most_octaves);
        (self.octaves, self.most_octaves) = (many.sketch().octaves(), most_octaves);
    }

    /// How often a reading counts. What is cut off is added to the next one, so that the count is
    /// within one of the sum of 1/rate.
    fn times(&mut self, rate: f64) -> u32 {
        let exact = 1.0 / rate + self.rest;
        // 1/rate is rounded, and may be just below a whole number.
        let is_whole = (exact - exact.round()).abs() < 1e-6;
        let whole = if is_whole { exact.round() } else { exact.floor() };
        self.rest = exact - whole;
        // Rates are at least 1e-9, so this is below 2^31.
        whole as u32
    }

    pub(super) fn count(&self) -> u64 {
        self.many.as_ref().map_or(0, |many| many.count()) + self.few.len() as u64
    }

    /// Number of octaves in the sketch.
    pub(super) const fn octaves(&self) -> usize {
        self.octaves
    }

    /// Returns the readings, and begins the next interval.
    pub(super) fn take(&mut self) -> Box<Summary> {
        self.octaves = 0;
        let Some(mut many) = self.many.take() else {
            let mut few = Box::new(Summary::keeping(FEW));
            self.few.drain(..).for_each(|value| few.record(value));
            return few;
        };
        self.few.drain(..).for_each(|value| many.record(value));
        many.collapse(self.most_octaves);
        many
    }
}

/// Adds a value that occurred several times.
fn add(summary: &mut Summary, value: f64, times: u32) {
    if times == 1 {
        return summary.record(value);
    }
    if times == 0 {
        return;
    }
    let count = f64::from(times);
    let limited = |value: f64| value.clamp(f64::MIN, f64::MAX);
    let (sum, squares) = (limited(value * count), limited(value * value * count));
    let same = Summary::folded(u64::from(times), sum, value, value, squares);
    summary.merge_exact(&same.with_squared_deviations(0.0));
    summary.sketch_mut().add(value, times);
}

#[cfg(test)]
mod tests {
    use super::{FEW, Readings};
    use zibrato::Summary;

    fn of(values: impl IntoIterator<Item = (f64, f64)>) -> Readings {
        let mut readings = Readings::default();
        values.into_iter().for_each(|(value, rate)| readings.record(value, rate, 64));
        readings
    }

    #[test]
    fn few_and_many_readings_have_the_same_summary() {
        for count in [1, FEW, FEW + 1, 10 * FEW] {
            let values = || (0..count).map(|n| n as f64 / 8.0);
            let summary = of(values().map(|value| (value, 1.0))).take();
            let expected: Summary = values().collect();
            assert_eq!((summary.count(), summary.sum()), (expected.count(), expected.sum()));
            assert_eq!(summary.sketch(), expected.sketch());
            let all: Vec<_> = values().collect();
            assert_eq!(summary.readings(), (count <= FEW).then_some(&*all));
        }
    }

    #[test]
    fn a_sampled_reading_counts_several_times() {
        let few = of([(0.5, 0.1)]).take();
        assert_eq!((few.count(), few.sum(), few.max()), (10, 5.0, 0.5));
        let many = of([(2.0, 0.001)]).take();
        assert_eq!((many.count(), many.sum(), many.sum_squares()), (1000, 2e3, 4e3));
        assert_eq!((many.stddev(), many.sketch().count()), (0.0, 1000));
    }

    #[test]
    fn fractions_of_a_rate_add_up() {
        assert_eq!(of([(1.0, 0.3); 3]).count(), 10);
        assert_eq!(of([(1.0, 0.7); 7000]).count(), 10_000);
        for rate in (1..=1000).map(|n| f64::from(n) / 1000.0) {
            let count = of([(1.0, rate); 100]).count() as f64;
            assert!((count - 100.0 / rate).abs() < 1.0, "{rate}: {count}");
        }
    }

    #[test]
    fn huge_readings_stay_finite() {
        let summary = of([(1e300, 1e-9), (1e300, 1.0), (-1e300, 1e-9)]).take();
        assert!(summary.sum().is_finite() && summary.sum_squares().is_finite());
        assert_eq!(summary.count(), 2_000_000_001);
    }

    #[test]
    fn nothing_remains_after_the_interval() {
        let mut readings = of((0..100).map(|n| (f64::from(n), 1.0)));
        readings.take();
        readings.record(1.0, 1.0, 64);
        assert_eq!((readings.count(), readings.take().count(), readings.count()), (1, 1, 0));
    }
}
