//! The captures of a thread. The last one that still exists is used.

use super::log::Log;
use crate::sdk::cells::busy;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

thread_local! {
    static CURRENT: RefCell<Stack> = const { RefCell::new(Stack { entries: Vec::new(), last: 0 }) };
}

struct Stack {
    /// Each with its number.
    entries: Vec<(u64, Weak<Log>)>,
    /// The number of the last entry.
    last: u64,
}

/// A thread records into a capture until this is dropped. Returned by
/// [`Capture::attach`](crate::testing::Capture::attach).
///
/// It stays on its thread. So a task that is spawned cannot hold it across an `.await`; wrap the
/// task with [`in_task`](crate::testing::Capture::in_task).
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>(_: T) {}
/// is_send(zibrato::testing::capture().attach());
/// ```
#[derive(Debug)]
#[must_use = "the thread is detached at once; bind it to a name, not to `_`"]
pub struct Attached {
    /// `None` if the thread ends, or the capture has ended.
    number: Option<u64>,
    /// Another thread cannot detach this one.
    _not_send: PhantomData<*const ()>,
}

/// Makes this thread record into `log`.
pub(super) fn attach(log: &Weak<Log>) -> Attached {
    let push = |current: &RefCell<Stack>| {
        let mut stack = current.try_borrow_mut().ok()?;
        stack.entries.retain(|(_, log)| log.strong_count() > 0);
        stack.last += 1;
        let number = stack.last;
        stack.entries.push((number, Weak::clone(log)));
        Some(number)
    };
    let number = busy(|| CURRENT.try_with(push).ok().flatten());
    Attached { number, _not_send: PhantomData }
}

impl Attached {
    /// Stays until the capture ends.
    pub(super) const fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let detach = |current: &RefCell<Stack>| {
            let Ok(mut stack) = current.try_borrow_mut() else { return };
            stack.entries.retain(|(number, _)| Some(*number) != self.number);
        };
        busy(|| CURRENT.try_with(detach).ok());
    }
}

/// What this thread records into, if it is attached to a capture.
pub(super) fn current() -> Option<Arc<Log>> {
    let last = |current: &RefCell<Stack>| {
        let stack = current.try_borrow().ok()?;
        let mut logs = stack.entries.iter().rev().filter_map(|(_, log)| log.upgrade());
        logs.find(|log| log.is_ours())
    };
    CURRENT.try_with(last).ok().flatten()
}
