//! The state of a worker: progress of its threads, refusals by the broker, errors of the backend.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Maximum silence of the feed before it counts as stuck. It reports every second.
const FEED_SILENCE: Duration = Duration::from_secs(10);

/// Maximum duration of one attempt before the delivery counts as stuck.
const LONGEST_TRY: Duration = Duration::from_secs(600);

/// Shared by the worker's threads and the status pages.
#[derive(Debug)]
pub(crate) struct Status(Mutex<State>);

#[derive(Debug)]
struct State {
    feed: Instant,
    /// Start of the current attempt.
    trying: Option<Instant>,
    refused: Option<String>,
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
            feed: Instant::now(),
            trying: None,
            refused: None,
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
        self.state().feed = Instant::now();
    }

    /// The broker does not refuse requests. Returns whether that is a change.
    pub(crate) fn feed_is_well(&self) -> bool {
        self.state().refused.take().is_some()
    }

    /// The broker refuses requests, for this reason. Returns whether that is a change.
    pub(crate) fn feed_is_ill(&self, why: &str) -> bool {
        let mut state = self.state();
        let news = state.refused.as_deref() != Some(why);
        if news {
            state.refused = Some(why.to_owned());
        }
        news
    }

    /// An attempt begins.
    pub(crate) fn try_begins(&self) {
        self.state().trying = Some(Instant::now());
    }

    /// An attempt has ended; `why` is the error if nothing was accepted.
    pub(crate) fn try_ends(&self, why: Option<&str>) {
        let mut state = self.state();
        state.trying = None;
        state.backend = why.map(|why| {
            let since = state.backend.as_ref().map_or_else(Instant::now, |before| before.since);
            Trouble { since, why: why.to_owned() }
        });
    }

    /// Sets or clears a problem with the receiver although it accepts payloads.
    pub(crate) fn far_side_ails(&self, why: Option<String>) {
        self.state().far_side = why;
    }

    /// Sets or clears why dead letters cannot be kept.
    pub(crate) fn letters_fail(&self, why: Option<String>) {
        self.state().letters = why;
    }

    /// Sets or clears why deliveries cannot be committed.
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

    /// Only the live stream is available.
    pub(crate) fn is_live_because(&self, why: String) {
        self.state().live = Some(why);
    }

    pub(crate) fn stops(&self) {
        self.state().stopping = true;
    }

    /// Which thread is stuck, if one is.
    pub(crate) fn stuck(&self) -> Option<&'static str> {
        let state = self.state();
        if state.feed.elapsed() > FEED_SILENCE {
            return Some("the feed has made no progress for ten seconds; restart the worker");
        }
        let trying = state.trying.is_some_and(|since| since.elapsed() > LONGEST_TRY);
        trying.then_some("one attempt at the backend has taken more than ten minutes")
    }

    /// Why the worker is not ready, if it is not. `patience` is how long a backend may accept
    /// nothing.
    pub(crate) fn unready(&self, connected: bool, patience: Duration) -> Option<String> {
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
        if let Some(why) = &state.refused {
            return Some(format!("the broker refuses: {why}"));
        }
        if !connected {
            let why = "nothing arrives from the broker; start it, or give its address with --host \
                       and --port";
            return Some(why.to_owned());
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

    /// Why the live stream is read instead of the journal.
    pub(crate) fn live_because(&self) -> Option<String> {
        self.state().live.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is an assignment, so a panic leaves valid data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Status;
    use std::time::Duration;

    #[test]
    fn a_worker_is_ready_when_nothing_stands_in_its_way() {
        let (status, long) = (Status::new(), Duration::from_secs(60));
        assert_eq!(status.unready(true, long), None);
        assert!(status.unready(false, long).unwrap().contains("--host"));
        status.try_begins();
        status.try_ends(Some("401"));
        assert_eq!(status.unready(true, long), None);
        let said = status.unready(true, Duration::ZERO).unwrap();
        assert!(said.ends_with("s: 401"), "{said}");
        status.try_ends(None);
        assert_eq!(status.unready(true, Duration::ZERO), None);
        status.far_side_ails(Some("resets".to_owned()));
        assert_eq!(status.unready(true, long).unwrap(), "resets");
        status.far_side_ails(None);
        assert!(status.feed_is_ill("a") && !status.feed_is_ill("a") && status.feed_is_ill("b"));
        assert_eq!(status.unready(true, long).unwrap(), "the broker refuses: b");
        status.feed_is_well();
        status.fail("owned".to_owned());
        assert_eq!(status.unready(true, long).unwrap(), "owned");
    }
}
