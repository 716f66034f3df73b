//! Aggregates lines by level, so that the broker can publish them once a second as its own batches.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use zibrato::Summary;
use zibrato::window::{Fold, Window};
use zibrato::wire::{BATCH_TARGET_BYTES, BatchId, BatchWriter, Line, PublisherId};

/// Length of a window, in milliseconds.
pub(crate) const WINDOW_MS: u64 = 1_000;

/// Maximum number of levels that are aggregated at the same time.
const MAX_LEVELS: usize = 1_000;

/// Maximum number of series of one level in one window. Further ones are added to `_overflow`.
const MAX_SERIES: usize = 100_000;

/// If the windows of all levels hold this many series in total, they are published early.
const MANY_SERIES: usize = 200_000;

/// Maximum number of members of a set in one entry, so that no entry is larger than a frame.
const SET_CHUNK: usize = 256;

/// Maximum number of readings that an intake publishes one by one.
pub(crate) const FEW_READINGS: usize = 128;

/// The limits. They are fields, so that tests can lower them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) levels: usize,
    pub(crate) series: usize,
    pub(crate) all_series: usize,
    /// Maximum number of readings of a timer or histogram that are published one by one.
    pub(crate) readings: usize,
}

impl Limits {
    /// The limits of an intake, which publishes readings one by one while they take no more space
    /// than a summary, so that workers know them exactly.
    pub(crate) fn of_intake() -> Self {
        Self { readings: FEW_READINGS, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { levels: MAX_LEVELS, series: MAX_SERIES, all_series: MANY_SERIES, readings: 2 }
    }
}

/// The open windows, one per level.
#[derive(Debug)]
pub(crate) struct LineWindows {
    publisher: PublisherId,
    limits: Limits,
    levels: HashMap<String, Folding, RandomState>,
    series: usize,
    /// Number of flushes. It shows which level has been idle for the longest time.
    flushes: u64,
    /// The highest sequence of all levels that were forgotten, or a higher one.
    sequences_gone: u64,
}

#[derive(Debug)]
struct Folding {
    window: Option<Window>,
    sequence: u64,
    used: u64,
}

/// There are too many levels to aggregate this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyLevels;

/// A batch of aggregated lines.
#[derive(Debug, PartialEq)]
pub(crate) struct FoldedBatch {
    pub(crate) level: String,
    pub(crate) id: BatchId,
    pub(crate) body: Vec<u8>,
}

/// The result of a flush.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    pub(crate) batches: Vec<FoldedBatch>,
    /// Lines that were added to `_overflow` because their level had too many series.
    pub(crate) overflowed: u64,
    /// Level, source and name of the first series that did not fit.
    pub(crate) offender: Option<[String; 3]>,
    /// Series whose readings have no finite sum.
    pub(crate) not_finite: u64,
    /// Members of sets that were full.
    pub(crate) omitted_members: u64,
}

impl LineWindows {
    /// Creates an object without windows. `publisher` is the id of its batches.
    pub(crate) fn new(publisher: PublisherId, limits: Limits) -> Self {
        let levels = HashMap::default();
        Self { publisher, limits, levels, series: 0, flushes: 0, sequences_gone: 0 }
    }

    /// The publisher id of its batches.
    pub(crate) const fn publisher(&self) -> PublisherId {
        self.publisher
    }

    /// Adds a line that was received at `now_ms`.
    pub(crate) fn fold(&mut self, line: &Line<'_>, now_ms: u64) -> Result<(), TooManyLevels> {
        self.fold_with(line.level, now_ms, |window| window.fold_line(line))
    }

    /// Adds measurements of this level that were received at `now_ms`.
    pub(crate) fn fold_with(
        &mut self,
        level: &str,
        now_ms: u64,
        fold: impl FnOnce(&mut Window),
    ) -> Result<(), TooManyLevels> {
        let Limits { series, readings, .. } = self.limits;
        let folding = self.level(level)?;
        let window = folding.window.get_or_insert_with(|| {
            // Two readings are known without being kept.
            Window::new(now_ms - now_ms % WINDOW_MS, WINDOW_MS, series).keep_readings(readings > 2)
        });
        let before = window.len();
        fold(window);
        let more = window.len() - before;
        self.series += more;
        Ok(())
    }

    /// Whether there are so many series that they should be flushed before the second is over.
    pub(crate) const fn is_full(&self) -> bool {
        self.series >= self.limits.all_series
    }

    /// Whether there is room for this number of further series. Beyond it, they are added to `_overflow`.
    pub(crate) const fn has_room_for(&self, series: usize) -> bool {
        self.series.saturating_add(series) <= self.limits.series
    }

    /// The id of the next batch at this level.
    pub(crate) fn next_id(&mut self, level: &str) -> Result<BatchId, TooManyLevels> {
        let publisher = self.publisher;
        let folding = self.level(level)?;
        folding.sequence += 1;
        Ok(BatchId { publisher, sequence: folding.sequence })
    }

    /// Removes all windows, and encodes each of them as batches: one per source, or more if they
    /// are large. The length of a window that was kept open for longer is a multiple of the usual
    /// length.
    pub(crate) fn flush(&mut self, now_ms: u64) -> Flushed {
        let mut flushed = Flushed::default();
        self.flushes += 1;
        self.series = 0;
        for (level, folding) in &mut self.levels {
            let Some(window) = folding.window.take() else { continue };
            flushed.overflowed += window.overflowed();
            flushed.omitted_members += window.omitted_members();
            if let Some((source, name)) = window.offender() {
                let offender = [level, source, name].map(str::to_owned);
                flushed.offender.get_or_insert(offender);
            }
            let windows = (now_ms.saturating_sub(window.start_ms()) / WINDOW_MS).max(1);
            let (length_ms, few) = (windows * WINDOW_MS, self.limits.readings);
            write_window(window, length_ms, few, &mut flushed.not_finite, |body| {
                folding.sequence += 1;
                let id = BatchId { publisher: self.publisher, sequence: folding.sequence };
                flushed.batches.push(FoldedBatch { level: level.clone(), id, body });
            });
        }
        flushed
    }

    fn level(&mut self, level: &str) -> Result<&mut Folding, TooManyLevels> {
        if self.levels.len() >= self.limits.levels && !self.levels.contains_key(level) {
            self.forget_the_idle()?;
        }
        let (used, sequence) = (self.flushes, self.sequences_gone);
        let folding = self.levels.entry_ref(level).or_insert_with(|| Folding {
            window: None,
            sequence,
            used,
        });
        folding.used = used;
        Ok(folding)
    }

    fn forget_the_idle(&mut self) -> Result<(), TooManyLevels> {
        let idle = self.levels.iter().filter(|(_, folding)| folding.window.is_none());
        let (level, folding) = idle.min_by_key(|(_, folding)| folding.used).ok_or(TooManyLevels)?;
        // If the level returns, its sequences continue above the old ones, so that nobody takes its
        // batches for duplicates.
        self.sequences_gone = self.sequences_gone.max(folding.sequence);
        let level = level.clone();
        self.levels.remove(&level);
        Ok(())
    }
}

fn write_window(
    window: Window,
    length_ms: u64,
    few: usize,
    not_finite: &mut u64,
    mut finished: impl FnMut(Vec<u8>),
) {
    let start_ms = window.start_ms();
    let begin = |source: &str| BatchWriter::new(source, start_ms, length_ms);
    let mut open: BTreeMap<Arc<str>, BatchWriter> = BTreeMap::new();
    let mut write = |source: &Arc<str>, put: &mut dyn FnMut(&mut BatchWriter)| {
        let batch = open.entry(Arc::clone(source)).or_insert_with(|| begin(source));
        put(batch);
        if batch.bytes() >= BATCH_TARGET_BYTES {
            finished(std::mem::replace(batch, begin(source)).finish());
        }
    };
    for series in window.into_series() {
        if !is_finite(&series.value) {
            *not_finite += 1;
            continue;
        }
        let (name, source) = (&*series.name, &series.source);
        let tags: Vec<_> = series.tags.iter().map(|(tag, value)| (&**tag, &**value)).collect();
        let tags = &*tags;
        match &series.value {
            Fold::Counter(sum) => write(source, &mut |batch| batch.counter(name, tags, *sum)),
            Fold::Gauge(Some(gauge)) => write(source, &mut |batch| batch.gauge(name, tags, gauge)),
            Fold::Set(members) => {
                let members: Vec<_> = members.iter().map(|member| &**member).collect();
                for some in members.chunks(SET_CHUNK) {
                    write(source, &mut |batch| batch.set(name, tags, some.iter().copied()));
                }
            }
            Fold::Histogram(histogram) => {
                let (unit, summary) = (histogram.unit.as_deref(), &histogram.summary);
                write(source, &mut |batch| match few_readings(summary, few).as_deref() {
                    Some(readings) => batch.histogram_readings(name, tags, unit, readings),
                    None => batch.histogram(name, tags, unit, summary),
                });
            }
            Fold::Timer(timer) => {
                write(source, &mut |batch| match few_readings(timer, few).as_deref() {
                    Some(seconds) => batch.timer_readings(name, tags, seconds),
                    None => batch.timer(name, tags, timer),
                });
            }
            // A series of lines always has a reading.
            _ => *not_finite += 1,
        }
    }
    open.into_values().filter(|batch| batch.entries() > 0).for_each(|b| finished(b.finish()));
}

/// The readings, if they are known and at most `most`. Two readings are the minimum and the maximum.
fn few_readings(summary: &Summary, most: usize) -> Option<Vec<f64>> {
    if let Some(readings) = summary.readings().filter(|readings| readings.len() <= most) {
        return Some(readings.to_vec());
    }
    match summary.count() {
        0 => Some(Vec::new()),
        1 => Some(vec![summary.min()]),
        2 => Some(vec![summary.min(), summary.max()]),
        _ => None,
    }
}

fn is_finite(value: &Fold) -> bool {
    if let Some(summary) = value.summary() {
        return summary.sum().is_finite() && summary.sum_squares().is_finite();
    }
    match value {
        Fold::Counter(sum) => sum.is_finite(),
        Fold::Gauge(gauge) => gauge.is_none_or(|gauge| gauge.sum.is_finite()),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
