//! Values of which each process has its own, so that a forked child never needs a lock of its
//! parent.
//!
//! A fork copies locks in their current state, but only the forking thread exists in the child: a
//! lock that another thread held at that moment stays locked in the child forever. So a child never
//! uses a value that a thread of its parent may have locked. It starts with a new value, and leaves
//! the inherited one untouched.
//!
//! The standard library has no hook for forks, so that of the C library is used. It is registered
//! before the first value is used, and so before the first lock is taken.

use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicU64, Ordering};

/// The generation of this process, plus 1; 0 before the hook is registered.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Distinguishes a process from its ancestors: 0 in the process that first measured, and larger in
/// each child. It costs one load, while asking for the process id is a system call.
#[inline]
pub(crate) fn generation() -> u64 {
    match GENERATION.load(Ordering::Relaxed) {
        0 => register(),
        generation => generation - 1,
    }
}

/// Registers the hook. If several threads do this at the same time, a child skips numbers.
#[cold]
fn register() -> u64 {
    call_in_children(begin_generation);
    // Only now, because another thread takes its first lock when it sees this.
    match GENERATION.compare_exchange(0, 1, Ordering::Release, Ordering::Relaxed) {
        Ok(_) => 0,
        Err(generation) => generation - 1,
    }
}

extern "C" fn begin_generation() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Makes each forked child call `act` immediately after the fork. Functions are called in the order
/// in which they were registered.
#[expect(unsafe_code, reason = "pthread_atfork is a function of the C library")]
pub(crate) fn call_in_children(act: extern "C" fn()) {
    // SAFETY: the function lives as long as the program, and takes no arguments. If the system has
    // no memory for it, children are not detected.
    unsafe { libc::pthread_atfork(None, None, Some(act)) };
}

/// A value of each process: that of the first process, followed by those of its descendants.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    generation: u64,
    value: T,
    next: OnceBox<Self>,
}

impl<T> PerProcess<T> {
    /// The value of the first process, created at compile time.
    pub(crate) const fn new(value: T) -> Self {
        Self { generation: 0, value, next: OnceBox::new() }
    }

    /// A value of the process with this generation.
    pub(crate) const fn of(generation: u64, value: T) -> Self {
        Self { generation, value, next: OnceBox::new() }
    }

    /// This process's value. The first use in a child makes it; `begin` may look at that of the
    /// parent, in which another thread may have stopped half way.
    #[inline]
    pub(crate) fn get(&self, begin: impl FnOnce(&T) -> T) -> &T {
        let ours = generation();
        let mut last = self;
        while last.generation != ours {
            match last.next.get() {
                Some(next) => last = next,
                None => return last.begin(ours, begin),
            }
        }
        &last.value
    }

    #[cold]
    fn begin(&self, ours: u64, begin: impl FnOnce(&T) -> T) -> &T {
        // All threads that get here belong to this process, so they add a value of the same
        // generation.
        &self.next.get_or_init(|| Box::new(Self::of(ours, begin(&self.value)))).value
    }
}

#[cfg(test)]
mod tests {
    use super::PerProcess;

    #[test]
    fn a_process_has_one_value_and_its_parent_keeps_another() {
        // As if an earlier process had created it.
        let value = PerProcess::of(u64::MAX, 7);
        let ours = value.get(|parent| parent + 1);
        assert_eq!((*ours, value.value), (8, 7));
        assert!(std::ptr::eq(ours, value.get(|_| 9)));
        assert_eq!(*PerProcess::new(1).get(|_| 2), 1);
    }
}
