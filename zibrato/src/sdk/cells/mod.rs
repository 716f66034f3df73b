//! Cells accumulate readings: each thread has its own cells, and some cells are shared by all
//! threads.

mod address;
pub(crate) mod amount;
mod blocks;
pub(crate) mod counter;
pub(crate) mod gauge;
pub(crate) mod histogram;
pub(crate) mod in_flight;
pub(crate) mod list;
pub(crate) mod local;
pub(crate) mod per_process;
pub(crate) mod shared;
pub(crate) mod ticks;
mod timer;
mod timer_buckets;
pub(crate) mod timer_totals;

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// The synchronization primitives of the cells. The model checker (`tests/loom`) replaces them.
mod sync {
    pub(crate) use once_cell::race::OnceBox;
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering, fence,
    };

    /// Maximum number of attempts of an operation that another thread may disturb.
    #[inline]
    pub(crate) const fn attempts(most: usize) -> usize {
        most
    }
}

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Runs `act`, which allocates or holds a lock. A global allocator may count meanwhile, on the same
/// thread, and must neither wait for the lock nor start the same work again. So until `act`
/// returns, only counts that this thread's own cells can take are measured.
pub(crate) fn busy<T>(act: impl FnOnce() -> T) -> T {
    let _reset = Reset(BUSY.replace(true));
    act()
}

/// Sets [`BUSY`] to its earlier value when it is dropped, also by a panic.
struct Reset(bool);

impl Drop for Reset {
    fn drop(&mut self) {
        BUSY.set(self.0);
    }
}

/// Whether this thread runs such a function now.
pub(crate) fn is_busy() -> bool {
    BUSY.get()
}

/// Locks a mutex, also after a panic: the protected values are valid at any time, and measuring
/// must not panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As [`lock`], but returns `None` instead of waiting.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(locked) => Some(locked),
        Err(TryLockError::Poisoned(locked)) => Some(locked.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{busy, is_busy};

    #[test]
    fn a_thread_measures_again_after_a_panic_inside_of_the_instrument() {
        std::panic::catch_unwind(|| busy(|| panic!("on purpose"))).unwrap_err();
        assert!(!is_busy());
        busy(|| {
            busy(|| assert!(is_busy()));
            assert!(is_busy());
        });
        assert!(!is_busy());
    }
}
