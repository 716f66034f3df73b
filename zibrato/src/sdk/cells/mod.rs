//! Cells: where readings gather, of one thread each, or of all.

pub(crate) mod amount;
mod blocks;
pub(crate) mod counter;
pub(crate) mod gauge;
pub(crate) mod list;
pub(crate) mod local;
pub(crate) mod per_process;
pub(crate) mod shared;
pub(crate) mod ticks;
mod timer;
mod timer_buckets;
pub(crate) mod timer_totals;

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What threads share memory with, by one name each, so that a model checker can take its place.
mod sync {
    pub(crate) use once_cell::race::OnceBox;
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering, fence,
    };

    /// How often something is tried that another thread may be in the way of.
    #[inline]
    pub(crate) const fn attempts(most: usize) -> usize {
        most
    }
}

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Does something that allocates, or that holds a lock. Meanwhile nothing on this thread is
/// measured but what its cells take: a global allocator may count, and must not wait for what its
/// thread is just doing, nor begin it anew.
pub(crate) fn busy<T>(act: impl FnOnce() -> T) -> T {
    let before = BUSY.replace(true);
    let done = act();
    BUSY.set(before);
    done
}

/// Whether this thread does such a thing just now.
pub(crate) fn is_busy() -> bool {
    BUSY.get()
}

/// Locks what a panic leaves as it was or as it is to be; and measuring must not panic in any case.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
