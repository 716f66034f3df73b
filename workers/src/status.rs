//! The health of a worker: whether its threads make progress, and what its feed and backend say.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After this time without a sign of life, the feed is stuck. It gives one every second.
const FEED_SILENCE: Duration = Duration::from_secs(10);

/// After this time in one attempt of the backend, the delivery is stuck.
const LONGEST_TRY: Duration = Duration::from_secs(600);

/// Shared by the threads of the worker and those that observe it.
#[derive(Debug)]
pub(crate) struct Status(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When the feed last said that it is alive; `None` when it has ended.
    feed: Option<Instant>,
    /// Since when the current attempt lasts.
    trying: Option<Instant>,
    /// What keeps the feed from its far side.
    feed_trouble: Option<String>,
    backend: Option<Trouble>,
    far_side: Option<String>,
    failure: Option<String>,
    live: Option<String>,
    letters: Option<String>,
    commits: Option<String>,
    stopping: bool,
}

/// A backend that accepts nothing.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) since: Instant,
    pub(crate) why: String,
}

impl Status {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            feed: Some(Instant::now()),
            trying: None,
            feed_trouble: None,
            backend: None,
            far_side: None,
            failure: None,
            live: None,
            letters: None,
            commits: None,
            stopping: false,
        }))
    }

    pub(crate) fn feed_is_alive(&self) {
        self.state().feed = Some(Instant::now());
    }

    /// The feed has ended.
    pub(crate) fn feed_ends(&self) {
        let mut state = self.state();
        (state.feed, state.feed_trouble) = (None, Some("the feed has ended".to_owned()));
    }

    /// What keeps the feed from its far side, if something does.
    pub(crate) fn feed_fails(&self, why: Option<&str>) {
        let mut state = self.state();
        if state.feed_trouble.as_deref() != why {
            state.feed_trouble = why.map(str::to_owned);
        }
    }

    /// An attempt begins.
    pub(crate) fn try_begins(&self) {
        self.state().trying = Some(Instant::now());
    }

    /// An attempt has ended; `why` says why nothing was accepted, if nothing was.
    pub(crate) fn try_ends(&self, why: Option<&str>) {
        let mut state = self.state();
        state.trying = None;
        state.backend = why.map(|why| {
            let since = state.backend.as_ref().map_or_else(Instant::now, |before| before.since);
            Trouble { since, why: why.to_owned() }
        });
    }

    /// What is wrong with the far side although it accepts payloads, if something is.
    pub(crate) fn far_side_ails(&self, why: Option<String>) {
        self.state().far_side = why;
    }

    /// Why dead letters cannot be kept, if they cannot.
    pub(crate) fn letters_fail(&self, why: Option<String>) {
        self.state().letters = why;
    }

    /// Why deliveries cannot be committed, if they cannot.
    pub(crate) fn commits_fail(&self, why: Option<String>) {
        self.state().commits = why;
    }

    /// The worker cannot continue.
    pub(crate) fn fail(&self, why: String) {
        self.state().failure.get_or_insert(why);
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// The worker reads the live stream although it was to read the journal.
    pub(crate) fn is_live_because(&self, why: String) {
        self.state().live = Some(why);
    }

    pub(crate) fn stops(&self) {
        self.state().stopping = true;
    }

    /// Which thread is stuck, if one is.
    pub(crate) fn stuck(&self) -> Option<&'static str> {
        let state = self.state();
        if state.feed.is_some_and(|alive| alive.elapsed() > FEED_SILENCE) {
            return Some("the feed has made no progress for ten seconds; restart the worker");
        }
        let trying = state.trying.is_some_and(|since| since.elapsed() > LONGEST_TRY);
        trying.then_some("one attempt at the backend has taken more than ten minutes")
    }

    /// What keeps the worker from being ready, if something does. `patience` is how long a backend
    /// may accept nothing.
    pub(crate) fn unready(&self, patience: Duration) -> Option<String> {
        if let Some(stuck) = self.stuck() {
            return Some(stuck.to_owned());
        }
        let state = self.state();
        if let Some(why) = &state.failure {
            return Some(why.clone());
        }
        if state.stopping {
            return Some("the worker is stopping".to_owned());
        }
        if let Some(why) = &state.feed_trouble {
            return Some(why.clone());
        }
        if let Some(why) = &state.commits {
            return Some(format!(
                "deliveries cannot be committed, and will be repeated after a restart: {why}"
            ));
        }
        if let Some(why) = &state.letters {
            return Some(format!("dead letters cannot be kept: {why}"));
        }
        if let Some(why) = &state.far_side {
            return Some(why.clone());
        }
        let trouble = state.backend.as_ref().filter(|t| t.since.elapsed() > patience)?;
        let seconds = trouble.since.elapsed().as_secs();
        Some(format!("the backend has accepted nothing for {seconds} s: {}", trouble.why))
    }

    /// Why the worker reads the live stream although it was to read the journal.
    pub(crate) fn live_because(&self) -> Option<String> {
        self.state().live.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a few assignments, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Status;
    use std::time::Duration;

    #[test]
    fn a_worker_is_ready_when_nothing_keeps_it_from_delivering() {
        let (status, long) = (Status::new(), Duration::from_secs(60));
        assert_eq!(status.unready(long), None);
        status.feed_fails(Some("not heard"));
        assert_eq!(status.unready(long).unwrap(), "not heard");
        status.feed_fails(None);
        status.try_begins();
        status.try_ends(Some("401"));
        assert_eq!(status.unready(long), None);
        let said = status.unready(Duration::ZERO).unwrap();
        assert!(said.ends_with("s: 401"), "{said}");
        status.try_ends(None);
        assert_eq!(status.unready(Duration::ZERO), None);
        status.far_side_ails(Some("resets".to_owned()));
        assert_eq!(status.unready(long).unwrap(), "resets");
        status.far_side_ails(None);
        status.feed_fails(Some("a"));
        status.feed_fails(Some("b"));
        assert_eq!(status.unready(long).unwrap(), "b");
        status.fail("owned".to_owned());
        assert_eq!(status.unready(long).unwrap(), "owned");
    }
}
