//! Where the readings of one series gather between two intervals.
//!
//! Any number of threads add; only the sender takes. A whole count is one atomic addition, and
//! everything else goes under a lock that is held for a few instructions.

use super::amount::Number;
use crate::measurement::{Gauge, finite_sum};
use crate::summary::Summary;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A timer keeps its readings one by one up to this many; a summary would be longer.
const MAX_READINGS: usize = 16;

/// The readings of one series since they were last taken.
#[derive(Debug)]
pub(crate) struct Cell {
    whole: AtomicI64,
    rest: Mutex<Rest>,
    /// How many readings were ever made.
    made: AtomicU64,
    /// How many of them were taken. Only the sender writes it.
    taken: AtomicU64,
}

#[derive(Debug)]
struct Rest {
    fraction: f64,
    gauge: Option<Gauge>,
    readings: Vec<f64>,
    summary: Summary,
}

/// What was taken from a cell.
#[derive(Debug, PartialEq)]
pub(crate) struct Taken {
    /// How many readings it is made of.
    pub(crate) readings: u64,
    pub(crate) value: TakenValue,
}

#[derive(Debug, PartialEq)]
pub(crate) enum TakenValue {
    Counter(f64),
    Gauge(Gauge),
    Timer(Summary),
    TimerReadings(Vec<f64>),
}

impl Taken {
    /// This and what was taken elsewhere of the same series.
    pub(crate) fn with(mut self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        self.readings += other.readings;
        match (&mut self.value, other.value) {
            (TakenValue::Counter(sum), TakenValue::Counter(more)) => *sum = finite_sum(*sum, more),
            (TakenValue::Timer(all), TakenValue::Timer(more)) => all.merge(&more),
            (TakenValue::Timer(all), TakenValue::TimerReadings(more)) => {
                more.into_iter().for_each(|seconds| all.record(seconds));
            }
            (_, _) => debug_assert!(false, "a series has one kind"),
        }
        self
    }
}

/// Keeps the lock of a cell.
pub(crate) struct Held<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, Rest>);

impl Cell {
    pub(crate) const fn new() -> Self {
        Self {
            whole: AtomicI64::new(0),
            rest: Mutex::new(Rest {
                fraction: 0.0,
                gauge: None,
                readings: Vec::new(),
                summary: Summary::new(),
            }),
            made: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        }
    }

    /// Counts.
    pub(crate) fn add(&self, amount: Number) {
        match amount {
            Number::Whole(amount) => {
                self.whole.fetch_add(amount, Ordering::Relaxed);
            }
            Number::Float(amount) => {
                let mut rest = self.rest();
                rest.fraction = finite_sum(rest.fraction, amount);
            }
        }
        // Release, so that whoever sees the reading counted sees what it added.
        self.made.fetch_add(1, Ordering::Release);
    }

    /// Reads a gauge at `at_ms`, in unix milliseconds.
    pub(crate) fn set(&self, value: f64, at_ms: u64) {
        let reading = Gauge::reading(value, at_ms);
        let mut rest = self.rest();
        match &mut rest.gauge {
            Some(gauge) => gauge.merge(&reading),
            none => *none = Some(reading),
        }
        self.made.fetch_add(1, Ordering::Release);
    }

    /// Records how long something took.
    pub(crate) fn record(&self, seconds: f64) {
        let mut rest = self.rest();
        if !rest.summary.is_empty() {
            rest.summary.record(seconds);
        } else if rest.readings.len() < MAX_READINGS {
            rest.readings.push(seconds);
        } else {
            rest.summary = rest.readings.drain(..).chain([seconds]).collect();
        }
        self.made.fetch_add(1, Ordering::Release);
    }

    /// How many readings were ever made.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Acquire)
    }

    /// Takes what has gathered, if there were readings. Called by one thread at a time.
    pub(crate) fn take(&self, kind: crate::Kind) -> Option<Taken> {
        let made = self.made.load(Ordering::Acquire);
        let readings = made - self.taken.load(Ordering::Relaxed);
        if readings == 0 {
            return None;
        }
        let mut rest = self.rest();
        let value = match kind {
            crate::Kind::Counter => {
                let whole = self.whole.swap(0, Ordering::Relaxed);
                TakenValue::Counter(finite_sum(whole as f64, std::mem::take(&mut rest.fraction)))
            }
            crate::Kind::Gauge => TakenValue::Gauge(rest.gauge.take()?),
            crate::Kind::Timer if rest.summary.is_empty() => {
                TakenValue::TimerReadings(std::mem::take(&mut rest.readings))
            }
            crate::Kind::Timer => TakenValue::Timer(std::mem::take(&mut rest.summary)),
            crate::Kind::Set => return None,
        };
        self.taken.store(made, Ordering::Relaxed);
        Some(Taken { readings, value })
    }

    /// Forgets everything, as if nothing had ever been measured.
    pub(crate) fn clear(&self) {
        let mut rest = self.rest();
        self.whole.store(0, Ordering::Relaxed);
        *rest = Rest { fraction: 0.0, gauge: None, readings: Vec::new(), summary: Summary::new() };
        self.made.store(0, Ordering::Relaxed);
        self.taken.store(0, Ordering::Relaxed);
    }

    /// Keeps the lock for a fork.
    pub(crate) fn hold(&self) -> Held<'_> {
        Held(self.rest())
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        // Nothing panics while it holds the lock; and a measurement must not panic in any case.
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
