//! One thread's readings of one gauge: the thread merges them, and the sender takes the result.
//!
//! A merged result consists of several words, so there are slots for it. The thread never changes
//! the result that the sender may take: it writes the next one into another slot, and then
//! publishes it with a compare-and-swap of one word, which contains the number of readings and the
//! slot. The sender takes the result with a swap of the same word. So neither waits for the other,
//! and the sender gets every published reading, even if the thread is interrupted in the middle of
//! the next one.
//!
//! There are two pairs of slots. The thread uses the slots of one pair alternately, until the
//! sender takes the result; from then on it uses the other pair. The sender then reads a slot that
//! the thread does not write before the sender takes the next result. If the thread was in the
//! middle of a reading, its compare-and-swap fails, and it writes this reading into the other pair.
//!
//! A forked child has the cell of every thread of its parent. A reading that was not published at
//! the fork belongs to the parent.

use super::sync::{AtomicU64, Ordering};
use super::ticks::Moment;
use crate::measurement::{Gauge, finite_sum};

/// One reading in [`GaugeCell::state`].
const READING: u64 = 4;

/// The bit of the state that selects the pair. Only the sender changes it.
const PAIR: u64 = 2;

/// The bit of the state that selects the slot of the pair. The thread changes it at each reading.
const SLOT: u64 = 1;

#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct GaugeCell {
    /// The number of readings that were not taken yet, times [`READING`], plus the slot that
    /// contains them.
    state: AtomicU64,
    last: Slots,
    at: Slots,
    sum: Slots,
    min: Slots,
    max: Slots,
}

type Slots = [AtomicU64; 4];

impl GaugeCell {
    /// Adds a finite reading. Only one thread may call it at a time.
    #[inline]
    pub(crate) fn set(&self, value: f64) {
        // Acquire: the sender has read the slots of the other pair before it changed the pair.
        let mut state = self.state.load(Ordering::Acquire);
        let at = Moment::now();
        loop {
            let next = (state ^ SLOT) + READING;
            self.add(state, slot(next), value, at);
            match self.state.compare_exchange(state, next, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return,
                // The sender has taken the readings before this one. It takes no more until this
                // one is published, so the next attempt succeeds.
                Err(taken) => state = taken,
            }
        }
    }

    /// Stores the readings of `state` and one more in another slot.
    #[inline]
    fn add(&self, state: u64, to: usize, value: f64, at: Moment) {
        let (mut sum, mut min, mut max) = (value, value, value);
        if state >= READING {
            let from = slot(state);
            sum = finite_sum(look(&self.sum[from]), value);
            let (least, most) = (look(&self.min[from]), look(&self.max[from]));
            // `f64::min` takes more instructions, because it treats NaN separately.
            min = if value < least { value } else { least };
            max = if value > most { value } else { most };
        }
        put(&self.sum[to], sum);
        put(&self.min[to], min);
        put(&self.max[to], max);
        put(&self.last[to], value);
        self.at[to].store(at.to_bits(), Ordering::Relaxed);
    }

    /// The number of readings that were not taken yet.
    pub(crate) fn untaken(&self) -> u64 {
        self.state.load(Ordering::Relaxed) / READING
    }

    /// Takes the readings, and returns them with the time of the last one. `None` if there are
    /// none. Only one thread may call it at a time.
    pub(crate) fn take(&self, now_ms: u64) -> Option<(Moment, Gauge)> {
        let state = self.state.load(Ordering::Relaxed);
        if state < READING {
            return None;
        }
        // Acquire: the published slot. Release: see `set`.
        let state = self.state.swap((state ^ PAIR) & PAIR, Ordering::AcqRel);
        let (from, count) = (slot(state), state / READING);
        let at = Moment::from_bits(self.at[from].load(Ordering::Relaxed));
        let at_ms = now_ms.saturating_sub((at.age() * 1000.0) as u64);
        let [last, sum, min, max] =
            [&self.last, &self.sum, &self.min, &self.max].map(|slots| look(&slots[from]));
        Some((at, Gauge::folded(last, at_ms, count, sum, min, max)))
    }
}

/// The slot of a state.
#[inline]
const fn slot(state: u64) -> usize {
    (state & (PAIR | SLOT)) as usize
}

#[inline]
fn look(at: &AtomicU64) -> f64 {
    f64::from_bits(at.load(Ordering::Relaxed))
}

#[inline]
fn put(at: &AtomicU64, value: f64) {
    at.store(value.to_bits(), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::{GaugeCell, Moment, Ordering, SLOT, slot};

    #[test]
    fn what_was_read_is_taken_once() {
        let cell = GaugeCell::default();
        [3.0, -1.0, 2.0].iter().for_each(|value| cell.set(*value));
        assert_eq!(cell.untaken(), 3);
        let (at, gauge) = cell.take(1_000_000).unwrap();
        assert_eq!((gauge.last, gauge.count, gauge.sum), (2.0, 3, 4.0));
        assert_eq!((gauge.min, gauge.max), (-1.0, 3.0));
        assert!(gauge.at_ms <= 1_000_000 && gauge.at_ms > 990_000, "{gauge:?}");
        assert!((0.0..10.0).contains(&at.age()), "{at:?}");
        assert_eq!((cell.take(1_000_000).is_none(), cell.untaken()), (true, 0));
        for value in [5.0, 7.0, 9.0] {
            cell.set(value);
            let gauge = cell.take(0).unwrap().1;
            assert_eq!((gauge.count, gauge.min, gauge.max), (1, value, value));
        }
    }

    #[test]
    fn a_thread_that_is_interrupted_during_a_reading_holds_nothing_back() {
        let cell = GaugeCell::default();
        cell.set(1.0);
        cell.set(2.0);
        // The third reading has been written, but not published.
        let state = cell.state.load(Ordering::Relaxed);
        cell.add(state, slot(state ^ SLOT), 99.0, Moment::now());
        let gauge = cell.take(0).unwrap().1;
        assert_eq!((gauge.last, gauge.count, gauge.max), (2.0, 2, 2.0));
        assert!(cell.take(0).is_none());
    }
}
