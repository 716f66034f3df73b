//! The broker's own numbers, as measurements of level `zibrato`.

use crate::counters::{Counters, INTAKES, SOCKETS};
use crate::journal::Health;
use zibrato::Gauge;
use zibrato::wire::BatchWriter;

/// The level of the broker's own measurements.
pub(crate) const OWN_LEVEL: &str = "zibrato";

/// A number of the journal.
type OfJournal = fn(&Health) -> u64;

/// The counters of the journal, by name.
const JOURNAL: [(&str, OfJournal); 5] = [
    ("journal.batches", |health| health.batches),
    ("journal.bytes", |health| health.bytes),
    ("journal.commits", |health| health.commits),
    ("journal.failures", |health| health.failures),
    ("journal.expired", |health| health.expired),
];

/// Remembers what was told last, because counters are told by difference.
#[derive(Debug)]
pub(crate) struct OwnNumbers {
    source: String,
    told: Counters,
    told_ms: u64,
}

impl OwnNumbers {
    /// Nothing has been told before `now_ms`. `source` is the name of this host.
    pub(crate) fn new(source: String, now_ms: u64) -> Self {
        Self { source, told: Counters::default(), told_ms: now_ms }
    }

    /// Goes on without telling: nobody asked for the time until `now_ms`.
    pub(crate) fn skip(&mut self, now: &Counters, now_ms: u64) {
        self.told.clone_from(now);
        self.told_ms = now_ms;
    }

    /// The body of a batch with what has changed since the last one.
    pub(crate) fn tell(&mut self, now: &Counters, now_ms: u64) -> Vec<u8> {
        let length_ms = now_ms.saturating_sub(self.told_ms);
        let mut batch = BatchWriter::new(&self.source, now_ms - length_ms, length_ms);
        let mut more = |name: &str, now: u64, told: u64| {
            // A counter that stood still says nothing; twenty of them a second are noise.
            if now > told {
                batch.counter(&format!("zibrato.broker.{name}"), &[], (now - told) as f64);
            }
        };
        let told = &self.told;
        for (at, intake) in INTAKES.iter().enumerate() {
            let (now, told) = (&now.intakes[at], &told.intakes[at]);
            more(&format!("{intake}.lines"), now.lines, told.lines);
            more(&format!("{intake}.batches"), now.batches, told.batches);
            more(&format!("{intake}.bytes"), now.bytes, told.bytes);
        }
        more("lines", now.lines(), told.lines());
        more("batches", now.batches(), told.batches());
        more("bytes", now.bytes(), told.bytes());
        more("duplicates", now.duplicates, told.duplicates);
        more("published.lines", now.published_lines, told.published_lines);
        more("published.batches", now.published_batches, told.published_batches);
        more("unwanted.lines", now.unwanted_lines, told.unwanted_lines);
        more("unwanted.batches", now.unwanted_batches, told.unwanted_batches);
        let journal = |counters: &Counters, of: OfJournal| counters.journal.as_ref().map_or(0, of);
        for (name, of) in JOURNAL {
            more(name, journal(now, of), journal(told, of));
        }
        let drops = |counters: &Counters| counters.subscriber_drops.values().sum();
        more("subscriber_drops", drops(now), drops(told));
        more("memory_cuts", now.memory_cuts, told.memory_cuts);
        more("overflowed", now.overflowed, told.overflowed);
        for ((reason, now), (_, told)) in now.dropped.iter().zip(told.dropped.iter()) {
            more(&format!("dropped.{reason}"), now, told);
        }
        let mut level = |name: &str, value: u64| {
            let gauge = Gauge::reading(value as f64, now_ms);
            batch.gauge(&format!("zibrato.broker.{name}"), &[], &gauge);
        };
        if let Some(journal) = &now.journal {
            level("journal.waiting_bytes", journal.waiting_bytes);
            level("journal.kept_bytes", journal.kept_bytes);
            level("clock_ahead_ms", now.ahead_ms);
        }
        for (socket, peers) in SOCKETS.iter().zip(&now.peers) {
            level(&format!("peers.{socket}"), peers.open());
        }
        level("publishers", now.peers[0].open() + now.peers[1].open());
        level("subscribers", now.peers[2].open());
        level("subscriptions", now.subscriptions);
        self.skip(now, now_ms);
        batch.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::OwnNumbers;
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
    fn counters_are_told_by_difference_and_levels_as_they_are() {
        let mut own = OwnNumbers::new("host".to_owned(), 1_000);
        let mut counters = Counters::default();
        counters.intakes[0].lines = 5;
        counters.unwanted_lines = 4;
        counters.intakes[1].lines = 2;
        counters.dropped.add("fields", 3);
        counters.peers[2].connects = 2;
        let body = own.tell(&counters, 2_500);
        let batch = BatchReader::new(&body).unwrap();
        assert_eq!((batch.source(), batch.start_ms(), batch.length_ms()), ("host", 1_000, 1_500));
        let told = numbers(&body);
        assert_eq!(told["zibrato.broker.lines"], 7.0);
        assert_eq!(told["zibrato.broker.dropped.fields"], 3.0);
        assert_eq!(told["zibrato.broker.unwanted.lines"], 4.0);
        assert_eq!(told["zibrato.broker.subscribers"], 2.0);
        assert!(!told.contains_key("zibrato.broker.dropped.value"));

        counters.intakes[0].lines = 6;
        let told = numbers(&own.tell(&counters, 3_500));
        assert_eq!(told["zibrato.broker.lines"], 1.0);
        assert!(!told.contains_key("zibrato.broker.legacy.lines"), "it stood still");
        assert_eq!(told["zibrato.broker.subscribers"], 2.0);
    }

    #[test]
    fn what_happened_while_nobody_asked_is_not_told_later() {
        let mut own = OwnNumbers::new("host".to_owned(), 0);
        let mut counters = Counters { duplicates: 9, ..Counters::default() };
        own.skip(&counters, 1_000);
        counters.duplicates = 10;
        let body = own.tell(&counters, 2_000);
        assert_eq!(BatchReader::new(&body).unwrap().start_ms(), 1_000);
        assert_eq!(numbers(&body)["zibrato.broker.duplicates"], 1.0);
    }
}
