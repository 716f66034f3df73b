//! Says in the log what is dropped, but not more often than people read.

use super::Router;
use super::receive::Inbox;
use crate::counters::Counters;
use std::collections::BTreeMap;
use zibrato::wire::PublisherId;

/// How often the same complaint is made at most.
const EVERY_MS: u64 = 60_000;

/// The most bytes of a sample that are logged.
const SAMPLE_BYTES: usize = 120;

/// The first of what was dropped for a reason since that was told.
#[derive(Debug)]
struct Sample {
    text: String,
    /// Who sent it, once that is known.
    peer: Option<String>,
}

/// Remembers what has been said, and when.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    told: Counters,
    told_ms: Option<u64>,
    samples: BTreeMap<&'static str, Sample>,
    /// Whether the peer of a sample is not known yet.
    lacks_peer: bool,
    offender_ms: Option<u64>,
    refused: BTreeMap<&'static str, u64>,
    refused_ms: Option<u64>,
}

impl Complaints {
    /// Keeps the first of what is dropped for a reason, to show it. The peer is told next.
    pub(crate) fn keep_sample(&mut self, reason: &'static str, bytes: &[u8]) {
        if self.samples.contains_key(reason) {
            return;
        }
        // No more of it is looked at than may be shown.
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

    /// Whether it is wanted to know whose the message is that was looked at last.
    pub(crate) const fn lacks_peer(&self) -> bool {
        self.lacks_peer
    }

    /// Whose the message is that was looked at last.
    pub(crate) fn name_peer(&mut self, peer: &str) {
        self.lacks_peer = false;
        for sample in self.samples.values_mut() {
            sample.peer.get_or_insert_with(|| peer.to_owned());
        }
    }

    /// Names what was dropped since the last time, if that is long enough ago.
    pub(crate) fn complain(&mut self, now: &Counters, now_ms: u64) {
        let drops = |counters: &Counters| -> u64 { counters.subscriber_drops.values().sum() };
        let slow = drops(now) - drops(&self.told);
        if (now.dropped == self.told.dropped && slow == 0) || !may(&mut self.told_ms, now_ms) {
            return;
        }
        for ((reason, now), (_, told)) in now.dropped.iter().zip(self.told.dropped.iter()) {
            if now > told {
                let (why, count) = (meaning(reason), now - told);
                // What the broker makes itself has neither.
                let sample = self.samples.remove(reason);
                let peer = sample.as_ref().and_then(|sample| sample.peer.as_deref());
                let sample = sample.as_ref().map(|sample| &*sample.text);
                tracing::warn!(event = "dropped", reason, count, peer, sample, why);
            }
        }
        if slow > 0 {
            let why = "it reads more slowly than others publish, and loses messages";
            tracing::warn!(event = "slow_subscriber", times = slow, why);
        }
        self.told.clone_from(now);
    }

    /// Says why connections were refused since the last time, if that is long enough ago. Those whose
    /// key is not allowed are named elsewhere, at once.
    pub(crate) fn complain_of_refused(&mut self, now: &Counters, now_ms: u64) {
        // Without keys whoever only looks whether the port is open hangs up like that.
        let is_told = |reason: &str| match reason {
            "revoked_key" | "unknown_key" => false,
            "broken_off" => now.keys.is_some(),
            _ => true,
        };
        let refused: BTreeMap<_, _> = now.refused().filter(|(reason, _)| is_told(reason)).collect();
        if refused == self.refused || !may(&mut self.refused_ms, now_ms) {
            return;
        }
        for (reason, count) in &refused {
            let told = self.refused.get(reason).copied().unwrap_or_default();
            if *count > told {
                let why = why_refused(reason);
                tracing::warn!(event = "handshake_refused", reason, times = count - told, why);
            }
        }
        self.refused = refused;
    }

    /// Whether it is time again to name who has too many series.
    pub(crate) fn may_name_offender(&mut self, now_ms: u64) -> bool {
        may(&mut self.offender_ms, now_ms)
    }
}

impl Router {
    /// Counts what is dropped, and keeps a sample for the log.
    pub(super) fn drop_it(&mut self, reason: &'static str, sample: &[u8]) {
        self.counters.dropped.add(reason, 1);
        self.complaints.keep_sample(reason, sample);
    }

    /// Counts a message that is dropped without being looked at.
    pub(super) fn drop_unread(&mut self, reason: &'static str, inbox: &mut Inbox) {
        self.drop_it(reason, inbox.first());
        self.name_peer(inbox);
    }

    pub(super) fn name_peer(&mut self, inbox: &mut Inbox) {
        if self.complaints.lacks_peer() {
            self.complaints.name_peer(&inbox.peer());
        }
    }

    /// Counts parts of a batch that could not be made lines. It was taken before.
    pub(super) fn drop_part(&mut self, count: u64, level: &str, from: PublisherId) {
        self.counters.dropped.add("expansion", count);
        self.complaints.keep_sample("expansion", level.as_bytes());
        self.complaints.name_peer(&format!("publisher {from}"));
    }
}

/// Whether the last time is long enough ago; then this is the last time. A clock that was set back
/// does not silence anything.
fn may(last_ms: &mut Option<u64>, now_ms: u64) -> bool {
    let may = last_ms.is_none_or(|last| now_ms < last || now_ms - last >= EVERY_MS);
    if may {
        *last_ms = Some(now_ms);
    }
    may
}

/// What a refused connection says to people who have not read the code.
fn why_refused(reason: &str) -> &'static str {
    match reason {
        "broken_off" => {
            "the client disconnected during the handshake; if this goes on, it may lack the keys \
             that the broker requires, or not speak ZeroMQ's protocol"
        }
        "mechanism" => "the client encrypts and the broker does not, or the other way round",
        "server_key" => {
            "the client has a wrong key for this broker; give it the broker's public key"
        }
        _ => "the client does not speak ZeroMQ's protocol",
    }
}

/// What a reason says to people who have not read the code.
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
            "a level is empty, too long, kept for the protocol, or contains a control character"
        }
        "member" => "a member of a set is empty, too long, or contains a control character",
        "mtype" => "the mtype of a line is not counter, gauge, set or timer",
        "name" => "the name in a line is empty, too long, or contains a control character",
        "source" => "the source in a line is too long, or contains a control character",
        "timestamp" => "the timestamp of a line is not a number of Unix seconds",
        "value" => "the value of a line is not a finite decimal number",
        "empty" => "a message contained no line",
        "frames" => "a message has neither 1 frame (lines) nor 3 frames (a batch)",
        "id" => "the id of a batch does not have 24 bytes",
        "sequence" => "a batch has sequence 0; sequences start at 1",
        "topic" => "the topic of a batch is not `zb1|<level>|`",
        "version" => "a batch has a version that this broker does not know; upgrade the broker",
        "expansion" => "part of a batch could not be decoded to make lines of it",
        "levels" => {
            "there were lines of too many levels in one second; further ones do not reach \
                     workers"
        }
        "send" => "a message could not be sent",
        _ => "it is invalid; --log-level debug says why",
    }
}

#[cfg(test)]
mod tests {
    use super::{Complaints, meaning};
    use crate::counters::REASONS;

    #[test]
    fn every_reason_is_explained() {
        let other = meaning("other");
        let silent: Vec<_> = REASONS.into_iter().filter(|r| meaning(r) == other).collect();
        assert_eq!(silent, ["other"]);
    }

    #[test]
    fn a_sample_is_the_first_of_its_reason_and_short() {
        let mut complaints = Complaints::default();
        complaints.keep_sample("fields", b"info|c|n");
        assert!(complaints.lacks_peer());
        complaints.name_peer("10.0.0.1");
        assert!(!complaints.lacks_peer());
        complaints.keep_sample("fields", b"another");
        assert!(!complaints.lacks_peer());
        complaints.keep_sample("encoding", &[0xff; 10_000]);
        complaints.name_peer("10.0.0.2");
        let of = |reason| &complaints.samples[reason];
        assert_eq!(
            (&*of("fields").text, of("fields").peer.as_deref()),
            ("info|c|n", Some("10.0.0.1"))
        );
        assert_eq!(of("encoding").peer.as_deref(), Some("10.0.0.2"));
        assert_eq!(of("encoding").text, format!("{}…", r"\xff".repeat(super::SAMPLE_BYTES)));
    }

    #[test]
    fn the_same_complaint_is_made_once_a_minute() {
        let mut complaints = Complaints::default();
        for (now_ms, may) in
            [(5_000, true), (5_001, false), (64_999, false), (65_000, true), (1_000, true)]
        {
            assert_eq!(complaints.may_name_offender(now_ms), may, "{now_ms}");
        }
    }
}
