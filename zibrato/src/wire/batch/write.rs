//! Writes the body of a batch entry by entry.

use crate::measurement::{Annotation, Gauge, Kind};
use crate::summary::Summary;
use crate::wire::msgpack as mp;

/// Approximate size of an entry without name and tags.
const HEAD_BYTES: usize = 48;

/// Writes one batch: the measurements of one level and one source over one interval.
///
/// Names, tags and the source must be valid (see [`check_name`](crate::check_name)) and numbers
/// finite; readers reject other entries.
///
/// ```
/// use zibrato::wire::{BatchReader, BatchWriter, Value};
/// let mut batch = BatchWriter::new("web-1", 1_700_000_000_000, 1_000);
/// batch.counter("logins", &[], 3.0);
/// batch.timer_readings("db.query", &[("table", "users")], &[0.011, 0.012]);
/// let body = batch.finish();
///
/// let batch = BatchReader::new(&body).unwrap();
/// assert_eq!(batch.source(), "web-1");
/// let first = batch.entries().next().unwrap().unwrap();
/// assert_eq!((first.name, first.value), ("logins", Value::Counter(3.0)));
/// ```
#[derive(Debug)]
pub struct BatchWriter {
    body: Vec<u8>,
    // Position of the entry count, four bytes that are filled in at the end.
    count_at: usize,
    count: u32,
}

impl BatchWriter {
    /// Begins a batch for the interval that started at `start_ms` (Unix milliseconds) and lasted
    /// `length_ms` milliseconds.
    #[must_use]
    pub fn new(source: &str, start_ms: u64, length_ms: u64) -> Self {
        let mut body = Vec::with_capacity(256);
        mp::map(&mut body, 4);
        mp::text(&mut body, "s");
        mp::text(&mut body, source);
        mp::text(&mut body, "t");
        mp::unsigned(&mut body, start_ms);
        mp::text(&mut body, "l");
        mp::unsigned(&mut body, length_ms);
        mp::text(&mut body, "e");
        body.push(0xdd); // array 32: the count always has four bytes
        let count_at = body.len();
        body.extend_from_slice(&[0; 4]);
        Self { body, count_at, count: 0 }
    }

    /// Adds an annotation.
    ///
    /// ```
    /// use zibrato::Annotation;
    /// use zibrato::wire::{BatchReader, BatchWriter, Value};
    /// let deploy = Annotation::new("deploys", "version 7 is live", 1_700_000_000_000).unwrap();
    /// let mut batch = BatchWriter::new("web-1", 1_700_000_000_000, 1_000);
    /// batch.annotation(&deploy);
    /// let body = batch.finish();
    /// let entry = BatchReader::new(&body).unwrap().entries().next().unwrap().unwrap();
    /// assert_eq!((entry.name, entry.value), ("deploys", Value::Annotation(Box::new(deploy))));
    /// ```
    pub fn annotation(&mut self, annotation: &Annotation) {
        let (description, links) = (annotation.description(), annotation.links());
        let optional = [description.is_some(), annotation.end_ms().is_some(), !links.is_empty()];
        let fields = 2 + optional.map(usize::from).iter().sum::<usize>();
        annotation.tags().with_slice(|tags| self.head("a", annotation.stream(), tags, fields));
        let body = &mut self.body;
        mp::text(body, "t");
        mp::text(body, annotation.title());
        mp::text(body, "w");
        mp::unsigned(body, annotation.start_ms());
        if let Some(end_ms) = annotation.end_ms() {
            mp::text(body, "y");
            mp::unsigned(body, end_ms);
        }
        if let Some(description) = description {
            mp::text(body, "e");
            mp::text(body, description);
        }
        if !links.is_empty() {
            mp::text(body, "h");
            mp::array(body, links.len());
        }
        for link in links {
            mp::map(body, 2 + usize::from(link.label().is_some()));
            let parts = [("rel", Some(link.rel())), ("href", Some(link.href()))];
            for (key, text) in parts.into_iter().chain([("label", link.label())]) {
                if let Some(text) = text {
                    mp::text(body, key);
                    mp::text(body, text);
                }
            }
        }
    }

    /// Adds a counter's sum over the interval.
    pub fn counter(&mut self, name: &str, tags: &[(&str, &str)], sum: f64) {
        self.head(Kind::Counter.letter(), name, tags, 1);
        self.field("v", sum);
    }

    /// Adds a gauge, summarized over the interval. If nobody set it in the interval
    /// ([`Gauge::idle`]), readers that know no idle gauges take it for one reading.
    pub fn gauge(&mut self, name: &str, tags: &[(&str, &str)], gauge: &Gauge) {
        if gauge.is_idle() {
            self.head(Kind::Gauge.letter(), name, tags, 3);
            self.field("v", gauge.last);
            mp::text(&mut self.body, "w");
            mp::unsigned(&mut self.body, gauge.at_ms);
            mp::text(&mut self.body, "o");
            mp::unsigned(&mut self.body, 1);
            return;
        }
        let alone = *gauge == Gauge::reading(gauge.last, gauge.at_ms);
        self.head(Kind::Gauge.letter(), name, tags, if alone { 2 } else { 6 });
        self.field("v", gauge.last);
        mp::text(&mut self.body, "w");
        mp::unsigned(&mut self.body, gauge.at_ms);
        if !alone {
            self.count_field(gauge.count);
            self.field("s", gauge.sum);
            self.field("m", gauge.min);
            self.field("x", gauge.max);
        }
    }

    /// Adds every reading of a gauge: unix milliseconds and value.
    pub fn gauge_readings(&mut self, name: &str, tags: &[(&str, &str)], readings: &[(u64, f64)]) {
        self.head(Kind::Gauge.letter(), name, tags, 1);
        mp::text(&mut self.body, "r");
        mp::array(&mut self.body, readings.len() * 2);
        for (at_ms, value) in readings {
            mp::unsigned(&mut self.body, *at_ms);
            mp::number(&mut self.body, *value);
        }
    }

    /// Adds a histogram, summarized over the interval, and its unit; see
    /// [`check_unit`](crate::check_unit).
    ///
    /// ```
    /// use zibrato::wire::{BatchReader, BatchWriter};
    /// let mut batch = BatchWriter::new("web-1", 1_700_000_000_000, 1_000);
    /// let summary = [512.0, 2048.0].into_iter().collect();
    /// batch.histogram("response.size", &[], Some("bytes"), &summary);
    /// let body = batch.finish();
    /// let entry = BatchReader::new(&body).unwrap().entries().next().unwrap().unwrap();
    /// assert_eq!(entry.unit, Some("bytes"));
    /// ```
    pub fn histogram(
        &mut self,
        name: &str,
        tags: &[(&str, &str)],
        unit: Option<&str>,
        summary: &Summary,
    ) {
        self.head(Kind::Histogram.letter(), name, tags, 7 + usize::from(unit.is_some()));
        self.unit_field(unit);
        self.summary_fields(summary);
    }

    /// Adds every reading of a histogram, and its unit. This is shorter than a summary if there are
    /// few.
    pub fn histogram_readings(
        &mut self,
        name: &str,
        tags: &[(&str, &str)],
        unit: Option<&str>,
        readings: &[f64],
    ) {
        self.head(Kind::Histogram.letter(), name, tags, 1 + usize::from(unit.is_some()));
        self.unit_field(unit);
        self.readings_field(readings);
    }

    /// Adds the distinct members of a set.
    pub fn set<'m>(
        &mut self,
        name: &str,
        tags: &[(&str, &str)],
        members: impl ExactSizeIterator<Item = &'m str>,
    ) {
        self.head(Kind::Set.letter(), name, tags, 1);
        mp::text(&mut self.body, "u");
        mp::array(&mut self.body, members.len());
        members.for_each(|member| mp::text(&mut self.body, member));
    }

    /// Adds a timer, summarized over the interval, in seconds.
    pub fn timer(&mut self, name: &str, tags: &[(&str, &str)], summary: &Summary) {
        self.head(Kind::Timer.letter(), name, tags, 7);
        self.summary_fields(summary);
    }

    /// Adds every reading of a timer, in seconds. This is shorter than a summary if there are few.
    pub fn timer_readings(&mut self, name: &str, tags: &[(&str, &str)], seconds: &[f64]) {
        self.head(Kind::Timer.letter(), name, tags, 1);
        self.readings_field(seconds);
    }

    /// Number of bytes so far; see [`BATCH_TARGET_BYTES`](crate::wire::BATCH_TARGET_BYTES).
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Number of entries so far.
    #[must_use]
    pub const fn entries(&self) -> u32 {
        self.count
    }

    /// The body.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.body[self.count_at..self.count_at + 4].copy_from_slice(&self.count.to_be_bytes());
        self.body
    }

    fn head(&mut self, kind: &str, name: &str, tags: &[(&str, &str)], fields: usize) {
        self.count += 1;
        let tagged = usize::from(!tags.is_empty());
        // At once, instead of piece by piece.
        self.body.reserve(name.len() + HEAD_BYTES);
        mp::map(&mut self.body, 2 + tagged + fields);
        mp::text(&mut self.body, "k");
        mp::text(&mut self.body, kind);
        mp::text(&mut self.body, "n");
        mp::text(&mut self.body, name);
        if tagged == 1 {
            mp::text(&mut self.body, "g");
            mp::map(&mut self.body, tags.len());
            for (tag, value) in tags {
                mp::text(&mut self.body, tag);
                mp::text(&mut self.body, value);
            }
        }
    }

    fn field(&mut self, key: &str, value: f64) {
        mp::text(&mut self.body, key);
        mp::number(&mut self.body, value);
    }

    fn summary_fields(&mut self, summary: &Summary) {
        self.count_field(summary.count());
        self.field("s", summary.sum());
        self.field("m", summary.min());
        self.field("x", summary.max());
        self.field("q", summary.sum_squares());
        self.field("d", summary.squared_deviations());
        mp::text(&mut self.body, "b");
        mp::array(&mut self.body, summary.sketch().buckets().count() * 2);
        let mut before = 0;
        for (bucket, count) in summary.sketch().buckets() {
            mp::signed(&mut self.body, i64::from(bucket - before));
            mp::unsigned(&mut self.body, count);
            before = bucket;
        }
    }

    fn readings_field(&mut self, readings: &[f64]) {
        mp::text(&mut self.body, "r");
        mp::array(&mut self.body, readings.len());
        readings.iter().for_each(|value| mp::number(&mut self.body, *value));
    }

    fn unit_field(&mut self, unit: Option<&str>) {
        if let Some(unit) = unit {
            mp::text(&mut self.body, "i");
            mp::text(&mut self.body, unit);
        }
    }

    fn count_field(&mut self, count: u64) {
        mp::text(&mut self.body, "c");
        mp::unsigned(&mut self.body, count);
    }
}
