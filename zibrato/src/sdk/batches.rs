//! What was taken out of the cells, as batches: one or more per level and source.

use super::cell::{Taken, TakenValue};
use super::instrument::Series;
use crate::clock;
use crate::measurement::{Level, Source};
use crate::wire::{BATCH_TARGET_BYTES, BatchWriter};
use std::collections::BTreeMap;

/// A batch that is complete.
pub(crate) struct Batch {
    pub(crate) level: Level,
    pub(crate) body: Vec<u8>,
    pub(crate) readings: u64,
}

/// Batches in the making.
pub(crate) struct Batches<'a> {
    /// When each level was last collected.
    collected_ms: &'a BTreeMap<Level, u64>,
    /// And if it never was.
    started_ms: u64,
    now_ms: u64,
    /// Few: programs have a handful of levels and sources.
    open: Vec<Open>,
    done: Vec<Batch>,
}

struct Open {
    level: Level,
    source: Source,
    writer: BatchWriter,
    readings: u64,
}

impl Open {
    fn close(self) -> Batch {
        Batch { level: self.level, body: self.writer.finish(), readings: self.readings }
    }
}

impl<'a> Batches<'a> {
    pub(crate) fn new(collected_ms: &'a BTreeMap<Level, u64>, started_ms: u64) -> Self {
        let now_ms = clock::unix_ms();
        Self { collected_ms, started_ms, now_ms, open: Vec::new(), done: Vec::new() }
    }

    pub(crate) fn add(&mut self, series: &Series, taken: &Taken) {
        let at = self.find_or_open(series);
        let open = &mut self.open[at];
        write(&mut open.writer, series, &taken.value);
        open.readings += taken.readings;
        if open.writer.bytes() >= BATCH_TARGET_BYTES {
            let full = self.open.swap_remove(at);
            self.done.push(full.close());
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Batch> {
        self.done.extend(self.open.into_iter().map(Open::close));
        self.done
    }

    fn find_or_open(&mut self, series: &Series) -> usize {
        let is_it = |open: &Open| open.level == series.level && open.source == series.source;
        if let Some(at) = self.open.iter().rposition(is_it) {
            return at;
        }
        let (level, source) = (series.level.clone(), series.source.clone());
        let since_ms = *self.collected_ms.get(&level).unwrap_or(&self.started_ms);
        let length_ms = self.now_ms.saturating_sub(since_ms);
        let writer = BatchWriter::new(source.as_str(), self.now_ms - length_ms, length_ms);
        self.open.push(Open { level, source, writer, readings: 0 });
        self.open.len() - 1
    }
}

fn write(batch: &mut BatchWriter, series: &Series, value: &TakenValue) {
    let name = series.name.as_str();
    let tags = series.tags;
    match value {
        TakenValue::Counter(sum) => batch.counter(name, tags, *sum),
        TakenValue::Gauge(gauge) => batch.gauge(name, tags, gauge),
        TakenValue::GaugeReadings(readings, folded) => {
            batch.gauge_readings(name, tags, readings);
            folded.iter().for_each(|gauge| batch.gauge(name, tags, gauge));
        }
        TakenValue::Timer(summary) => batch.timer(name, tags, summary),
        TakenValue::TimerReadings(seconds) => batch.timer_readings(name, tags, seconds),
    }
}
