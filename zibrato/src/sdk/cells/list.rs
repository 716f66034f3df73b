//! A list of items that live as long as the process. It only grows, and stays valid after a fork.
//!
//! Each item contains its link, so adding an item does not allocate. This matters because an
//! allocator may measure.

use super::lock;
use super::per_process::PerProcess;
use once_cell::race::OnceRef;
use std::iter;
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};

/// The oldest item first.
#[derive(Debug)]
pub(crate) struct List<T: 'static> {
    first: OnceRef<'static, T>,
    end: PerProcess<Mutex<End<T>>>,
}

/// An item of a list.
pub(crate) trait Linked: Sized + 'static {
    fn link(&self) -> &Link<Self>;
}

/// The position of an item in its list.
#[derive(Debug)]
pub(crate) struct Link<T: 'static> {
    /// The index, or [`NOWHERE`]. Stored last.
    index: AtomicU32,
    next: OnceRef<'static, T>,
}

const NOWHERE: u32 = u32::MAX;

// A panic leaves both words valid.
impl<T> RefUnwindSafe for Link<T> {}

/// The end of the list. Whoever adds an item holds its lock.
#[derive(Debug)]
pub(crate) struct End<T: 'static> {
    /// `None` until it has been looked up.
    last: Option<&'static T>,
    length: u32,
}

impl<T> End<T> {
    const fn unknown() -> Self {
        Self { last: None, length: 0 }
    }
}

impl<T> Link<T> {
    pub(crate) const fn new() -> Self {
        Self { index: AtomicU32::new(NOWHERE), next: OnceRef::new() }
    }

    /// The index, if the item is in the list.
    #[inline]
    pub(crate) fn index(&self) -> Option<u32> {
        Some(self.index.load(Ordering::Acquire)).filter(|index| *index != NOWHERE)
    }
}

impl<T: Linked> List<T> {
    pub(crate) const fn new() -> Self {
        Self { first: OnceRef::new(), end: PerProcess::new(Mutex::new(End::unknown())) }
    }

    /// All items. Takes no lock.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static T> {
        iter::successors(self.first.get(), |item| item.link().next.get())
    }

    /// Prevents other threads from adding items.
    pub(crate) fn lock(&self) -> MutexGuard<'_, End<T>> {
        lock(self.end.get(|_| Mutex::new(End::unknown())))
    }

    /// Adds the item unless it is in the list already, and returns its index.
    pub(crate) fn add(&self, item: &'static T, end: &mut End<T>) -> u32 {
        if let Some(index) = item.link().index() {
            return index;
        }
        if end.last.is_none() {
            // A child searches the end of the list that it inherited. At the fork, the last item
            // may have been linked without an index.
            for item in self.iter() {
                item.link().index.store(end.length, Ordering::Release);
                end.length += 1;
                end.last = Some(item);
            }
            if let Some(index) = item.link().index() {
                return index;
            }
        }
        // This thread holds the lock, so the link is free.
        end.last.map_or(&self.first, |last| &last.link().next).set(item).ok();
        let index = end.length;
        item.link().index.store(index, Ordering::Release);
        (end.last, end.length) = (Some(item), index + 1);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Link, Linked, List};

    struct Item(Link<Self>);

    impl Linked for Item {
        fn link(&self) -> &Link<Self> {
            &self.0
        }
    }

    static LIST: List<Item> = List::new();
    static ITEMS: [Item; 3] = [const { Item(Link::new()) }; 3];

    #[test]
    fn a_child_goes_on_where_its_parent_stopped() {
        assert_eq!(ITEMS[0].0.index(), None);
        let add = |item| LIST.add(item, &mut LIST.lock());
        assert_eq!([add(&ITEMS[0]), add(&ITEMS[1]), add(&ITEMS[0])], [0, 1, 0]);
        // As if the process had forked when the last item was linked but had no index.
        ITEMS[1].0.index.store(super::NOWHERE, super::Ordering::Relaxed);
        let mut end = End::unknown();
        assert_eq!(LIST.add(&ITEMS[1], &mut end), 1);
        assert_eq!(LIST.add(&ITEMS[2], &mut end), 2);
        assert_eq!(LIST.iter().filter_map(|item| item.0.index()).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
