//! Measuring at a point: counts, gauges, timers, and what is running.

use super::capture;
use super::instrument::Instrument;
use super::point::{ASK, OFF, Point};
use super::series::{Loss, Series, Shape};
use crate::clock;
use crate::sdk::cells::amount::{Amount, Number};
use crate::sdk::cells::gauge::GaugeCell;
use crate::sdk::cells::ticks::{self, Moment};
use crate::sdk::cells::{busy, is_busy, local};
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

/// How many readings were lost since the last call because an allocator made them inside of the
/// instrument.
pub(crate) fn take_reentrant() -> u64 {
    REENTRANT.swap(0, Ordering::Relaxed)
}

/// Does what may allocate, unless this thread is doing so already: then the reading is lost.
fn slowly<T>(act: impl FnOnce() -> Option<T>) -> Option<T> {
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
fn wanted(origin: impl Origin) -> Option<u32> {
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
        instrument.refused.add(Loss::NotFinite, 1);
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

/// Records how long something took, in ticks; several points may be told the same.
#[inline]
pub(crate) fn record(origin: impl Origin, ticks: i64) {
    let point = origin.point();
    match local::timer(point.gate()) {
        Some(cell) => cell.record(ticks, ticks::tick(), point.epoch()),
        None => {
            record_slowly(origin, ticks);
        }
    }
}

/// The first reading of a thread, and those that its cell cannot take. Gives the index of the
/// thread's cell, if that has taken it.
#[cold]
fn record_slowly(origin: impl Origin, ticks: i64) -> Option<u32> {
    slowly(|| {
        let seconds = ticks::seconds(ticks);
        if origin.catch(Number::Float(seconds)) {
            return None;
        }
        let index = wanted(origin)?;
        let point = origin.point();
        let Some(cell) = local::timer_or_grow(index) else {
            point.shared().record(seconds);
            return None;
        };
        cell.record(ticks, ticks::tick(), point.epoch());
        Some(index)
    })
}

/// Records what was timed elsewhere: as it is, and so not in ticks.
pub(crate) fn record_seconds(origin: impl Origin, seconds: f64) {
    if origin.point().gate() == OFF {
        return;
    }
    slowly(|| {
        if !origin.catch(Number::Float(seconds)) {
            wanted(origin)?;
            origin.point().shared().record(seconds);
        }
        Some(())
    });
}

/// Whether this call of a sampled timer is one that is timed. The first of each thread is.
#[inline]
pub(crate) fn is_timed(origin: impl Origin) -> bool {
    let point = origin.point();
    let Shape::Sampled(every) = point.shape else { return true };
    let cell = local::counter(point.gate());
    cell.is_none_or(|cell| cell.ones() % u64::from(every) == 0)
}

/// Ends what began at a moment, or at none if it is a call of a sampled timer that is not timed.
#[inline]
pub(crate) fn end(origin: impl Origin, since: Option<Moment>) {
    match (origin.point().shape, since) {
        (Shape::Sampled(_), since) => end_sampled(origin, since),
        (_, Some(since)) => record(origin, since.elapsed()),
        (_, None) => {}
    }
}

/// Counts a call of a sampled timer, and records how long it took if it was timed.
fn end_sampled(origin: impl Origin, since: Option<Moment>) {
    let point = origin.point();
    let gate = point.gate();
    let counter = local::counter(gate);
    let Some(since) = since else {
        return match counter {
            Some(calls) => calls.add(1),
            None => count_untimed(origin),
        };
    };
    let ticks = since.elapsed();
    match (counter, local::timer(gate)) {
        (Some(calls), Some(cell)) => {
            calls.add(1);
            cell.record(ticks, ticks::tick(), point.epoch());
        }
        // What the shared cell takes stands for itself, and for no other call.
        (_, _) => {
            let counter = record_slowly(origin, ticks).and_then(local::counter);
            counter.into_iter().for_each(|cell| cell.add(1));
        }
    }
}

/// Counts a call that was not timed. Its thread had a cell when it began, and so has one now; but
/// whether anybody wants it is asked anew.
#[cold]
fn count_untimed(origin: impl Origin) {
    let cell = slowly(|| wanted(origin)).and_then(local::counter);
    cell.into_iter().for_each(|cell| cell.add(1));
}

/// Goes up and down by one. What went up comes down, also when nobody wants it any more.
#[inline]
pub(crate) fn move_in_flight(origin: impl Origin, amount: i64) {
    match local::counter(origin.point().gate()) {
        Some(cell) => cell.add(amount),
        None => move_slowly(origin, amount),
    }
}

#[cold]
fn move_slowly(origin: impl Origin, amount: i64) {
    slowly(|| {
        let point = origin.point();
        let index = point.index().filter(|_| !capture::capturing());
        match index.and_then(local::counter_or_grow) {
            Some(cell) => cell.add(amount),
            None => {
                point.shared().add(Number::Whole(amount));
                capture::catch_move(|| origin.series(), amount);
            }
        }
        Some(())
    });
}
