//! Measuring at a point: counters, gauges, histograms, timers and calls in flight.

use super::capture;
use super::instrument::Instrument;
use super::point::{ASK, OFF, Point};
use super::series::{Loss, Series, Shape};
use crate::clock;
use crate::sdk::cells::amount::{Amount, Number};
use crate::sdk::cells::histogram::HistogramCell;
use crate::sdk::cells::ticks::{self, Moment};
use crate::sdk::cells::{busy, is_busy, local};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The owner of a point: a call site or a handle.
pub(crate) trait Origin: Copy {
    fn point(self) -> &'static Point;

    /// The instrument that it measures for at the moment.
    fn instrument(self) -> Option<Arc<Instrument>>;

    /// Whether the instrument wants it; `None` if that is not known yet. It is called while gates
    /// are locked, so it must not allocate, and must wait only briefly.
    fn wanted_by(self, instrument: Option<&Instrument>) -> Option<bool>;

    /// The series for a capture, if it can be captured.
    fn series(self) -> Option<Series>;

    /// Called before its point is added to the list.
    fn begin(self) {}

    /// Whether a thread that has no cell of it yet gets one.
    fn grows(self, _index: u32) -> bool {
        true
    }

    /// Captures a reading, if what this thread records is captured.
    fn catch(self, value: Number) -> bool {
        capture::catch(|| self.series(), value.to_f64())
    }
}

/// Readings of an allocator that were lost because the thread was inside of the instrument.
static REENTRANT: AtomicU64 = AtomicU64::new(0);

/// The number of readings that were lost since the last call because an allocator made them inside
/// of the instrument.
pub(crate) fn take_reentrant() -> u64 {
    REENTRANT.swap(0, Ordering::Relaxed)
}

/// Does what may allocate, unless this thread is doing so already: then the reading is lost.
pub(crate) fn slowly<T>(act: impl FnOnce() -> Option<T>) -> Option<T> {
    if is_busy() {
        REENTRANT.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    busy(act)
}

/// Finds out whether the point is wanted, opens or closes its gate, and returns its index if it is
/// open.
#[cold]
fn ask(origin: impl Origin) -> Option<u32> {
    // Before `ask` takes its lock, so that no thread holds both locks.
    let (instrument, captures) = (origin.instrument(), capture::captures());
    origin.begin();
    // Read while gates are locked, so that no gate opens behind a capture that begins.
    let asks = || captures.load(Ordering::SeqCst) != 0;
    let index = origin.point().ask(|| origin.wanted_by(instrument.as_deref()), asks);
    if index.is_none()
        && let Some(instrument) = instrument
        && let Some(series) = origin.series()
    {
        instrument.note_level(series.level.as_str());
    }
    index
}

/// The index of the point, if it is wanted.
fn wanted(origin: impl Origin) -> Option<u32> {
    match origin.point().gate() {
        OFF => None,
        ASK => ask(origin),
        index => Some(index),
    }
}

/// Counts a number that cannot be sent as lost.
#[cold]
fn refuse(origin: impl Origin) {
    if let Some(instrument) = origin.instrument() {
        instrument.refused.add(Loss::NotFinite, 1);
    }
}

/// Adds to a counter.
#[inline]
pub(crate) fn count<A: Amount>(origin: impl Origin, amount: A) {
    let gate = origin.point().gate();
    // `OFF` is the index of no cell. So whether the counter is wanted is only asked without a cell:
    // on some processors, one more branch here takes as long as all the rest.
    match (amount.number(), local::counter(gate)) {
        (Number::Whole(amount), Some(cell)) => cell.add(amount),
        _ if gate == OFF => {}
        // Not the `Number`: it would be stored in memory before it is known whether it is needed.
        _ => count_slowly(origin, amount),
    }
}

/// The first count of a thread, and counts that its cell cannot take.
#[cold]
#[inline(never)]
fn count_slowly<A: Amount>(origin: impl Origin, amount: A) {
    slowly(|| {
        let amount = amount.number();
        if origin.catch(amount) {
            return None;
        }
        let index = wanted(origin)?;
        if !amount.to_f64().is_finite() {
            refuse(origin);
            return None;
        }
        let cell = if origin.grows(index) { local::counter_or_grow(index) } else { None };
        match (amount, cell) {
            (Number::Whole(amount), Some(cell)) => cell.add(amount),
            (amount, _) => origin.point().shared().add(amount),
        }
        Some(())
    });
}

/// Sets a gauge.
#[inline]
pub(crate) fn gauge<A: Amount>(origin: impl Origin, value: A) {
    gauge_float(origin, value.number().to_f64());
}

/// Sets a gauge.
#[inline]
pub(crate) fn gauge_float(origin: impl Origin, value: f64) {
    let gate = origin.point().gate();
    if gate != OFF {
        gauge_wanted(origin, gate, value);
    }
}

fn gauge_wanted(origin: impl Origin, gate: u32, value: f64) {
    match local::gauge(gate) {
        Some(cell) if value.is_finite() => cell.set(value),
        _ => gauge_slowly(origin, value),
    }
}

/// The first reading of a thread, and readings that its cell cannot take.
#[cold]
#[inline(never)]
fn gauge_slowly(origin: impl Origin, value: f64) {
    slowly(|| {
        if origin.catch(Number::Float(value)) {
            return None;
        }
        let index = wanted(origin)?;
        let point = origin.point();
        if !value.is_finite() {
            refuse(origin);
        } else if point.shape == Shape::Each {
            point.shared().keep(value, clock::unix_ms());
        } else {
            let cell = if origin.grows(index) { local::gauge_or_grow(index) } else { None };
            match cell {
                Some(cell) => cell.set(value),
                None => point.shared().set(value, clock::unix_ms()),
            }
        }
        Some(())
    });
}

/// Records a reading of a histogram.
#[inline]
pub(crate) fn histogram<A: Amount>(origin: impl Origin, value: A) {
    histogram_float(origin, value.number().to_f64());
}

/// Records a reading of a histogram.
#[inline]
pub(crate) fn histogram_float(origin: impl Origin, value: f64) {
    let gate = origin.point().gate();
    if gate != OFF {
        histogram_wanted(origin, gate, value);
    }
}

fn histogram_wanted(origin: impl Origin, gate: u32, value: f64) {
    match local::histogram(gate) {
        Some(cell) if cell.record(value) => {}
        _ => histogram_slowly(origin, value),
    }
}

/// The first reading of a thread, and readings that its cell cannot take.
#[cold]
fn histogram_slowly(origin: impl Origin, value: f64) {
    slowly(|| {
        if origin.catch(Number::Float(value)) {
            return None;
        }
        let index = wanted(origin)?;
        if !value.is_finite() {
            refuse(origin);
            return None;
        }
        let cell = if origin.grows(index) { local::histogram_or_grow(index) } else { None };
        let takes =
            |cell: &HistogramCell| cell.make_room(value, local::reserve) && cell.record(value);
        if !cell.is_some_and(takes) {
            origin.point().shared().record(value);
        }
        Some(())
    });
}

/// Whether a reading would be recorded.
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

/// Records a duration in ticks. Several points may get the same duration.
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

/// The first reading of a thread, and readings that its cell cannot take. Returns the index of the
/// cell if the cell took the reading.
#[cold]
#[inline(never)]
fn record_slowly(origin: impl Origin, ticks: i64) -> Option<u32> {
    slowly(|| {
        let seconds = ticks::seconds(ticks);
        if origin.catch(Number::Float(seconds)) {
            return None;
        }
        let index = wanted(origin)?;
        let point = origin.point();
        let cell = if origin.grows(index) { local::timer_or_grow(index) } else { None };
        let Some(cell) = cell else {
            point.shared().record(seconds);
            return None;
        };
        cell.record(ticks, ticks::tick(), point.epoch());
        Some(index)
    })
}

/// Records a duration that was measured elsewhere, in seconds and not in ticks.
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

/// Whether this call of a sampled timer is timed. The first call of each thread is.
#[inline]
pub(crate) fn is_timed(origin: impl Origin) -> bool {
    let point = origin.point();
    let Shape::Sampled(every) = point.shape else { return true };
    let cell = local::counter(point.gate());
    cell.is_none_or(|cell| cell.ones() % u64::from(every) == 0)
}

/// Ends a call that began at `since`. `None` if it is a call of a sampled timer that is not timed.
#[inline]
pub(crate) fn end(origin: impl Origin, since: Option<Moment>) {
    match (origin.point().shape, since) {
        (Shape::Sampled(_), since) => end_sampled(origin, since),
        (_, Some(since)) => record(origin, since.elapsed()),
        (_, None) => {}
    }
}

/// Counts a call of a sampled timer, and records its duration if it was timed.
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
        // A reading in the shared cell represents only itself, and no other calls.
        (_, _) => {
            let counter = record_slowly(origin, ticks).and_then(local::counter);
            counter.into_iter().for_each(|cell| cell.add(1));
        }
    }
}

/// Counts a call that was not timed. Its thread had a cell at its beginning, and so has one now.
/// Whether the point is wanted is checked again.
#[cold]
fn count_untimed(origin: impl Origin) {
    let cell = slowly(|| wanted(origin)).and_then(local::counter);
    cell.into_iter().for_each(|cell| cell.add(1));
}

/// Adds 1 or -1 to the calls in flight. The decrement of a counted call is recorded even if the
/// point is not wanted any more.
#[inline]
pub(crate) fn move_in_flight(origin: impl Origin, amount: i64) {
    let point = origin.point();
    point.in_flight().add(amount);
    if matches!(point.gate(), ASK | OFF) {
        catch_move(origin, amount);
    }
}

#[cold]
fn catch_move(origin: impl Origin, amount: i64) {
    if !is_busy() {
        capture::catch_move(|| origin.series(), amount);
    }
}

#[cfg(test)]
mod tests;
