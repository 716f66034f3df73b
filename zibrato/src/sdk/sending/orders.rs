//! What the application's threads ask of the sender's, and what they wait for.
//!
//! All of it is memory. A descriptor that wakes the sender would be one of the application's, which
//! it may close, and whose number it may use again.

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
    /// What became of the attempt to connect, if the sender was to say so.
    pub(super) opened: Option<Result<(), BuildError>>,
    pub(super) finished: bool,
}

impl State {
    pub(super) const fn is_stopped(&self) -> bool {
        self.stop_by.is_some()
    }

    /// Whether the sender has something to do.
    pub(super) const fn is_asked(&self) -> bool {
        self.flushes_asked > self.flushes_done || self.is_stopped()
    }
}

impl Orders {
    /// Asks for something or tells what has been done, and wakes whoever waits for it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut lock(&self.state));
        self.changed.notify_all();
        result
    }

    /// Waits until `is_so`, or until the deadline; says which.
    pub(super) fn wait_until(&self, deadline: Instant, is_so: impl Fn(&State) -> bool) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let waits = |state: &mut State| !is_so(state);
        let waited = self.changed.wait_timeout_while(lock(&self.state), left, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
