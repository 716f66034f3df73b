//! The locks of all points, held while the process forks.

use super::{ASK, LAST, Last, from, lock};
use crate::sdk::{books, cell, patience};
use std::mem;
use std::sync::atomic::Ordering;

/// Keeps the lock of the gates, and those of each point, for a fork.
pub(crate) struct Held {
    // First, because what lets go of the others frees memory, which an allocator may count.
    last: Last,
    of_each: Room,
}

/// Room for the locks of each point.
pub(crate) type Room = Vec<(books::Held<'static>, cell::Held<'static>)>;

/// Made before any lock is held, because an allocator may measure.
pub(crate) fn room() -> Room {
    let most = from(*lock()).count() + 1000;
    Vec::with_capacity(most)
}

/// All of them, or the room again if some cannot be had.
pub(crate) fn hold(room: Room) -> Result<Held, Room> {
    let Some(last) = patience::lock(&LAST) else { return Err(room) };
    let (most, mut of_each) = (room.capacity(), room);
    for point in from(*last).take(most) {
        let both = || Some((point.books.hold()?, point.shared.hold()?));
        let Some(both) = both() else {
            of_each.clear();
            return Err(of_each);
        };
        of_each.push(both);
    }
    Ok(Held { last, of_each })
}

impl Held {
    /// From now on each point asks anew whether it is wanted.
    pub(crate) fn ask_again(&self) {
        from(*self.last).for_each(|point| point.gate.store(ASK, Ordering::Relaxed));
    }

    /// Lets go of all locks and frees nothing: an allocator that counts would begin to measure in
    /// a child that only calls `exec`.
    pub(crate) fn leave(mut self) {
        self.of_each.clear();
        mem::forget(self.of_each);
    }
}
