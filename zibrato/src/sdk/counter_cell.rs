//! One thread's counts at one call site. The thread adds; only the sender reads, by difference.

use super::sync::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct CounterCell {
    /// Counts of one, which nearly all are: one word for the sum and for how many there were.
    ones: AtomicU64,
    /// The sum of all other counts; an `i64` in wrapping arithmetic.
    sum: AtomicU64,
    /// How many of those there were.
    others: AtomicU64,
}

/// What was ever counted: the sum, in wrapping arithmetic, and how often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) sum: u64,
    pub(crate) times: u64,
}

impl CounterCell {
    pub(crate) fn new() -> Self {
        Self { ones: AtomicU64::new(0), sum: AtomicU64::new(0), others: AtomicU64::new(0) }
    }

    /// Called by one thread at a time.
    #[inline]
    pub(crate) fn add(&self, amount: i64) {
        if amount == 1 {
            grow(&self.ones, 1);
        } else {
            grow(&self.sum, amount.cast_unsigned());
            // Last, and the reader reads it first: so what it has counted it has summed.
            self.others.store(self.others.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
    }

    /// How many counts of one there were.
    #[inline]
    pub(crate) fn ones(&self) -> u64 {
        self.ones.load(Ordering::Relaxed)
    }

    /// Adds what was ever counted here.
    pub(crate) fn add_to(&self, counted: &mut Counted) {
        let (ones, others) = (self.ones(), self.others.load(Ordering::Acquire));
        let sum = ones.wrapping_add(self.sum.load(Ordering::Relaxed));
        counted.times = counted.times.wrapping_add(ones).wrapping_add(others);
        counted.sum = counted.sum.wrapping_add(sum);
    }
}

/// A single writer needs no locked instruction: nothing comes between the load and the store.
#[inline]
fn grow(total: &AtomicU64, more: u64) {
    total.store(total.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}
