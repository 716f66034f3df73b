//! One thread's readings of one timer. The thread adds; only the sender reads, by difference.
//!
//! Nothing is ever reset under the thread's feet. Counts and sums only grow, and wrap around; min
//! and max, which cannot be had by difference, stand in two slots by turns: when the sender takes
//! them, it begins a new epoch of that timer, and the thread resets the other slot when it first
//! writes there.
//!
//! Sums are in whole ticks, so differences of them are exact. Count, sum and sum of squares of the
//! same readings are had by reading them while no reading is being made: the number of the reading
//! is stored before anything else is, and again at the end.
//!
//! A reading goes into its bucket when the next one is made. Until then it stands among the recent
//! ones, at a place that does not depend on how long it took: processors read the time only when
//! they know where everything before is stored, so a store into the bucket at once would make the
//! next timer wait until the bucket is computed, which costs more than all the rest.

use super::sync::Ordering::{Acquire, Relaxed, Release};
use super::sync::{AtomicU16, AtomicU32, AtomicU64, OnceBox, attempts, fence};
use super::timer_buckets::{Buckets, Extremes, OCTAVES, Sums, slot_of};
use crate::sketch::PER_OCTAVE;
use std::array;

/// How many readings stand among the recent ones; few for the models in `tests/loom`.
const RECENT: usize = if cfg!(loom) { 4 } else { 16 };

/// How often the sender tries to read the sums while no reading is being made. A thread that was
/// interrupted in the middle of one may stay there for long.
const SUMS_TRIES: usize = 64;

/// The bucket of no reading.
const NONE: u16 = u16::MAX;

type Counts = [AtomicU32; PER_OCTAVE];

// The first 64 bytes are all that the sender looks at while there are few readings, and with the
// next 64 all that they change besides their buckets.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct TimerCell {
    /// How many readings there were. Stored last, so what is counted is complete.
    count: AtomicU64,
    /// Whole ticks, so that a difference is exact. They wrap after decades.
    ticks: AtomicU64,
    /// How many of the readings were taken, the oldest first; or [`SOME`]. The sender's.
    taken: AtomicU64,
    /// Which octaves there are.
    used: AtomicU64,
    /// The buckets of the recent readings; that of number `n`, counted from 0, at `n % RECENT`.
    /// All but that of the last reading are counted in their octaves too.
    recent: [AtomicU16; RECENT],
    /// How many readings were begun; it is one ahead of `count` while one is being made.
    begun: AtomicU64,
    /// The sum of the squares of the ticks, a number of 128 bits, its lower half first.
    squares: [AtomicU64; 2],
    /// The epochs of the two slots, and what is in them.
    epochs: [AtomicU32; 2],
    min: [AtomicU64; 2],
    max: [AtomicU64; 2],
    octaves: [OnceBox<Counts>; OCTAVES],
}

/// It cannot be said which readings were taken, only how many fell into each bucket.
const SOME: u64 = u64::MAX;

impl Default for TimerCell {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            count: zero(),
            ticks: zero(),
            taken: zero(),
            used: zero(),
            recent: array::from_fn(|_| AtomicU16::new(NONE)),
            begun: zero(),
            squares: [zero(), zero()],
            epochs: [AtomicU32::new(0), AtomicU32::new(0)],
            min: [zero(), zero()],
            max: [zero(), zero()],
            octaves: array::from_fn(|_| OnceBox::new()),
        }
    }
}

impl TimerCell {
    /// How many bytes a cell takes, with as many octaves as most timers have.
    pub(crate) const BYTES: usize = size_of::<Self>() + 4 * size_of::<Counts>();

    /// Adds one reading, which is not negative. Called by one thread at a time, and not by the
    /// allocator.
    #[inline]
    pub(crate) fn record(&self, ticks: i64, tick: f64, epoch: u32) {
        let last = self.last(self.count.load(Relaxed));
        let (octave, bucket) = (usize::from(last) / PER_OCTAVE, usize::from(last) % PER_OCTAVE);
        match self.octaves.get(octave).and_then(OnceBox::get) {
            Some(counts) => {
                grow(&counts[bucket]);
                self.add(ticks, tick, epoch);
            }
            // Calls nothing in the middle, so that nothing has to be kept over a call.
            None => self.record_slowly(ticks, tick, epoch),
        }
    }

    /// Counts the first reading of an octave in its bucket; or none, before the first of all.
    #[cold]
    fn record_slowly(&self, ticks: i64, tick: f64, epoch: u32) {
        let last = self.last(self.count.load(Relaxed));
        let (octave, bucket) = (usize::from(last) / PER_OCTAVE, usize::from(last) % PER_OCTAVE);
        if let Some(counts) = self.octaves.get(octave) {
            let new = || Box::new(array::from_fn(|_| AtomicU32::new(0)));
            let counts = counts.get_or_init(new);
            self.used.store(self.used.load(Relaxed) | 1 << octave, Relaxed);
            grow(&counts[bucket]);
        }
        self.add(ticks, tick, epoch);
    }

    /// The bucket of the last of so many readings.
    #[inline]
    fn last(&self, count: u64) -> u16 {
        self.recent[count.wrapping_sub(1) as usize % RECENT].load(Relaxed)
    }

    /// Adds a reading to all but its bucket.
    #[inline]
    fn add(&self, ticks: i64, tick: f64, epoch: u32) {
        let seconds = ticks as f64 * tick;
        let count = self.count.load(Relaxed);
        self.begun.store(count + 1, Relaxed);
        self.recent[count as usize % RECENT].store(slot_of(seconds), Release);
        self.sum(ticks.cast_unsigned());
        self.extremes(seconds, epoch);
        self.count.store(count + 1, Release);
    }

    /// Adds to the sums. Release, so that whoever sees one of them sees that the reading has begun.
    #[inline]
    fn sum(&self, ticks: u64) {
        self.ticks.store(self.ticks.load(Relaxed).wrapping_add(ticks), Release);
        let square = u128::from(ticks) * u128::from(ticks);
        let squares = self.squares().wrapping_add(square);
        self.squares[0].store(squares as u64, Release);
        self.squares[1].store((squares >> u64::BITS) as u64, Release);
    }

    #[inline]
    fn squares(&self) -> u128 {
        let [low, high] = self.squares.each_ref().map(|half| u128::from(half.load(Relaxed)));
        high << u64::BITS | low
    }

    #[inline]
    fn extremes(&self, seconds: f64, epoch: u32) {
        let slot = epoch as usize % 2;
        let (min, max) = (&self.min[slot], &self.max[slot]);
        if self.epochs[slot].load(Relaxed) != epoch {
            min.store(seconds.to_bits(), Relaxed);
            max.store(seconds.to_bits(), Relaxed);
            self.epochs[slot].store(epoch, Release);
            return;
        }
        // Durations are not negative, and the bits of such doubles ascend with them.
        if seconds.to_bits() < min.load(Relaxed) {
            min.store(seconds.to_bits(), Relaxed);
        }
        if seconds.to_bits() > max.load(Relaxed) {
            max.store(seconds.to_bits(), Relaxed);
        }
    }
}

/// What of a cell's readings was not taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untaken {
    Nothing,
    /// They stood among the recent ones, and are taken now.
    Few,
    /// They have to be found by difference.
    Many,
}

impl TimerCell {
    /// How many readings there were.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Acquire)
    }

    /// The ticks of all readings; at least of those that were counted before.
    #[inline]
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks.load(Relaxed)
    }

    /// Takes the readings that were not taken yet, if they are few: gives their buckets to `take`.
    pub(crate) fn take_recent(&self, take: impl FnMut(u16)) -> Untaken {
        let (count, taken) = (self.count(), self.taken.load(Relaxed));
        if count == taken {
            return Untaken::Nothing;
        }
        let are_here = |count: u64| count.wrapping_sub(taken) < RECENT as u64;
        if taken == SOME || !are_here(count) {
            return Untaken::Many;
        }
        let (mut slots, more) = ([NONE; RECENT], (count - taken) as usize);
        for (number, slot) in (taken..count).zip(&mut slots) {
            *slot = self.recent[number as usize % RECENT].load(Relaxed);
        }
        // Whoever sees what was written over one of them sees that its number has come.
        fence(Acquire);
        if !are_here(self.count.load(Relaxed)) {
            return Untaken::Many;
        }
        self.taken.store(count, Relaxed);
        slots.into_iter().take(more).for_each(take);
        Untaken::Few
    }

    /// Adds how many readings ever fell into each bucket, and takes them. Gives how many there were
    /// at the end of that, for all of which it cannot wait.
    pub(crate) fn add_to(&self, buckets: &mut Buckets) -> u64 {
        let count = self.count();
        let last = self.recent[count.wrapping_sub(1) as usize % RECENT].load(Acquire);
        let (mut placed, mut used) = (0_u32, self.used.load(Relaxed));
        while used != 0 {
            let octave = used.trailing_zeros() as usize;
            used &= used - 1;
            let Some(counts) = self.octaves[octave].get() else { continue };
            for (total, count) in buckets.now(octave).iter_mut().zip(counts) {
                let count = count.load(Relaxed);
                *total = total.wrapping_add(count);
                placed = placed.wrapping_add(count);
            }
        }
        // What was placed has been summed.
        fence(Acquire);
        let after = self.count.load(Relaxed);
        // All but the last one were placed before the count was stored. If there are no more than
        // those, the last is the one that is missing.
        let taken = if count > 0 && placed == (count as u32).wrapping_sub(1) {
            buckets.see(last);
            count
        } else if count == after {
            count
        } else {
            // Of those that came meanwhile, one may be missing here that is older than another.
            SOME
        };
        self.taken.store(taken, Relaxed);
        after
    }

    /// The sums of the same readings; `None` if one is being made all the time.
    pub(crate) fn sums(&self) -> Option<Sums> {
        (0..attempts(SUMS_TRIES)).find_map(|_| {
            let count = self.count();
            let sums = Sums { count, ticks: self.ticks(), squares: self.squares() };
            // Whoever sees a part of a later reading sees that it has begun.
            fence(Acquire);
            (self.begun.load(Relaxed) == count).then_some(sums)
        })
    }

    /// Adds min and max of what was read in `epoch`.
    pub(crate) fn add_extremes(&self, extremes: &mut Extremes, epoch: u32) {
        let slot = epoch as usize % 2;
        if self.epochs[slot].load(Acquire) == epoch {
            extremes.min = extremes.min.min(f64::from_bits(self.min[slot].load(Relaxed)));
            extremes.max = extremes.max.max(f64::from_bits(self.max[slot].load(Relaxed)));
        }
    }
}

#[cfg(test)]
impl TimerCell {
    /// As if so many readings were being made.
    pub(crate) fn pretend_begun(&self, more: u64) {
        self.begun.store(self.count() + more, Relaxed);
    }

    /// As if there had been so many more readings alike.
    pub(crate) fn pretend_more(&self, ticks: u64, tick: f64, times: u64) {
        let slot = usize::from(slot_of(ticks as f64 * tick));
        let count = &self.octaves[slot / PER_OCTAVE].get().unwrap()[slot % PER_OCTAVE];
        count.store(count.load(Relaxed).wrapping_add(times as u32), Relaxed);
        self.ticks.store(self.ticks().wrapping_add(ticks.wrapping_mul(times)), Relaxed);
        let square = u128::from(ticks).pow(2).wrapping_mul(u128::from(times));
        let squares = self.squares().wrapping_add(square);
        self.squares[0].store(squares as u64, Relaxed);
        self.squares[1].store((squares >> u64::BITS) as u64, Relaxed);
        self.count.store(self.count() + times, Relaxed);
        self.begun.store(self.count(), Relaxed);
    }
}

/// Only one thread writes there.
#[inline]
fn grow(count: &AtomicU32) {
    count.store(count.load(Relaxed).wrapping_add(1), Release);
}

#[cfg(test)]
mod tests {
    use super::{RECENT, TimerCell, Untaken, slot_of};

    const TICK: f64 = 1e-9;

    #[test]
    fn a_cell_begins_where_a_line_of_the_cache_does() {
        assert_eq!((align_of::<TimerCell>(), size_of::<TimerCell>()), (64, 640));
    }

    #[test]
    fn few_readings_are_taken_from_the_recent_ones() {
        let (cell, mut slots) = (TimerCell::default(), Vec::new());
        assert_eq!(cell.take_recent(|_| ()), Untaken::Nothing);
        for round in 1..100_u64 {
            let readings = round as usize % RECENT;
            (0..readings).for_each(|n| cell.record(1 << n, TICK, 1));
            slots.clear();
            let taken = cell.take_recent(|slot| slots.push(slot));
            let wanted: Vec<_> = (0..readings).map(|n| slot_of(f64::from(1 << n) * TICK)).collect();
            assert_eq!(slots, wanted);
            assert_eq!(taken, if readings > 0 { Untaken::Few } else { Untaken::Nothing });
        }
        (0..RECENT).for_each(|_| cell.record(1, TICK, 1));
        assert_eq!(cell.take_recent(|_| ()), Untaken::Many);
    }
}
