//! Sums up readings before they are sent.

use super::chunks::PER_REQUEST;
use super::connection::Client;
use super::error::{ApiErrorKind, Error};
use super::measurement::{Measurement, Summary};
use super::number::Number;
use super::tags::Tags;
use serde::Serialize;
use std::collections::HashMap;
use zibrato::clock;

/// The number of names that an aggregator keeps.
const CAPACITY: usize = 1_000_000;

/// Sums up readings by name: count, sum, minimum and maximum of each, and the sum of squares if that
/// is wanted.
///
/// ```no_run
/// # use zibrato_workers::librato::client::{Client, Credentials};
/// # let client = Client::new(Credentials::from_env()?)?;
/// let mut latencies = client.aggregator().source("web-1").period(60);
/// for milliseconds in [42, 5, 7] {
///     latencies.add("latency", milliseconds)?;
/// }
/// latencies.submit()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Aggregator {
    client: Client,
    source: Option<String>,
    tags: Tags,
    period: u64,
    measure_time: Option<i64>,
    has_squares: bool,
    untagged: Table,
    tagged: Table,
}

/// The aggregated readings of each name, in the order in which the names were added.
#[derive(Debug, Default)]
struct Table {
    places: HashMap<String, usize>,
    folds: Vec<Fold>,
}

#[derive(Debug)]
struct Fold {
    name: String,
    count: u64,
    sum: Number,
    min: Number,
    max: Number,
    squares: Number,
}

impl Client {
    /// An aggregator without source, tags, period and time.
    #[must_use]
    pub fn aggregator(&self) -> Aggregator {
        Aggregator {
            client: self.clone(),
            source: None,
            tags: Tags::new(),
            period: 0,
            measure_time: None,
            has_squares: false,
            untagged: Table::default(),
            tagged: Table::default(),
        }
    }
}

impl Table {
    fn add(&mut self, name: &str, value: Number) -> Result<(), Error> {
        let not_finite = |field, number| {
            let name = name.to_owned();
            Err(Error::NotFinite { name, field, number })
        };
        if !value.is_finite() {
            return not_finite("value", value);
        }
        let known = self.places.get(name).and_then(|at| self.folds.get_mut(*at));
        if let Some(fold) = known {
            let sum = fold.sum + value;
            if !sum.is_finite() {
                return not_finite("sum", sum);
            }
            fold.count += 1;
            fold.sum = sum;
            fold.min = fold.min.min(value);
            fold.max = fold.max.max(value);
            fold.squares = fold.squares + value * value;
            return Ok(());
        }
        if self.folds.len() >= CAPACITY {
            return Err(Error::QueueFull(CAPACITY));
        }
        let (name, squares) = (name.to_owned(), value * value);
        self.places.insert(name.clone(), self.folds.len());
        self.folds.push(Fold { name, count: 1, sum: value, min: value, max: value, squares });
        Ok(())
    }

    fn remove(&mut self, first: usize) {
        self.folds.drain(..first.min(self.folds.len()));
        let names = self.folds.iter().enumerate();
        self.places = names.map(|(at, fold)| (fold.name.clone(), at)).collect();
    }
}

impl Aggregator {
    /// The source of all. Defaults to none.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The tags of what [`add_tagged`](Self::add_tagged) adds. Defaults to none.
    #[must_use]
    pub fn tags(mut self, tags: impl Into<Tags>) -> Self {
        self.tags = tags.into();
        self
    }

    /// The interval in seconds, to a multiple of which the time is rounded down. Defaults to 0, which
    /// leaves the time as it is.
    #[must_use]
    pub fn period(mut self, seconds: u64) -> Self {
        self.period = seconds;
        self
    }

    /// The time of the next submission, in Unix seconds. Defaults to the current time if there is a
    /// period, and otherwise to the time at which the server receives it.
    #[must_use]
    pub fn measure_time(mut self, seconds: i64) -> Self {
        self.measure_time = Some(seconds);
        self
    }

    /// Sends the sum of squares too, from which the server takes the standard deviation. Measurements
    /// with tags cannot have it. Defaults to no.
    #[must_use]
    pub fn sum_squares(mut self) -> Self {
        self.has_squares = true;
        self
    }

    /// Adds a reading.
    ///
    /// # Errors
    /// If it, or the sum with it, is not finite, or if there are a million other names; then it is not
    /// added.
    pub fn add(&mut self, name: &str, value: impl Into<Number>) -> Result<(), Error> {
        self.untagged.add(&self.client.sanitized(name), value.into())
    }

    /// Adds a reading with the tags of the aggregator.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn add_tagged(&mut self, name: &str, value: impl Into<Number>) -> Result<(), Error> {
        self.tagged.add(&self.client.sanitized(name), value.into())
    }

    /// Whether there are no readings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.untagged.folds.is_empty() && self.tagged.folds.is_empty()
    }

    /// Removes all readings, and the time of the next submission.
    pub fn clear(&mut self) {
        (self.untagged, self.tagged) = (Table::default(), Table::default());
        self.measure_time = None;
    }

    /// The time to send.
    fn time(&self) -> Option<i64> {
        let now = || i64::try_from(clock::unix_ms() / 1000).ok();
        let time = self.measure_time.filter(|time| *time != 0);
        match self.period {
            0 => time,
            period => time.or_else(now).map(|time| Number::floor_to(time, period)),
        }
    }

    /// Submits all: readings without tags to `metrics`, those with tags to `measurements`, 300 names
    /// in a request. What the server accepts is removed and never sent again; with the last of it, the
    /// time of the next submission is removed too.
    ///
    /// # Errors
    /// If the server rejects a request or does not answer; the rest stays.
    pub fn submit(&mut self) -> Result<(), Error> {
        if self.client.is_appoptics() && (self.tags.is_empty() || !self.untagged.folds.is_empty()) {
            return if self.is_empty() { Ok(()) } else { Err(Error::NoTag) };
        }
        let (sent, result) = self.send("metrics", &self.untagged.folds);
        self.untagged.remove(sent);
        result?;
        let (sent, result) = self.send("measurements", &self.tagged.folds);
        self.tagged.remove(sent);
        result?;
        self.measure_time = None;
        Ok(())
    }

    /// Sends folds. Returns the number of those that the server has accepted.
    fn send(&self, path: &str, folds: &[Fold]) -> (usize, Result<(), Error>) {
        let (mut accepted, time) = (0, self.time());
        for chunk in folds.chunks(PER_REQUEST) {
            let sent = match path {
                "metrics" => self.client.send_measurements(path, &self.untagged_body(chunk, time)),
                _ => self.client.send_measurements(path, &self.tagged_body(chunk, time)),
            };
            let kind = sent.as_ref().err().map(Error::kind);
            if matches!(kind, None | Some(Some(ApiErrorKind::Partial))) {
                accepted += chunk.len();
            }
            if sent.is_err() {
                return (accepted, sent);
            }
        }
        (accepted, Ok(()))
    }

    fn untagged_body<'a>(&'a self, folds: &'a [Fold], measure_time: Option<i64>) -> Untagged<'a> {
        let gauges = folds.iter().map(|fold| fold.written(self.has_squares)).collect();
        Untagged { gauges, source: self.source.as_deref(), measure_time }
    }

    fn tagged_body<'a>(&'a self, folds: &'a [Fold], time: Option<i64>) -> Tagged<'a> {
        let measurements = folds.iter().map(|fold| fold.written(false)).collect();
        Tagged { measurements, tags: Some(&self.tags).filter(|tags| !tags.is_empty()), time }
    }

    /// The body of a request with all readings without tags, as JSON.
    ///
    /// ```
    /// # use zibrato_workers::librato::client::{Client, Credentials};
    /// # let client = Client::new(Credentials::new("user@example.com", "tok123")?)?;
    /// let mut latencies = client.aggregator().source("web-1").measure_time(60);
    /// latencies.add("latency", 42)?;
    /// let expected = r#"{"gauges":[{"name":"latency","count":1,"sum":42,"min":42,"max":42}],"source":"web-1","measure_time":60}"#;
    /// assert_eq!(latencies.payload(), expected);
    /// # latencies.clear();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn payload(&self) -> String {
        let body = self.untagged_body(&self.untagged.folds, self.time());
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// The body of a request with all readings with tags, as JSON.
    #[must_use]
    pub fn tagged_payload(&self) -> String {
        let body = self.tagged_body(&self.tagged.folds, self.time());
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// What it holds, as measurements: without tags, and with tags.
    pub(super) fn measurements(&self) -> (Vec<Measurement>, Vec<Measurement>) {
        let time = self.time();
        let measurement = |fold: &Fold, squares| {
            let mut summary = Summary::new(fold.count, fold.sum).min(fold.min).max(fold.max);
            if let Some(sum) = fold.squares(squares) {
                summary = summary.sum_squares(sum);
            }
            let one = Measurement::summary(&fold.name, summary);
            time.into_iter().fold(one, Measurement::time)
        };
        let untagged = self.untagged.folds.iter().map(|fold| {
            let one = measurement(fold, self.has_squares);
            self.source.iter().fold(one, Measurement::source)
        });
        let tagged = self.tagged.folds.iter().map(|fold| measurement(fold, false));
        (untagged.collect(), tagged.collect())
    }

    /// The tags of what it holds with tags.
    pub(super) const fn own_tags(&self) -> &Tags {
        &self.tags
    }
}

/// Readings that are not submitted are lost, which the log says.
impl Drop for Aggregator {
    fn drop(&mut self) {
        let count = self.untagged.folds.len() + self.tagged.folds.len();
        if count > 0 {
            tracing::warn!(event = "librato_aggregator_lost", count, why = "it was not submitted");
        }
    }
}

impl Fold {
    /// The sum of squares, if it is wanted and finite.
    fn squares(&self, wanted: bool) -> Option<Number> {
        Some(self.squares).filter(|sum| wanted && sum.is_finite())
    }

    fn written(&self, squares: bool) -> Written<'_> {
        let Self { name, count, sum, min, max, .. } = self;
        let sum_squares = self.squares(squares);
        Written { name, count: *count, sum: *sum, min: *min, max: *max, sum_squares }
    }
}

/// A fold in a request.
#[derive(Debug, Serialize)]
struct Written<'a> {
    name: &'a str,
    count: u64,
    sum: Number,
    min: Number,
    max: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_squares: Option<Number>,
}

/// The body of `metrics`, where source and time apply to all.
#[derive(Debug, Serialize)]
struct Untagged<'a> {
    gauges: Vec<Written<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measure_time: Option<i64>,
}

/// The body of `measurements`, where tags and time apply to all.
#[derive(Debug, Serialize)]
struct Tagged<'a> {
    measurements: Vec<Written<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a Tags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<i64>,
}
