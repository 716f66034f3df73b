//! How long a worker waits before a request, to stay within Slack's limits.

use std::time::{Duration, Instant};

/// The shortest time between two updates of messages: Slack accepts about 50 a minute, and these are
/// 45.
pub(super) const UPDATE_PACE: Duration = Duration::from_millis(1_334);

/// When requests were sent last.
#[derive(Debug, Default)]
pub(super) struct Sent {
    any: Option<Instant>,
    update: Option<Instant>,
}

impl Sent {
    /// The wait before the next request. One that changes a message also keeps [`UPDATE_PACE`].
    pub(super) fn wait(&self, pace: Duration, is_update: bool) -> Duration {
        let rest = |last: Option<Instant>, pace: Duration| {
            last.map_or(Duration::ZERO, |last| pace.saturating_sub(last.elapsed()))
        };
        let update = if is_update { rest(self.update, UPDATE_PACE) } else { Duration::ZERO };
        rest(self.any, pace).max(update)
    }

    /// A request was sent.
    pub(super) fn note(&mut self, is_update: bool) {
        let now = Some(Instant::now());
        self.any = now;
        if is_update {
            self.update = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sent, UPDATE_PACE};
    use std::time::Duration;

    #[test]
    fn updates_have_a_longer_pace_than_messages() {
        let (mut sent, second) = (Sent::default(), Duration::from_secs(1));
        assert_eq!(sent.wait(second, true), Duration::ZERO);
        sent.note(false);
        assert!((second / 2..=second).contains(&sent.wait(second, true)));
        sent.note(true);
        assert!((second..=UPDATE_PACE).contains(&sent.wait(second, true)));
        assert!(sent.wait(second, false) <= second);
        assert_eq!(sent.wait(Duration::ZERO, false), Duration::ZERO);
    }
}
