//! What was taken of one timer out of all threads' cells, and what comes next, by difference.

use super::timer_cell::{FIRST_KEY, TimerCell, Untaken, slot_of};
use crate::sketch::{PER_OCTAVE, Sketch};
use crate::summary::Summary;

/// What was taken. As large as the octaves that were touched; a look allocates for new ones only.
#[derive(Debug, Default)]
pub(crate) struct TimerTotals {
    count: u64,
    ticks: u64,
    /// They ascend.
    octaves: Vec<Octave>,
}

/// How many readings there were in each of its buckets; these wrap around.
#[derive(Debug)]
struct Octave {
    number: usize,
    taken: [u32; PER_OCTAVE],
    /// While the cells are looked at: of those that were seen.
    now: [u32; PER_OCTAVE],
}

/// Fewer than these were taken before, and are not seen now: at most one for each cell.
const LARGEST_STEP_BACK: u32 = 1 << 20;

/// Min, max and squares of one epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extremes {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) squares: f64,
}

impl Default for Extremes {
    fn default() -> Self {
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, squares: 0.0 }
    }
}

/// The buckets of what is just taken.
#[derive(Debug)]
struct Buckets {
    sketch: Sketch,
    lowest: u16,
    highest: u16,
}

impl Buckets {
    const fn new() -> Self {
        Self { sketch: Sketch::new(), lowest: u16::MAX, highest: 0 }
    }

    fn add(&mut self, slot: u16, times: u32) {
        self.sketch.add_to_bucket(key(slot), times);
        (self.lowest, self.highest) = (self.lowest.min(slot), self.highest.max(slot));
    }

    /// With what can be told exactly. A reading made in the very moment in which the epoch ended may
    /// stand in the other one's extremes; then the middle of its bucket has to do.
    fn summary(self, count: u64, sum: f64, extremes: Extremes) -> Summary {
        let exact = |value: f64, slot| value.is_finite() && slot_of(value) == slot;
        let middle = |slot| Sketch::middle(key(slot)).unwrap_or_default();
        let (lowest, highest) = (self.lowest, self.highest);
        let max = if exact(extremes.max, highest) { extremes.max } else { middle(highest) };
        let min = if exact(extremes.min, lowest) { extremes.min } else { middle(lowest) };
        let mut summary = Summary::folded(count, sum, min.min(max), max, extremes.squares);
        *summary.sketch_mut() = self.sketch;
        summary
    }
}

fn key(slot: u16) -> i32 {
    (FIRST_KEY + usize::from(slot)) as i32
}

impl TimerTotals {
    pub(crate) const fn new() -> Self {
        Self { count: 0, ticks: 0, octaves: Vec::new() }
    }

    /// How many readings in these cells were not taken yet. Looks at 64 bytes of each.
    pub(crate) fn count_since<'a>(&self, cells: impl Iterator<Item = &'a TimerCell>) -> u64 {
        cells.map(TimerCell::count).sum::<u64>().saturating_sub(self.count)
    }

    /// Takes all readings that were not taken yet, if there are any. `ended` is the epoch of their
    /// extremes, which has to have ended before.
    pub(crate) fn take<'a>(
        &mut self,
        cells: impl Iterator<Item = &'a TimerCell> + Clone,
        ended: u32,
        tick: f64,
    ) -> Option<Summary> {
        let (before, mut ticks) = (self.count, 0_u64);
        let (mut buckets, mut extremes) = (Buckets::new(), Extremes::default());
        let mut many = false;
        for cell in cells.clone() {
            let untaken = cell.take_recent(|slot| self.take_one(slot, &mut buckets));
            ticks = ticks.wrapping_add(cell.ticks());
            many |= untaken == Untaken::Many;
            if untaken != Untaken::Nothing {
                cell.add_extremes(&mut extremes, ended);
            }
        }
        if many {
            ticks = self.take_difference(cells, &mut buckets);
        }
        if self.count == before {
            return None;
        }
        let sum = ticks.wrapping_sub(self.ticks) as f64 * tick;
        self.ticks = ticks;
        Some(buckets.summary(self.count - before, sum, extremes))
    }

    fn take_one(&mut self, slot: u16, buckets: &mut Buckets) {
        let octave = self.octave(usize::from(slot) / PER_OCTAVE);
        let taken = &mut octave.taken[usize::from(slot) % PER_OCTAVE];
        *taken = taken.wrapping_add(1);
        self.count += 1;
        buckets.add(slot, 1);
    }

    /// Takes what there is more in all cells than was taken; gives the ticks of all.
    fn take_difference<'a>(
        &mut self,
        cells: impl Iterator<Item = &'a TimerCell>,
        buckets: &mut Buckets,
    ) -> u64 {
        self.octaves.iter_mut().for_each(|octave| octave.now = [0; PER_OCTAVE]);
        let (mut count, mut ticks) = (0_u64, 0_u64);
        for cell in cells {
            count += cell.add_to(self);
            ticks = ticks.wrapping_add(cell.ticks());
        }
        for octave in &mut self.octaves {
            let first = (octave.number * PER_OCTAVE) as u16;
            for (slot, (now, taken)) in (first..).zip(octave.now.iter().zip(&mut octave.taken)) {
                let more = now.wrapping_sub(*taken);
                // Not yet seen in its bucket, but taken from the recent ones: it will be.
                if more == 0 || more > u32::MAX - LARGEST_STEP_BACK {
                    continue;
                }
                *taken = *now;
                self.count += u64::from(more);
                buckets.add(slot, more);
            }
        }
        // The number of readings is right even when a bucket has gone all the way round.
        let rounds = count.saturating_sub(self.count) >> u32::BITS;
        self.count += rounds << u32::BITS;
        ticks
    }

    /// All that was ever taken: bucket number and count, ascending.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (i32, u32)> + '_ {
        self.octaves.iter().flat_map(|octave| {
            let first = key((octave.number * PER_OCTAVE) as u16);
            (first..).zip(octave.taken).filter(|(_, taken)| *taken > 0)
        })
    }

    /// What was seen in each bucket of an octave.
    pub(super) fn now(&mut self, octave: usize) -> &mut [u32; PER_OCTAVE] {
        &mut self.octave(octave).now
    }

    fn octave(&mut self, number: usize) -> &mut Octave {
        let at = self.octaves.partition_point(|octave| octave.number < number);
        if self.octaves.get(at).is_none_or(|octave| octave.number != number) {
            let (taken, now) = ([0; PER_OCTAVE], [0; PER_OCTAVE]);
            self.octaves.insert(at, Octave { number, taken, now });
        }
        &mut self.octaves[at]
    }
}

#[cfg(test)]
mod tests {
    use super::TimerTotals;
    use crate::Summary;
    use crate::sdk::timer_cell::TimerCell;
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
        // Looked at, as the books are for their balance, but not taken.
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
        // As if there had been so many more.
        cell[0].pretend_more(1000, TICK, (5 << 32) + 50);
        assert_eq!(totals.count_since(cell.iter()), (5 << 32) + 50);
        let summary = take(&mut totals, &cell, 2).unwrap();
        assert_eq!(summary.count(), (5 << 32) + 50);
        assert_eq!(summary.sketch().count(), 50);
        cell[0].record(1000, TICK, 2);
        assert_eq!(take(&mut totals, &cell, 2).unwrap().count(), 1);
    }

    #[test]
    fn an_exact_value_of_another_epoch_is_not_taken_for_this_one() {
        let (cell, mut totals) = ([TimerCell::default()], TimerTotals::new());
        cell[0].record(1000, TICK, 1);
        cell[0].record(5_000_000, TICK, 2);
        // The first one was counted too late for its epoch.
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
            }
        }
    }
}
