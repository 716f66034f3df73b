//! One thread's readings of one timer. The thread only adds, and the sender only reads: it takes
//! the difference from its last read.
//!
//! Nothing is reset while the thread may write it. Counts and sums only grow, and wrap around. The
//! minimum and maximum of an interval cannot be computed as a difference, so there are two slots
//! for them, used alternately: when the sender takes the values, it starts a new epoch of the
//! timer, and the thread resets the other slot when it first writes there.
//!
//! Sums are in whole ticks, so differences are exact. The sender gets count, sum and sum of squares
//! of the same readings by reading them while no reading is in progress: the thread stores the
//! number of the reading before everything else, and again at the end.
//!
//! A reading is added to its bucket when the next reading is recorded. Until then it is one of the
//! recent readings, at a position that does not depend on its duration. The reason: a processor
//! reads the time only when it knows the addresses of all earlier stores. If the reading were added
//! to its bucket immediately, the next timer would have to wait until the bucket is computed, which
//! costs more than everything else.

use super::sync::Ordering::{Acquire, Relaxed, Release};
use super::sync::{AtomicU16, AtomicU32, AtomicU64, OnceBox, attempts, fence};
use super::timer_buckets::{Buckets, Extremes, OCTAVES, Sums, slot_of};
use crate::sketch::PER_OCTAVE;
use std::array;

/// The number of recent readings; few in the models of `tests/loom`.
const RECENT: usize = if cfg!(loom) { 4 } else { 16 };

/// How often the sender tries to read the sums while no reading is in progress. A thread that was
/// interrupted during a reading may stay there for long.
const SUMS_TRIES: usize = 64;

/// No bucket.
const NONE: u16 = u16::MAX;

type Counts = [AtomicU32; PER_OCTAVE];

// While there are few readings, the sender reads only the first 64 bytes of a cell. Besides its
// bucket, a reading changes only these and the next 64 bytes.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct TimerCell {
    /// The number of readings. Stored last, so that everything of a counted reading is stored.
    count: AtomicU64,
    /// The sum of the readings in whole ticks, so that a difference is exact. It wraps around after
    /// decades.
    ticks: AtomicU64,
    /// How many readings the sender has taken, the oldest first; or [`SOME`]. Written by the
    /// sender.
    taken: AtomicU64,
    /// A bit for each octave that is allocated.
    used: AtomicU64,
    /// The buckets of the recent readings; that of number `n`, counted from 0, at `n % RECENT`. All
    /// except the last one are also counted in their octaves.
    recent: [AtomicU16; RECENT],
    /// The number of readings that were started. It is `count + 1` while a reading is in progress.
    begun: AtomicU64,
    /// The sum of the squares of the ticks, an integer of 128 bits, its lower half first.
    squares: [AtomicU64; 2],
    /// The epochs of the two slots, and their minimum and maximum.
    epochs: [AtomicU32; 2],
    min: [AtomicU64; 2],
    max: [AtomicU64; 2],
    octaves: [OnceBox<Counts>; OCTAVES],
}

/// Which readings were taken is unknown; only the number of readings in each bucket is known.
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
    /// The size of a cell in bytes, with as many octaves as most timers have.
    pub(crate) const BYTES: usize = size_of::<Self>() + 4 * size_of::<Counts>();

    /// Adds one reading, which must not be negative. Only one thread may call it at a time, and not
    /// the allocator.
    #[inline]
    pub(crate) fn record(&self, ticks: i64, tick: f64, epoch: u32) {
        let last = self.last(self.count.load(Relaxed));
        let (octave, bucket) = (usize::from(last) / PER_OCTAVE, usize::from(last) % PER_OCTAVE);
        match self.octaves.get(octave).and_then(OnceBox::get) {
            Some(counts) => {
                grow(&counts[bucket]);
                self.add(ticks, tick, epoch);
            }
            // No function is called in the other branch, so no register has to be saved.
            None => self.record_slowly(ticks, tick, epoch),
        }
    }

    /// Adds the first reading of an octave to its bucket. Before the first reading of all there is
    /// nothing to add.
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

    /// The bucket of the last of `count` readings.
    #[inline]
    fn last(&self, count: u64) -> u16 {
        self.recent[count.wrapping_sub(1) as usize % RECENT].load(Relaxed)
    }

    /// Adds a reading to everything except its bucket.
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

    /// Adds to the sums. Release: whoever sees one of them sees that the reading has started.
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
        // Durations are not negative, so the order of their bits is their order.
        if seconds.to_bits() < min.load(Relaxed) {
            min.store(seconds.to_bits(), Relaxed);
        }
        if seconds.to_bits() > max.load(Relaxed) {
            max.store(seconds.to_bits(), Relaxed);
        }
    }
}

/// The readings of a cell that were not taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untaken {
    Nothing,
    /// They were among the recent readings, and are taken now.
    Few,
    /// They have to be computed as a difference.
    Many,
}

impl TimerCell {
    /// The number of readings.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Acquire)
    }

    /// The ticks of all readings, including at least those that were counted before the call.
    #[inline]
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks.load(Relaxed)
    }

    /// Takes the readings that were not taken yet, if they are few: calls `take` with their
    /// buckets.
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
        // If one of them has been overwritten, the new count is visible after this fence.
        fence(Acquire);
        if !are_here(self.count.load(Relaxed)) {
            return Untaken::Many;
        }
        self.taken.store(count, Relaxed);
        slots.into_iter().take(more).for_each(take);
        Untaken::Few
    }

    /// Adds the number of readings of each bucket since the program started, and marks them as
    /// taken. Returns the number of readings at the end of the call, which may be larger than the
    /// number of readings that were added.
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
        // Acquire: the sums include every reading that was found in a bucket.
        fence(Acquire);
        let after = self.count.load(Relaxed);
        // All readings except the last one were in their buckets before the count was stored. If
        // there are no more in the buckets than that, the last one is missing there.
        let taken = if count > 0 && placed == (count as u32).wrapping_sub(1) {
            buckets.see(last);
            count
        } else if count == after {
            count
        } else {
            // Of the readings that were recorded meanwhile, one may be missing here that is older
            // than another.
            SOME
        };
        self.taken.store(taken, Relaxed);
        after
    }

    /// The sums of the same readings. `None` if readings are in progress at every attempt.
    pub(crate) fn sums(&self) -> Option<Sums> {
        (0..attempts(SUMS_TRIES)).find_map(|_| {
            let count = self.count();
            let sums = Sums { count, ticks: self.ticks(), squares: self.squares() };
            // Whoever sees a part of a later reading sees that it has started.
            fence(Acquire);
            (self.begun.load(Relaxed) == count).then_some(sums)
        })
    }

    /// Adds minimum and maximum of the readings of `epoch`.
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
    /// As if this many readings were in progress.
    pub(crate) fn pretend_begun(&self, more: u64) {
        self.begun.store(self.count() + more, Relaxed);
    }

    /// As if there had been this many more readings of the same length.
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

/// Only one thread writes it.
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
