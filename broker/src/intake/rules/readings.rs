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
    let mut summary = Summary::new();
    match line.kind {
        Kind::Counter => Fold::Counter(number),
        Kind::Histogram => {
            let mut histogram = Histogram::default();
            histogram.summary.record(number);
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

/// The time of a gauge's last reading, in Unix seconds.
pub(crate) fn time(readings: &Fold) -> Option<f64> {
    match readings {
        Fold::Gauge(Some(gauge)) => Some(gauge.at_ms as f64 / 1e3),
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
        Fold::Counter(sum) => *sum *= scale,
        Fold::Gauge(Some(gauge)) => {
            let (min, max) = (gauge.min * scale, gauge.max * scale);
            gauge.last *= scale;
            gauge.sum *= scale;
            (gauge.min, gauge.max) = (min.min(max), min.max(max));
        }
        Fold::Timer(summary) => **summary = scaled_summary(summary, scale),
        Fold::Histogram(histogram) => histogram.summary = scaled_summary(&histogram.summary, scale),
        _ => {}
    }
    scaled
}

/// Percentiles are as exact as those of a sketch of a sketch: each bucket is moved as a whole.
fn scaled_summary(summary: &Summary, scale: f64) -> Summary {
    let (min, max) = (summary.min() * scale, summary.max() * scale);
    let squares = summary.sum_squares() * scale * scale;
    let deviations = summary.squared_deviations() * scale * scale;
    let sum = summary.sum() * scale;
    let mut scaled = Summary::folded(summary.count(), sum, min.min(max), min.max(max), squares)
        .with_squared_deviations(deviations);
    for (bucket, times) in summary.sketch().buckets() {
        let middle = Sketch::middle(bucket).unwrap_or_default() * scale;
        scaled.sketch_mut().add(middle, u32::try_from(times).unwrap_or(u32::MAX));
    }
    scaled
}
