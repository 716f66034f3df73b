//! Windows: the measurements of an interval, aggregated by series.
//!
//! Pure: bytes and times are arguments. Windows are aligned to the wall clock: with a length of 60
//! s each one is a full minute. Its timestamp is its start (`t - t mod period`), as in
//! carbon-aggregator and python-librato's aggregator, so that no point is in the future.

mod annotated;
mod annotations;
mod dedup;
mod gauge_seconds;
mod limits;
mod series;
mod sort;
mod windows;

pub use annotations::{MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS, WindowAnnotation};
pub use dedup::{Dedup, Novelty};
pub use gauge_seconds::GaugeSeconds;
pub use series::{Fold, Histogram, MAX_SET_MEMBERS, Series};
pub use windows::Windows;

pub use crate::sparkline::sparkline;

use crate::measurement::{Gauge, finite_sum};
use crate::summary::Summary;
use crate::wire::{BatchReader, Entry, EntryError, Line, LineValue, Value};
use annotations::Annotations;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use limits::{
    FEW_OCTAVES, MANY_OCTAVES, MAX_ALL_READINGS, MAX_ALL_SECONDS, MAX_OCTAVES, MAX_READINGS,
    MOST_SERIES,
};
use series::{Key, merge_gauge};
use std::hash::BuildHasher;
use std::sync::Arc;

/// The name of the series that sums up all series beyond the limit.
pub const OVERFLOW_NAME: &str = "_overflow";

/// The measurements of one interval, aggregated by series.
///
/// ```
/// use zibrato::window::{Fold, Window};
/// use zibrato::wire::Line;
/// let mut window = Window::new(1_700_000_040_000, 60_000, 1_000_000);
/// for line in ["info|c|logins|1|1700000042|web-1", "info|c|logins|2|1700000043|web-1"] {
///     window.fold_line(&Line::decode(line.as_bytes()).unwrap());
/// }
/// let series = window.into_series();
/// assert_eq!(series[0].value, Fold::Counter(3.0));
/// ```
#[derive(Debug)]
pub struct Window {
    start_ms: u64,
    length_ms: u64,
    max_series: usize,
    hasher: RandomState,
    /// Indexes into `series`, which keep this table small.
    places: HashTable<u32>,
    series: Vec<Series>,
    /// Octaves of all sketches.
    octaves: usize,
    /// Number of readings that a summary keeps, and that all of them keep.
    keep: usize,
    kept: usize,
    /// Whether gauges keep their seconds apart, and the number of seconds of all of them.
    keep_seconds: bool,
    seconds: usize,
    /// Readings that were merged into a higher bucket of a reduced sketch.
    collapsed: u64,
    omitted_members: u64,
    annotations: Annotations,
    /// The source of the last entry, which is usually that of the next one.
    source: Arc<str>,
    folded: u64,
    overflowed: u64,
    offender: Option<(String, String)>,
}

impl Window {
    /// An empty window that starts at `start_ms` (Unix milliseconds). After `max_series` series,
    /// new names are added to [`OVERFLOW_NAME`].
    #[must_use]
    pub fn new(start_ms: u64, length_ms: u64, max_series: usize) -> Self {
        let max_series = max_series.min(MOST_SERIES);
        Self {
            start_ms,
            length_ms,
            max_series,
            hasher: RandomState::default(),
            places: HashTable::new(),
            series: Vec::new(),
            octaves: 0,
            keep: 0,
            kept: 0,
            keep_seconds: false,
            seconds: 0,
            collapsed: 0,
            omitted_members: 0,
            annotations: Annotations::default(),
            source: Arc::from(""),
            folded: 0,
            overflowed: 0,
            offender: None,
        }
    }

    /// Keeps the readings of each timer and histogram too, as long as there are at most 1,000, and
    /// four million in the window; see [`Summary::readings`](crate::Summary::readings). Readings that
    /// a publisher has summarized are not known. Defaults to none.
    #[must_use]
    pub const fn keep_readings(mut self, keep: bool) -> Self {
        self.keep = if keep { MAX_READINGS } else { 0 };
        self
    }

    /// Keeps the readings of each gauge apart by their second: gauges are
    /// [`Fold::GaugeSeconds`]. A gauge has at most 3,600 seconds, and a window about two million;
    /// readings beyond that are added to an earlier second of their gauge. Defaults to `false`.
    #[must_use]
    pub const fn keep_gauge_seconds(mut self, keep: bool) -> Self {
        self.keep_seconds = keep;
        self
    }

    /// The start of the window, in Unix milliseconds. It is the window's timestamp.
    #[must_use]
    pub const fn start_ms(&self) -> u64 {
        self.start_ms
    }

    /// The timestamp in whole Unix seconds.
    #[must_use]
    pub const fn stamp(&self) -> u64 {
        self.start_ms / 1000
    }

    /// The length of the window, in milliseconds.
    #[must_use]
    pub const fn length_ms(&self) -> u64 {
        self.length_ms
    }

    /// The end of the window, in Unix milliseconds.
    #[must_use]
    pub const fn end_ms(&self) -> u64 {
        self.start_ms.saturating_add(self.length_ms)
    }

    /// Number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether the window has neither series nor annotations. A window with only annotations is not
    /// empty, although its [`len`](Self::len) is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.annotations().is_empty()
    }

    /// Number of entries and lines that were added, and of annotations.
    #[must_use]
    pub const fn folded(&self) -> u64 {
        self.folded
    }

    /// Number of them that were added to [`OVERFLOW_NAME`], because the window was full.
    #[must_use]
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Number of readings of timers and histograms that were merged with larger ones, because the
    /// window's sketches were too wide. Count, sum, min and max stay exact. It saturates at `u64::MAX`.
    #[must_use]
    pub const fn collapsed(&self) -> u64 {
        self.collapsed
    }

    /// Number of members that were omitted because their set has [`MAX_SET_MEMBERS`]. A member that
    /// was added twice counts twice.
    #[must_use]
    pub const fn omitted_members(&self) -> u64 {
        self.omitted_members
    }

    /// Source and name of the first series that did not fit into the window.
    #[must_use]
    pub fn offender(&self) -> Option<(&str, &str)> {
        self.offender.as_ref().map(|(source, name)| (&**source, &**name))
    }

    /// Adds every entry of a batch; calls `refused` for each invalid one.
    pub fn fold_batch(&mut self, batch: &BatchReader<'_>, mut refused: impl FnMut(EntryError)) {
        for entry in batch.entries() {
            match entry {
                Ok(entry) => self.fold_entry(batch.source(), &entry),
                Err(error) => refused(error),
            }
        }
    }

    /// Adds one entry.
    pub fn fold_entry(&mut self, source: &str, entry: &Entry<'_>) {
        if let Value::Annotation(annotation) = &entry.value {
            return self.add_annotation(source, annotation);
        }
        let Some(kind) = entry.value.kind() else { return };
        let tags = &series::ordered(entry.tags.clone());
        let (name, unit) = (entry.name, entry.unit);
        let mut omitted = 0;
        self.fold(&Key { kind, name, source, tags, unit }, |fold| match (&entry.value, fold) {
            (Value::Counter(more), Fold::Counter(sum)) => *sum = finite_sum(*sum, *more),
            (Value::Gauge(more), Fold::Gauge(gauge)) => merge_gauge(gauge, more),
            (Value::GaugeReadings(readings), Fold::Gauge(gauge)) => {
                for (at_ms, value) in readings.clone() {
                    merge_gauge(gauge, &Gauge::reading(value, at_ms));
                }
            }
            (Value::Gauge(more), Fold::GaugeSeconds(seconds)) => seconds.add(more),
            (Value::GaugeReadings(readings), Fold::GaugeSeconds(seconds)) => {
                for (at_ms, value) in readings.clone() {
                    seconds.add(&Gauge::reading(value, at_ms));
                }
            }
            (Value::Histogram(more), Fold::Histogram(into)) => {
                more.merge_into(&mut into.summary);
            }
            (Value::HistogramReadings(readings), Fold::Histogram(into)) => {
                readings.clone().for_each(|value| into.summary.record(value));
            }
            (Value::Set(members), Fold::Set(set)) => {
                omitted = members.clone().map(|member| series::insert(set, member)).sum();
            }
            (Value::Timer(more), Fold::Timer(summary)) => more.merge_into(summary),
            (Value::TimerReadings(seconds), Fold::Timer(summary)) => {
                seconds.clone().for_each(|value| summary.record(value));
            }
            _ => debug_assert!(false, "a series has one kind"),
        });
        self.omitted_members += omitted;
    }

    /// Adds one line.
    pub fn fold_line(&mut self, line: &Line<'_>) {
        let (kind, name, source) = (line.kind, line.name, line.source);
        let mut omitted = 0;
        self.fold(&Key { kind, name, source, tags: &[], unit: None }, |fold| {
            match (line.value, fold) {
                (LineValue::Number(value), Fold::Counter(sum)) => *sum = finite_sum(*sum, value),
                (LineValue::Number(value), Fold::Gauge(gauge)) => {
                    merge_gauge(gauge, &Gauge::reading(value, line.timestamp_ms()));
                }
                (LineValue::Number(value), Fold::GaugeSeconds(seconds)) => {
                    seconds.add(&Gauge::reading(value, line.timestamp_ms()));
                }
                (LineValue::Number(value), Fold::Histogram(into)) => into.summary.record(value),
                (LineValue::Number(value), Fold::Timer(summary)) => summary.record(value),
                (LineValue::Member(member), Fold::Set(set)) => {
                    omitted = series::insert(set, member);
                }
                (LineValue::Member(_) | LineValue::Number(_), _) => {
                    debug_assert!(false, "a series has one kind");
                }
            }
        });
        self.omitted_members += omitted;
    }

    /// Adds aggregated readings of one series. Its tags may be in any order.
    ///
    /// ```
    /// use zibrato::window::{Fold, Window};
    /// let mut window = Window::new(0, 60_000, 100);
    /// window.fold_series("web-1", "logins", &[("method", "password")], &Fold::Counter(3.0));
    /// assert_eq!(window.into_series()[0].value, Fold::Counter(3.0));
    /// ```
    pub fn fold_series(
        &mut self,
        source: &str,
        name: &str,
        tags: &[(&str, &str)],
        readings: &Fold,
    ) {
        let tags = &series::ordered(tags.iter().copied());
        let (kind, unit) = (readings.kind(), readings.unit());
        let mut omitted = 0;
        self.fold(&Key { kind, name, source, tags, unit }, |fold| omitted = fold.merge(readings));
        self.omitted_members += omitted;
    }

    fn fold(&mut self, key: &Key<'_>, into: impl FnOnce(&mut Fold)) {
        self.folded += 1;
        let Key { kind, name, source, .. } = *key;
        let hash = self.hasher.hash_one(key);
        if let Some(at) = self.place(hash, key) {
            return self.fold_at(at, into);
        }
        let none = &[][..];
        let overflow =
            Key { kind, name: OVERFLOW_NAME, source: OVERFLOW_NAME, tags: none, unit: None };
        let (key, hash) = if self.series.len() < self.max_series {
            (*key, hash)
        } else {
            self.overflowed += 1;
            self.offender.get_or_insert_with(|| (source.to_owned(), name.to_owned()));
            (overflow, self.hasher.hash_one(overflow))
        };
        if let Some(at) = self.place(hash, &key) {
            return self.fold_at(at, into);
        }
        if *self.source != *key.source {
            self.source = Arc::from(key.source);
        }
        let at = self.series.len();
        let keep = (self.keep, self.keep_seconds);
        self.series.push(Series::new(&key, Arc::clone(&self.source), keep));
        let (hasher, series) = (&self.hasher, &self.series);
        let hash_of = |at: &u32| hasher.hash_one(series[*at as usize].key_hash());
        self.places.insert_unique(hash, at as u32, hash_of);
        self.fold_at(at, into);
    }

    fn place(&self, hash: u64, key: &Key<'_>) -> Option<usize> {
        let found = self.places.find(hash, |at| self.series[*at as usize].matches(key));
        found.map(|at| *at as usize)
    }

    fn fold_at(&mut self, at: usize, into: impl FnOnce(&mut Fold)) {
        let fold = &mut self.series[at].value;
        let held = |summary: &Summary| (summary.sketch().octaves(), summary.kept());
        let (before, kept) = fold.summary().map_or((0, 0), held);
        let seconds = fold.seconds();
        into(fold);
        if let Fold::GaugeSeconds(gauge) = fold {
            self.seconds = self.seconds + gauge.len() - seconds;
            if self.seconds >= MAX_ALL_SECONDS {
                gauge.limit();
            }
        }
        if let Some(summary) = fold.summary_mut() {
            let has_room = self.octaves < MANY_OCTAVES.saturating_mul(self.max_series);
            let most = if has_room { MAX_OCTAVES } else { FEW_OCTAVES };
            // Counts of a sketch are the publisher's claim, and can be as large as a `u64`.
            self.collapsed = self.collapsed.saturating_add(summary.collapse(most));
            self.octaves = self.octaves + summary.sketch().octaves() - before;
            self.kept -= kept;
            if self.kept + summary.kept() > MAX_ALL_READINGS {
                summary.keep_none();
            }
            self.kept += summary.kept();
        }
    }

    /// The series, in the order in which they were added.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The series, ordered by name, then source, then kind, then tags, then unit.
    #[must_use]
    pub fn into_series(self) -> Vec<Series> {
        drop(self.places);
        sort::sorted(self.series)
    }
}

#[cfg(test)]
mod tests;
