//! Readings that have a beginning and an end: timers, and what is running.

use super::capture;
use super::measure::{Origin, slowly, wanted};
use super::point::OFF;
use super::shape::Shape;
use crate::sdk::cells::amount::Number;
use crate::sdk::cells::local;
use crate::sdk::cells::ticks::{self, Elapsed, Moment};

/// Records how long something took; several points may be told the same.
#[inline]
pub(crate) fn record(origin: impl Origin, elapsed: Elapsed) {
    let point = origin.point();
    match (elapsed.ticks(), local::timer(point.gate())) {
        (Some(ticks), Some(cell)) => {
            cell.record(ticks, ticks::tick(), point.epoch());
        }
        (_, _) => {
            record_slowly(origin, elapsed);
        }
    }
}

/// The first reading of a thread, and those that its cell cannot take. Gives the index of the
/// thread's cell, if that has taken it.
#[cold]
fn record_slowly(origin: impl Origin, elapsed: Elapsed) -> Option<u32> {
    slowly(|| {
        let seconds = elapsed.seconds();
        if origin.catch(Number::Float(seconds)) {
            return None;
        }
        let index = wanted(origin)?;
        let point = origin.point();
        match (elapsed.ticks(), local::timer_or_grow(index)) {
            (Some(ticks), Some(cell)) => {
                cell.record(ticks, ticks::tick(), point.epoch());
                Some(index)
            }
            (_, _) => {
                point.shared().record(seconds);
                None
            }
        }
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
    let elapsed = since.elapsed();
    match (counter, elapsed.ticks(), local::timer(gate)) {
        (Some(calls), Some(ticks), Some(cell)) => {
            calls.add(1);
            cell.record(ticks, ticks::tick(), point.epoch());
        }
        // What the shared cell takes stands for itself, and for no other call.
        (_, _, _) => {
            let own = record_slowly(origin, elapsed).and_then(local::counter);
            own.into_iter().for_each(|cell| cell.add(1));
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
