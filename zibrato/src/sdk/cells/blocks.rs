//! Blocks of cells, each owned by one thread at a time. The list of blocks only grows.
//!
//! A thread takes over a block without an owner, or adds one. When it ends, it hands the block on
//! with its contents. Nothing here blocks, and the sender walks the list while the owners write.

use super::sync::{AtomicBool, OnceBox, Ordering};
use std::iter;

/// All blocks, the oldest first.
#[derive(Debug)]
pub(crate) struct Blocks<T> {
    first: OnceBox<Block<T>>,
}

/// Cells, and whether a thread owns them.
#[derive(Debug)]
pub(crate) struct Block<T> {
    owned: AtomicBool,
    pub(crate) cells: T,
    next: OnceBox<Self>,
}

impl<T> Blocks<T> {
    /// An empty list. `first` must be unset.
    pub(crate) const fn new(first: OnceBox<Block<T>>) -> Self {
        Self { first }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Block<T>> + Clone {
        iter::successors(self.first.get(), |block| block.next.get())
    }

    /// Makes the calling thread the owner of a block that has no owner and fits, if there is one.
    pub(crate) fn adopt(&self, fits: impl Fn(&T) -> bool) -> Option<&Block<T>> {
        // Acquire: the new owner sees everything that the last one wrote.
        let take = |owned: &AtomicBool| {
            owned.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        self.iter().find(|block| fits(&block.cells) && take(&block.owned))
    }

    /// Adds a block, which the calling thread owns.
    pub(crate) fn add(&self, cells: T) -> Option<&Block<T>> {
        let mut block =
            Box::new(Block { owned: AtomicBool::new(true), cells, next: OnceBox::new() });
        let mut place = &self.first;
        // If another thread was faster, this block goes behind that thread's block.
        while let Err(ours) = place.set(block) {
            block = ours;
            place = &place.get()?.next;
        }
        place.get()
    }
}

impl<T> Block<T> {
    /// Leaves the block to the next thread that needs one. The caller must not write to it any
    /// more.
    pub(crate) fn hand_on(&self) {
        self.owned.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::{Blocks, OnceBox};

    #[test]
    fn a_block_has_one_owner_at_a_time_and_keeps_what_is_in_it() {
        let blocks = Blocks::new(OnceBox::new());
        assert!(blocks.adopt(|_| true).is_none());
        let (small, large) = (blocks.add(1).unwrap(), blocks.add(2).unwrap());
        assert!(blocks.adopt(|_| true).is_none());
        small.hand_on();
        large.hand_on();
        assert_eq!(blocks.adopt(|size| *size > 1).unwrap().cells, 2);
        assert!(blocks.adopt(|size| *size > 1).is_none());
        assert_eq!(blocks.adopt(|_| true).unwrap().cells, 1);
        assert_eq!(blocks.iter().map(|block| block.cells).collect::<Vec<_>>(), [1, 2]);
    }
}
