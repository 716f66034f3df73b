//! The subscribed levels of which no message has arrived.
//!
//! Pure.

use crate::levels::Levels;
use std::time::{Duration, Instant};

/// Notices levels without messages, once: after two windows of a connection.
#[derive(Debug)]
pub(super) struct Silence {
    /// The levels without a message so far, and the prefixes of their topics. Empty once reported.
    waiting: Vec<(String, String)>,
    window: Duration,
    /// When the feed was connected.
    since: Option<Instant>,
}

impl Silence {
    pub(super) fn new(levels: &Levels, window: Duration) -> Self {
        let waiting = levels.names().into_iter().zip(levels.topics()).collect();
        Self { waiting, window, since: None }
    }

    /// Records a message with this topic.
    pub(super) fn hears(&mut self, topic: &[u8]) {
        self.waiting.retain(|(_, prefix)| !topic.starts_with(prefix.as_bytes()));
    }

    /// The levels to report, separated by commas.
    pub(super) fn silent(&mut self, now: Instant, connected: bool) -> Option<String> {
        if self.waiting.is_empty() || !connected {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) < self.window * 2 {
            return None;
        }
        let levels = std::mem::take(&mut self.waiting).into_iter().map(|(level, _)| level);
        Some(levels.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::Silence;
    use std::time::{Duration, Instant};

    const WINDOW: Duration = Duration::from_secs(10);

    fn silence(levels: &str) -> Silence {
        Silence::new(&levels.parse().unwrap(), WINDOW)
    }

    #[test]
    fn levels_without_a_message_are_reported_once_after_two_windows() {
        let begun = Instant::now();
        let mut silence = silence("info,statsd,warn");
        assert_eq!(silence.silent(begun, true), None);
        silence.hears(b"zb1|info|");
        silence.hears(b"zb1|other|");
        assert_eq!(silence.silent(begun + WINDOW, true), None);
        let reported = silence.silent(begun + 2 * WINDOW, true);
        assert_eq!(reported.as_deref(), Some("statsd,warn"));
        assert_eq!(silence.silent(begun + 9 * WINDOW, true), None);
    }

    #[test]
    fn nothing_is_reported_while_the_broker_is_away_or_if_messages_arrive() {
        let begun = Instant::now();
        let mut away = silence("statsd");
        assert_eq!(away.silent(begun, true), None);
        assert_eq!(away.silent(begun + WINDOW, false), None);
        assert_eq!(away.silent(begun + 3 * WINDOW, true), None);
        assert_eq!(away.silent(begun + 5 * WINDOW, true).as_deref(), Some("statsd"));
        let mut heard = silence("statsd");
        heard.hears(b"zb1|statsd|");
        assert_eq!(heard.silent(begun, true), None);
        assert_eq!(heard.silent(begun + 3 * WINDOW, true), None);
        let mut all = silence("*");
        all.hears(b"zb1|any|");
        assert_eq!(all.silent(begun, true), None);
        assert_eq!(all.silent(begun + 3 * WINDOW, true), None);
    }
}
