//! Readings that have a beginning and an end: timers, and what is running.

use super::{OFF, Origin, Shape, wanted};
use crate::sdk::amount::Number;
use crate::sdk::capture;
use crate::sdk::local;
use crate::sdk::ticks::{self, Elapsed, Moment};
use std::sync::atomic::Ordering;

/// Records how long something took; several points may be told the same.
#[inline]
pub(crate) fn record(origin: impl Origin, elapsed: Elapsed) {
    let point = origin.point();
    match (elapsed.ticks(), local::timer(point.gate.load(Ordering::Relaxed))) {
        (Some(ticks), Some(cell)) => {
            cell.record(ticks, ticks::tick(), point.epoch.load(Ordering::Relaxed));
        }
        (_, _) => {
            record_slowly(origin, elapsed);
        }
    }
}

/// Which cell took a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Took {
    /// The thread's own, which has this index.
    Own(u32),
    Shared,
    /// It was captured, or nobody wants it.
    None,
}

/// The first reading of a thread, and those that its cell cannot take.
#[cold]
fn record_slowly(origin: impl Origin, elapsed: Elapsed) -> Took {
    let seconds = elapsed.seconds();
    if origin.catch(Number::Float(seconds)) {
        return Took::None;
    }
    let Some(index) = wanted(origin) else { return Took::None };
    let point = origin.point();
    match (elapsed.ticks(), local::timer_or_grow(index)) {
        (Some(ticks), Some(cell)) => {
            cell.record(ticks, ticks::tick(), point.epoch.load(Ordering::Relaxed));
            Took::Own(index)
        }
        (_, _) => {
            point.shared.record(seconds);
            Took::Shared
        }
    }
}

/// Records what was timed elsewhere: as it is, and so not in ticks.
pub(crate) fn record_seconds(origin: impl Origin, seconds: f64) {
    if origin.point().gate.load(Ordering::Relaxed) == OFF || origin.catch(Number::Float(seconds)) {
        return;
    }
    if wanted(origin).is_some() {
        origin.point().shared.record(seconds);
    }
}

/// Whether this call of a sampled timer is one that is timed. The first of each thread is.
#[inline]
pub(crate) fn is_timed(origin: impl Origin) -> bool {
    let point = origin.point();
    let Shape::Sampled(every) = point.shape else { return true };
    let cell = local::counter(point.gate.load(Ordering::Relaxed));
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
    let gate = point.gate.load(Ordering::Relaxed);
    let counter = local::counter(gate);
    let Some(since) = since else {
        return match counter {
            Some(calls) => calls.add(1),
            None => count_untimed(origin),
        };
    };
    let elapsed = since.elapsed();
    match (counter, elapsed.ticks(), local::timer(gate)) {
        (Some(calls), Some(ticks), Some(cell)) => {
            calls.add(1);
            cell.record(ticks, ticks::tick(), point.epoch.load(Ordering::Relaxed));
        }
        // What the shared cell takes stands for itself, and for no other call.
        (_, _, _) => {
            if let Took::Own(index) = record_slowly(origin, elapsed) {
                local::counter(index).into_iter().for_each(|cell| cell.add(1));
            }
        }
    }
}

/// Counts a call that was not timed. Its thread had a cell when it began, and so has one now; but
/// whether anybody wants it is asked anew.
#[cold]
fn count_untimed(origin: impl Origin) {
    wanted(origin).and_then(local::counter).into_iter().for_each(|cell| cell.add(1));
}

/// Goes up and down by one. What went up comes down, also when nobody wants it any more.
#[inline]
pub(crate) fn move_in_flight(origin: impl Origin, amount: i64) {
    match local::counter(origin.point().gate.load(Ordering::Relaxed)) {
        Some(cell) => cell.add(amount),
        None => move_slowly(origin, amount),
    }
}

#[cold]
fn move_slowly(origin: impl Origin, amount: i64) {
    let point = origin.point();
    let index = point.listed.get().map(|listed| listed.index);
    match index.filter(|_| !capture::capturing()).and_then(local::counter_or_grow) {
        Some(cell) => cell.add(amount),
        None => {
            point.shared.add(Number::Whole(amount));
            if let Some(site) = origin.site() {
                capture::catch_move(site, amount);
            }
        }
    }
}
