//! The counters of the broker: everything that it received, published or dropped, by reason.

use crate::curve::KeyCounters;
use crate::journal::Health;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The reasons for drops.
pub(crate) const REASONS: [&str; 24] = [
    // lines, as named by `LineError::reason`
    "encoding",
    "fields",
    "level",
    "member",
    "mtype",
    "name",
    "source",
    "timestamp",
    "value",
    // messages
    "empty",
    "frames",
    "id",
    "memory",
    "revoked",
    "sequence",
    "topic",
    "version",
    // publishing
    "annotation",
    "expansion",
    "journal",
    "levels",
    "members",
    "send",
    // every other reason
    "other",
];

/// Maximum number of levels for which drops at slow subscribers are counted separately.
const MAX_DROP_LEVELS: usize = 1_000;

/// The name under which drops of further levels are counted.
const OTHER_LEVELS: &str = "_other";

/// The counters of a broker since its start.
///
/// Each received line is counted in `lines` or `dropped`, or in `rejected` of an intake that is not
/// ZeroMQ. Each received batch is counted in `batches`, `duplicates` or `dropped`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// The counters of each intake: first `zmq` (the PUSH port) and `legacy` (the port for legacy
    /// publishers), then the intakes of the configuration.
    pub intakes: Vec<IntakeCounters>,
    /// Batches that had been accepted before. They are acknowledged again, but not published again.
    pub duplicates: u64,
    /// Drops, by reason.
    pub dropped: Dropped,
    /// How often the queue of a subscriber was full, by the level of the message. That subscriber
    /// then gets nothing until it has read half of its queue.
    pub subscriber_drops: Arc<BTreeMap<String, u64>>,
    /// Batches published, including the broker's own.
    pub published_batches: u64,
    /// Lines published, including those expanded from batches.
    pub published_lines: u64,
    /// Accepted batches of levels without a subscriber.
    pub unwanted_batches: u64,
    /// Accepted lines of levels without a subscriber.
    pub unwanted_lines: u64,
    /// Lines of ZeroMQ intakes that were added to `_overflow` because their level had too many
    /// series.
    pub overflowed: u64,
    /// The peers of each socket: `zmq`, `legacy` and `publish`.
    pub peers: Vec<PeerCounters>,
    /// The results of key checks, if the broker encrypts.
    pub keys: Option<KeyCounters>,
    /// Connections that were closed because the broker used too much memory.
    pub memory_cuts: u64,
    /// Messages from subscribers that were not valid subscriptions, or exceeded the maximum number
    /// of subscriptions.
    pub strange_subscriptions: u64,
    /// Current number of subscribed topics.
    pub subscriptions: u64,
    /// Current number of pairs of publisher and level whose sequence is remembered.
    pub remembered: u64,
    /// Pairs that were forgotten because there were too many.
    pub forgotten: u64,
    /// The state of the journal, if there is one.
    pub journal: Option<Health>,
    /// How far the broker's clock is ahead of the machine's, in milliseconds. It never goes back.
    pub ahead_ms: u64,
}

/// The messages of one intake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IntakeCounters {
    /// The name of the intake in metrics.
    pub name: &'static str,
    /// Accepted batches.
    pub batches: u64,
    /// Bytes received in frames or packets, including those of rejected input.
    pub bytes: u64,
    /// Accepted lines, or other single measurements.
    pub lines: u64,
    /// Lines that were added to `_overflow` because their level had too many series. Always 0 for
    /// ZeroMQ intakes.
    pub overflowed: u64,
    /// Rejected input, by reason. Always empty for ZeroMQ intakes.
    pub rejected: Arc<BTreeMap<&'static str, u64>>,
    /// Errors of the script in the rules, whether they dropped a sample or not.
    pub script_errors: u64,
    /// Samples for which the script was not called, because it had taken too much of the second.
    pub script_skips: u64,
    /// Approximate memory of the series that the intake keeps, in bytes, if it tells. It is not part of
    /// [`Config::max_memory`](crate::Config::max_memory).
    pub held_bytes: u64,
    /// How often the intake ended before the broker stopped: it failed, panicked or returned.
    pub failures: u64,
}

impl IntakeCounters {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    pub(crate) fn reject(&mut self, reason: &'static str, count: u64) {
        *Arc::make_mut(&mut self.rejected).entry(reason).or_default() += count;
    }
}

/// The peers of one socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCounters {
    /// The name of the socket in metrics.
    pub socket: &'static str,
    /// Connections accepted.
    pub connects: u64,
    /// Connections that ended, closed by either side.
    pub disconnects: u64,
    /// Connections that ended or timed out during the handshake.
    pub broken_off: u64,
    /// Connections that were refused because one side encrypts and the other does not.
    pub refused_mechanism: u64,
    /// Connections that were refused because the peer had a wrong key for the broker.
    pub refused_server_key: u64,
    /// Connections that were refused because the peer violated ZeroMQ's protocol.
    pub refused_protocol: u64,
}

impl PeerCounters {
    /// Open connections.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.connects.saturating_sub(self.disconnects)
    }
}

impl Counters {
    /// Counters of 0 for these intakes and sockets.
    pub(crate) fn new(
        intakes: impl Iterator<Item = &'static str>,
        sockets: impl Iterator<Item = &'static str>,
    ) -> Self {
        let intakes = intakes.map(IntakeCounters::new).collect();
        let peers = sockets.map(|socket| PeerCounters { socket, ..PeerCounters::default() });
        Self { intakes, peers: peers.collect(), ..Self::default() }
    }

    /// The counters of the intake with this name.
    #[must_use]
    pub fn intake(&self, name: &str) -> Option<&IntakeCounters> {
        self.intakes.iter().find(|intake| intake.name == name)
    }

    /// Lines of all intakes that were added to `_overflow` because their level had too many series.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed + self.intakes.iter().map(|intake| intake.overflowed).sum::<u64>()
    }

    /// Connections that were refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let keys = self.keys.unwrap_or_default();
        let sum = |of: fn(&PeerCounters) -> u64| self.peers.iter().map(of).sum();
        [
            ("broken_off", sum(|peers| peers.broken_off)),
            ("mechanism", sum(|peers| peers.refused_mechanism)),
            ("protocol", sum(|peers| peers.refused_protocol)),
            ("revoked_key", keys.refused_revoked),
            ("server_key", sum(|peers| peers.refused_server_key)),
            ("unknown_key", keys.refused_unknown),
        ]
        .into_iter()
    }

    /// Lines accepted by all intakes.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.intakes.iter().map(|intake| intake.lines).sum()
    }

    /// Batches accepted by all intakes.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.intakes.iter().map(|intake| intake.batches).sum()
    }

    /// Bytes received by all intakes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.intakes.iter().map(|intake| intake.bytes).sum()
    }

    pub(crate) fn count_subscriber_drop(&mut self, level: &str) {
        let drops = Arc::make_mut(&mut self.subscriber_drops);
        if let Some(count) = drops.get_mut(level) {
            *count += 1;
        } else if drops.len() < MAX_DROP_LEVELS {
            drops.insert(level.to_owned(), 1);
        } else {
            *drops.entry(OTHER_LEVELS.to_owned()).or_default() += 1;
        }
    }
}

/// Drops, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    counts: [u64; REASONS.len()],
}

impl Dropped {
    /// Number of drops for this reason; 0 for an unknown one.
    #[must_use]
    pub fn of(&self, reason: &str) -> u64 {
        self.iter().find(|(r, _)| *r == reason).map_or(0, |(_, count)| count)
    }

    /// Number of drops for each reason, including reasons without any.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        REASONS.into_iter().zip(self.counts)
    }

    /// Total number of drops.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(crate) fn add(&mut self, reason: &str, count: u64) {
        let at = REASONS.iter().position(|r| *r == reason).unwrap_or(REASONS.len() - 1);
        self.counts[at] += count;
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, MAX_DROP_LEVELS, REASONS};
    use std::collections::BTreeSet;
    use zibrato::wire::LineError;

    #[test]
    fn every_reason_has_a_place_of_its_own() {
        assert_eq!(REASONS.iter().collect::<BTreeSet<_>>().len(), REASONS.len());
        let mut counters = Counters::default();
        counters.dropped.add("fields", 2);
        counters.dropped.add("never heard of", 1);
        assert_eq!((counters.dropped.of("fields"), counters.dropped.of("other")), (2, 1));
        assert_eq!((counters.dropped.of("nothing"), counters.dropped.total()), (0, 3));
        let problem = zibrato::TextProblem::Empty;
        for error in [
            LineError::Encoding,
            LineError::Fields { found: 1 },
            LineError::Kind,
            LineError::Level(problem),
            LineError::Member(problem),
            LineError::Name(problem),
            LineError::Source(problem),
            LineError::Timestamp,
            LineError::Value,
        ] {
            assert!(REASONS.contains(&error.reason()), "{error}");
        }
    }

    #[test]
    fn drops_are_counted_apart_for_a_bounded_number_of_levels() {
        let mut counters = Counters::default();
        for n in 0..MAX_DROP_LEVELS + 5 {
            counters.count_subscriber_drop(&format!("level-{n}"));
        }
        assert_eq!(counters.subscriber_drops.len(), MAX_DROP_LEVELS + 1);
        assert_eq!(counters.subscriber_drops["_other"], 5);
        assert_eq!(counters.subscriber_drops.values().sum::<u64>(), MAX_DROP_LEVELS as u64 + 5);
    }
}
