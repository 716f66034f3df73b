//! One thread's readings of one gauge: folded by the thread, taken by the sender.
//!
//! A reading is several words, so there is a lock, which only the thread and the sender ever want,
//! and for which neither waits: a thread that meets the sender goes to the cell that all share,
//! and the sender comes back at the next interval. A lock that was held when the process forked is
//! known by its number, and broken.

use super::per_process::generation;
use super::sync::{AtomicU64, Ordering};
use super::ticks::Moment;
use crate::measurement::{Gauge, finite_sum};
use std::hint;

/// How often the sender looks whether a thread has finished its reading.
const SPINS: u32 = 10_000;

#[derive(Debug, Default)]
pub(crate) struct GaugeCell {
    /// 0 while it is free, else one more than the generation of the process that took it.
    lock: AtomicU64,
    /// How many readings there ever were.
    made: AtomicU64,
    /// How many of them are here.
    count: AtomicU64,
    last: AtomicU64,
    at: AtomicU64,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl GaugeCell {
    /// Adds a reading. Called by one thread at a time; says no if the sender is just looking.
    #[inline]
    pub(crate) fn set(&self, value: f64) -> bool {
        let ours = generation() + 1;
        if self.lock.compare_exchange(0, ours, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        let count = self.count.load(Ordering::Relaxed);
        if count == 0 {
            [&self.sum, &self.min, &self.max].iter().for_each(|to| put(to, value));
        } else {
            put(&self.sum, finite_sum(look(&self.sum), value));
            put(&self.min, look(&self.min).min(value));
            put(&self.max, look(&self.max).max(value));
        }
        put(&self.last, value);
        self.at.store(Moment::now().to_bits(), Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        self.made.store(self.made.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.lock.store(0, Ordering::Release);
        true
    }

    /// How many readings there ever were.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Takes what has gathered, given what time it is, and when the last reading was; nothing if
    /// the thread does not let go.
    pub(crate) fn take(&self, now_ms: u64) -> Option<(Moment, Gauge)> {
        let ours = generation() + 1;
        let mut held = 0;
        let free = (0..SPINS).any(|_| {
            let taken = self.lock.compare_exchange(0, ours, Ordering::Acquire, Ordering::Relaxed);
            held = taken.err().unwrap_or_default();
            hint::spin_loop();
            taken.is_ok()
        });
        if !free && held == ours {
            return None;
        }
        // One that was held by a thread of the parent stays so for ever; what it left half done
        // is the parent's.
        let taken = if free { self.folded(now_ms) } else { None };
        self.count.store(0, Ordering::Relaxed);
        self.lock.store(0, Ordering::Release);
        taken
    }

    fn folded(&self, now_ms: u64) -> Option<(Moment, Gauge)> {
        let count = self.count.load(Ordering::Relaxed);
        let at = Moment::from_bits(self.at.load(Ordering::Relaxed));
        let at_ms = now_ms.saturating_sub((at.age() * 1000.0) as u64);
        let (sum, min, max) = (look(&self.sum), look(&self.min), look(&self.max));
        (count > 0).then(|| (at, Gauge::folded(look(&self.last), at_ms, count, sum, min, max)))
    }
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
    use super::GaugeCell;
    use crate::sdk::cells::per_process::generation;
    use std::sync::atomic::Ordering;

    #[test]
    fn what_was_read_is_taken_once() {
        let cell = GaugeCell::default();
        assert!([3.0, -1.0, 2.0].iter().all(|value| cell.set(*value)));
        let (at, gauge) = cell.take(1_000_000).unwrap();
        assert_eq!((gauge.last, gauge.count, gauge.sum), (2.0, 3, 4.0));
        assert_eq!((gauge.min, gauge.max), (-1.0, 3.0));
        assert!(gauge.at_ms <= 1_000_000 && gauge.at_ms > 990_000, "{gauge:?}");
        assert!((0.0..10.0).contains(&at.age()), "{at:?}");
        assert_eq!((cell.take(1_000_000).is_none(), cell.made()), (true, 3));
    }

    #[test]
    fn a_thread_and_the_sender_do_not_wait_for_each_other() {
        let cell = GaugeCell::default();
        assert!(cell.set(1.0));
        cell.lock.store(generation() + 1, Ordering::Relaxed);
        assert!(!cell.set(2.0));
        assert!(cell.take(0).is_none());
        cell.lock.store(0, Ordering::Relaxed);
        assert_eq!(cell.take(0).unwrap().1.count, 1);
    }

    #[test]
    fn a_lock_that_was_copied_by_a_fork_is_broken() {
        let cell = GaugeCell::default();
        assert!(cell.set(1.0));
        cell.lock.store(generation() + 77, Ordering::Relaxed);
        assert!(cell.take(0).is_none());
        assert!(cell.set(2.0));
        assert_eq!(cell.take(0).unwrap().1.count, 1);
    }
}
