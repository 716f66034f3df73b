//! The readings of one timer that were taken from the cells of all threads. New readings are the
//! difference from these totals.

use super::timer::{TimerCell, Untaken};
use super::timer_buckets::{Buckets, Extremes, FIRST_KEY, Sums, slot_of, unwrapped};
use crate::sketch::Sketch;
use crate::summary::Summary;

/// Memory is allocated only for octaves that have readings.
#[derive(Debug)]
pub(crate) struct TimerTotals {
    count: u64,
    ticks: u64,
    /// The sums at the time when all of them were last known for the same readings.
    sums: Sums,
    buckets: Buckets,
}

impl TimerTotals {
    pub(crate) const fn new() -> Self {
        Self { count: 0, ticks: 0, sums: Sums::new(), buckets: Buckets::new() }
    }

    /// The number of readings in these cells that were not taken yet. Reads 64 bytes of each cell.
    pub(crate) fn count_since<'a>(&self, cells: impl Iterator<Item = &'a TimerCell>) -> u64 {
        cells.map(TimerCell::count).sum::<u64>().saturating_sub(self.count)
    }

    /// Takes all readings that were not taken yet, if there are any. `ended` is the epoch of their
    /// minimum and maximum, which must have ended before the call.
    pub(crate) fn take<'a>(
        &mut self,
        cells: impl Iterator<Item = &'a TimerCell> + Clone,
        ended: u32,
        tick: f64,
    ) -> Option<Summary> {
        let mut extremes = Extremes::default();
        let (mut count, mut ticks, mut many) = (0, 0_u64, false);
        for cell in cells.clone() {
            let untaken = cell.take_recent(|slot| {
                self.buckets.see(slot);
                count += 1;
            });
            ticks = ticks.wrapping_add(cell.ticks());
            many |= untaken == Untaken::Many;
            if untaken != Untaken::Nothing {
                cell.add_extremes(&mut extremes, ended);
            }
        }
        if many {
            (count, ticks) = self.take_difference(cells.clone());
        }
        let sketch = self.buckets.take_seen();
        // Empty if all new readings were taken already, but are not in their buckets yet; see
        // `take_difference`.
        let (lowest, highest) = (sketch.buckets().next()?.0, sketch.buckets().last()?.0);
        self.count += count;
        let about = rough_mean(&sketch, highest, count, tick);
        let more = ticks.wrapping_sub(self.ticks);
        self.ticks = ticks;
        let sum = unwrapped(more, about * count as f64) as f64 * tick;
        let (min, max) = exact(extremes, lowest, highest);
        let variance = match self.variance(cells, about) {
            Some(variance) => variance * tick * tick,
            None => rough(&sketch).1,
        };
        let deviations = variance * count as f64;
        let squares = deviations + sum * (sum / count as f64);
        let mut summary = Summary::folded(count, sum, min, max, squares);
        summary = summary.with_squared_deviations(deviations);
        *summary.sketch_mut() = sketch;
        Some(summary)
    }

    /// Discards all readings. Ignores which readings the cells mark as taken: in a forked child,
    /// they were added to the totals of the parent and not to these.
    pub(crate) fn skip<'a>(&mut self, cells: impl Iterator<Item = &'a TimerCell> + Clone) {
        let (count, ticks) = self.take_difference(cells.clone());
        self.buckets.take_seen();
        self.count += count;
        self.ticks = ticks;
        if let Some(sums) = sums(cells) {
            self.sums = sums;
        }
    }

    /// The variance in ticks of the readings since it was last known. `None` if it is unknown now;
    /// the next call then returns that of all readings since.
    fn variance<'a>(
        &mut self,
        cells: impl Iterator<Item = &'a TimerCell>,
        about: f64,
    ) -> Option<f64> {
        let sums = sums(cells)?;
        let variance = sums.since(self.sums).variance(about)?;
        self.sums = sums;
        Some(variance)
    }

    /// Collects the readings of all cells that were not taken yet. Returns their number, and the
    /// ticks of all cells.
    fn take_difference<'a>(&mut self, cells: impl Iterator<Item = &'a TimerCell>) -> (u64, u64) {
        // They include what some cells have already contributed.
        self.buckets.forget_seen();
        let (mut all, mut ticks) = (0_u64, 0_u64);
        for cell in cells {
            all += cell.add_to(&mut self.buckets);
            ticks = ticks.wrapping_add(cell.ticks());
        }
        let count = self.buckets.subtract_taken();
        // The number of readings is correct even if the count of a bucket has wrapped around.
        let missing = all.saturating_sub(self.count).saturating_sub(count);
        (count + (missing >> u32::BITS << u32::BITS), ticks)
    }

    /// Everything that was ever taken: bucket number and count, ascending.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (i32, u32)> + '_ {
        self.buckets.taken()
    }
}

/// The sums of all cells. `None` if readings are in progress in one of them at every attempt.
fn sums<'a>(cells: impl Iterator<Item = &'a TimerCell>) -> Option<Sums> {
    cells.map(TimerCell::sums).try_fold(Sums::new(), |all, more| more.map(|more| all.with(more)))
}

/// The approximate mean of the readings in ticks; 0 if their sum cannot have wrapped around.
fn rough_mean(sketch: &Sketch, highest: i32, count: u64, tick: f64) -> f64 {
    let longest = Sketch::middle(highest).unwrap_or_default() / tick;
    let can_wrap = longest * count as f64 >= 2_f64.powi(63);
    if can_wrap { rough(sketch).0 / tick } else { 0.0 }
}

/// The approximate mean and variance of the readings in a sketch.
fn rough(sketch: &Sketch) -> (f64, f64) {
    let (mut count, mut mean, mut deviations) = (0.0, 0.0, 0.0);
    for (bucket, times) in sketch.buckets() {
        let (middle, times) = (Sketch::middle(bucket).unwrap_or_default(), times as f64);
        let apart = middle - mean;
        count += times;
        mean += apart * times / count;
        deviations += apart * (middle - mean) * times;
    }
    (mean, deviations / count)
}

/// Minimum and maximum of the readings. A reading at the end of an epoch may be in the slot of the
/// other epoch; then the middle of its bucket is used.
fn exact(extremes: Extremes, lowest: i32, highest: i32) -> (f64, f64) {
    let is_in = |value: f64, key: i32| {
        value.is_finite() && i32::from(slot_of(value)) == key - FIRST_KEY as i32
    };
    let middle = |key| Sketch::middle(key).unwrap_or_default();
    let max = if is_in(extremes.max, highest) { extremes.max } else { middle(highest) };
    let min = if is_in(extremes.min, lowest) { extremes.min } else { middle(lowest) };
    (min.min(max), max)
}

#[cfg(test)]
mod tests {
    use super::TimerTotals;
    use crate::Summary;
    use crate::sdk::cells::timer::TimerCell;
    use proptest::prelude::*;

    const TICK: f64 = 1e-9;

    fn take(totals: &mut TimerTotals, cells: &[TimerCell], epoch: u32) -> Option<Summary> {
        totals.take(cells.iter(), epoch, TICK)
    }

    #[test]
    fn each_look_gives_what_was_read_since_the_last() {
        let cells = [TimerCell::default(), TimerCell::default()];
        let mut totals = TimerTotals::new();
        assert_eq!(take(&mut totals, &cells, 0), None);
        (1..=1000).for_each(|n| cells[n as usize % 2].record(n * 1000, TICK, 1));
        assert_eq!(totals.count_since(cells.iter()), 1000);
        let first = take(&mut totals, &cells, 1).unwrap();
        assert_eq!((first.count(), first.min(), first.max()), (1000, 1000.0 * TICK, 1e6 * TICK));
        assert!((first.sum() - 0.5005).abs() < 1e-12);
        let squares: f64 = (1..=1000).map(|n| f64::from(n * n) * 1e-12).sum();
        assert!((first.sum_squares() - squares).abs() < squares * 1e-12);
        assert!((first.quantile(0.9).unwrap() - 9e-4).abs() < 9e-4 * 0.008);

        cells[1].record(5_000_000, TICK, 2);
        let second = take(&mut totals, &cells, 2).unwrap();
        assert_eq!((second.count(), second.min(), second.max()), (1, 5e6 * TICK, 5e6 * TICK));
        assert_eq!(totals.count_since(cells.iter()), 0);
        assert_eq!(take(&mut totals, &cells, 3), None);
        assert_eq!(totals.buckets().map(|(_, count)| count).sum::<u32>(), 1001);
    }

    #[test]
    fn a_forked_child_skips_what_its_parent_read_and_took() {
        for taken in [0, 1, 7, 100] {
            for more in [0, 1, 7, 100] {
                let cells = [TimerCell::default(), TimerCell::default()];
                let (mut parent, mut child) = (TimerTotals::new(), TimerTotals::new());
                let read = |times, epoch| {
                    (0..times).for_each(|n| cells[n % 2].record(n as i64 * 1000, TICK, epoch));
                };
                read(taken, 1);
                take(&mut parent, &cells, 1);
                read(more, 2);
                // The child has the cells, but not the totals.
                child.skip(cells.iter());
                assert_eq!(child.count_since(cells.iter()), 0, "{taken} taken, {more} more");
                cells[0].record(5_000, TICK, 3);
                let own = take(&mut child, &cells, 3).unwrap();
                assert_eq!(
                    (own.count(), own.sketch().count()),
                    (1, 1),
                    "{taken} taken, {more} more"
                );
                assert_eq!((own.min(), own.max()), (5e3 * TICK, 5e3 * TICK));
                assert!((own.sum() - 5e3 * TICK).abs() < 1e-15, "{}", own.sum());
                assert_eq!(own.stddev(), 0.0);
            }
        }
    }

    #[test]
    fn readings_beyond_all_octaves_are_counted() {
        let (cell, mut totals) = ([TimerCell::default()], TimerTotals::new());
        for ticks in [0, 1, i64::MAX] {
            cell[0].record(ticks, TICK, 1);
        }
        let summary = take(&mut totals, &cell, 1).unwrap();
        assert_eq!((summary.count(), totals.count_since(cell.iter())), (3, 0));
        assert_eq!((summary.min(), summary.max()), (0.0, i64::MAX as f64 * TICK));
    }

    #[test]
    fn an_epoch_that_lasts_keeps_what_is_exact() {
        let (cell, mut totals) = ([TimerCell::default()], TimerTotals::new());
        [3_000_000, 7_000_000].iter().for_each(|ticks| cell[0].record(*ticks, TICK, 5));
        // Counted, as for the statistics, but not taken.
        assert_eq!(totals.count_since(cell.iter()), 2);
        cell[0].record(1_000_000, TICK, 5);
        let summary = take(&mut totals, &cell, 5).unwrap();
        assert_eq!((summary.count(), summary.min(), summary.max()), (3, 1e6 * TICK, 7e6 * TICK));
        assert!((summary.sum_squares() - 59e-6).abs() < 1e-15);
    }

    #[test]
    fn a_bucket_that_wraps_around_has_counted_on() {
        let (cell, mut totals) = ([TimerCell::default()], TimerTotals::new());
        (0..100).for_each(|_| cell[0].record(1000, TICK, 1));
        take(&mut totals, &cell, 1).unwrap();
        // As if there had been this many more.
        cell[0].pretend_more(1000, TICK, (5 << 32) + 50);
        assert_eq!(totals.count_since(cell.iter()), (5 << 32) + 50);
        let summary = take(&mut totals, &cell, 2).unwrap();
        assert_eq!((summary.count(), summary.stddev()), ((5 << 32) + 50, 0.0));
        assert_eq!(summary.sketch().count(), 50);
        cell[0].record(1000, TICK, 2);
        assert_eq!(take(&mut totals, &cell, 2).unwrap().count(), 1);
    }

    #[test]
    fn readings_that_are_close_to_each_other_keep_their_deviation() {
        let cells = [(); 24].map(|()| TimerCell::default());
        let mut totals = TimerTotals::new();
        // 1000 s ± 1 µs, in 24 threads, over three intervals.
        for epoch in 1..=3 {
            for n in 0..2400_i64 {
                cells[n as usize % 24].record(1_000_000_000_000 + (n % 3 - 1) * 1000, TICK, epoch);
            }
            let summary = take(&mut totals, &cells, epoch).unwrap();
            let exact = (2.0_f64 / 3.0).sqrt() * 1e-6;
            assert!((summary.stddev() / exact - 1.0).abs() < 1e-6, "{}", summary.stddev());
        }
    }

    #[test]
    fn a_constant_over_many_threads_does_not_deviate() {
        let cells = [(); 24].map(|()| TimerCell::default());
        let mut totals = TimerTotals::new();
        for (thread, cell) in cells.iter().enumerate() {
            (0..=thread).for_each(|_| cell.record(123_456_789, 0.371e-9, 1));
        }
        let summary = totals.take(cells.iter(), 1, 0.371e-9).unwrap();
        assert_eq!((summary.count(), summary.stddev()), (300, 0.0));
    }

    #[test]
    fn a_sum_that_wraps_around_has_gone_on() {
        let (cell, mut totals) = ([TimerCell::default()], TimerTotals::new());
        // 100,000 connections that were each open for a day end at the same time. A tick is a third
        // of a nanosecond.
        let (day, tick) = (259_200_000_000_000, 1.0 / 3e9);
        (0..100_000).for_each(|_| cell[0].record(day, tick, 1));
        let summary = totals.take(cell.iter(), 1, tick).unwrap();
        assert!((summary.mean() - 86_400.0).abs() < 1e-6, "{}", summary.mean());
        assert_eq!(summary.stddev(), 0.0);
        cell[0].record(day / 24, tick, 2);
        assert!((totals.take(cell.iter(), 2, tick).unwrap().sum() - 3600.0).abs() < 1e-9);
    }

    #[test]
    fn a_reading_that_is_never_finished_leaves_the_rough_deviation() {
        let (cell, mut totals) = ([TimerCell::default()], TimerTotals::new());
        (1..=1000).for_each(|n| cell[0].record(n * 1000, TICK, 1));
        // The thread was interrupted during another reading.
        cell[0].pretend_begun(1);
        let exact = (999_999_f64 / 12.0).sqrt() * 1e-6;
        let rough = take(&mut totals, &cell, 1).unwrap().stddev();
        assert!((rough / exact - 1.0).abs() < 0.02, "{rough} {exact}");
        cell[0].pretend_begun(0);
        // Now the variance of all of them is known.
        cell[0].record(500_500, TICK, 2);
        cell[0].record(900_900, TICK, 2);
        let all = take(&mut totals, &cell, 2).unwrap();
        assert!((all.stddev() - 200.2e-6).abs() < 1e-9, "{}", all.stddev());
    }

    #[test]
    fn an_exact_value_of_another_epoch_is_not_taken_for_this_one() {
        let (cell, mut totals) = ([TimerCell::default()], TimerTotals::new());
        cell[0].record(1000, TICK, 1);
        cell[0].record(5_000_000, TICK, 2);
        // The first reading was counted too late for its epoch.
        let summary = take(&mut totals, &cell, 2).unwrap();
        assert_eq!((summary.count(), summary.max()), (2, 0.005));
        assert!((summary.min() - 1e-6).abs() < 1e-6 * 0.008);
    }

    proptest! {
        #[test]
        fn all_that_was_read_is_taken_once(
            looks in prop::collection::vec(
                prop::collection::vec((0..3_usize, 0..40_i64, 0..40_u32), 0..60),
                1..20,
            ),
        ) {
            let cells = [(); 3].map(|()| TimerCell::default());
            let mut totals = TimerTotals::new();
            for (epoch, readings) in (1..).zip(looks) {
                let seconds = readings.iter().map(|(at, ticks, octave)| {
                    let ticks = (64 + ticks) << octave;
                    cells[*at].record(ticks, TICK, epoch);
                    ticks as f64 * TICK
                });
                let wanted: Summary = seconds.collect();
                prop_assert_eq!(totals.count_since(cells.iter()), wanted.count());
                let got = take(&mut totals, &cells, epoch).unwrap_or_default();
                prop_assert_eq!(
                    (got.count(), got.min(), got.max(), got.sketch()),
                    (wanted.count(), wanted.min(), wanted.max(), wanted.sketch())
                );
                let near = |a: f64, b: f64| (a - b).abs() <= b * 1e-12;
                prop_assert!(near(got.sum(), wanted.sum()));
                prop_assert!(near(got.sum_squares(), wanted.sum_squares()));
                let scale = wanted.sum_squares() * 1e-15;
                let deviations = (got.squared_deviations(), wanted.squared_deviations());
                let near = (deviations.0 - deviations.1).abs() <= deviations.1 * 1e-9 + scale;
                prop_assert!(near, "{:?}", deviations);
            }
        }
    }
}
