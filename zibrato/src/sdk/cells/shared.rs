//! A cell that all threads share: the readings of one series between two intervals.
//!
//! Any number of threads add, and only the sender takes. Adding a whole number is one atomic
//! addition. Everything else takes a lock for a few instructions.

use super::amount::Number;
use super::lock;
use super::ticks::Moment;
use crate::measurement::{Gauge, finite_sum};
use crate::summary::Summary;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A timer or histogram stores up to this many readings individually, because a summary would be larger.
const MAX_READINGS: usize = 16;

/// Maximum number of readings per interval that a gauge with `each` stores individually. Further
/// readings are merged.
pub(crate) const MAX_KEPT: usize = 1000;

/// A sum of whole numbers beyond this is converted to a double. The other half of the range of
/// `i64` leaves room for 511 threads that add 2^53 each before one of them has converted the sum.
const MAX_WHOLE_SUM: u64 = 1 << 62;

/// The readings of one series since the sender last took them.
#[derive(Debug)]
pub(crate) struct SharedCell {
    whole: AtomicI64,
    rest: Mutex<Rest>,
    /// The number of readings that were ever recorded.
    made: AtomicU64,
    /// The number of readings that were taken. Only the sender writes it.
    taken: AtomicU64,
}

#[derive(Debug)]
struct Rest {
    fraction: f64,
    gauge: Option<Gauge>,
    /// The time of the last reading of the gauge.
    read_at: Moment,
    /// Unix milliseconds and the value at that time.
    kept: Vec<(u64, f64)>,
    readings: Vec<f64>,
    summary: Summary,
}

impl Rest {
    const fn new() -> Self {
        Self {
            fraction: 0.0,
            gauge: None,
            read_at: Moment::from_bits(0),
            kept: Vec::new(),
            readings: Vec::new(),
            summary: Summary::new(),
        }
    }

    fn fold(&mut self, reading: &Gauge) {
        match &mut self.gauge {
            Some(gauge) => gauge.merge(reading),
            none => *none = Some(*reading),
        }
    }
}

impl SharedCell {
    pub(crate) const fn new() -> Self {
        Self {
            whole: AtomicI64::new(0),
            rest: Mutex::new(Rest::new()),
            made: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        }
    }

    /// Adds to a counter.
    pub(crate) fn add(&self, amount: Number) {
        match amount {
            Number::Whole(amount) => {
                let before = self.whole.fetch_add(amount, Ordering::Relaxed);
                if before.unsigned_abs() > MAX_WHOLE_SUM {
                    self.move_whole();
                }
            }
            Number::Float(amount) => {
                let mut rest = lock(&self.rest);
                rest.fraction = finite_sum(rest.fraction, amount);
            }
        }
        // Release: a thread that sees the new number of readings also sees what the reading added.
        self.made.fetch_add(1, Ordering::Release);
    }

    /// Converts the sum of whole numbers to a double before it overflows. It includes what other
    /// threads added meanwhile.
    #[cold]
    fn move_whole(&self) {
        let mut rest = lock(&self.rest);
        let whole = self.whole.swap(0, Ordering::Relaxed);
        rest.fraction = finite_sum(rest.fraction, whole as f64);
    }

    /// Sets a gauge at `at_ms`, in Unix milliseconds.
    pub(crate) fn set(&self, value: f64, at_ms: u64) {
        let mut rest = lock(&self.rest);
        rest.fold(&Gauge::reading(value, at_ms));
        rest.read_at = Moment::now();
        self.made.fetch_add(1, Ordering::Release);
    }

    /// Sets a gauge that keeps every reading.
    pub(crate) fn keep(&self, value: f64, at_ms: u64) {
        let mut rest = lock(&self.rest);
        if rest.kept.len() < MAX_KEPT {
            rest.kept.push((at_ms, value));
        } else {
            rest.fold(&Gauge::reading(value, at_ms));
        }
        self.made.fetch_add(1, Ordering::Release);
    }

    /// The time of the last reading of the gauge.
    pub(crate) fn read_at(&self) -> Moment {
        lock(&self.rest).read_at
    }

    /// Records a reading of a histogram, or a duration in seconds.
    pub(crate) fn record(&self, value: f64) {
        let mut rest = lock(&self.rest);
        if !rest.summary.is_empty() {
            rest.summary.record(value);
        } else if rest.readings.len() < MAX_READINGS {
            rest.readings.push(value);
        } else {
            rest.summary = rest.readings.drain(..).chain([value]).collect();
        }
        self.made.fetch_add(1, Ordering::Release);
    }

    /// The number of readings that were ever recorded.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Acquire)
    }

    /// Takes the readings, if there are any. Only one thread may call it at a time.
    pub(crate) fn take(&self, kind: crate::Kind) -> Option<Taken> {
        let taken = self.taken.load(Ordering::Relaxed);
        if self.made() == taken {
            return None;
        }
        let mut rest = lock(&self.rest);
        // Read under the lock, so that it is the number of the readings that are taken.
        let made = self.made();
        let value = match kind {
            crate::Kind::Counter => {
                let whole = self.whole.swap(0, Ordering::Relaxed);
                TakenValue::Counter(finite_sum(whole as f64, std::mem::take(&mut rest.fraction)))
            }
            crate::Kind::Gauge if rest.kept.is_empty() => TakenValue::Gauge(rest.gauge.take()?),
            crate::Kind::Gauge => {
                TakenValue::GaugeReadings(std::mem::take(&mut rest.kept), rest.gauge.take())
            }
            crate::Kind::Histogram | crate::Kind::Timer if rest.summary.is_empty() => {
                TakenValue::Readings(std::mem::take(&mut rest.readings))
            }
            crate::Kind::Histogram | crate::Kind::Timer => {
                TakenValue::Summary(std::mem::take(&mut rest.summary))
            }
            crate::Kind::Set => return None,
        };
        self.taken.store(made, Ordering::Relaxed);
        Some(Taken { readings: made - taken, value })
    }

    /// Discards everything, as if nothing had ever been measured.
    pub(crate) fn clear(&self) {
        let mut rest = lock(&self.rest);
        self.whole.store(0, Ordering::Relaxed);
        *rest = Rest::new();
        self.made.store(0, Ordering::Relaxed);
        self.taken.store(0, Ordering::Relaxed);
    }
}

/// The readings that were taken from a cell.
#[derive(Debug, PartialEq)]
pub(crate) struct Taken {
    /// The number of readings.
    pub(crate) readings: u64,
    pub(crate) value: TakenValue,
}

#[derive(Debug, PartialEq)]
pub(crate) enum TakenValue {
    Counter(f64),
    Gauge(Gauge),
    /// Individual readings, and the merged readings beyond the limit.
    GaugeReadings(Vec<(u64, f64)>, Option<Gauge>),
    /// Of a timer or a histogram.
    Summary(Summary),
    /// Individual readings of a timer or a histogram.
    Readings(Vec<f64>),
}

impl Taken {
    /// Merges these readings with others of the same series.
    pub(crate) fn with(mut self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        self.readings += other.readings;
        match (&mut self.value, other.value) {
            (TakenValue::Counter(sum), TakenValue::Counter(more)) => *sum = finite_sum(*sum, more),
            (TakenValue::Gauge(gauge), TakenValue::Gauge(more)) => gauge.merge(&more),
            (TakenValue::Summary(all), TakenValue::Summary(more)) => all.merge(&more),
            (TakenValue::Summary(all), TakenValue::Readings(more)) => {
                more.into_iter().for_each(|seconds| all.record(seconds));
            }
            (TakenValue::Readings(all), TakenValue::Readings(more)) => {
                let summary = all.drain(..).chain(more).collect();
                self.value = TakenValue::Summary(summary);
            }
            (TakenValue::Readings(all), TakenValue::Summary(mut more)) => {
                all.drain(..).for_each(|seconds| more.record(seconds));
                self.value = TakenValue::Summary(more);
            }
            (_, _) => debug_assert!(false, "a series has one kind"),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{SharedCell, TakenValue};
    use crate::Kind;
    use crate::sdk::cells::amount::Number;

    #[test]
    fn whole_counts_go_on_beyond_64_bits() {
        for most in [1_i64 << 53, -(1 << 53)] {
            let cell = SharedCell::new();
            (0..5000).for_each(|_| cell.add(Number::Whole(most)));
            cell.add(Number::Float(0.5));
            let taken = cell.take(Kind::Counter).unwrap();
            assert_eq!(taken.value, TakenValue::Counter(5000.0 * most as f64));
        }
    }
}
