//! The locks of all points, held while the process forks.

use super::{ASK, Last, Point, from, lock};
use crate::sdk::{books, cell};
use std::sync::atomic::Ordering;

/// Keeps the lock of the gates, and those of each point, for a fork.
pub(crate) struct Held {
    last: Last,
    _of_each: Vec<(books::Held<'static>, cell::Held<'static>)>,
}

pub(crate) fn hold() -> Held {
    // Once to have room, because an allocator may measure while the gates are locked.
    let most = from(*lock()).count() + 1000;
    let mut of_each = Vec::with_capacity(most);
    let last = lock();
    from(*last).take(most).for_each(|point: &'static Point| {
        of_each.push((point.books.hold(), point.shared.hold()));
    });
    Held { last, _of_each: of_each }
}

impl Held {
    /// From now on each point asks anew whether it is wanted.
    pub(crate) fn ask_again(&self) {
        from(*self.last).for_each(|point| point.gate.store(ASK, Ordering::Relaxed));
    }
}
