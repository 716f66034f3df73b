//! The points of a series.
//!
//! Pure.

use super::accept::{Omitted, Range};
use super::flags::Timers;
use zibrato::window::Fold;
use zibrato::{Gauge, Summary};

/// The API rejects a request with a larger number.
const MAX_NUMBER: f64 = 1e126;

/// A time, and the readings of a series at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) time: u64,
    pub(super) reading: Reading,
}

/// One reading, or the summary of several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reading {
    One(f64),
    Many { count: u64, sum: f64, min: f64, max: f64, more: More },
}

/// What is known of several readings beyond the usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum More {
    /// The last one of a gauge.
    Last(f64),
    Spread {
        sum_squares: f64,
        stddev: f64,
    },
}

impl Point {
    /// Why the API would not accept the point; `None` if it would.
    pub(super) fn refused(&self, times: Range) -> Option<Omitted> {
        times.outside(self.time).or_else(|| (!self.reading.fits()).then_some(Omitted::Number))
    }
}

impl Reading {
    fn fits(&self) -> bool {
        let small = |value: f64| value.abs() <= MAX_NUMBER;
        match *self {
            Self::One(value) => small(value),
            Self::Many { sum, min, max, more, .. } => {
                let more = match more {
                    More::Last(last) => small(last),
                    More::Spread { sum_squares, stddev } => small(sum_squares) && small(stddev),
                };
                small(sum) && small(min) && small(max) && more
            }
        }
    }

    fn of_gauge(gauge: &Gauge) -> Self {
        // A gauge that nobody set in the window has its last value.
        if gauge.count <= 1 {
            return Self::One(gauge.last);
        }
        let Gauge { count, sum, min, max, last, .. } = *gauge;
        Self::Many { count, sum, min, max, more: More::Last(last) }
    }

    fn of_summary(summary: &Summary) -> Self {
        if summary.count() == 1 {
            return Self::One(summary.sum());
        }
        Self::Many {
            count: summary.count(),
            sum: summary.sum(),
            min: summary.min(),
            max: summary.max(),
            more: More::Spread { sum_squares: summary.sum_squares(), stddev: summary.stddev() },
        }
    }
}

/// Calls `each` with every point of a series. `stamp` is the window's.
pub(super) fn points(value: &Fold, stamp: u64, timers: Timers, mut each: impl FnMut(Point)) {
    let mut at_stamp = |reading| each(Point { time: stamp, reading });
    if let Some(summary) = value.summary() {
        match summary.readings().filter(|_| timers == Timers::Raw) {
            Some(readings) => readings.iter().for_each(|value| at_stamp(Reading::One(*value))),
            None if summary.is_empty() => {}
            None => at_stamp(Reading::of_summary(summary)),
        }
        return;
    }
    match value {
        Fold::Counter(sum) => at_stamp(Reading::One(*sum)),
        Fold::Gauge(gauge) => gauge.iter().for_each(|gauge| at_stamp(Reading::of_gauge(gauge))),
        Fold::GaugeSeconds(gauge) => {
            for second in gauge.seconds() {
                // A value from before the window is repeated at the window's time.
                let time = if second.is_idle() { stamp } else { second.at_ms / 1000 };
                each(Point { time, reading: Reading::of_gauge(second) });
            }
        }
        Fold::Set(members) => at_stamp(Reading::One(members.len() as f64)),
        _ => {} // a kind that a later version may add
    }
}
