//! One thread's counts at one call site. The thread only adds, and the sender only reads: it takes
//! the difference from its last read.

use super::sync::{AtomicU64, Ordering, attempts, fence};

/// How often the sender reads a sum again if the sum wraps around during the read.
const TRIES: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct CounterCell {
    /// The number of counts of 1, which are by far the most frequent. It is also their sum.
    ones: AtomicU64,
    /// The sum of all other counts, an `i64` in wrapping arithmetic.
    sum: AtomicU64,
    /// The number of all other counts.
    others: AtomicU64,
    /// Twice the number of times that `sum` has wrapped around, upwards minus downwards. Odd while
    /// `sum` wraps around.
    around: AtomicU64,
}

/// Everything that was ever counted: the sum, and the number of counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) sum: i128,
    pub(crate) times: u64,
}

impl Counted {
    /// The sum that was counted since `before`.
    pub(crate) const fn sum_since(&self, before: &Self) -> f64 {
        self.sum.wrapping_sub(before.sum) as f64
    }
}

impl CounterCell {
    /// Called by one thread at a time.
    #[inline]
    pub(crate) fn add(&self, amount: i64) {
        if amount == 1 {
            grow(&self.ones, 1);
        } else {
            match self.sum.load(Ordering::Relaxed).cast_signed().checked_add(amount) {
                Some(sum) => self.sum.store(sum.cast_unsigned(), Ordering::Relaxed),
                None => self.wrap(amount),
            }
            // The thread stores it last and the sender reads it first, so the sum includes each
            // count that the sender sees.
            self.others.store(self.others.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
    }

    /// Adds an amount that makes the sum wrap around.
    #[cold]
    fn wrap(&self, amount: i64) {
        let around = self.around.load(Ordering::Relaxed);
        self.around.store(around.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        grow(&self.sum, amount.cast_unsigned());
        let done = if amount > 0 { around.wrapping_add(2) } else { around.wrapping_sub(2) };
        self.around.store(done, Ordering::Release);
    }

    /// The number of counts of 1.
    #[inline]
    pub(crate) fn ones(&self) -> u64 {
        self.ones.load(Ordering::Relaxed)
    }

    /// The sum of all counts other than 1.
    fn others_sum(&self) -> i128 {
        let read = || {
            let around = self.around.load(Ordering::Acquire);
            let sum = i128::from(self.sum.load(Ordering::Relaxed).cast_signed());
            fence(Ordering::Acquire);
            (around, sum, around.is_multiple_of(2) && self.around.load(Ordering::Relaxed) == around)
        };
        let mut last = read();
        for _ in 1..attempts(TRIES) {
            if last.2 {
                break;
            }
            last = read();
        }
        let (around, sum, _) = last;
        (i128::from(around.cast_signed() >> 1) << u64::BITS) + sum
    }

    /// Adds everything that was ever counted here to `counted`.
    pub(crate) fn add_to(&self, counted: &mut Counted) {
        let (ones, others) = (self.ones(), self.others.load(Ordering::Acquire));
        counted.times = counted.times.wrapping_add(ones).wrapping_add(others);
        counted.sum += i128::from(ones) + self.others_sum();
    }
}

/// There is a single writer, so a plain load and store suffice.
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
        let cells = [CounterCell::default(), CounterCell::default()];
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
            let cells = [(); 3].map(|()| CounterCell::default());
            let mut before = Counted::default();
            for counts in intervals {
                let mut exact = 0_i128;
                for (at, amount, times) in counts {
                    (0..times).for_each(|_| cells[at].add(amount));
                    exact += i128::from(amount) * i128::from(times);
                }
                let now = counted(&cells);
                let (got, wanted) = (now.sum_since(&before), exact as f64);
                prop_assert_eq!(got, wanted);
                before = now;
            }
        }
    }
}
