//! Values that each process has for itself, so that a forked child never needs a lock of its parent.
//!
//! A fork copies locks as they stand, and only the thread that forks goes on in the child: a lock
//! that another thread held at that moment stays locked there for ever. So a child never touches
//! what its parent's threads may have locked. It begins with a new value, and the old one stays
//! behind, as it was.

use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many forks lie between this process and the one that first measured.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Tells a process from those that it was forked from. It costs a load, where asking for the
/// process id is a system call.
#[inline]
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// This process is a child that was just forked.
pub(crate) fn begin_generation() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// A value for each process: the first one's, and behind it those of its descendants.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    generation: u64,
    value: T,
    next: OnceBox<Self>,
}

impl<T> PerProcess<T> {
    /// A value that is made with the program, and so is the first process's.
    pub(crate) const fn new(value: T) -> Self {
        Self { generation: 0, value, next: OnceBox::new() }
    }

    /// A value of the calling process.
    pub(crate) const fn of(generation: u64, value: T) -> Self {
        Self { generation, value, next: OnceBox::new() }
    }

    /// This process's value. The first use in a child makes it; `begin` may look at that of the
    /// parent, in which another thread may have stopped half way.
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
        // A child is not forked in the middle of this: all threads that come by are its own, and
        // add the same generation.
        &self.next.get_or_init(|| Box::new(Self::of(ours, begin(&self.value)))).value
    }
}

#[cfg(test)]
mod tests {
    use super::PerProcess;

    #[test]
    fn a_process_has_one_value_and_its_parent_keeps_another() {
        // As if it had been made in an earlier process than this one.
        let value = PerProcess::of(u64::MAX, 7);
        let ours = value.get(|parent| parent + 1);
        assert_eq!((*ours, value.value), (8, 7));
        assert!(std::ptr::eq(ours, value.get(|_| 9)));
        assert_eq!(*PerProcess::new(1).get(|_| 2), 1);
    }
}
