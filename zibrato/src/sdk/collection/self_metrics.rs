//! What became of all readings, as measurements: the ledger at the level `zibrato`.

use super::ledger::Stats;
use crate::measurement::{Gauge, Source};
use crate::sdk::points::loss::Loss;
use crate::wire::BatchWriter;
use std::collections::BTreeMap;

/// The level at which programs, broker and workers speak of themselves.
pub(crate) const SELF_METRICS_LEVEL: &str = "zibrato";

/// What was said before, so that counters can be given by difference.
#[derive(Debug, Default)]
pub(crate) struct SelfMetrics {
    recorded: u64,
    delivered: u64,
    unconfirmed: u64,
    lost: BTreeMap<Loss, u64>,
}

impl SelfMetrics {
    /// The body of a batch with what has happened since the last one.
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
    use super::SelfMetrics;
    use crate::Loss;
    use crate::sdk::Stats;
    use crate::wire::{BatchReader, Value};

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
