//! Measuring at a point: counts and gauges. What has a beginning and an end is in `timing.rs`.

use super::capture;
use super::instrument::Instrument;
use super::loss::Loss;
use super::point::{ASK, OFF, Point};
use super::series::Series;
use super::shape::Shape;
use crate::clock;
use crate::sdk::cells::amount::{Amount, Number};
use crate::sdk::cells::gauge::GaugeCell;
use crate::sdk::cells::local;
use crate::sdk::cells::reentry::{busy, is_busy};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whose a point is.
pub(crate) trait Origin: Copy {
    fn point(self) -> &'static Point;

    /// The instrument that it measures for now.
    fn instrument(self) -> Option<Arc<Instrument>>;

    /// Whether the instrument wants it; `None` if that will be known soon. Called while gates are
    /// locked, so it allocates nothing and waits for nothing long.
    fn wanted_by(self, instrument: Option<&Instrument>) -> Option<bool>;

    /// What a capture calls it, if it may be captured.
    fn series(self) -> Option<Series>;

    /// Its point is about to be listed.
    fn begin(self) {}

    /// Gives a reading to what this thread captures, if it does.
    fn catch(self, value: Number) -> bool {
        capture::catch(|| self.series(), value.to_f64())
    }
}

/// Readings that an allocator made while the thread was inside of the instrument.
static REENTRANT: AtomicU64 = AtomicU64::new(0);

/// How many readings were ever lost because an allocator made them inside of the instrument.
pub(crate) fn reentrant() -> u64 {
    REENTRANT.load(Ordering::Relaxed)
}

/// Does what may allocate, unless this thread is doing so already: then the reading is lost.
pub(super) fn slowly<T>(act: impl FnOnce() -> Option<T>) -> Option<T> {
    if is_busy() {
        REENTRANT.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    busy(act)
}

/// Finds out whether anybody wants the point, and opens or closes its gate; gives its index if so.
#[cold]
fn ask(origin: impl Origin) -> Option<u32> {
    // Before the lock, so that the two are never held at once.
    let instrument = origin.instrument();
    origin.begin();
    origin.point().ask(|| origin.wanted_by(instrument.as_deref()), capture::anybody_captures())
}

/// The point's index, if anybody wants it.
pub(super) fn wanted(origin: impl Origin) -> Option<u32> {
    match origin.point().gate() {
        OFF => None,
        ASK => ask(origin),
        index => Some(index),
    }
}

/// A number that cannot go on the wire.
#[cold]
fn refuse(origin: impl Origin) {
    if let Some(instrument) = origin.instrument() {
        instrument.refuse(Loss::NotFinite);
    }
}

/// Counts.
#[inline]
pub(crate) fn count<A: Amount>(origin: impl Origin, amount: A) {
    let gate = origin.point().gate();
    if gate == OFF {
        return;
    }
    match (amount.number(), local::counter(gate)) {
        (Number::Whole(amount), Some(cell)) => cell.add(amount),
        (amount, _) => count_slowly(origin, amount),
    }
}

/// The first count of a thread, and those that its cell cannot take.
#[cold]
fn count_slowly(origin: impl Origin, amount: Number) {
    slowly(|| {
        if origin.catch(amount) {
            return None;
        }
        let index = wanted(origin)?;
        if !amount.to_f64().is_finite() {
            refuse(origin);
            return None;
        }
        match (amount, local::counter_or_grow(index)) {
            (Number::Whole(amount), Some(cell)) => cell.add(amount),
            (amount, _) => origin.point().shared().add(amount),
        }
        Some(())
    });
}

/// Sets a gauge.
#[inline]
pub(crate) fn gauge<A: Amount>(origin: impl Origin, value: A) {
    let gate = origin.point().gate();
    if gate != OFF {
        gauge_wanted(origin, gate, value.number());
    }
}

fn gauge_wanted(origin: impl Origin, gate: u32, value: Number) {
    let is_finite = value.to_f64().is_finite();
    let set = |cell: &GaugeCell| is_finite && cell.set(value.to_f64());
    if !local::gauge(gate).is_some_and(set) {
        gauge_slowly(origin, value);
    }
}

/// The first reading of a thread, and those that its cell cannot take.
#[cold]
fn gauge_slowly(origin: impl Origin, value: Number) {
    slowly(|| {
        if origin.catch(value) {
            return None;
        }
        let index = wanted(origin)?;
        let (point, value) = (origin.point(), value.to_f64());
        if !value.is_finite() {
            refuse(origin);
        } else if point.shape == Shape::Each {
            point.shared().keep(value, clock::unix_ms());
        } else if !local::gauge_or_grow(index).is_some_and(|cell| cell.set(value)) {
            point.shared().set(value, clock::unix_ms());
        }
        Some(())
    });
}

/// Whether anybody would take a reading.
#[inline]
pub(crate) fn is_measured(origin: impl Origin) -> bool {
    match origin.point().gate() {
        OFF => false,
        ASK => would_be_measured(origin),
        _ => true,
    }
}

#[cold]
fn would_be_measured(origin: impl Origin) -> bool {
    capture::capturing() || slowly(|| ask(origin)).is_some()
}
