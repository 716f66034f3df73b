//! The broker's self-metrics: its counters as measurements of level `zibrato`.

use crate::counters::{Counters, IntakeCounters};
use crate::journal::Health;
use crate::sockets::SUBSCRIBERS;
use zibrato::Gauge;
use zibrato::wire::BatchWriter;

/// The level of self-metrics.
pub(crate) const SELF_LEVEL: &str = "zibrato";

/// A counter of the journal.
type JournalCounter = fn(&Health) -> u64;

/// The counters of the journal, by name.
const JOURNAL: [(&str, JournalCounter); 5] = [
    ("journal.batches", |health| health.batches),
    ("journal.bytes", |health| health.bytes),
    ("journal.commits", |health| health.commits),
    ("journal.failures", |health| health.failures),
    ("journal.expired", |health| health.expired),
];

/// Remembers the last reported counters, because reports contain differences.
#[derive(Debug)]
pub(crate) struct SelfMetrics {
    source: String,
    reported: Counters,
    reported_ms: u64,
}

impl SelfMetrics {
    /// Reports changes after `now`, starting at `now_ms`. `source` is the name of this host.
    pub(crate) fn new(source: String, now: &Counters, now_ms: u64) -> Self {
        Self { source, reported: now.clone(), reported_ms: now_ms }
    }

    /// Called instead of [`report`](Self::report) while nobody subscribes: the next report begins at
    /// `now_ms`.
    pub(crate) fn skip(&mut self, now: &Counters, now_ms: u64) {
        self.reported.clone_from(now);
        self.reported_ms = now_ms;
    }

    /// The body of a batch with the changes since the last one.
    pub(crate) fn report(&mut self, now: &Counters, now_ms: u64) -> Vec<u8> {
        let length_ms = now_ms.saturating_sub(self.reported_ms);
        let mut batch = BatchWriter::new(&self.source, now_ms - length_ms, length_ms);
        let mut more = |name: &str, now: u64, before: u64| {
            // Unchanged counters are omitted: twenty of them per second would be noise.
            if now > before {
                batch.counter(&format!("zibrato.broker.{name}"), &[], (now - before) as f64);
            }
        };
        let before = &self.reported;
        for (now, before) in now.intakes.iter().zip(&before.intakes) {
            let name = now.name;
            let rejected = |intake: &IntakeCounters| intake.rejected.values().sum();
            for (what, now, before) in [
                ("lines", now.lines, before.lines),
                ("batches", now.batches, before.batches),
                ("bytes", now.bytes, before.bytes),
                ("rejected", rejected(now), rejected(before)),
                ("script_errors", now.script_errors, before.script_errors),
                ("script_skips", now.script_skips, before.script_skips),
                ("failures", now.failures, before.failures),
            ] {
                more(&format!("{name}.{what}"), now, before);
            }
        }
        more("lines", now.lines(), before.lines());
        more("batches", now.batches(), before.batches());
        more("bytes", now.bytes(), before.bytes());
        more("duplicates", now.duplicates, before.duplicates);
        more("published.lines", now.published_lines, before.published_lines);
        more("published.batches", now.published_batches, before.published_batches);
        more("unwanted.lines", now.unwanted_lines, before.unwanted_lines);
        more("unwanted.batches", now.unwanted_batches, before.unwanted_batches);
        let journal =
            |counters: &Counters, of: JournalCounter| counters.journal.as_ref().map_or(0, of);
        for (name, of) in JOURNAL {
            more(name, journal(now, of), journal(before, of));
        }
        let drops = |counters: &Counters| counters.subscriber_drops.values().sum();
        more("subscriber_drops", drops(now), drops(before));
        more("memory_cuts", now.memory_cuts, before.memory_cuts);
        more("overflowed", now.overflowed(), before.overflowed());
        for ((reason, now), (_, before)) in now.dropped.iter().zip(before.dropped.iter()) {
            more(&format!("dropped.{reason}"), now, before);
        }
        let mut gauge = |name: &str, value: u64| {
            let reading = Gauge::reading(value as f64, now_ms);
            batch.gauge(&format!("zibrato.broker.{name}"), &[], &reading);
        };
        if let Some(journal) = &now.journal {
            gauge("journal.waiting_bytes", journal.waiting_bytes);
            gauge("journal.kept_bytes", journal.kept_bytes);
            gauge("clock_ahead_ms", now.ahead_ms);
        }
        let (mut publishers, mut subscribers) = (0, 0);
        for peers in &now.peers {
            gauge(&format!("peers.{}", peers.socket), peers.open());
            let are_subscribers = peers.socket == SUBSCRIBERS.name;
            let of = if are_subscribers { &mut subscribers } else { &mut publishers };
            *of += peers.open();
        }
        gauge("publishers", publishers);
        gauge("subscribers", subscribers);
        gauge("subscriptions", now.subscriptions);
        self.skip(now, now_ms);
        batch.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::SelfMetrics;
    use crate::counters::Counters;
    use std::collections::BTreeMap;
    use zibrato::wire::{BatchReader, Value};

    fn numbers(body: &[u8]) -> BTreeMap<String, f64> {
        let batch = BatchReader::new(body).unwrap();
        let number = |value: &Value<'_>| match value {
            Value::Counter(sum) => *sum,
            Value::Gauge(gauge) => gauge.last,
            other => panic!("{other:?}"),
        };
        let entries = batch.entries().map(Result::unwrap);
        entries.map(|entry| (entry.name.to_owned(), number(&entry.value))).collect()
    }

    #[test]
    fn counters_are_reported_by_difference_and_gauges_as_they_are() {
        let sockets = ["zmq", "legacy", "publish"].into_iter();
        let mut counters = Counters::new(["zmq", "legacy"].into_iter(), sockets);
        let mut metrics = SelfMetrics::new("host".to_owned(), &counters, 1_000);
        counters.intakes[0].lines = 5;
        counters.unwanted_lines = 4;
        counters.intakes[1].lines = 2;
        counters.dropped.add("fields", 3);
        counters.peers[2].connects = 2;
        let body = metrics.report(&counters, 2_500);
        let batch = BatchReader::new(&body).unwrap();
        assert_eq!((batch.source(), batch.start_ms(), batch.length_ms()), ("host", 1_000, 1_500));
        let reported = numbers(&body);
        assert_eq!(reported["zibrato.broker.lines"], 7.0);
        assert_eq!(reported["zibrato.broker.dropped.fields"], 3.0);
        assert_eq!(reported["zibrato.broker.unwanted.lines"], 4.0);
        assert_eq!(reported["zibrato.broker.subscribers"], 2.0);
        assert_eq!(reported["zibrato.broker.publishers"], 0.0);
        assert!(!reported.contains_key("zibrato.broker.dropped.value"));

        counters.intakes[0].lines = 6;
        let reported = numbers(&metrics.report(&counters, 3_500));
        assert_eq!(reported["zibrato.broker.lines"], 1.0);
        assert!(!reported.contains_key("zibrato.broker.legacy.lines"), "it stood still");
        assert_eq!(reported["zibrato.broker.subscribers"], 2.0);
    }

    #[test]
    fn what_happened_while_nobody_asked_is_not_reported_later() {
        let mut metrics = SelfMetrics::new("host".to_owned(), &Counters::default(), 0);
        let mut counters = Counters { duplicates: 9, ..Counters::default() };
        metrics.skip(&counters, 1_000);
        counters.duplicates = 10;
        let body = metrics.report(&counters, 2_000);
        assert_eq!(BatchReader::new(&body).unwrap().start_ms(), 1_000);
        assert_eq!(numbers(&body)["zibrato.broker.duplicates"], 1.0);
    }
}
