//! The health of a worker: whether its threads make progress, and what its feed and backend say.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// If the feed reports nothing for this time, it is stuck. It reports every second.
const FEED_SILENCE: Duration = Duration::from_secs(10);

/// If one attempt of the backend takes longer than this, the delivery is stuck.
const LONGEST_TRY: Duration = Duration::from_secs(600);

/// Shared by the threads of the worker and its observers.
#[derive(Debug)]
pub(crate) struct Status(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When the feed last reported that it is running; `None` once it has ended.
    feed: Option<Instant>,
    /// The start of the current attempt.
    trying: Option<Instant>,
    /// Why the feed is not connected.
    feed_trouble: Option<String>,
    backend: Option<Trouble>,
    receiver: Option<String>,
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
            receiver: None,
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

    /// Records that the feed has ended.
    pub(crate) fn feed_ends(&self) {
        let mut state = self.state();
        (state.feed, state.feed_trouble) = (None, Some("the feed has ended".to_owned()));
    }

    /// Records why the feed is not connected; `None` if it is.
    pub(crate) fn feed_fails(&self, why: Option<&str>) {
        let mut state = self.state();
        if state.feed_trouble.as_deref() != why {
            state.feed_trouble = why.map(str::to_owned);
        }
    }

    /// Records that an attempt begins.
    pub(crate) fn try_begins(&self) {
        self.state().trying = Some(Instant::now());
    }

    /// Records that an attempt has ended; `why` is the reason if nothing was accepted.
    pub(crate) fn try_ends(&self, why: Option<&str>) {
        let mut state = self.state();
        state.trying = None;
        state.backend = why.map(|why| {
            let since = state.backend.as_ref().map_or_else(Instant::now, |before| before.since);
            Trouble { since, why: why.to_owned() }
        });
    }

    /// Records a problem of the receiver although it accepts payloads; `None` if there is none.
    pub(crate) fn receiver_fails(&self, why: Option<String>) {
        self.state().receiver = why;
    }

    /// Records why dead letters cannot be written; `None` if they can.
    pub(crate) fn letters_fail(&self, why: Option<String>) {
        self.state().letters = why;
    }

    /// Records why deliveries cannot be committed; `None` if they can.
    pub(crate) fn commits_fail(&self, why: Option<String>) {
        self.state().commits = why;
    }

    /// Records that the worker cannot continue.
    pub(crate) fn fail(&self, why: String) {
        self.state().failure.get_or_insert(why);
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// Records why the worker reads the live stream although it should read the journal.
    pub(crate) fn is_live_because(&self, why: String) {
        self.state().live = Some(why);
    }

    pub(crate) fn stops(&self) {
        self.state().stopping = true;
    }

    /// The thread that is stuck, if there is one.
    pub(crate) fn stuck(&self) -> Option<&'static str> {
        let state = self.state();
        if state.feed.is_some_and(|alive| alive.elapsed() > FEED_SILENCE) {
            return Some("the feed has made no progress for ten seconds; restart the worker");
        }
        let trying = state.trying.is_some_and(|since| since.elapsed() > LONGEST_TRY);
        trying.then_some("one attempt at the backend has taken more than ten minutes")
    }

    /// What prevents delivery, if anything does. `timeout` is how long a backend may accept
    /// nothing.
    pub(crate) fn unready(&self, timeout: Duration) -> Option<String> {
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
        if let Some(why) = &state.receiver {
            return Some(why.clone());
        }
        let trouble = state.backend.as_ref().filter(|t| t.since.elapsed() > timeout)?;
        let seconds = trouble.since.elapsed().as_secs();
        Some(format!("the backend has accepted nothing for {seconds} s: {}", trouble.why))
    }

    /// Why the worker reads the live stream although it should read the journal.
    pub(crate) fn live_because(&self) -> Option<String> {
        self.state().live.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a few assignments, so a panic leaves consistent data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Status;
    use std::time::Duration;

    #[test]
    fn a_worker_is_ready_when_nothing_prevents_delivery() {
        let (status, long) = (Status::new(), Duration::from_secs(60));
        assert_eq!(status.unready(long), None);
        status.feed_fails(Some("no broker"));
        assert_eq!(status.unready(long).unwrap(), "no broker");
        status.feed_fails(None);
        status.try_begins();
        status.try_ends(Some("401"));
        assert_eq!(status.unready(long), None);
        let said = status.unready(Duration::ZERO).unwrap();
        assert!(said.ends_with("s: 401"), "{said}");
        status.try_ends(None);
        assert_eq!(status.unready(Duration::ZERO), None);
        status.receiver_fails(Some("resets".to_owned()));
        assert_eq!(status.unready(long).unwrap(), "resets");
        status.receiver_fails(None);
        status.feed_fails(Some("a"));
        status.feed_fails(Some("b"));
        assert_eq!(status.unready(long).unwrap(), "b");
        status.fail("owned".to_owned());
        assert_eq!(status.unready(long).unwrap(), "owned");
    }
}
