//! One thread's readings of one timer. The thread adds; only the sender reads, by difference.
//!
//! Nothing is ever reset under the thread's feet. Counts and the sum only grow, and wrap around;
//! min, max and squares, which cannot be had by difference, stand in two slots by turns: the
//! sender begins a new epoch, and the thread resets the other slot when it first writes there.

use crate::sketch::{PER_OCTAVE, SHIFT as KEY_SHIFT, key_of};
use crate::summary::Summary;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The octaves that durations fall into: from 2^-34 s (58 ps) up to 2^29 s (17 years).
const OCTAVES: usize = 64;
const FIRST_OCTAVE: usize = 1023 - 34;

type Counts = [AtomicU32; PER_OCTAVE];

#[derive(Debug)]
pub(crate) struct TimerCell {
    /// Whole ticks, so that a difference is exact. They wrap after decades.
    ticks: AtomicU64,
    slots: [Slot; 2],
    octaves: [OnceLock<Box<Counts>>; OCTAVES],
}

/// What cannot be had by difference.
#[derive(Debug)]
struct Slot {
    epoch: AtomicU32,
    min: AtomicU64,
    max: AtomicU64,
    squares: AtomicU64,
}

impl Slot {
    const fn new() -> Self {
        Self {
            epoch: AtomicU32::new(0),
            min: AtomicU64::new(0),
            max: AtomicU64::new(0),
            squares: AtomicU64::new(0),
        }
    }
}

impl Default for TimerCell {
    fn default() -> Self {
        Self {
            ticks: AtomicU64::new(0),
            slots: [Slot::new(), Slot::new()],
            octaves: [const { OnceLock::new() }; OCTAVES],
        }
    }
}

impl TimerCell {
    /// Adds one reading. Called by one thread at a time.
    ///
    /// The count comes last, and the reader reads it first: so what it has counted it has summed,
    /// and what it has summed but not counted yet stays for the next time.
    #[inline]
    pub(crate) fn record(&self, ticks: i64, tick: f64, epoch: u32) {
        let seconds = ticks as f64 * tick;
        // As `key_of`, for what is not negative.
        let key = (seconds.to_bits() >> KEY_SHIFT) as usize;
        let octave = (key / PER_OCTAVE).wrapping_sub(FIRST_OCTAVE);
        match self.octaves.get(octave).and_then(OnceLock::get) {
            Some(counts) => self.add(ticks, seconds, epoch, &counts[key % PER_OCTAVE]),
            None => self.record_first(ticks, seconds, epoch, key),
        }
    }

    #[inline]
    fn add(&self, ticks: i64, seconds: f64, epoch: u32, count: &AtomicU32) {
        let sum = self.ticks.load(Relaxed).wrapping_add(ticks.cast_unsigned());
        self.ticks.store(sum, Relaxed);
        self.extremes(seconds, epoch);
        count.store(count.load(Relaxed).wrapping_add(1), Release);
    }

    /// The first reading of an octave, and those beyond all octaves.
    #[cold]
    fn record_first(&self, ticks: i64, seconds: f64, epoch: u32, key: usize) {
        let octave = (key / PER_OCTAVE).saturating_sub(FIRST_OCTAVE).min(OCTAVES - 1);
        let new = || Box::new([const { AtomicU32::new(0) }; PER_OCTAVE]);
        self.add(ticks, seconds, epoch, &self.octaves[octave].get_or_init(new)[key % PER_OCTAVE]);
    }

    #[inline]
    fn extremes(&self, seconds: f64, epoch: u32) {
        let slot = &self.slots[epoch as usize % 2];
        if slot.epoch.load(Relaxed) != epoch {
            slot.min.store(seconds.to_bits(), Relaxed);
            slot.max.store(seconds.to_bits(), Relaxed);
            slot.squares.store((seconds * seconds).to_bits(), Relaxed);
            slot.epoch.store(epoch, Release);
            return;
        }
        // Durations are not negative, and the bits of such doubles ascend with them.
        if seconds.to_bits() < slot.min.load(Relaxed) {
            slot.min.store(seconds.to_bits(), Relaxed);
        }
        if seconds.to_bits() > slot.max.load(Relaxed) {
            slot.max.store(seconds.to_bits(), Relaxed);
        }
        let squares = f64::from_bits(slot.squares.load(Relaxed)) + seconds * seconds;
        slot.squares.store(squares.to_bits(), Relaxed);
    }
}

/// What all threads together have ever read of one timer.
#[derive(Debug, Clone, Default)]
pub(crate) struct TimerTotals {
    ticks: u64,
    /// By the number of the octave's first bucket.
    octaves: BTreeMap<i32, [u32; PER_OCTAVE]>,
}

/// Min, max and squares of one epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extremes {
    min: f64,
    max: f64,
    squares: f64,
}

impl Default for Extremes {
    fn default() -> Self {
        Self { min: f64::INFINITY, max: 0.0, squares: 0.0 }
    }
}

impl TimerCell {
    /// Adds what this thread has ever read.
    pub(crate) fn add_to(&self, totals: &mut TimerTotals) {
        for (octave, counts) in self.octaves.iter().enumerate() {
            let Some(counts) = counts.get() else { continue };
            let first = ((octave + FIRST_OCTAVE) * PER_OCTAVE) as i32;
            let totals = totals.octaves.entry(first).or_insert([0; PER_OCTAVE]);
            for (total, count) in totals.iter_mut().zip(counts.iter()) {
                *total = total.wrapping_add(count.load(Acquire));
            }
        }
        totals.ticks = totals.ticks.wrapping_add(self.ticks.load(Relaxed));
    }

    /// Adds min, max and squares of what this thread read in `epoch`.
    pub(crate) fn add_extremes(&self, extremes: &mut Extremes, epoch: u32) {
        let slot = &self.slots[epoch as usize % 2];
        if slot.epoch.load(Acquire) == epoch {
            extremes.min = extremes.min.min(f64::from_bits(slot.min.load(Relaxed)));
            extremes.max = extremes.max.max(f64::from_bits(slot.max.load(Relaxed)));
            extremes.squares += f64::from_bits(slot.squares.load(Relaxed));
        }
    }
}

impl TimerTotals {
    pub(crate) const fn new() -> Self {
        Self { ticks: 0, octaves: BTreeMap::new() }
    }

    /// How many readings there were since `before`.
    pub(crate) fn count_since(&self, before: &Self) -> u64 {
        self.buckets_since(before).map(|(_, more)| u64::from(more)).sum()
    }

    /// The buckets that have grown since `before`, and by how much. Counts wrap around, so each may
    /// have grown by 4 thousand million meanwhile.
    fn buckets_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (i32, u32)> + 'a {
        const NONE: &[u32; PER_OCTAVE] = &[0; PER_OCTAVE];
        self.octaves.iter().flat_map(|(first, counts)| {
            let before = before.octaves.get(first).unwrap_or(NONE);
            let grown = counts.iter().zip(before).map(|(now, before)| now.wrapping_sub(*before));
            let buckets = grown.enumerate().map(|(at, more)| (*first + at as i32, more));
            buckets.filter(|(_, more)| *more > 0)
        })
    }

    /// What was read since `before`.
    pub(crate) fn since(&self, before: &Self, extremes: Extremes, tick: f64) -> Summary {
        let buckets: Vec<_> = self.buckets_since(before).collect();
        let count = buckets.iter().map(|(_, more)| u64::from(*more)).sum();
        let sum = self.ticks.wrapping_sub(before.ticks) as f64 * tick;
        let (Some(lowest), Some(highest)) = (buckets.first(), buckets.last()) else {
            return Summary::new();
        };
        // A reading made in the very moment in which the epoch ended may have missed its slot.
        let middle = |bucket: i32| crate::sketch::Sketch::middle(bucket).unwrap_or_default();
        let mut min = extremes.min;
        if min == f64::INFINITY || key_of(min) > lowest.0 {
            min = middle(lowest.0);
        }
        let mut max = extremes.max;
        if key_of(max) < highest.0 {
            max = middle(highest.0);
        }
        let mut summary = Summary::folded(count, sum, min, max, extremes.squares);
        buckets
            .iter()
            .for_each(|(bucket, more)| summary.sketch_mut().add_to_bucket(*bucket, *more));
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::{Extremes, TimerCell, TimerTotals};

    const TICK: f64 = 1e-9;

    fn look(
        cells: &[TimerCell],
        before: &TimerTotals,
        epoch: u32,
    ) -> (crate::Summary, TimerTotals) {
        let (mut totals, mut extremes) = (TimerTotals::default(), Extremes::default());
        cells.iter().for_each(|cell| cell.add_to(&mut totals));
        cells.iter().for_each(|cell| cell.add_extremes(&mut extremes, epoch));
        (totals.since(before, extremes, TICK), totals)
    }

    #[test]
    fn each_look_gives_what_was_read_since_the_last() {
        let cells = [TimerCell::default(), TimerCell::default()];
        (1..=1000).for_each(|n| cells[n as usize % 2].record(n * 1000, TICK, 1));
        let (first, totals) = look(&cells, &TimerTotals::default(), 1);
        assert_eq!((first.count(), first.min(), first.max()), (1000, 1000.0 * TICK, 1e6 * TICK));
        assert!((first.sum() - 0.5005).abs() < 1e-12);
        let squares: f64 = (1..=1000).map(|n| f64::from(n * n) * 1e-12).sum();
        assert!((first.sum_squares() - squares).abs() < squares * 1e-12);
        assert!((first.quantile(0.9).unwrap() - 9e-4).abs() < 9e-4 * 0.008);

        cells[1].record(5_000_000, TICK, 2);
        let (second, totals) = look(&cells, &totals, 2);
        assert_eq!((second.count(), second.min(), second.max()), (1, 5e6 * TICK, 5e6 * TICK));
        let (nothing, _) = look(&cells, &totals, 3);
        assert!(nothing.is_empty());
    }

    #[test]
    fn readings_beyond_all_octaves_are_counted() {
        let cell = [TimerCell::default()];
        for ticks in [0, 1, i64::MAX] {
            cell[0].record(ticks, TICK, 1);
        }
        let (summary, totals) = look(&cell, &TimerTotals::default(), 1);
        assert_eq!((summary.count(), totals.count_since(&TimerTotals::default())), (3, 3));
        assert_eq!((summary.min(), summary.max()), (0.0, i64::MAX as f64 * TICK));
    }

    #[test]
    fn an_epoch_that_lasts_keeps_what_is_exact() {
        let cell = [TimerCell::default()];
        [3_000_000, 7_000_000].iter().for_each(|ticks| cell[0].record(*ticks, TICK, 5));
        // Looked at, as the books are for their balance, but not taken.
        let (_, totals) = look(&cell, &TimerTotals::default(), 5);
        assert_eq!(totals.count_since(&TimerTotals::default()), 2);
        cell[0].record(1_000_000, TICK, 5);
        let (summary, _) = look(&cell, &TimerTotals::default(), 5);
        assert_eq!((summary.count(), summary.min(), summary.max()), (3, 1e6 * TICK, 7e6 * TICK));
        assert!((summary.sum_squares() - 59e-6).abs() < 1e-15);
    }

    #[test]
    fn counts_that_wrap_around_are_still_told_apart() {
        let mut before = TimerTotals::new();
        before.octaves.insert(0, [u32::MAX; crate::sketch::PER_OCTAVE]);
        let mut after = before.clone();
        after.octaves.insert(0, [4; crate::sketch::PER_OCTAVE]);
        assert_eq!(after.count_since(&before), 5 * 64);
    }
}
