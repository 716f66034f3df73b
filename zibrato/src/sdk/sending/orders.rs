//! The orders of the application's threads to the sender, and its answers.
//!
//! Only memory is used. A descriptor that wakes the sender would belong to the application, which
//! may close it, and reuse its number.

use super::error::BuildError;
use crate::sdk::cells::lock;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) flushes_asked: u64,
    pub(super) flushes_done: u64,
    pub(super) stop_by: Option<Instant>,
    /// The result of opening the sockets, if the starting thread waits for it.
    pub(super) opened: Option<Result<(), BuildError>>,
    pub(super) finished: bool,
}

impl State {
    pub(super) const fn is_stopped(&self) -> bool {
        self.stop_by.is_some()
    }

    /// Whether there is an order for the sender.
    pub(super) const fn is_asked(&self) -> bool {
        self.flushes_asked > self.flushes_done || self.is_stopped()
    }
}

impl Orders {
    /// Changes the state, to give an order or an answer, and wakes all waiting threads.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut lock(&self.state));
        self.changed.notify_all();
        result
    }

    /// Waits until `is_so` or until the deadline. Returns whether `is_so`.
    pub(super) fn wait_until(&self, deadline: Instant, is_so: impl Fn(&State) -> bool) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let waits = |state: &mut State| !is_so(state);
        let waited = self.changed.wait_timeout_while(lock(&self.state), left, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
