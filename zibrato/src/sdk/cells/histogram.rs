//! One thread's readings of one histogram: the thread merges them, and the sender takes the result.
//!
//! There are two slots, used alternately: when the sender takes the readings of one, the thread
//! continues in the other. One word contains the number of readings in the slot of the thread, and
//! which slot that is. The thread publishes a reading with a compare-and-swap of this word, and the
//! sender takes all readings with a swap. So neither waits for the other, and an interrupted thread
//! holds no published reading back.
//!
//! A slot contains its sums twice. The thread writes those with the new reading beside the published
//! ones, so the sender never sees a part of a reading. Only after that, the thread counts the reading
//! in its bucket. So the bucket of the last reading may be missing when the sender takes the
//! readings; the sender adds it. The sender empties the buckets of a slot later, when the thread has
//! published a reading in the other slot, because only then it is certain that the thread has left.
//!
//! A reading may be any double, so nothing is a difference of growing sums, which would lose digits.
//! Sums are those of the distances from the first reading of the slot: they lose no digits if
//! readings are close to each other, and no reading needs a division.
//!
//! A signal handler, or a global allocator, may record while the same thread is in the middle of a
//! reading. The interrupted reading is then added after it.

use super::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use super::sync::{AtomicU32, AtomicU64, OnceBox};
use crate::sketch::{PER_OCTAVE, SHIFT, key_of};
use crate::summary::Summary;
use std::array;

/// The bit of the state that selects the slot of the thread. Only the sender changes it.
const SLOT: u64 = 1;

/// One reading in the state.
const READING: u64 = 2;

/// Sign and exponent select an octave; the upper half of their bits selects a group of octaves.
const GROUPS: usize = 64;
const PER_GROUP: usize = 64;

/// The bits of the mantissa.
const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;

#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct HistogramCell {
    /// The number of readings in the slot of the thread times [`READING`], plus the slot.
    state: AtomicU64,
    slots: [Slot; 2],
    /// A bit for each group that is allocated.
    used: AtomicU64,
    groups: [OnceBox<Group>; GROUPS],
}

/// The readings of a slot, except their buckets. While there are none, the numbers have no meaning.
#[derive(Debug, Default)]
struct Slot {
    /// The first reading.
    first: AtomicU64,
    /// Those after an even number of readings, and those after an odd one.
    sums: [Sums; 2],
}

#[derive(Debug, Default)]
struct Sums {
    /// The sum of the distances from the first reading, and that of their squares; both finite.
    distances: AtomicU64,
    squares: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    /// The last reading.
    last: AtomicU64,
}

#[derive(Debug)]
struct Group {
    /// A bit for each octave that is allocated.
    used: AtomicU64,
    octaves: [OnceBox<Octave>; PER_GROUP],
}

/// The number of readings in each bucket, for each slot.
#[derive(Debug)]
struct Octave([[AtomicU32; PER_OCTAVE]; 2]);

impl Default for HistogramCell {
    fn default() -> Self {
        Self {
            state: AtomicU64::new(0),
            slots: [Slot::default(), Slot::default()],
            used: AtomicU64::new(0),
            groups: array::from_fn(|_| OnceBox::new()),
        }
    }
}

impl HistogramCell {
    /// The size of a cell in bytes, without its octaves.
    pub(crate) const BYTES: usize = size_of::<Self>();

    /// Adds a reading. Returns false if the cell cannot take it: because [`make_room`] has to be
    /// called first, or because it is not finite or too large for its square. Only one thread may
    /// call it at a time.
    ///
    /// [`make_room`]: Self::make_room
    #[inline]
    pub(crate) fn record(&self, value: f64) -> bool {
        let (group, octave, bucket) = place(value);
        // There is no octave of numbers that are not finite.
        let Some(group) = self.groups.get(group).and_then(OnceBox::get) else { return false };
        let Some(counts) = group.octaves.get(octave).and_then(OnceBox::get) else { return false };
        // Acquire: the sender has emptied the slot before it gave it to this thread.
        let mut state = self.state.load(Acquire);
        loop {
            let count = &counts.0[slot(state)][bucket];
            let times = count.load(Relaxed);
            if times == u32::MAX || !self.slots[slot(state)].add(state / READING, value) {
                return false;
            }
            match self.state.compare_exchange(state, state + READING, Release, Acquire) {
                Ok(_) => {
                    count.store(times + 1, Release);
                    return true;
                }
                // The sender has taken the readings before this one, as it does once per interval.
                Err(taken) => state = taken,
            }
        }
    }

    /// Allocates the memory for a finite reading, if `reserve` grants it. Returns whether it is
    /// there. Only the thread that records may call it.
    #[cold]
    pub(crate) fn make_room(&self, value: f64, mut reserve: impl FnMut(usize) -> bool) -> bool {
        let (group, octave, _) = place(value);
        let Some(place) = self.groups.get(group) else { return false };
        if !value.is_finite() || (place.get().is_none() && !reserve(size_of::<Group>())) {
            return false;
        }
        let new = || {
            let octaves = array::from_fn(|_| OnceBox::new());
            Box::new(Group { used: AtomicU64::new(0), octaves })
        };
        let in_group = place.get_or_init(new);
        self.used.store(self.used.load(Relaxed) | 1 << group, Relaxed);
        let Some(place) = in_group.octaves.get(octave) else { return false };
        if place.get().is_none() && !reserve(size_of::<Octave>()) {
            return false;
        }
        let zeros = || array::from_fn(|_| AtomicU32::new(0));
        place.get_or_init(|| Box::new(Octave([zeros(), zeros()])));
        in_group.used.store(in_group.used.load(Relaxed) | 1 << octave, Relaxed);
        true
    }

    /// The number of readings that were not taken yet.
    pub(crate) fn untaken(&self) -> u64 {
        self.state.load(Relaxed) / READING
    }

    /// Takes the readings, if there are any. Only one thread may call it at a time.
    pub(crate) fn take(&self) -> Option<Summary> {
        // Acquire: if the thread has published a reading in this slot, it has left the other one.
        let state = self.state.load(Acquire);
        if state < READING {
            return None;
        }
        let next = (state & SLOT) ^ SLOT;
        self.buckets(slot(next), |_, count| count.store(0, Relaxed));
        // Acquire: what was published. Release: see `record`.
        let state = self.state.swap(next, AcqRel);
        let (taken, readings) = (slot(state), state / READING);
        let (mut summary, last) = self.slots[taken].summary(readings);
        let mut missing = readings;
        self.buckets(taken, |bucket, count| {
            let times = u64::from(count.load(Relaxed));
            missing = missing.saturating_sub(times);
            summary.sketch_mut().add_to_bucket(bucket, times);
        });
        summary.sketch_mut().add_to_bucket(key_of(last), missing);
        Some(summary)
    }

    /// Calls `act` with each bucket of a slot that has readings, and its count.
    fn buckets(&self, slot: usize, mut act: impl FnMut(i32, &AtomicU32)) {
        for (high, group) in set(&self.used, &self.groups) {
            for (low, octave) in set(&group.used, &group.octaves) {
                for (bucket, count) in octave.0[slot].iter().enumerate() {
                    if count.load(Relaxed) > 0 {
                        act(key((high * PER_GROUP + low) * PER_OCTAVE + bucket), count);
                    }
                }
            }
        }
    }
}

impl Slot {
    /// Writes the sums of `count` readings and one more, beside those of `count` readings. Returns
    /// false if they would not be finite.
    #[inline]
    fn add(&self, count: u64, value: f64) -> bool {
        let to = &self.sums[(count as usize + 1) % 2];
        let (mut distances, mut squares, mut min, mut max) = (0.0, 0.0, value, value);
        if count == 0 {
            put(&self.first, value);
        } else {
            let from = &self.sums[count as usize % 2];
            let distance = value - look(&self.first);
            distances = look(&from.distances) + distance;
            squares = look(&from.squares) + distance * distance;
            // If this is finite, so is the other sum: its square is at most `count` times as large.
            if squares > f64::MAX {
                return false;
            }
            let (least, most) = (look(&from.min), look(&from.max));
            min = if value < least { value } else { least };
            max = if value > most { value } else { most };
        }
        put(&to.distances, distances);
        put(&to.squares, squares);
        put(&to.min, min);
        put(&to.max, max);
        put(&to.last, value);
        true
    }

    /// The published readings without their buckets, and the last one of them.
    fn summary(&self, count: u64) -> (Summary, f64) {
        let Sums { distances, squares, min, max, last } = &self.sums[count as usize % 2];
        let first = look(&self.first);
        let [distances, squares, min, max, last] = [distances, squares, min, max, last].map(look);
        let readings = count as f64;
        let sum = (first * readings + distances).clamp(f64::MIN, f64::MAX);
        let deviations = (squares - distances * (distances / readings)).max(0.0);
        let sum_squares = (deviations + sum * (sum / readings)).min(f64::MAX);
        let summary = Summary::folded(count, sum, min, max, sum_squares);
        (summary.with_squared_deviations(deviations), last)
    }
}

/// The slot of a state.
#[inline]
const fn slot(state: u64) -> usize {
    (state & SLOT) as usize
}

/// The group, the octave in it, and the bucket in that.
#[inline]
const fn place(value: f64) -> (usize, usize, usize) {
    let octave = (value.to_bits() >> MANTISSA) as usize;
    let bucket = (value.to_bits() >> SHIFT) as usize % PER_OCTAVE;
    (octave / PER_GROUP, octave % PER_GROUP, bucket)
}

/// The number of a bucket in a sketch, from its index among those of both signs.
const fn key(index: usize) -> i32 {
    const NEGATIVE: usize = GROUPS * PER_GROUP * PER_OCTAVE / 2;
    if index < NEGATIVE { index as i32 } else { -((index - NEGATIVE) as i32) }
}

/// What is allocated, with its index.
fn set<'a, T>(used: &AtomicU64, places: &'a [OnceBox<T>]) -> impl Iterator<Item = (usize, &'a T)> {
    let used = used.load(Relaxed);
    let is_used = move |index: &usize| used >> index & 1 == 1;
    let indexes = (0..places.len()).filter(is_used);
    indexes.filter_map(move |index| Some((index, places[index].get()?)))
}

#[inline]
fn look(at: &AtomicU64) -> f64 {
    f64::from_bits(at.load(Relaxed))
}

#[inline]
fn put(at: &AtomicU64, value: f64) {
    at.store(value.to_bits(), Relaxed);
}

// The path is that from this file, also for `tests/loom`, which includes it.
#[cfg(test)]
#[path = "histogram/tests.rs"]
mod tests;
