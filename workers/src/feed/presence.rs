//! Whether the broker is there, judged by when it was last heard of. It speaks every second.

use std::time::{Duration, Instant};

/// A broker that is not heard of within this time after the start is waited for.
const WAITING_AFTER: Duration = Duration::from_secs(3);

/// A broker that has been silent for so long is lost.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// What is known of the broker. Pure: times are arguments.
#[derive(Debug)]
pub(super) struct Presence {
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Absent,
    Expected { since: Instant },
    Present { heard: Instant },
}

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Connected,
    Lost,
    Waiting,
}

impl Presence {
    pub(super) const fn new(now: Instant) -> Self {
        Self { state: State::Expected { since: now } }
    }

    /// Something came.
    pub(super) fn heard(&mut self, now: Instant) -> Option<Change> {
        let before = std::mem::replace(&mut self.state, State::Present { heard: now });
        match before {
            State::Present { .. } => None,
            State::Absent | State::Expected { .. } => Some(Change::Connected),
        }
    }

    /// Time has passed.
    pub(super) fn passed(&mut self, now: Instant) -> Option<Change> {
        let change = match self.state {
            State::Expected { since } if now.duration_since(since) >= WAITING_AFTER => {
                Change::Waiting
            }
            State::Present { heard } if now.duration_since(heard) >= LOST_AFTER => Change::Lost,
            State::Absent | State::Expected { .. } | State::Present { .. } => return None,
        };
        self.state = State::Absent;
        Some(change)
    }

    pub(super) const fn is_present(&self) -> bool {
        matches!(self.state, State::Present { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Presence};
    use std::time::{Duration, Instant};

    #[test]
    fn each_change_is_told_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut presence = Presence::new(start);
        assert_eq!(presence.passed(at(2)), None);
        assert_eq!(presence.passed(at(3)), Some(Change::Waiting));
        assert_eq!(presence.passed(at(4)), None);
        assert_eq!(presence.heard(at(5)), Some(Change::Connected));
        assert_eq!((presence.heard(at(6)), presence.passed(at(10))), (None, None));
        assert!(presence.is_present());
        assert_eq!(presence.passed(at(11)), Some(Change::Lost));
        assert!(!presence.is_present());
        assert_eq!(presence.passed(at(60)), None);
        assert_eq!(presence.heard(at(61)), Some(Change::Connected));
    }
}
