//! Locks that a fork takes, all at once: taken, and looked into, by those who wait only so long.
//!
//! Whoever holds one of them may wait for another. An allocator that measures comes by while they
//! are held, and then measuring takes some of them in an order of its own. So a fork that does not
//! get one in time lets go of all, and begins anew.

use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// How often is tried to take one. Nearly always once is enough.
const PATIENCE: u32 = 1000;

/// Locks, if that is possible before long.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    patiently(|| got(mutex.try_lock()))
}

/// Locks for writing, if that is possible before long.
pub(crate) fn write<T>(lock: &RwLock<T>) -> Option<RwLockWriteGuard<'_, T>> {
    patiently(|| got(lock.try_write()))
}

/// Locks for reading, if that is possible within so long.
pub(crate) fn read<T>(lock: &RwLock<T>, within: Duration) -> Option<RwLockReadGuard<'_, T>> {
    let begun = Instant::now();
    loop {
        if let Some(guard) = got(lock.try_read()) {
            return Some(guard);
        }
        if begun.elapsed() >= within {
            return None;
        }
        thread::yield_now();
    }
}

fn got<G>(tried: Result<G, TryLockError<G>>) -> Option<G> {
    match tried {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn patiently<G>(mut attempt: impl FnMut() -> Option<G>) -> Option<G> {
    (0..PATIENCE).find_map(|_| {
        let got = attempt();
        if got.is_none() {
            thread::yield_now();
        }
        got
    })
}

#[cfg(test)]
mod tests {
    use super::{lock, read, write};
    use std::sync::{Barrier, Mutex, RwLock};
    use std::time::Duration;

    #[test]
    fn what_somebody_holds_is_not_waited_for_without_end() {
        let (mutex, rw) = (Mutex::new(1), RwLock::new(2));
        assert_eq!(lock(&mutex).map(|guard| *guard), Some(1));
        assert_eq!(write(&rw).map(|guard| *guard), Some(2));
        let _held = (lock(&mutex), rw.read());
        assert!(lock(&mutex).is_none() && write(&rw).is_none());
    }

    #[test]
    fn what_somebody_holds_for_a_moment_can_be_read() {
        let (rw, begin) = (RwLock::new(1), Barrier::new(2));
        std::thread::scope(|scope| {
            let held = rw.write().unwrap();
            let seen = scope.spawn(|| {
                begin.wait();
                read(&rw, Duration::from_secs(10)).map(|guard| *guard)
            });
            begin.wait();
            (0..1000).for_each(|_| std::thread::yield_now());
            assert_eq!(read(&rw, Duration::ZERO).map(|guard| *guard), None);
            drop(held);
            assert_eq!(seen.join().unwrap(), Some(1));
        });
    }
}
