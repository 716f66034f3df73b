//! The accumulated readings of one point, and the totals at the last collection. New readings are
//! the difference.
//!
//! Used only by the sender and when an instrument is installed or removed. Measuring uses only the
//! shared cell in here.

use super::idle::{Idle, Take};
use super::series::Shape;
use crate::clock;
use crate::measurement::{Gauge, Kind};
use crate::sdk::cells::counter::Counted;
use crate::sdk::cells::gauge::GaugeCell;
use crate::sdk::cells::histogram::HistogramCell;
use crate::sdk::cells::in_flight::{InFlightCell, InFlightSeen};
use crate::sdk::cells::local;
use crate::sdk::cells::lock;
use crate::sdk::cells::shared::{SharedCell, Taken, TakenValue};
use crate::sdk::cells::ticks::{self, Moment};
use crate::sdk::cells::timer_totals::TimerTotals;
use crate::sketch::Sketch;
use crate::summary::Summary;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
pub(crate) struct Gathered {
    /// For readings that the cells of threads cannot take.
    pub(crate) shared: SharedCell,
    pub(crate) in_flight: InFlightCell,
    baseline: Mutex<Baseline>,
}

/// The totals of the cells of threads at the last collection.
#[derive(Debug)]
struct Baseline {
    counted: Counted,
    timed: TimerTotals,
    /// The number of readings that were taken in this installation.
    taken: u64,
    /// The number in flight while no call of this process is. Negative if calls that began before
    /// the fork have ended here.
    none_in_flight: i64,
    idle: Idle,
}

impl Gathered {
    pub(crate) const fn new() -> Self {
        Self {
            shared: SharedCell::new(),
            in_flight: InFlightCell::new(),
            baseline: Mutex::new(Baseline::new()),
        }
    }

    /// Takes the readings since the last call, if there are any, and then starts a new `epoch` of
    /// the timers. Without an `index`, threads have no cells of the point.
    pub(crate) fn take(
        &self,
        shape: Shape,
        index: Option<u32>,
        epoch: &AtomicU32,
        what: Take,
    ) -> Option<Taken> {
        let taken = self.take_new(shape, index, epoch);
        if shape.kind() != Kind::Gauge {
            return taken;
        }
        lock(&self.baseline).idle.taken_or_repeated(taken, what)
    }

    fn take_new(&self, shape: Shape, index: Option<u32>, epoch: &AtomicU32) -> Option<Taken> {
        let Self { shared, .. } = self;
        if shape == Shape::InFlight {
            return lock(&self.baseline).take_in_flight(self.in_flight.take());
        }
        let Some(index) = index else { return shared.take(shape.kind()) };
        let mut baseline = lock(&self.baseline);
        let in_threads = match shape {
            Shape::Counter => baseline.take_counter(index),
            Shape::Gauge => return baseline.take_gauge(index, shared),
            Shape::Each | Shape::InFlight => None,
            Shape::Histogram(_) => take_histograms(index),
            Shape::Timer => baseline.take_timer(index, epoch),
            Shape::Sampled(_) => baseline.take_sampled(index, epoch),
        };
        baseline.taken += in_threads.as_ref().map_or(0, |taken| taken.readings);
        let shared = shared.take(shape.kind());
        match in_threads {
            Some(taken) => Some(taken.with(shared)),
            None => shared,
        }
    }

    /// Discards the readings of an earlier installation or of the parent process.
    pub(crate) fn clear(&self, shape: Shape, index: Option<u32>, epoch: &AtomicU32) {
        let mut baseline = lock(&self.baseline);
        baseline.taken = 0;
        baseline.idle = Idle::default();
        if shape == Shape::InFlight {
            // Calls in flight stay in flight.
            self.in_flight.take();
            return;
        }
        let Some(index) = index else { return self.shared.clear() };
        baseline.counted = local::counted(index);
        match shape {
            Shape::Counter | Shape::InFlight => {}
            Shape::Gauge | Shape::Each => {
                take_gauges(index);
            }
            Shape::Histogram(_) => {
                take_histograms(index);
            }
            Shape::Timer | Shape::Sampled(_) => {
                // Minimum and maximum up to now belong to the earlier installation.
                next(epoch);
                baseline.timed.skip(local::timers(index));
            }
        }
        self.shared.clear();
    }

    /// The number of readings that were recorded in this installation.
    pub(crate) fn made(&self, shape: Shape, index: Option<u32>) -> u64 {
        if shape == Shape::InFlight {
            return lock(&self.baseline).taken;
        }
        let Some(index) = index else { return self.shared.made() };
        let baseline = lock(&self.baseline);
        let in_threads = match shape {
            Shape::Counter | Shape::Sampled(_) => {
                baseline.taken + local::counted(index).times.wrapping_sub(baseline.counted.times)
            }
            Shape::Gauge | Shape::Each => {
                // No reading is taken meanwhile, because that needs the lock of the baseline.
                baseline.taken + local::gauges(index).map(GaugeCell::untaken).sum::<u64>()
            }
            Shape::InFlight => baseline.taken,
            Shape::Histogram(_) => {
                baseline.taken + local::histograms(index).map(HistogramCell::untaken).sum::<u64>()
            }
            Shape::Timer => baseline.taken + baseline.timed.count_since(local::timers(index)),
        };
        in_threads + self.shared.made()
    }

    /// How many calls are in flight at a point of that shape.
    pub(crate) fn in_flight(&self) -> i64 {
        self.in_flight.now() - lock(&self.baseline).none_in_flight
    }
}

/// Starts a new epoch and returns the old one. The caller must hold the lock of the baseline.
fn next(epoch: &AtomicU32) -> u32 {
    let ended = epoch.load(Ordering::Relaxed);
    epoch.store(ended.wrapping_add(1), Ordering::Relaxed);
    ended
}

/// The readings of all threads, and the time of the last one.
fn take_gauges(index: u32) -> Option<(Moment, Gauge)> {
    let now_ms = clock::unix_ms();
    local::gauges(index).filter_map(|cell| cell.take(now_ms)).reduce(in_order)
}

/// The readings of all threads.
fn take_histograms(index: u32) -> Option<Taken> {
    let summaries = local::histograms(index).filter_map(HistogramCell::take);
    let summary = summaries.reduce(|mut all, more| {
        all.merge(&more);
        all
    })?;
    Some(Taken { readings: summary.count(), value: TakenValue::Summary(summary) })
}

/// Merges the later one into the earlier one, so that the later last reading counts as the last.
fn in_order(one: (Moment, Gauge), other: (Moment, Gauge)) -> (Moment, Gauge) {
    let (earlier, later) = if other.0 < one.0 { (other, one) } else { (one, other) };
    // Readings may be of the same millisecond, or appear to be of the previous one, so the order of
    // `at_ms` is not reliable.
    let at_ms = earlier.1.at_ms.min(later.1.at_ms);
    let mut all = Gauge { at_ms, ..earlier.1 };
    all.merge(&later.1);
    (later.0, all)
}

impl Baseline {
    const fn new() -> Self {
        Self {
            counted: Counted { sum: 0, times: 0 },
            timed: TimerTotals::new(),
            taken: 0,
            none_in_flight: 0,
            idle: Idle::new(),
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

    fn take_gauge(&mut self, index: u32, shared: &SharedCell) -> Option<Taken> {
        let own = take_gauges(index);
        let taken = shared.take(Kind::Gauge);
        let Some(own) = own else { return taken };
        self.taken += own.1.count;
        let gauge = match taken {
            // Read only now: if there was another reading in between, it belongs to the next
            // interval.
            Some(Taken { value: TakenValue::Gauge(gauge), .. }) => {
                in_order(own, (shared.read_at(), gauge)).1
            }
            _ => own.1,
        };
        Some(Taken { readings: gauge.count, value: TakenValue::Gauge(gauge) })
    }

    fn take_timer(&mut self, index: u32, epoch: &AtomicU32) -> Option<Taken> {
        let timers = local::timers(index);
        // While there are no readings, the epoch continues, so that later readings keep their
        // minimum and maximum.
        if self.timed.count_since(timers.clone()) == 0 {
            return None;
        }
        let summary = self.timed.take(timers, next(epoch), ticks::tick())?;
        Some(Taken { readings: summary.count(), value: TakenValue::Summary(summary) })
    }

    /// All calls, estimated from the sample that was timed.
    fn take_sampled(&mut self, index: u32, epoch: &AtomicU32) -> Option<Taken> {
        let calls = local::counted(index);
        let readings = calls.times.wrapping_sub(self.counted.times);
        if readings == 0 {
            return None;
        }
        let sample = match self.take_timer(index, epoch) {
            Some(Taken { value: TakenValue::Summary(sample), .. }) => sample,
            // None of them was timed; earlier calls are used as the sample.
            _ => self.timed.buckets().flat_map(middles).collect(),
        };
        if sample.is_empty() {
            return None;
        }
        self.counted = calls;
        Some(Taken { readings, value: TakenValue::Summary(scaled(&sample, readings)) })
    }

    /// Two readings, the largest number and the present one, or one if they are equal. None while
    /// nothing is in flight.
    fn take_in_flight(&mut self, seen: InFlightSeen) -> Option<Taken> {
        if seen.now < self.none_in_flight {
            // A call ended here that began before the fork.
            self.none_in_flight = seen.now;
        }
        let now = seen.now - self.none_in_flight;
        let most = (seen.most - self.none_in_flight).max(now);
        if most == 0 {
            return None;
        }
        let at_ms = clock::unix_ms();
        let mut gauge = Gauge::reading(now as f64, at_ms);
        if most > now {
            gauge = Gauge::reading(most as f64, at_ms);
            gauge.merge(&Gauge::reading(now as f64, at_ms));
        }
        self.taken += gauge.count;
        Some(Taken { readings: gauge.count, value: TakenValue::Gauge(gauge) })
    }
}

/// Up to 100 readings in the middle of a bucket, which represent all of its readings.
fn middles((bucket, count): (i32, u32)) -> impl Iterator<Item = f64> {
    let middle = Sketch::middle(bucket).unwrap_or_default();
    std::iter::repeat_n(middle, count.min(100) as usize)
}

/// The summary of `calls` calls that are distributed like the sample.
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
    // Rounds the cumulative counts, so that the buckets add up to exactly all calls.
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
    use super::{Baseline, in_order, scaled};
    use crate::Summary;
    use crate::clock;
    use crate::measurement::Gauge;
    use crate::sdk::cells::in_flight::InFlightCell;
    use crate::sdk::cells::shared::{SharedCell, TakenValue};
    use crate::sdk::cells::ticks::Moment;

    #[test]
    fn a_call_that_ends_in_a_forked_child_is_not_missing_there() {
        let (mut state, cell) = (Baseline::new(), InFlightCell::new());
        let mut moved = |amount| {
            cell.add(amount);
            let taken = state.take_in_flight(cell.take());
            taken.map(|taken| match taken.value {
                TakenValue::Gauge(gauge) => (gauge.last, gauge.max),
                other => panic!("{other:?}"),
            })
        };
        // The inherited call ends, then others begin and end.
        let seen = [-1, 1, 1, -1, -1].map(&mut moved);
        let expected = [(0.0, 1.0), (1.0, 1.0), (2.0, 2.0), (1.0, 2.0), (0.0, 1.0)];
        assert_eq!(seen, expected.map(Some));
    }

    #[test]
    fn the_last_of_readings_in_one_millisecond_is_the_last() {
        let readings = [1.0, 2.0, 3.0].map(|value| (Moment::now(), Gauge::reading(value, 1000)));
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            let all = order.map(|at| readings[at]).into_iter().reduce(in_order).unwrap().1;
            assert_eq!((all.last, all.count, all.sum), (3.0, 3, 6.0), "{order:?}");
        }
        // The time of a cell may be a millisecond late.
        let earlier = (readings[0].0, Gauge::reading(1.0, 1001));
        assert_eq!(in_order(earlier, readings[1]).1.last, 2.0);
    }

    #[test]
    fn a_shared_cell_says_when_it_was_read() {
        let (shared, index) = (SharedCell::new(), u32::MAX);
        shared.set(2.0, clock::unix_ms());
        assert!(Baseline::new().take_gauge(index, &shared).is_some());
        let at = shared.read_at();
        assert!(at < Moment::now() && Moment::now() >= at);
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
