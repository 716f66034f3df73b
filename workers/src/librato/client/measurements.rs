//! Reading measurements with tags.

use super::connection::Client;
use super::error::Error;
use super::extra::Extra;
use super::lenient::whole;
use super::number::Number;
use super::request::Request;
use super::span::Span;
use super::tags::Tags;
use serde::{Deserialize, Serialize};

/// Measurements with tags; see [`Client::measurements`].
#[derive(Debug)]
pub struct Measurements<'a>(&'a Client);

/// Which measurements with tags are wanted.
///
/// ```
/// use zibrato_workers::librato::client::{MeasurementsQuery, Span};
/// let query = MeasurementsQuery::new(Span::last(86_400)).resolution(60).tag("region", "us*");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct MeasurementsQuery {
    span: Span,
    resolution: u64,
    fields: Vec<(String, String)>,
}

impl MeasurementsQuery {
    /// Measurements of these times, at a resolution of one second.
    pub const fn new(span: Span) -> Self {
        Self { span, resolution: 1, fields: Vec::new() }
    }

    /// The interval of the measurements, in seconds, at most 604,800. Defaults to 1.
    pub const fn resolution(mut self, seconds: u64) -> Self {
        self.resolution = seconds;
        self
    }

    /// Only series whose tag has this value, where `*` stands for any text.
    pub fn tag(self, name: &str, value: impl Into<String>) -> Self {
        self.param(format!("tags[{name}]"), value)
    }

    /// Only series whose tag has one of these values.
    pub fn tag_any<V: Into<String>>(
        mut self,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let name = format!("tags[{name}][]");
        self.fields.extend(values.into_iter().map(|value| (name.clone(), value.into())));
        self
    }

    /// Only series for which an expression holds, such as `region=us-east* and db=*prod*`.
    pub fn tags_search(self, expression: impl Into<String>) -> Self {
        self.param("tags_search", expression)
    }

    /// One series for each value of this tag.
    pub fn group_by(self, tag: impl Into<String>) -> Self {
        self.param("group_by", tag)
    }

    /// How series become one: `sum`, `min`, `max` or `mean`.
    pub fn group_by_function(self, function: impl Into<String>) -> Self {
        self.param("group_by_function", function)
    }

    /// How measurements of an interval become one: `sum`, `min`, `max`, `mean` or `count`.
    pub fn summary_function(self, function: impl Into<String>) -> Self {
        self.param("summary_function", function)
    }

    /// Another parameter of the API.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    fn add_to(&self, request: Request) -> Request {
        let (span, resolution) = (self.span.fields(), self.resolution.to_string());
        let fields = span.iter().chain(&self.fields);
        let fields = fields.map(|(name, value)| (&**name, &**value));
        request.with_query(fields).with_query([("resolution", &*resolution)])
    }
}

/// Series of measurements.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SeriesList {
    /// The metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The interval of the measurements, in seconds.
    #[serde(deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub resolution: Option<u64>,
    /// A series for each set of tags.
    pub series: Vec<Series>,
    /// Where the rest is, with the relation `next`; see [`Measurements::next`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The measurements with the same tags.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Series {
    /// The tags.
    pub tags: Tags,
    /// The measurements.
    pub measurements: Vec<TaggedPoint>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A measurement of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaggedPoint {
    /// When it was measured, in Unix seconds.
    pub time: i64,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A link of an answer or an annotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Link {
    /// What is there.
    pub rel: String,
    /// Where it is.
    pub href: String,
    /// A text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Link {
    /// A link without a text for people.
    #[must_use]
    pub fn new(rel: impl Into<String>, href: impl Into<String>) -> Self {
        Self { rel: rel.into(), href: href.into(), label: None }
    }
}

impl Client {
    /// Measurements with tags.
    #[must_use]
    pub const fn measurements(&self) -> Measurements<'_> {
        Measurements(self)
    }
}

impl Measurements<'_> {
    /// Measurements of a metric.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, MeasurementsQuery, Span};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let query = MeasurementsQuery::new(Span::last(3600)).resolution(60).tag("region", "us*");
    /// for series in client.measurements().get("cpu", &query)?.series {
    ///     println!("{:?}: {} measurements", series.tags, series.measurements.len());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn get(&self, name: &str, query: &MeasurementsQuery) -> Result<SeriesList, Error> {
        let request = Request::get(&["measurements", &self.0.sanitized(name)])?;
        self.0.call(&query.add_to(request))?.decode()
    }

    /// The values of an expression over metrics.
    ///
    /// # Errors
    /// If the expression is invalid, or the server does not answer.
    pub fn composite(
        &self,
        expression: &str,
        query: &MeasurementsQuery,
    ) -> Result<SeriesList, Error> {
        let request = query.add_to(Request::get(&["measurements"])?);
        self.0.call(&request.with_query([("compose", expression)]))?.decode()
    }

    /// The rest of an answer; `None` if it has no rest. The link must lead to the server of the
    /// client, because credentials are sent to no other.
    ///
    /// # Errors
    /// If the link leads elsewhere, or the server does not answer.
    pub fn next(&self, after: &SeriesList) -> Result<Option<SeriesList>, Error> {
        let Some(link) = after.links.iter().find(|link| link.rel == "next") else {
            return Ok(None);
        };
        let base = &*self.0.shared.base;
        let path = base.splitn(4, '/').nth(3).unwrap_or_default();
        let origin = base.strip_suffix(path).unwrap_or(base).trim_end_matches('/');
        let href = link.href.strip_prefix(origin).unwrap_or(&link.href).trim_start_matches('/');
        let below = match path {
            "" => Some(href),
            path => href.strip_prefix(path).and_then(|rest| rest.strip_prefix('/')),
        };
        let request = below.and_then(|below| {
            let (path, query) = below.split_once('?').unwrap_or((below, ""));
            path.starts_with("measurements").then(|| Request::linked(path, query))
        });
        let Some(request) = request else {
            let (code, location) = (200, Some(link.href.clone()));
            return Err(Error::Moved { code, location });
        };
        self.0.call(&request)?.decode().map(Some)
    }
}
