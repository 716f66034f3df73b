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
    /// Roughly their sum, as the bits of a double: it says how often `sum` has wrapped around.
    rough: AtomicU64,
}

/// What was ever counted: the sum, in wrapping arithmetic and roughly, and how often.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counted {
    pub(crate) sum: u64,
    pub(crate) rough: f64,
    pub(crate) times: u64,
}

impl Counted {
    /// What was counted since then. Exact where a double can be, and right beyond 2^63 too.
    pub(crate) fn sum_since(&self, before: &Self) -> f64 {
        let sum = self.sum.wrapping_sub(before.sum).cast_signed() as f64;
        let once_around = 2_f64.powi(64);
        // A reading of which only one of the two sums has been seen yet is far below half of that.
        let around = ((self.rough - before.rough - sum) / once_around).round();
        sum + around * once_around
    }
}

impl CounterCell {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { ones: zero(), sum: zero(), others: zero(), rough: zero() }
    }

    /// Called by one thread at a time.
    #[inline]
    pub(crate) fn add(&self, amount: i64) {
        if amount == 1 {
            grow(&self.ones, 1);
        } else {
            grow(&self.sum, amount.cast_unsigned());
            let rough = f64::from_bits(self.rough.load(Ordering::Relaxed)) + amount as f64;
            self.rough.store(rough.to_bits(), Ordering::Relaxed);
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
        counted.rough += ones as f64 + f64::from_bits(self.rough.load(Ordering::Relaxed));
    }
}

/// A single writer needs no locked instruction: nothing comes between the load and the store.
#[inline]
fn grow(total: &AtomicU64, more: u64) {
    total.store(total.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::{Counted, CounterCell};
    use proptest::prelude::*;

    fn counted(cells: &[CounterCell]) -> Counted {
        let mut counted = Counted::default();
        cells.iter().for_each(|cell| cell.add_to(&mut counted));
        counted
    }

    #[test]
    fn an_interval_may_count_more_than_fits_into_64_bits() {
        let cells = [CounterCell::new(), CounterCell::new()];
        let (most, mut before) = (1_i64 << 53, Counted::default());
        for (times, amount) in [(5000, most), (5000, -most), (1, 7), (3000, -most), (10, 1)] {
            (0..times).for_each(|n| cells[n % 2].add(amount));
            let now = counted(&cells);
            assert_eq!(now.sum_since(&before), times as f64 * amount as f64);
            before = now;
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_wide_integers(
            intervals in prop::collection::vec(
                prop::collection::vec(
                    (0..3_usize, prop_oneof![-3..3_i64, -(1_i64 << 53)..=1 << 53], 1..2000_u16), 0..9,
                ),
                1..9,
            ),
        ) {
            let cells = [(); 3].map(|()| CounterCell::new());
            let mut before = Counted::default();
            for counts in intervals {
                let mut exact = 0_i128;
                for (at, amount, times) in counts {
                    (0..times).for_each(|_| cells[at].add(amount));
                    exact += i128::from(amount) * i128::from(times);
                }
                let now = counted(&cells);
                let (got, wanted) = (now.sum_since(&before), exact as f64);
                let is_near = (got - wanted).abs() <= wanted.abs() * 1e-15;
                prop_assert!(if exact.abs() < 1 << 53 { got == wanted } else { is_near }, "{} {}", got, exact);
                before = now;
            }
        }
    }
}
