//! The open connections. A new one takes the place of the one that has been idle for the longest time.

use crate::libzmq::reserve::limit;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Instant;
use tokio::task::AbortHandle;

/// Maximum number of connections.
const MAX_CONNECTIONS: usize = 1_000;

/// The limit of file descriptors divided by this is another maximum.
const SHARE: usize = 4;

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    open: RefCell<HashMap<u64, Open>>,
    next: Cell<u64>,
    most: usize,
}

#[derive(Debug)]
struct Open {
    use_of: Rc<Use>,
    task: AbortHandle,
}

/// When a connection was used.
#[derive(Debug)]
pub(super) struct Use {
    last: Cell<Instant>,
    /// Whether a request of a known user is being answered.
    is_busy: Cell<bool>,
}

/// A request of a known user that is being answered. Dropping this ends it.
#[derive(Debug)]
pub(super) struct Busy(Rc<Use>);

impl Use {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { last: Cell::new(Instant::now()), is_busy: Cell::new(false) })
    }

    /// Begins a request.
    pub(super) fn begin(self: &Rc<Self>) -> Busy {
        self.is_busy.set(true);
        Busy(Rc::clone(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.is_busy.set(false);
        self.0.last.set(Instant::now());
    }
}

impl Connections {
    /// As many as the system permits.
    pub(super) fn new() -> Self {
        Self { open: RefCell::default(), next: Cell::new(0), most: most(limit()) }
    }

    /// Whether there is room for another one.
    pub(super) fn has_room(&self) -> bool {
        self.open.borrow().len() < self.most
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Closes the one that has been idle for the longest time, and returns whether there is one.
    pub(super) fn close_idle(&self) -> bool {
        let mut open = self.open.borrow_mut();
        let idle = open.iter().filter(|(_, open)| !open.use_of.is_busy.get());
        let oldest = idle.min_by_key(|(_, open)| open.use_of.last.get()).map(|(id, _)| *id);
        match oldest.and_then(|oldest| open.remove(&oldest)) {
            Some(closed) => {
                closed.task.abort();
                true
            }
            None => false,
        }
    }

    /// The number of the next connection.
    pub(super) fn next_id(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    pub(super) fn add(&self, id: u64, use_of: Rc<Use>, task: AbortHandle) {
        self.open.borrow_mut().insert(id, Open { use_of, task });
    }

    pub(super) fn remove(&self, id: u64) {
        self.open.borrow_mut().remove(&id);
    }
}

/// Maximum number of connections under a limit of file descriptors.
fn most(limit: RawFd) -> usize {
    let share = usize::try_from(limit).unwrap_or_default() / SHARE;
    share.clamp(1, MAX_CONNECTIONS)
}
