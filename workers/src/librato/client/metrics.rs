//! Metrics: list, get, change, delete.

use super::connection::Client;
use super::error::Error;
use super::job::Completion;
use super::metric::{Composite, Metric, MetricKind, MetricProperties};
use super::page::{ListQuery, Listed, Page, Pages};
use super::request::Request;
use serde::Serialize;

/// Metrics; see [`Client::metrics`].
#[derive(Debug)]
pub struct Metrics<'a>(&'a Client);

/// Which measurements a metric shall have.
///
/// ```
/// use zibrato_workers::librato::client::MetricQuery;
/// let query = MetricQuery::new().since(1_700_000_000).resolution(60).source("web-1").source("web-2");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct MetricQuery {
    fields: Vec<(String, String)>,
}

/// The times of the values of an expression.
///
/// ```
/// use zibrato_workers::librato::client::CompositeQuery;
/// let query = CompositeQuery::since(1_700_000_000).until(1_700_003_600).resolution(60);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct CompositeQuery {
    start_time: i64,
    end_time: Option<i64>,
    resolution: u64,
    fields: Vec<(String, String)>,
}

impl MetricQuery {
    /// No measurements.
    pub fn new() -> Self {
        Self::default()
    }

    /// Measurements from this time on, in Unix seconds.
    pub fn since(self, seconds: i64) -> Self {
        self.param("start_time", seconds.to_string())
    }

    /// Measurements up to this time, in Unix seconds.
    pub fn until(self, seconds: i64) -> Self {
        self.param("end_time", seconds.to_string())
    }

    /// The last measurements, at most this number.
    pub fn count(self, count: u64) -> Self {
        self.param("count", count.to_string())
    }

    /// The interval of the measurements, in seconds.
    pub fn resolution(self, seconds: u64) -> Self {
        self.param("resolution", seconds.to_string())
    }

    /// Measurements of this source; call it again for another one. `*` stands for any text.
    pub fn source(self, source: impl Into<String>) -> Self {
        self.param("sources[]", source)
    }

    /// One series for all sources.
    pub fn summarize_sources(self) -> Self {
        self.param("summarize_sources", "true")
    }

    /// One measurement for the whole time.
    pub fn summarize_time(self) -> Self {
        self.param("summarize_time", "true")
    }

    /// A series for each source, also with [`summarize_sources`](Self::summarize_sources).
    pub fn breakout_sources(self) -> Self {
        self.param("breakout_sources", "true")
    }

    /// How sources are summed up: `min`, `max`, `mean`, `sum` or `count`.
    pub fn group_by(self, function: impl Into<String>) -> Self {
        self.param("group_by", function)
    }

    /// Another parameter of the API.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }
}

impl CompositeQuery {
    /// Values from this time on, in Unix seconds.
    pub const fn since(seconds: i64) -> Self {
        Self { start_time: seconds, end_time: None, resolution: 1, fields: Vec::new() }
    }

    /// Values up to this time, in Unix seconds. Defaults to now.
    pub const fn until(mut self, seconds: i64) -> Self {
        self.end_time = Some(seconds);
        self
    }

    /// The interval of the values, in seconds. Defaults to 1.
    pub const fn resolution(mut self, seconds: u64) -> Self {
        self.resolution = seconds;
        self
    }

    /// Another parameter of the API.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }
}

impl Listed for Metric {
    const LIST: &'static str = "metrics";
}

impl Client {
    /// The metrics of the account.
    #[must_use]
    pub const fn metrics(&self) -> Metrics<'_> {
        Metrics(self)
    }
}

impl Metrics<'_> {
    /// A page of the list of metrics.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, ListQuery};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// for metric in client.metrics().list(&ListQuery::new().name("cpu"))?.items {
    ///     println!("{}", metric.name);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn list(&self, query: &ListQuery) -> Result<Page<Metric>, Error> {
        self.0.page(query)
    }

    /// All metrics, a page at a time. Nothing is requested before the first is taken.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, ListQuery};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// for metric in client.metrics().all(&ListQuery::new()) {
    ///     println!("{}", metric?.name);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn all(&self, query: &ListQuery) -> Pages<Metric> {
        self.0.pages(query)
    }

    /// A metric, without measurements.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn get(&self, name: &str) -> Result<Metric, Error> {
        self.get_with(name, &MetricQuery::new())
    }

    /// A metric with measurements.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, MetricQuery};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let query = MetricQuery::new().count(100).resolution(1);
    /// let metric = client.metrics().get_with("temperature", &query)?;
    /// for (source, points) in metric.measurements {
    ///     println!("{source}: {} measurements", points.len());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn get_with(&self, name: &str, query: &MetricQuery) -> Result<Metric, Error> {
        let request = Request::get(&["metrics", &self.0.sanitized(name)])?;
        self.0.call(&request.with_query(pairs(&query.fields)))?.decode()
    }

    /// The values of an expression over metrics. [`Measurements::composite`] is its counterpart for
    /// measurements with tags.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, CompositeQuery, Credentials};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let query = CompositeQuery::since(1_700_000_000).resolution(60);
    /// let answer = client.metrics().composite(r#"mean(s("temperature", "*"))"#, &query)?;
    /// println!("{} series", answer.measurements.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the expression is invalid, or the server does not answer.
    ///
    /// [`Measurements::composite`]: super::Measurements::composite
    pub fn composite(&self, expression: &str, query: &CompositeQuery) -> Result<Composite, Error> {
        let (start, resolution) = (query.start_time.to_string(), query.resolution.to_string());
        let end = query.end_time.map(|end| end.to_string());
        let request = Request::get(&["metrics"])?
            .with_query([("start_time", &*start), ("resolution", &*resolution)])
            .with_query(end.iter().map(|end| ("end_time", &**end)))
            .with_query(pairs(&query.fields))
            .with_query([("compose", expression)]);
        self.0.call(&request)?.decode()
    }

    /// Creates a metric.
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn create(
        &self,
        name: &str,
        kind: MetricKind,
        properties: MetricProperties,
    ) -> Result<Option<Metric>, Error> {
        #[derive(Serialize)]
        struct Named<'a> {
            name: &'a str,
            #[serde(flatten)]
            properties: MetricProperties,
        }
        let name = self.0.sanitized(name);
        let body = Named { name: &name, properties: properties.kind(kind) };
        let request = Request::put(&["metrics", &name])?.with_body(&body)?;
        self.0.call(&request)?.decode_if_any()
    }

    /// Creates a metric that is computed from others, or changes its expression.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, MetricProperties};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let none = MetricProperties::new();
    /// client.metrics().create_composite("cpu.all", r#"sum(s("cpu", "*"))"#, none)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the expression is invalid, or the server does not answer.
    pub fn create_composite(
        &self,
        name: &str,
        expression: &str,
        properties: MetricProperties,
    ) -> Result<Completion, Error> {
        self.update(name, &properties.kind(MetricKind::Composite).composite(expression))
    }

    /// Changes properties of a metric. One that does not exist is created if the properties have a
    /// kind.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, MetricProperties};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// client.metrics().update("temperature", &MetricProperties::new().period(60))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, the server rejects the properties, or does not answer.
    pub fn update(&self, name: &str, properties: &MetricProperties) -> Result<Completion, Error> {
        let request = Request::put(&["metrics", &self.0.sanitized(name)])?.with_body(properties)?;
        Ok(Completion::of(&self.0.call(&request)?))
    }

    /// Changes the same properties of several metrics.
    ///
    /// # Errors
    /// As for [`update`](Self::update).
    pub fn update_many<N: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = N>,
        properties: &MetricProperties,
    ) -> Result<Completion, Error> {
        let body = Names { names: self.all_named(names)?, properties: Some(properties) };
        let request = Request::put(&["metrics"])?.with_body(&body)?;
        Ok(Completion::of(&self.0.call(&request)?))
    }

    /// Changes the same properties of all metrics whose names match a pattern, where `*` stands for
    /// any text. The sanitizer does not apply to the pattern.
    ///
    /// # Errors
    /// As for [`update`](Self::update).
    pub fn update_matching(
        &self,
        pattern: &str,
        properties: &MetricProperties,
    ) -> Result<Completion, Error> {
        let body = Names { names: named(pattern)?, properties: Some(properties) };
        let request = Request::put(&["metrics"])?.with_body(&body)?;
        Ok(Completion::of(&self.0.call(&request)?))
    }

    /// Deletes a metric with all its measurements, for ever.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn delete(&self, name: &str) -> Result<Completion, Error> {
        let request = Request::delete(&["metrics", &self.0.sanitized(name)])?;
        Ok(Completion::of(&self.0.call(&request)?))
    }

    /// Deletes several metrics with all their measurements, for ever.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// client.metrics().delete_many(["cpu", "servers"])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn delete_many<N: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Completion, Error> {
        let body = Names { names: self.all_named(names)?, properties: None };
        let request = Request::delete(&["metrics"])?.with_body(&body)?;
        Ok(Completion::of(&self.0.call(&request)?))
    }

    /// Deletes all metrics whose names match a pattern, where `*` stands for any text, with all their
    /// measurements, for ever. The sanitizer does not apply to the pattern.
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn delete_matching(&self, pattern: &str) -> Result<Completion, Error> {
        let body = Names { names: named(pattern)?, properties: None };
        let request = Request::delete(&["metrics"])?.with_body(&body)?;
        Ok(Completion::of(&self.0.call(&request)?))
    }

    fn all_named<N: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Vec<String>, Error> {
        names.into_iter().map(|name| named(self.0.sanitized(name.as_ref()))).collect()
    }
}

/// A name or a pattern, which must not be empty: a server could take it for all metrics.
fn named<N: AsRef<str>>(name: N) -> Result<N, Error> {
    if name.as_ref().is_empty() { Err(Error::InvalidAddress(String::new())) } else { Ok(name) }
}

/// The metrics that a request is about.
#[derive(Debug, Serialize)]
struct Names<'a, N> {
    names: N,
    #[serde(flatten)]
    properties: Option<&'a MetricProperties>,
}

fn pairs(fields: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    fields.iter().map(|(name, value)| (&**name, &**value))
}
