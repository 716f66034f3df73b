//! Locks that a fork takes, all at once: waited for only so long.
//!
//! Whoever holds one of them may wait for another. An allocator that measures comes by while they
//! are held, and then measuring takes some of them in an order of its own. So a fork that does not
//! get one in time lets go of all, and begins anew.

use std::sync::{Mutex, MutexGuard, RwLock, RwLockWriteGuard, TryLockError};
use std::thread;

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
    use super::{lock, write};
    use std::sync::{Mutex, RwLock};

    #[test]
    fn what_somebody_holds_is_not_waited_for_without_end() {
        let (mutex, rw) = (Mutex::new(1), RwLock::new(2));
        assert_eq!(lock(&mutex).map(|guard| *guard), Some(1));
        assert_eq!(write(&rw).map(|guard| *guard), Some(2));
        let _held = (lock(&mutex), rw.read());
        assert!(lock(&mutex).is_none() && write(&rw).is_none());
    }
}
