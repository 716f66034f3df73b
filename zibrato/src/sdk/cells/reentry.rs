//! Whether the calling thread is inside of the instrument already.
//!
//! A global allocator may count, and the instrument allocates. What is counted then on the same
//! thread must not wait for what that thread is just doing, nor begin it anew.

use std::cell::Cell;

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Does something that allocates, or that holds a lock. Meanwhile nothing on this thread is
/// measured but what its cells take.
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
