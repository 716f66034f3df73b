//! Reads the body of an untrusted batch without copying.
//!
//! An entry that is well-formed MessagePack but invalid (a bad name, NaN, an unknown kind) is
//! rejected alone. Bytes that are not MessagePack end the batch.

use super::annotation::AnnotationFields;
use super::error::{BatchError, EntryError};
use super::items::{EncodedSummary, Flat, Members, Numbers, Readings, Tags, finite};
use crate::measurement::{Annotation, Gauge, Kind, check_name, check_unit};
use crate::wire::msgpack as mp;

/// The head of a batch, and its entries, which are not decoded yet.
#[derive(Debug, Clone)]
pub struct BatchReader<'a> {
    source: &'a str,
    start_ms: u64,
    length_ms: u64,
    entries: Entries<'a>,
}

impl<'a> BatchReader<'a> {
    /// Reads the head of a batch's body.
    ///
    /// # Errors
    /// [`BatchError`] if the body is not a map, or if its source, interval or entries are missing
    /// or have the wrong type.
    pub fn new(mut body: &'a [u8]) -> Result<Self, BatchError> {
        let (mut source, mut start_ms, mut length_ms, mut entries) = (None, None, None, None);
        let mut left = mp::read_map(&mut body)?;
        while left > 0 {
            left -= 1;
            match mp::read_text(&mut body)? {
                "s" => source = Some(mp::read_text(&mut body)?),
                "t" => start_ms = Some(mp::read_unsigned(&mut body)?),
                "l" => length_ms = Some(mp::read_unsigned(&mut body)?),
                "e" => {
                    let start = body;
                    let left_entries = mp::read_array(&mut body)?;
                    entries = Some(Entries { rest: body, left: left_entries });
                    // The entries need to be skipped only if keys follow them.
                    if left > 0 {
                        body = start;
                        mp::skip(&mut body)?;
                    }
                }
                _ => {
                    mp::skip(&mut body)?;
                }
            }
        }
        let source = source.ok_or(BatchError::Missing { key: "s" })?;
        check_name(source).map_err(BatchError::Source)?;
        Ok(Self {
            source,
            start_ms: start_ms.ok_or(BatchError::Missing { key: "t" })?,
            length_ms: length_ms.ok_or(BatchError::Missing { key: "l" })?,
            entries: entries.ok_or(BatchError::Missing { key: "e" })?,
        })
    }

    /// The source of the measurements.
    #[must_use]
    pub const fn source(&self) -> &'a str {
        self.source
    }

    /// The start of the interval, in Unix milliseconds of the publisher's clock.
    #[must_use]
    pub const fn start_ms(&self) -> u64 {
        self.start_ms
    }

    /// The length of the interval, in milliseconds.
    #[must_use]
    pub const fn length_ms(&self) -> u64 {
        self.length_ms
    }

    /// The end of the interval, in Unix milliseconds. It is the time of readings that have no time
    /// of their own.
    #[must_use]
    pub const fn end_ms(&self) -> u64 {
        self.start_ms.saturating_add(self.length_ms)
    }

    /// The entries. Each call begins with the first one.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        self.entries.clone()
    }
}

/// The entries of a batch, decoded one by one.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, EntryError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let start = self.rest;
        let read = Entry::read(&mut self.rest);
        if read.is_err() {
            // If the entry is well-formed but invalid, the next one can still be read.
            self.rest = start;
            if mp::skip(&mut self.rest).is_err() {
                let lost = self.left.saturating_add(1);
                self.left = 0;
                return Some(Err(EntryError::Malformed { lost }));
            }
        }
        Some(read)
    }
}

/// One entry of a batch.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what a series is made of is fixed")]
pub struct Entry<'a> {
    /// The name, which is valid. Of an annotation, the stream.
    pub name: &'a str,
    /// Tags, which distinguish series of one name.
    pub tags: Tags<'a>,
    /// The unit of a histogram that has one, which also distinguishes series.
    pub unit: Option<&'a str>,
    /// The readings of the interval.
    pub value: Value<'a>,
}

/// The readings of one entry.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// An annotation. It belongs to no series.
    Annotation(Box<Annotation>),
    /// A counter's sum.
    Counter(f64),
    /// A summarized gauge.
    Gauge(Gauge),
    /// Every reading of a gauge.
    GaugeReadings(Readings<'a>),
    /// A summarized histogram, in its unit.
    Histogram(EncodedSummary<'a>),
    /// Every reading of a histogram, in its unit.
    HistogramReadings(Numbers<'a>),
    /// A set's distinct members.
    Set(Members<'a>),
    /// A summarized timer, in seconds.
    Timer(EncodedSummary<'a>),
    /// Every reading of a timer, in seconds.
    TimerReadings(Numbers<'a>),
}

impl Value<'_> {
    /// The kind of measurement. An annotation is none.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Annotation(_) => return None,
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) | Self::GaugeReadings(_) => Kind::Gauge,
            Self::Histogram(_) | Self::HistogramReadings(_) => Kind::Histogram,
            Self::Set(_) => Kind::Set,
            Self::Timer(_) | Self::TimerReadings(_) => Kind::Timer,
        })
    }
}

/// The values in an entry's map, before they are validated.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<&'a str>,
    name: Option<&'a str>,
    tags: Tags<'a>,
    unit: Option<&'a str>,
    value: Option<f64>,
    when: Option<u64>,
    count: Option<u64>,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    squares: Option<f64>,
    deviations: Option<f64>,
    buckets: Option<Flat<'a>>,
    readings: Option<Flat<'a>>,
    members: Option<Flat<'a>>,
    idle: Option<u64>,
    annotation: AnnotationFields<'a>,
}

impl<'a> Entry<'a> {
    fn read(from: &mut &'a [u8]) -> Result<Self, EntryError> {
        let mut fields = Fields::default();
        for _ in 0..mp::read_map(from)? {
            match mp::read_text(from)? {
                "k" => fields.kind = Some(mp::read_text(from)?),
                "n" => fields.name = Some(mp::read_text(from)?),
                "g" => fields.tags = Tags::read(from)?,
                "i" => fields.unit = Some(mp::read_text(from)?),
                "v" => fields.value = Some(mp::read_number(from)?),
                "w" => fields.when = Some(mp::read_unsigned(from)?),
                "c" => fields.count = Some(mp::read_unsigned(from)?),
                "s" => fields.sum = Some(mp::read_number(from)?),
                "m" => fields.min = Some(mp::read_number(from)?),
                "x" => fields.max = Some(mp::read_number(from)?),
                "q" => fields.squares = Some(mp::read_number(from)?),
                "d" => fields.deviations = Some(mp::read_number(from)?),
                "b" => fields.buckets = Some(Flat::read(from)?),
                "r" => fields.readings = Some(Flat::read(from)?),
                "u" => fields.members = Some(Flat::read(from)?),
                "o" => fields.idle = Some(mp::read_unsigned(from)?),
                "t" => fields.annotation.title = Some(mp::read_text(from)?),
                "y" => fields.annotation.end = Some(mp::read_unsigned(from)?),
                "e" => fields.annotation.description = Some(mp::read_text(from)?),
                "h" => fields.annotation.links = Some(Flat::read(from)?),
                _ => {
                    mp::skip(from)?;
                }
            }
        }
        let name = fields.name.ok_or(EntryError::Missing { key: "n" })?;
        check_name(name).map_err(EntryError::Name)?;
        let tags = std::mem::take(&mut fields.tags);
        let mut unit = None;
        let value = match fields.kind.ok_or(EntryError::Missing { key: "k" })? {
            "a" => {
                let annotation = fields.annotation.read(name, &tags, fields.when)?;
                Value::Annotation(Box::new(annotation))
            }
            "c" => Value::Counter(finite(fields.value, "v")?),
            "g" => fields.gauge()?,
            "h" => {
                unit = fields.unit;
                unit.map_or(Ok(()), check_unit).map_err(EntryError::Unit)?;
                match fields.distribution()? {
                    Distribution::Summary(summary) => Value::Histogram(summary),
                    Distribution::Readings(readings) => Value::HistogramReadings(readings),
                }
            }
            "s" => {
                let members = fields.members.ok_or(EntryError::Missing { key: "u" })?;
                Value::Set(Members::check(members)?)
            }
            "t" => match fields.distribution()? {
                Distribution::Summary(summary) => Value::Timer(summary),
                Distribution::Readings(readings) => Value::TimerReadings(readings),
            },
            _ => return Err(EntryError::Kind),
        };
        Ok(Self { name, tags, unit, value })
    }
}

/// The readings of a timer or a histogram.
enum Distribution<'a> {
    Summary(EncodedSummary<'a>),
    Readings(Numbers<'a>),
}

impl<'a> Fields<'a> {
    fn gauge(self) -> Result<Value<'a>, EntryError> {
        if let Some(readings) = self.readings {
            return Ok(Value::GaugeReadings(Readings::check(readings)?));
        }
        let last = finite(self.value, "v")?;
        let at_ms = self.when.ok_or(EntryError::Missing { key: "w" })?;
        if self.idle.is_some_and(|idle| idle != 0) {
            return Ok(Value::Gauge(Gauge::idle(last, at_ms)));
        }
        let Some(count) = self.count else {
            return Ok(Value::Gauge(Gauge::reading(last, at_ms)));
        };
        let (sum, min, max) =
            (finite(self.sum, "s")?, finite(self.min, "m")?, finite(self.max, "x")?);
        let gauge = Gauge::folded(last, at_ms, count, sum, min, max);
        if gauge.is_finite() && min <= max {
            Ok(Value::Gauge(gauge))
        } else {
            Err(EntryError::Inconsistent)
        }
    }

    fn distribution(self) -> Result<Distribution<'a>, EntryError> {
        if let Some(readings) = self.readings {
            return Ok(Distribution::Readings(Numbers::check(readings)?));
        }
        let count = self.count.ok_or(EntryError::Missing { key: "c" })?;
        let (sum, min, max, sum_squares) = (
            finite(self.sum, "s")?,
            finite(self.min, "m")?,
            finite(self.max, "x")?,
            finite(self.squares, "q")?,
        );
        let squared_deviations = self.deviations;
        let is_sum = |sum: f64| sum.is_finite() && sum >= 0.0;
        let buckets = self.buckets.ok_or(EntryError::Missing { key: "b" })?;
        if !squared_deviations.is_none_or(is_sum)
            || count == 0
            || min > max
            || sum_squares < 0.0
            || buckets.left % 2 == 1
        {
            return Err(EntryError::Inconsistent);
        }
        let mut rest = buckets.clone();
        while rest.left > 0 {
            rest.next_with(mp::read_i32)?;
            rest.next_with(mp::read_unsigned)?;
        }
        Ok(Distribution::Summary(EncodedSummary {
            count,
            sum,
            min,
            max,
            sum_squares,
            squared_deviations,
            buckets,
        }))
    }
}
