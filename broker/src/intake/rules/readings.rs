//! The value that stands for readings in rules and scripts, and readings with another value.

use super::Output;
use std::collections::BTreeSet;
use zibrato::window::{Fold, Histogram};
use zibrato::wire::{Line, LineValue};
use zibrato::{Gauge, Kind, Sketch, Summary};

/// The readings of one line.
pub(crate) fn of_line(line: &Line<'_>) -> Fold {
    let number = match line.value {
        LineValue::Number(number) => number,
        LineValue::Member(member) => return Fold::Set(BTreeSet::from([Box::from(member)])),
    };
    let mut summary = Summary::keeping(1);
    match line.kind {
        Kind::Counter => Fold::Counter(number),
        Kind::Histogram => {
            let mut histogram = Histogram::default();
            summary.record(number);
            histogram.summary = summary;
            Fold::Histogram(Box::new(histogram))
        }
        Kind::Timer => {
            summary.record(number);
            Fold::Timer(Box::new(summary))
        }
        _ => Fold::Gauge(Some(Gauge::reading(number, line.timestamp_ms()))),
    }
}

/// The value that stands for readings: the sum of a counter, the last reading of a gauge, the mean of a
/// timer or a histogram, and the number of members of a set.
pub(crate) fn value(readings: &Fold) -> f64 {
    match readings {
        Fold::Counter(sum) => *sum,
        Fold::Gauge(gauge) => gauge.map_or(0.0, |gauge| gauge.last),
        Fold::Set(members) => members.len() as f64,
        other => other.summary().map_or(0.0, Summary::mean),
    }
}

/// The time of a gauge's last reading, in Unix seconds. `None` if its last value is repeated, which is
/// valid now.
pub(crate) fn time(readings: &Fold) -> Option<f64> {
    match readings {
        Fold::Gauge(Some(gauge)) if !gauge.is_idle() => Some(gauge.at_ms as f64 / 1e3),
        _ => None,
    }
}

/// The readings as rules change them. A script can change the value of a counter or a gauge, and the
/// time of a gauge. `time` is the time before.
pub(crate) fn changed(readings: &Fold, to: &Output<'_>, time: f64) -> Fold {
    let mut changed = scaled(readings, to.scale);
    match &mut changed {
        Fold::Counter(sum) => *sum = to.value,
        Fold::Gauge(Some(gauge)) => {
            if gauge.last != to.value {
                let is_idle = gauge.is_idle();
                let new = if is_idle { Gauge::idle } else { Gauge::reading };
                *gauge = new(to.value, gauge.at_ms);
            }
            if to.time != time {
                gauge.at_ms = (to.time * 1e3) as u64;
            }
        }
        _ => {}
    }
    changed
}

fn scaled(readings: &Fold, scale: f64) -> Fold {
    let mut scaled = readings.clone();
    if scale == 1.0 {
        return scaled;
    }
    match &mut scaled {
        Fold::Counter(sum) => *sum = times(*sum, scale),
        Fold::Gauge(Some(gauge)) => {
            let (min, max) = (times(gauge.min, scale), times(gauge.max, scale));
            gauge.last = times(gauge.last, scale);
            gauge.sum = times(gauge.sum, scale);
            (gauge.min, gauge.max) = (min.min(max), min.max(max));
        }
        Fold::Timer(summary) => **summary = scaled_summary(summary, scale),
        Fold::Histogram(histogram) => histogram.summary = scaled_summary(&histogram.summary, scale),
        _ => {}
    }
    scaled
}

/// The product, or the nearest finite number.
fn times(value: f64, scale: f64) -> f64 {
    (value * scale).clamp(f64::MIN, f64::MAX)
}

/// If the readings are not known one by one, percentiles are as exact as those of a sketch of a
/// sketch: each bucket is moved as a whole.
fn scaled_summary(summary: &Summary, scale: f64) -> Summary {
    if let Some(readings) = summary.readings() {
        let mut scaled = Summary::keeping(readings.len());
        readings.iter().for_each(|reading| scaled.record(times(*reading, scale)));
        return scaled;
    }
    let (min, max) = (times(summary.min(), scale), times(summary.max(), scale));
    let squares = times(times(summary.sum_squares(), scale), scale);
    let deviations = times(times(summary.squared_deviations(), scale), scale);
    let sum = times(summary.sum(), scale);
    let mut scaled = Summary::folded(summary.count(), sum, min.min(max), min.max(max), squares)
        .with_squared_deviations(deviations);
    for (bucket, count) in summary.sketch().buckets() {
        let middle = times(Sketch::middle(bucket).unwrap_or_default(), scale);
        let mut moved = Sketch::new();
        moved.add(middle, 1);
        for (bucket, _) in moved.buckets() {
            scaled.sketch_mut().add_to_bucket(bucket, count);
        }
    }
    scaled
}

#[cfg(test)]
mod tests {
    use super::{of_line, scaled};
    use zibrato::window::Fold;
    use zibrato::wire::{Line, LineValue};
    use zibrato::{Gauge, Kind, Sketch, Summary};

    fn scaled_timer(summary: Summary, scale: f64) -> Summary {
        match scaled(&Fold::Timer(Box::new(summary)), scale) {
            Fold::Timer(scaled) => *scaled,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn readings_that_are_kept_are_scaled_one_by_one() {
        let mut summary = Summary::keeping(9);
        [3.0, 1.0].into_iter().for_each(|value| summary.record(value));
        let scaled = scaled_timer(summary, -2.0);
        assert_eq!(scaled.readings(), Some(&[-6.0, -2.0][..]));
        assert_eq!((scaled.count(), scaled.min(), scaled.max()), (2, -6.0, -2.0));
        for kind in [Kind::Timer, Kind::Histogram] {
            let value = LineValue::Number(0.5);
            let line = Line { level: "a", kind, name: "b", value, timestamp: 0.0, source: "c" };
            let readings = of_line(&line);
            assert_eq!(readings.summary().unwrap().readings(), Some(&[0.5][..]));
        }
    }

    #[test]
    fn the_count_of_a_bucket_is_kept_beyond_32_bits() {
        let count = (1 << 40) + 3;
        let mut summary = Summary::folded(count, count as f64, 1.0, 1.0, count as f64);
        let mut one = Sketch::new();
        one.add(1.0, 1);
        summary.sketch_mut().add_to_bucket(one.buckets().next().unwrap().0, count);
        let scaled = scaled_timer(summary, 8.0);
        assert_eq!((scaled.count(), scaled.sketch().count()), (count, count));
    }

    #[test]
    fn scaled_readings_stay_finite() {
        let summary: Summary = [1e300, -1e300, 1e-300].into_iter().collect();
        let scaled_summary = scaled_timer(summary, 1e100);
        for value in [
            scaled_summary.sum(),
            scaled_summary.min(),
            scaled_summary.max(),
            scaled_summary.sum_squares(),
            scaled_summary.squared_deviations(),
        ] {
            assert!(value.is_finite(), "{scaled_summary:?}");
        }
        assert_eq!(scaled_summary.sketch().count(), 3);
        let gauge = Gauge::folded(1.0, 5, 2, 1e300, -1e300, 1e300);
        let Fold::Gauge(Some(gauge)) = scaled(&Fold::Gauge(Some(gauge)), -1e100) else {
            panic!("a gauge stays one")
        };
        assert_eq!((gauge.last, gauge.min, gauge.max), (-1e100, f64::MIN, f64::MAX));
        assert_eq!(gauge.sum, f64::MIN);
    }
}
