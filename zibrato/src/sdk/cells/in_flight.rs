//! The number of calls in flight at one point, and the largest number since the sender last looked.
//!
//! A burst may begin and end between two looks of the sender, so looking is not enough: the thread
//! that begins a call compares. For that, all threads change the same number.

use std::sync::atomic::{AtomicI64, Ordering};

#[derive(Debug)]
pub(crate) struct InFlightCell {
    /// Negative in a forked child in which calls of its parent have ended.
    running: AtomicI64,
    /// The largest number since the last look; [`NOT_KNOWN`] while the sender looks.
    most: AtomicI64,
}

const NOT_KNOWN: i64 = i64::MIN;

/// What the sender sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlightSeen {
    /// The number of calls in flight.
    pub(crate) now: i64,
    /// The largest number since the last look, at least `now`.
    pub(crate) most: i64,
}

impl InFlightCell {
    pub(crate) const fn new() -> Self {
        Self { running: AtomicI64::new(0), most: AtomicI64::new(0) }
    }

    /// Adds 1 when a call begins, and -1 when it ends.
    #[inline]
    pub(crate) fn add(&self, amount: i64) {
        // AcqRel: see `take`.
        let now = self.running.fetch_add(amount, Ordering::AcqRel) + amount;
        if amount > 0 && self.most.load(Ordering::Relaxed) < now {
            self.most.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// The number of calls in flight.
    pub(crate) fn now(&self) -> i64 {
        self.running.load(Ordering::Relaxed)
    }

    /// Looks, and begins to search for the next largest number. Only the sender calls it.
    ///
    /// Each number is in what one look returns. A call that begins after `running` was read here
    /// sees that `most` was replaced before. A call that began earlier compares with what this look
    /// returns, or with what replaced it.
    pub(crate) fn take(&self) -> InFlightSeen {
        let most = self.most.swap(NOT_KNOWN, Ordering::Relaxed);
        let now = self.running.fetch_add(0, Ordering::AcqRel);
        self.most.fetch_max(now, Ordering::Relaxed);
        InFlightSeen { now, most: most.max(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::{InFlightCell, InFlightSeen};

    #[test]
    fn the_largest_number_since_the_last_look_is_seen_once() {
        let cell = InFlightCell::new();
        let seen = |now, most| InFlightSeen { now, most };
        [1, 1, 1, -1, -1, -1, 1].iter().for_each(|amount| cell.add(*amount));
        assert_eq!((cell.take(), cell.take()), (seen(1, 3), seen(1, 1)));
        cell.add(-1);
        assert_eq!((cell.take(), cell.take()), (seen(0, 1), seen(0, 0)));
    }
}
