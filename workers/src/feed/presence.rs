//! Decides whether the broker is connected, by the time of its last message. It sends a heartbeat
//! every second.

use std::time::{Duration, Instant};

/// After this time without a message from the broker, the worker logs that it is waiting for it.
const WAITING_AFTER: Duration = Duration::from_secs(3);

/// After this time without a message, a broker is lost.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// If a connection ends and is not restored within this time, the broker is lost.
const BACK_WITHIN: Duration = Duration::from_millis(500);

/// The state of the broker. Pure: times are arguments.
#[derive(Debug)]
pub(super) struct Presence {
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Absent,
    Expected {
        since: Instant,
    },
    Present {
        heard: Instant,
    },
    /// The connection has ended. The broker may be restarting.
    Suspect {
        since: Instant,
    },
}

/// A change of the state.
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

    /// A message arrived.
    pub(super) fn heard(&mut self, now: Instant) -> Option<Change> {
        let before = std::mem::replace(&mut self.state, State::Present { heard: now });
        match before {
            State::Present { .. } | State::Suspect { .. } => None,
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
            State::Suspect { since } if now.duration_since(since) >= BACK_WITHIN => Change::Lost,
            State::Absent
            | State::Expected { .. }
            | State::Present { .. }
            | State::Suspect { .. } => return None,
        };
        self.state = State::Absent;
        Some(change)
    }

    /// The connection has ended. Returns whether the broker was present until now.
    pub(super) const fn ended(&mut self, now: Instant) -> bool {
        let news = matches!(self.state, State::Present { .. });
        if news {
            self.state = State::Suspect { since: now };
        }
        news
    }

    pub(super) const fn is_present(&self) -> bool {
        matches!(self.state, State::Present { .. } | State::Suspect { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Presence};
    use std::time::{Duration, Instant};

    #[test]
    fn each_change_is_reported_once() {
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

    #[test]
    fn an_ended_connection_is_a_loss_unless_the_broker_returns_in_time() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut presence = Presence::new(start);
        assert!(!presence.ended(at(0)));
        presence.heard(at(1));
        assert!(presence.ended(at(2)) && !presence.ended(at(3)) && presence.is_present());
        assert_eq!((presence.passed(at(400)), presence.heard(at(401))), (None, None));
        assert!(presence.ended(at(500)));
        assert_eq!(presence.passed(at(999)), None);
        assert_eq!(presence.passed(at(1000)), Some(Change::Lost));
        assert!(!presence.ended(at(1001)) && !presence.is_present());
    }
}
