//! What was last taken from the cells of one point: the next readings are the difference to it.
//!
//! Only the sender, install and uninstall look in here; no reading passes this way.

use super::shape::Shape;
use crate::clock;
use crate::measurement::{Gauge, Kind};
use crate::sdk::cells::counter::Counted;
use crate::sdk::cells::local;
use crate::sdk::cells::per_process::generation;
use crate::sdk::cells::shared::SharedCell;
use crate::sdk::cells::taken::{Taken, TakenValue};
use crate::sdk::cells::ticks::{self, Moment};
use crate::sdk::cells::timer_totals::TimerTotals;
use crate::sketch::Sketch;
use crate::summary::Summary;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(crate) struct Baseline {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    counted: Counted,
    timed: TimerTotals,
    /// How many readings were taken in this installation.
    taken: u64,
    /// How many readings of gauges there had been when the installation began.
    before: u64,
    /// How many were in flight when the process was forked, in threads that it does not have.
    left_behind: u64,
    generation: u64,
}

impl Baseline {
    pub(crate) const fn new() -> Self {
        Self { state: Mutex::new(State::new()) }
    }

    /// Takes what has gathered since the last time, if there were readings; then `epoch`, that of
    /// the timers, is begun anew.
    pub(crate) fn take(
        &self,
        shape: Shape,
        index: u32,
        epoch: &AtomicU32,
        shared: &SharedCell,
    ) -> Option<Taken> {
        let mut state = self.state();
        let in_threads = match shape {
            Shape::Counter => state.take_counter(index),
            Shape::Gauge => return take_gauge(index, shared),
            Shape::Each => None,
            // Here the shared cell holds a part of what is in flight.
            Shape::InFlight => return state.take_in_flight(index, shared),
            Shape::Timer => state.take_timer(index, epoch),
            Shape::Sampled(_) => state.take_sampled(index, epoch),
        };
        state.taken += in_threads.as_ref().map_or(0, |taken| taken.readings);
        let shared = shared.take(shape.kind());
        match in_threads {
            Some(taken) => Some(taken.with(shared)),
            None => shared,
        }
    }

    /// Forgets what has gathered for an earlier installation, or in the parent of this process.
    pub(crate) fn clear(&self, shape: Shape, index: u32, epoch: &AtomicU32, shared: &SharedCell) {
        let mut state = self.state();
        state.taken = 0;
        match shape {
            Shape::Counter => state.counted = local::counted(index),
            Shape::Gauge | Shape::Each => {
                state.before = local::gauges(index).map(|cell| cell.made()).sum();
                take_gauges(index);
            }
            Shape::InFlight => {
                state.counted = local::counted(index);
                if state.generation != generation() {
                    state.generation = generation();
                    state.left_behind = state.counted.low().wrapping_add(shared.sum());
                }
                // What is in flight stays so.
                return;
            }
            Shape::Timer | Shape::Sampled(_) => {
                // What was shortest and longest up to now is not this installation's.
                next(epoch);
                state.counted = local::counted(index);
                state.timed.skip(local::timers(index));
            }
        }
        shared.clear();
    }

    /// How many readings were made in this installation.
    pub(crate) fn made(&self, shape: Shape, index: u32, shared: &SharedCell) -> u64 {
        let state = self.state();
        let counted = || local::counted(index).times.wrapping_sub(state.counted.times);
        let in_threads = match shape {
            Shape::Counter | Shape::Sampled(_) => state.taken + counted(),
            Shape::Gauge | Shape::Each => {
                let made: u64 = local::gauges(index).map(|cell| cell.made()).sum();
                made - state.before
            }
            Shape::InFlight => return state.taken,
            Shape::Timer => state.taken + state.timed.count_since(local::timers(index)),
        };
        in_threads + shared.made()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins a new epoch and gives the one that has ended. Only who has the state locked does.
fn next(epoch: &AtomicU32) -> u32 {
    let ended = epoch.load(Ordering::Relaxed);
    epoch.store(ended.wrapping_add(1), Ordering::Relaxed);
    ended
}

/// What all threads have read, and when they last did.
fn take_gauges(index: u32) -> Option<(Moment, Gauge)> {
    let now_ms = clock::unix_ms();
    local::gauges(index).filter_map(|cell| cell.take(now_ms)).reduce(in_order)
}

fn take_gauge(index: u32, shared: &SharedCell) -> Option<Taken> {
    let own = take_gauges(index);
    let taken = shared.take(Kind::Gauge);
    let Some(own) = own else { return taken };
    let gauge = match taken {
        // Asked only now: if it was read once more meanwhile, the next interval tells of that.
        Some(Taken { value: TakenValue::Gauge(gauge), .. }) => {
            in_order(own, (shared.read_at(), gauge)).1
        }
        _ => own.1,
    };
    Some(Taken { readings: gauge.count, value: TakenValue::Gauge(gauge) })
}

/// Folds the later one into the earlier one, so that its last reading is the last.
fn in_order(one: (Moment, Gauge), other: (Moment, Gauge)) -> (Moment, Gauge) {
    let (earlier, later) = if other.0.is_before(one.0) { (other, one) } else { (one, other) };
    // Of the same millisecond, or of the one before, for which milliseconds are too coarse.
    let at_ms = earlier.1.at_ms.min(later.1.at_ms);
    let mut all = Gauge { at_ms, ..earlier.1 };
    all.merge(&later.1);
    (later.0, all)
}

impl State {
    const fn new() -> Self {
        Self {
            counted: Counted { sum: 0, times: 0 },
            timed: TimerTotals::new(),
            taken: 0,
            before: 0,
            left_behind: 0,
            generation: 0,
        }
    }

    fn take_counter(&mut self, index: u32) -> Option<Taken> {
        let now = local::counted(index);
        let readings = now.times.wrapping_sub(self.counted.times);
        if readings == 0 {
            return None;
        }
        let more = now.sum_since(&self.counted);
        self.counted = now;
        Some(Taken { readings, value: TakenValue::Counter(more) })
    }

    fn take_timer(&mut self, index: u32, epoch: &AtomicU32) -> Option<Taken> {
        let timers = local::timers(index);
        // While nothing was timed, the epoch goes on: what comes keeps its min and max.
        if self.timed.count_since(timers.clone()) == 0 {
            return None;
        }
        let summary = self.timed.take(timers, next(epoch), ticks::tick())?;
        Some(Taken { readings: summary.count(), value: TakenValue::Timer(summary) })
    }

    /// All calls, of which those that were timed are a sample.
    fn take_sampled(&mut self, index: u32, epoch: &AtomicU32) -> Option<Taken> {
        let calls = local::counted(index);
        let readings = calls.times.wrapping_sub(self.counted.times);
        if readings == 0 {
            return None;
        }
        let sample = match self.take_timer(index, epoch) {
            Some(Taken { value: TakenValue::Timer(sample), .. }) => sample,
            // None of them was timed: then those before them have to do.
            _ => self.timed.buckets().flat_map(middles).collect(),
        };
        if sample.is_empty() {
            return None;
        }
        self.counted = calls;
        Some(Taken { readings, value: TakenValue::Timer(scaled(&sample, readings)) })
    }

    fn take_in_flight(&mut self, index: u32, shared: &SharedCell) -> Option<Taken> {
        let now = local::counted(index);
        let moved = now.times != self.counted.times || shared.take_moves();
        self.counted = now;
        let running = now.low().wrapping_add(shared.sum());
        let mut in_flight = running.wrapping_sub(self.left_behind).cast_signed();
        if in_flight < 0 {
            // A call has ended here that began before the fork: it was not left behind.
            self.left_behind = running;
            in_flight = 0;
        }
        if !moved && in_flight == 0 {
            return None;
        }
        self.taken += 1;
        let gauge = Gauge::reading(in_flight as f64, clock::unix_ms());
        Some(Taken { readings: 1, value: TakenValue::Gauge(gauge) })
    }
}

/// Up to 100 readings in the middle of a bucket, in place of all.
fn middles((bucket, count): (i32, u32)) -> impl Iterator<Item = f64> {
    let middle = Sketch::middle(bucket).unwrap_or_default();
    std::iter::repeat_n(middle, count.min(100) as usize)
}

/// The summary that so many calls would have, were they all like those that were timed.
fn scaled(sample: &Summary, calls: u64) -> Summary {
    let timed = sample.count().max(1);
    let scale = calls as f64 / timed as f64;
    let mut summary = Summary::folded(
        calls,
        sample.sum() * scale,
        sample.min(),
        sample.max(),
        sample.sum_squares() * scale,
    )
    .with_squared_deviations(sample.squared_deviations() * scale);
    // Each bucket ends where its share of all calls ends, so that they add up to all of them.
    let (mut before, mut seen) = (0, 0_u64);
    for (bucket, count) in sample.sketch().buckets() {
        seen += count;
        let end = u64::try_from(u128::from(calls) * u128::from(seen) / u128::from(timed));
        let end = end.unwrap_or(calls);
        summary.sketch_mut().add_to_bucket(bucket, end - before);
        before = end;
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::{State, in_order, scaled, take_gauge};
    use crate::Summary;
    use crate::clock;
    use crate::measurement::Gauge;
    use crate::sdk::cells::amount::Number;
    use crate::sdk::cells::shared::SharedCell;
    use crate::sdk::cells::taken::TakenValue;
    use crate::sdk::cells::ticks::Moment;

    #[test]
    fn a_call_that_ends_in_a_forked_child_is_not_missing_there() {
        let (mut state, shared) = (State { left_behind: 1, ..State::new() }, SharedCell::new());
        let mut moved = |amount| {
            shared.add(Number::Whole(amount));
            match state.take_in_flight(u32::MAX, &shared).unwrap().value {
                TakenValue::Gauge(gauge) => gauge.last,
                other => panic!("{other:?}"),
            }
        };
        shared.add(Number::Whole(1));
        // That one ends, and then there are others.
        assert_eq!([-1, 1, 1, -1, -1].map(&mut moved), [0.0, 1.0, 2.0, 1.0, 0.0]);
    }

    #[test]
    fn the_last_of_readings_in_one_millisecond_is_the_last() {
        let readings = [1.0, 2.0, 3.0].map(|value| (Moment::now(), Gauge::reading(value, 1000)));
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            let all = order.map(|at| readings[at]).into_iter().reduce(in_order).unwrap().1;
            assert_eq!((all.last, all.count, all.sum), (3.0, 3, 6.0), "{order:?}");
        }
        // What a cell says is up to a millisecond late.
        let earlier = (readings[0].0, Gauge::reading(1.0, 1001));
        assert_eq!(in_order(earlier, readings[1]).1.last, 2.0);
    }

    #[test]
    fn a_shared_cell_says_when_it_was_read() {
        let (shared, index) = (SharedCell::new(), u32::MAX);
        shared.set(2.0, clock::unix_ms());
        assert!(take_gauge(index, &shared).is_some());
        let at = shared.read_at();
        assert!(at.is_before(Moment::now()) && !Moment::now().is_before(at));
    }

    #[test]
    fn a_sample_stands_for_all_calls() {
        let sample: Summary = [1.0, 2.0, 3.0].into_iter().collect();
        let all = scaled(&sample, 100);
        assert_eq!((all.count(), all.min(), all.max()), (100, 1.0, 3.0));
        assert!((all.sum() - 200.0).abs() < 1e-9, "{}", all.sum());
        assert_eq!(
            all.sketch().buckets().map(|(_, count)| count).collect::<Vec<_>>(),
            [33, 33, 34]
        );
        assert!((all.quantile(0.5).unwrap() - 2.0).abs() < 0.02);
    }
}
