//! Builds batches from collected readings: one or more per level and source.

use crate::clock;
use crate::measurement::{Kind, Level, RecordedAnnotation, Source, Unit};
use crate::sdk::cells::shared::{Taken, TakenValue};
use crate::sdk::points::series::Series;
use crate::wire::{BATCH_TARGET_BYTES, BatchWriter};
use std::collections::BTreeMap;

/// A complete batch.
pub(crate) struct Batch {
    pub(crate) level: Level,
    pub(crate) body: Vec<u8>,
    pub(crate) readings: u64,
}

/// Batches that are being built.
pub(crate) struct Batches<'a> {
    /// When each level was last collected.
    collected_ms: &'a BTreeMap<Level, u64>,
    /// Used for levels that were never collected.
    started_ms: u64,
    now_ms: u64,
    open: BTreeMap<Level, BTreeMap<Source, Open>>,
    done: Vec<Batch>,
}

struct Open {
    writer: BatchWriter,
    readings: u64,
}

impl Open {
    fn close(self, level: Level) -> Batch {
        Batch { level, body: self.writer.finish(), readings: self.readings }
    }
}

impl<'a> Batches<'a> {
    pub(crate) fn new(collected_ms: &'a BTreeMap<Level, u64>, started_ms: u64) -> Self {
        let now_ms = clock::unix_ms();
        Self { collected_ms, started_ms, now_ms, open: BTreeMap::new(), done: Vec::new() }
    }

    pub(crate) fn add(&mut self, series: &Series, taken: &Taken) {
        self.add_to(&series.level, &series.source, taken.readings, |batch| {
            write(batch, series, &taken.value);
        });
    }

    pub(crate) fn add_annotation(&mut self, recorded: &RecordedAnnotation) {
        let RecordedAnnotation { level, source, annotation } = recorded;
        self.add_to(level, source, 1, |batch| batch.annotation(annotation));
    }

    /// Adds to the open batch of a level and a source.
    fn add_to(
        &mut self,
        level: &Level,
        source: &Source,
        readings: u64,
        write: impl FnOnce(&mut BatchWriter),
    ) {
        let new = || {
            let since_ms = *self.collected_ms.get(level).unwrap_or(&self.started_ms);
            let length_ms = self.now_ms.saturating_sub(since_ms);
            let from_ms = self.now_ms - length_ms;
            Open { writer: BatchWriter::new(source.as_str(), from_ms, length_ms), readings: 0 }
        };
        let sources = self.open.entry(level.clone()).or_default();
        let open = sources.entry(source.clone()).or_insert_with(new);
        write(&mut open.writer);
        open.readings += readings;
        if open.writer.bytes() >= BATCH_TARGET_BYTES {
            let full = sources.remove(source);
            self.done.extend(full.map(|open| open.close(level.clone())));
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Batch> {
        for (level, sources) in self.open {
            self.done.extend(sources.into_values().map(|open| open.close(level.clone())));
        }
        self.done
    }
}

fn write(batch: &mut BatchWriter, series: &Series, value: &TakenValue) {
    let name = series.name.as_str();
    let unit = series.unit.as_ref().map(Unit::as_str);
    let is_timer = series.kind == Kind::Timer;
    series.tags.with_slice(|tags| match value {
        TakenValue::Counter(sum) => batch.counter(name, tags, *sum),
        TakenValue::Gauge(gauge) => batch.gauge(name, tags, gauge),
        TakenValue::GaugeReadings(readings, folded) => {
            batch.gauge_readings(name, tags, readings);
            folded.iter().for_each(|gauge| batch.gauge(name, tags, gauge));
        }
        TakenValue::Summary(summary) if is_timer => batch.timer(name, tags, summary),
        TakenValue::Summary(summary) => batch.histogram(name, tags, unit, summary),
        TakenValue::Readings(seconds) if is_timer => batch.timer_readings(name, tags, seconds),
        TakenValue::Readings(readings) => batch.histogram_readings(name, tags, unit, readings),
    });
}

#[cfg(test)]
mod tests {
    use super::Batches;
    use crate::measurement::Kind;
    use crate::sdk::cells::shared::{Taken, TakenValue};
    use crate::sdk::points::series::Series;
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    #[test]
    fn many_sources_take_no_longer_each_than_few_do() {
        let (none, begun) = (BTreeMap::new(), Instant::now());
        let mut batches = Batches::new(&none, 0);
        for number in 0..40_000 {
            let series = Series {
                level: "info".parse().unwrap(),
                source: format!("host-{number}").parse().unwrap(),
                name: "requests".parse().unwrap(),
                kind: Kind::Counter,
                tags: crate::measurement::Tags::NONE,
                unit: None,
            };
            batches.add(&series, &Taken { readings: 2, value: TakenValue::Counter(3.0) });
        }
        let batches = batches.finish();
        assert_eq!(batches.iter().map(|batch| batch.readings).sum::<u64>(), 80_000);
        assert_eq!(batches.len(), 40_000);
        // Far more than it needs, and far less than if each entry were compared with all others.
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
