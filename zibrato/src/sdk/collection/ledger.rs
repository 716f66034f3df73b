//! The account of all readings, `recorded = delivered + unconfirmed + pending + lost`, and the same
//! numbers as measurements of level `zibrato`.

use super::unreachable::Unreachable;
use crate::measurement::{Gauge, Name, Source};
use crate::sdk::points::series::{Loss, Losses};
use crate::wire::BatchWriter;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the broker may be silent before it counts as disconnected. It sends something every
/// second.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);

/// Statistics of all readings since the instrument was built.
///
/// `recorded = delivered + unconfirmed + pending + lost` holds at any time.
///
/// While a worker wants level `zibrato`, the same numbers are sent as measurements of that level,
/// once per interval: the increase of the counters `zibrato.sdk.recorded`, `.delivered`,
/// `.unconfirmed` and `.lost` (with a tag `reason`), and the gauges `zibrato.sdk.pending` and
/// `zibrato.sdk.lag_seconds`. These measurements are not counted here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Readings that were recorded.
    pub recorded: u64,
    /// Readings that the broker has acknowledged.
    pub delivered: u64,
    /// Readings sent by the last flush that were not acknowledged before its deadline.
    pub unconfirmed: u64,
    /// Readings that are still in the program.
    pub pending: u64,
    /// Readings lost, by reason.
    pub lost: BTreeMap<Loss, u64>,
    /// Whether the broker has sent something within the last five seconds.
    pub connected: bool,
    /// Why the broker is not connected, if the program has found out. It looks two seconds after
    /// the broker's last message, or after the start.
    pub unreachable: Option<Unreachable>,
    /// How long the oldest pending reading has waited for its acknowledgement, beyond the interval
    /// in which it was recorded. Zero if nothing is pending.
    pub lag: Duration,
    /// The name of the first series beyond a limit: of 100,000 names known only at run time, or of
    /// 1,000 combinations of tags of a call site. It and later ones are measured together as
    /// `_overflow`.
    pub overflowing: Option<Name>,
    /// Whether `ZIBRATO_DISABLED` is set, so that nothing is measured and all numbers are 0.
    pub disabled: bool,
    /// Series whose name or tags, made at run time, were changed because they could not be sent:
    /// `|` and control characters become `_`, an empty text `_empty`, and a text ends after 255 bytes.
    pub renamed: u64,
}

impl Stats {
    /// Total number of lost readings.
    #[must_use]
    pub fn total_lost(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Whether every reading is accounted for.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.recorded == self.delivered + self.unconfirmed + self.pending + self.total_lost()
    }
}

/// The part of the account that the sender knows; the cells know the rest.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ledger {
    pub(crate) delivered: u64,
    pub(crate) unconfirmed: u64,
    /// Readings that were not sent before their deadline.
    pub(crate) expired: u64,
    /// When the last message of the broker arrived.
    pub(crate) last_received: Option<Instant>,
    /// When the oldest pending batch was queued.
    pub(crate) waiting_since: Option<Instant>,
    /// Why the broker is not connected.
    pub(crate) unreachable: Option<Unreachable>,
}

impl Ledger {
    /// The number of readings, of those that the cells have ever recorded, that are neither sent
    /// nor given up.
    pub(crate) const fn pending(&self, made: u64) -> u64 {
        made.saturating_sub(self.delivered + self.unconfirmed + self.expired)
    }

    /// The statistics, given the number of readings that the cells have ever recorded, and the
    /// readings that never reached a cell.
    pub(crate) fn stats(&self, made: u64, refused: &Losses) -> Stats {
        let Self { delivered, unconfirmed, expired, .. } = *self;
        let pending = self.pending(made);
        let waits = self.waiting_since.filter(|_| pending > 0);
        let mut lost: BTreeMap<_, _> = refused.iter().collect();
        let recorded = made + lost.values().sum::<u64>();
        if expired > 0 {
            *lost.entry(Loss::Deadline).or_default() += expired;
        }
        let connected = self.last_received.is_some_and(|last| last.elapsed() < SILENCE);
        Stats {
            recorded,
            delivered,
            unconfirmed,
            pending,
            lost,
            connected,
            unreachable: self.unreachable.clone().filter(|_| !connected),
            lag: waits.map_or(Duration::ZERO, |since| since.elapsed()),
            overflowing: None,
            disabled: false,
            renamed: 0,
        }
    }
}

/// The level of the self-metrics of programs, broker and workers.
pub(crate) const SELF_METRICS_LEVEL: &str = "zibrato";

/// The numbers that were sent last, so that counters can be sent as differences.
#[derive(Debug, Default)]
pub(crate) struct SelfMetrics {
    recorded: u64,
    delivered: u64,
    unconfirmed: u64,
    lost: BTreeMap<Loss, u64>,
}

impl SelfMetrics {
    /// The body of a batch with the differences from the last one.
    pub(crate) fn batch(
        &mut self,
        stats: &Stats,
        source: &Source,
        since_ms: u64,
        now_ms: u64,
    ) -> Vec<u8> {
        let length_ms = now_ms.saturating_sub(since_ms);
        let mut batch = BatchWriter::new(source.as_str(), now_ms - length_ms, length_ms);
        let mut counter = |name: &str, tags: &[(&str, &str)], now: u64, before: &mut u64| {
            batch.counter(name, tags, now.saturating_sub(*before) as f64);
            *before = now;
        };
        counter("zibrato.sdk.recorded", &[], stats.recorded, &mut self.recorded);
        counter("zibrato.sdk.delivered", &[], stats.delivered, &mut self.delivered);
        counter("zibrato.sdk.unconfirmed", &[], stats.unconfirmed, &mut self.unconfirmed);
        for (why, lost) in &stats.lost {
            let (tags, before) = ([("reason", &*why.to_string())], self.lost.entry(*why));
            counter("zibrato.sdk.lost", &tags, *lost, before.or_default());
        }
        let mut gauge = |name, value| batch.gauge(name, &[], &Gauge::reading(value, now_ms));
        gauge("zibrato.sdk.pending", stats.pending as f64);
        gauge("zibrato.sdk.lag_seconds", stats.lag.as_secs_f64());
        batch.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, Loss, Losses, SILENCE, SelfMetrics, Stats};
    use crate::wire::{BatchReader, Value};
    use std::time::{Duration, Instant};

    #[test]
    fn a_broker_that_nobody_listens_to_any_more_is_not_connected_for_ever() {
        let now = Instant::now();
        let nothing = Losses::default();
        let connected =
            |at| Ledger { last_received: at, ..Ledger::default() }.stats(0, &nothing).connected;
        assert!(connected(Some(now)) && !connected(None));
        assert!(!connected(now.checked_sub(SILENCE + Duration::from_secs(1))));
    }

    #[test]
    fn counters_are_given_by_difference_and_by_reason() {
        let mut metrics = SelfMetrics::default();
        let mut stats = Stats { recorded: 10, delivered: 4, pending: 5, ..Stats::default() };
        stats.lost.insert(Loss::Name, 1);
        let source = "web-1".parse().unwrap();
        metrics.batch(&stats, &source, 0, 1000);
        stats.recorded = 13;
        stats.pending = 8;
        let body = metrics.batch(&stats, &source, 1000, 2000);
        let batch = BatchReader::new(&body).unwrap();
        let entries: Vec<_> = batch.entries().map(Result::unwrap).collect();
        let counter = |name: &str| {
            let found = entries.iter().find(|entry| entry.name == name).unwrap();
            let Value::Counter(sum) = found.value else { panic!("{found:?}") };
            (sum, found.tags.clone().collect::<Vec<_>>())
        };
        assert_eq!(counter("zibrato.sdk.recorded"), (3.0, vec![]));
        assert_eq!(counter("zibrato.sdk.lost"), (0.0, vec![("reason", "name")]));
        assert_eq!(entries.len(), 6);
    }
}
