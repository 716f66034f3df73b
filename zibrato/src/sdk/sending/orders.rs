//! What the application's threads ask of the sender's, and what they wait for.
//!
//! All of it is memory. A descriptor that wakes the sender would be one of the application's, which
//! it may close, and whose number it may use again.

use super::error::BuildError;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct Orders {
    state: Mutex<State>,
    /// Wakes the sender.
    asked: Condvar,
    /// Wakes those who wait for it.
    done: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) flushes_asked: u64,
    pub(super) flushes_done: u64,
    pub(super) stop_by: Option<Instant>,
    /// What became of the attempt to connect, if the sender was to say so.
    pub(super) opened: Option<Result<(), BuildError>>,
    pub(super) finished: bool,
    pub(super) given_up: bool,
}

impl State {
    /// Whether the sender has something to do.
    const fn is_asked(&self) -> bool {
        self.flushes_asked > self.flushes_done || self.stop_by.is_some()
    }
}

impl Orders {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the sender for something, and wakes it.
    pub(super) fn ask<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.asked.notify_all();
        result
    }

    /// Tells those who wait what has been done.
    pub(super) fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.done.notify_all();
    }

    /// Waits until `done`, or until the deadline; says which.
    pub(super) fn wait_until(&self, deadline: Instant, done: impl Fn(&State) -> bool) -> bool {
        let mut state = self.state();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.done.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits until something is asked of the sender, or for so long.
    pub(super) fn sleep(&self, at_most: Duration) {
        let state = self.state();
        // Whether it has come to that is for the caller to see.
        drop(self.asked.wait_timeout_while(state, at_most, |state| !state.is_asked()));
    }

    /// Waits until then, or until the sender is to end: `None`.
    pub(super) fn wait_for_stop(&self, then: Instant) -> Option<()> {
        let (state, left) = (self.state(), then.saturating_duration_since(Instant::now()));
        let waits = |state: &mut State| state.stop_by.is_none();
        let waited = self.asked.wait_timeout_while(state, left, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.stop_by.is_none().then_some(())
    }
}
