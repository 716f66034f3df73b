//! One thread's readings of one gauge: the thread merges them, and the sender takes the result.
//!
//! A reading consists of several words, so there is a lock. Only the thread and the sender use it,
//! and neither waits for the other: if the lock is taken, the thread uses the shared cell, and the
//! sender tries again in the next interval. The lock contains the number of the process that took
//! it, so that a child can break a lock that was held at the fork.

use super::per_process::generation;
use super::sync::{AtomicU64, Ordering};
use super::ticks::Moment;
use crate::measurement::{Gauge, finite_sum};
use std::hint;

/// How often the sender tries to take the lock.
const SPINS: u32 = 10_000;

#[derive(Debug, Default)]
pub(crate) struct GaugeCell {
    /// 0 while it is free, else the generation of the process that took it, plus 1.
    lock: AtomicU64,
    /// The number of readings that were ever recorded.
    made: AtomicU64,
    /// The number of readings since the sender last took them.
    count: AtomicU64,
    last: AtomicU64,
    at: AtomicU64,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl GaugeCell {
    /// Adds a reading. Only one thread may call it. Returns false if the sender holds the lock.
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

    /// The number of readings that were ever recorded.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Takes the readings, and returns them with the time of the last one. `None` if there are
    /// none, or if the thread holds the lock for too long.
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
        // A thread of the parent held the lock at the fork, and does not exist here. Its unfinished
        // reading belongs to the parent.
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
