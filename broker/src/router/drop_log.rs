//! Logs drops and refused connections, with one sample for each reason, at most once a minute.

use super::unwanted::UnwantedLevels;
use crate::counters::Counters;
use std::collections::BTreeMap;

/// Minimum time between two log lines of the same kind.
const EVERY_MS: u64 = 60_000;

/// Maximum bytes of a logged sample.
const SAMPLE_BYTES: usize = 120;

/// The first message that was dropped for a reason since the last log line about that reason.
#[derive(Debug)]
struct Sample {
    text: String,
    /// The sender, once it is known.
    peer: Option<String>,
}

/// The last log lines, and samples for the next one.
#[derive(Debug, Default)]
pub(super) struct DropLog {
    logged: Counters,
    logged_ms: Option<u64>,
    samples: BTreeMap<&'static str, Sample>,
    /// Whether the peer of a sample is not known yet.
    lacks_peer: bool,
    offender_ms: Option<u64>,
    refused: BTreeMap<&'static str, u64>,
    refused_ms: Option<u64>,
    pub(super) unwanted: UnwantedLevels,
}

impl DropLog {
    /// Keeps the first message that is dropped for a reason as a sample. Call
    /// [`name_peer`](Self::name_peer) afterwards, which adds its sender.
    pub(super) fn keep_sample(&mut self, reason: &'static str, bytes: &[u8]) {
        if self.samples.contains_key(reason) {
            return;
        }
        // Only the part that is shown is processed.
        let shown = bytes.get(..SAMPLE_BYTES).unwrap_or(bytes);
        let mut text = String::new();
        for chunk in shown.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().escape_ascii().map(char::from));
        }
        if shown.len() < bytes.len() {
            text.push('…');
        }
        self.samples.insert(reason, Sample { text, peer: None });
        self.lacks_peer = true;
    }

    /// Names the sender of the last message, if it is the sample of a reason.
    pub(super) fn name_peer(&mut self, peer: impl FnOnce() -> String) {
        if !std::mem::take(&mut self.lacks_peer) {
            return;
        }
        let peer = peer();
        for sample in self.samples.values_mut() {
            sample.peer.get_or_insert_with(|| peer.clone());
        }
    }

    /// Logs what was dropped since the last time, if that is long enough ago.
    pub(super) fn log_drops(&mut self, now: &Counters, now_ms: u64) {
        let drops = |counters: &Counters| -> u64 { counters.subscriber_drops.values().sum() };
        let slow = drops(now) - drops(&self.logged);
        if (now.dropped == self.logged.dropped && slow == 0) || !may(&mut self.logged_ms, now_ms) {
            return;
        }
        for ((reason, now), (_, logged)) in now.dropped.iter().zip(self.logged.dropped.iter()) {
            if now > logged {
                let (why, count) = (meaning(reason), now - logged);
                // Batches of the broker itself have neither a sample nor a peer.
                let sample = self.samples.remove(reason);
                let peer = sample.as_ref().and_then(|sample| sample.peer.as_deref());
                let sample = sample.as_ref().map(|sample| &*sample.text);
                tracing::warn!(event = "dropped", reason, count, peer, sample, why);
            }
        }
        if slow > 0 {
            let why = "a subscriber reads more slowly than others publish, and loses messages";
            tracing::warn!(event = "slow_subscriber", times = slow, why);
        }
        self.logged.clone_from(now);
    }

    /// Logs the reasons why connections were refused since the last time, if that is long enough
    /// ago. Clients whose key is not allowed are logged elsewhere, immediately.
    pub(super) fn log_refused(&mut self, now: &Counters, now_ms: u64) {
        // Without keys, a port scan looks like this.
        let is_logged = |reason: &str| match reason {
            "revoked_key" | "unknown_key" => false,
            "broken_off" => now.keys.is_some(),
            _ => true,
        };
        let refused: BTreeMap<_, _> =
            now.refused().filter(|(reason, _)| is_logged(reason)).collect();
        if refused == self.refused || !may(&mut self.refused_ms, now_ms) {
            return;
        }
        for (reason, count) in &refused {
            let logged = self.refused.get(reason).copied().unwrap_or_default();
            if *count > logged {
                let why = why_refused(reason);
                tracing::warn!(event = "handshake_refused", reason, times = count - logged, why);
            }
        }
        self.refused = refused;
    }

    /// Whether a series beyond the limit may be logged again.
    pub(super) fn may_name_offender(&mut self, now_ms: u64) -> bool {
        may(&mut self.offender_ms, now_ms)
    }
}

/// Whether the last time is long enough ago. If so, this becomes the last time. A clock that is set back
/// does not delay anything.
fn may(last_ms: &mut Option<u64>, now_ms: u64) -> bool {
    let may = last_ms.is_none_or(|last| now_ms < last || now_ms - last >= EVERY_MS);
    if may {
        *last_ms = Some(now_ms);
    }
    may
}

/// Explains why connections are refused.
fn why_refused(reason: &str) -> &'static str {
    match reason {
        "broken_off" => {
            "the client disconnected during the handshake; if this repeats, it may lack the keys \
             that the broker requires, or not speak ZeroMQ's protocol"
        }
        "mechanism" => "only one of client and broker encrypts; give keys to both, or to neither",
        "server_key" => {
            "the client has a wrong key for this broker; give it the broker's public key"
        }
        _ => "the client does not speak ZeroMQ's protocol",
    }
}

/// Explains why input is dropped.
fn meaning(reason: &str) -> &'static str {
    match reason {
        "journal" => "the broker stopped before its own batches could be written to the journal",
        "encoding" => "a line is not UTF-8",
        "memory" => {
            "memory is short, and the message is large or the journal cannot accept more; batches \
             are sent again, lines are lost"
        }
        "revoked" => "its sender's key was taken off the list of --allowed-keys",
        "fields" => "a line does not have 6 fields, level|mtype|name|value|timestamp|source",
        "level" => {
            "a level is empty, too long, reserved for the protocol, or contains a control character"
        }
        "member" => "a member of a set is empty, too long, or contains a control character",
        "mtype" => "the mtype of a line is not counter, gauge, histogram, set or timer",
        "name" => "the name in a line is empty, too long, or contains a control character",
        "source" => "the source in a line is too long, or contains a control character",
        "timestamp" => "the timestamp of a line is not a number of Unix seconds",
        "value" => "the value of a line is not a finite decimal number",
        "empty" => "a message contained no line",
        "frames" => "a message has neither 1 frame (lines) nor 3 frames (a batch)",
        "id" => "the id of a batch is not 24 bytes long",
        "sequence" => "a batch has sequence 0; sequences start at 1",
        "topic" => "the topic of a batch is not `zb1|<level>|`",
        "version" => "a batch has a version that this broker does not know; upgrade the broker",
        "annotation" => {
            "annotations have no line, and subscribers that read lines do not get them; workers \
             that read batches do"
        }
        "expansion" => {
            "entries of a batch could not be decoded, and subscribers that read lines do not get \
             them; check the publisher named in `peer`"
        }
        "levels" => {
            "lines of too many levels arrived in one second; those of further levels do not reach \
             workers"
        }
        "members" => {
            "a set has more than 100,000 members in a second; workers do not get the further ones"
        }
        "send" => "a message could not be sent",
        _ => "it is invalid; --log-level debug says why",
    }
}

#[cfg(test)]
mod tests {
    use super::{DropLog, meaning};
    use crate::counters::REASONS;

    #[test]
    fn every_reason_is_explained() {
        let other = meaning("other");
        let silent: Vec<_> = REASONS.into_iter().filter(|r| meaning(r) == other).collect();
        assert_eq!(silent, ["other"]);
    }

    #[test]
    fn a_sample_is_the_first_of_its_reason_and_short() {
        let mut log = DropLog::default();
        log.keep_sample("fields", b"info|c|n");
        assert!(log.lacks_peer);
        log.name_peer(|| "10.0.0.1".to_owned());
        assert!(!log.lacks_peer);
        log.keep_sample("fields", b"another");
        assert!(!log.lacks_peer);
        log.keep_sample("encoding", &[0xff; 10_000]);
        log.name_peer(|| "10.0.0.2".to_owned());
        let of = |reason| &log.samples[reason];
        assert_eq!(
            (&*of("fields").text, of("fields").peer.as_deref()),
            ("info|c|n", Some("10.0.0.1"))
        );
        assert_eq!(of("encoding").peer.as_deref(), Some("10.0.0.2"));
        assert_eq!(of("encoding").text, format!("{}…", r"\xff".repeat(super::SAMPLE_BYTES)));
    }

    #[test]
    fn the_same_line_is_logged_once_a_minute() {
        let mut log = DropLog::default();
        for (now_ms, may) in
            [(5_000, true), (5_001, false), (64_999, false), (65_000, true), (1_000, true)]
        {
            assert_eq!(log.may_name_offender(now_ms), may, "{now_ms}");
        }
    }
}
