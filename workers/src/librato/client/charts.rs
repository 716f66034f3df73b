//! Charts of a space.

use super::connection::Client;
use super::error::Error;
use super::extra::Extra;
use super::id::Id;
use super::number::Number;
use super::request::Request;
use super::stream::Stream;
use serde::{Deserialize, Serialize};

/// A chart.
///
/// ```
/// use zibrato_workers::librato::client::{Chart, Stream};
/// let chart = Chart::line("CPU").stream(Stream::metric("cpu.user")).stream(Stream::metric("cpu.idle"));
/// let number = Chart::bignumber("CPU", "cpu.user");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Chart {
    /// The identifier, if the server has stored it. It is part of the address, and not sent otherwise.
    #[serde(skip_serializing)]
    pub id: Option<Id>,
    /// The name.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ChartKind,
    /// What it shows.
    pub streams: Vec<Stream>,
    /// The smallest value of the vertical axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Number>,
    /// The largest value of the vertical axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Number>,
    /// The text at the vertical axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether the vertical axis is logarithmic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_log_yaxis: Option<bool>,
    /// Whether a number is the last value instead of a summary of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_last_value: Option<bool>,
    /// The space that opens from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related_space: Option<Id>,
    /// The values from which on a number has another color.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Vec<Threshold>>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a chart is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChartKind {
    /// A number.
    Bignumber,
    /// Lines.
    #[default]
    Line,
    /// Areas on top of each other.
    Stacked,
    /// Something else.
    #[serde(untagged)]
    Other(String),
}

/// A value from which on a number has another color.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Threshold {
    /// The comparison, such as `>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
    /// What it means, such as `red`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Chart {
    /// A chart of this kind without streams.
    #[must_use]
    pub fn new(kind: ChartKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), ..Self::default() }
    }

    /// A chart with lines, without streams.
    #[must_use]
    pub fn line(name: impl Into<String>) -> Self {
        Self::new(ChartKind::Line, name)
    }

    /// A chart with areas on top of each other, without streams.
    #[must_use]
    pub fn stacked(name: impl Into<String>) -> Self {
        Self::new(ChartKind::Stacked, name)
    }

    /// The last average of a metric over all sources, as a number.
    #[must_use]
    pub fn bignumber(name: impl Into<String>, metric: impl Into<String>) -> Self {
        let stream = Stream::metric(metric).group_function("average").summary_function("average");
        let chart = Self::new(ChartKind::Bignumber, name).stream(stream);
        Self { use_last_value: Some(true), ..chart }
    }

    /// Adds a stream.
    #[must_use]
    pub fn stream(mut self, stream: Stream) -> Self {
        self.streams.push(stream);
        self
    }
}

/// The charts of a space; see [`Client::charts`].
#[derive(Debug)]
pub struct Charts<'a> {
    client: &'a Client,
    space: Id,
}

impl Client {
    /// The charts of a space.
    #[must_use]
    pub fn charts(&self, space: impl Into<Id>) -> Charts<'_> {
        Charts { client: self, space: space.into() }
    }
}

impl Charts<'_> {
    /// All charts of the space.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// for chart in client.charts(129).list()? {
    ///     println!("{}: {} streams", chart.name, chart.streams.len());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such space, or the server does not answer.
    pub fn list(&self) -> Result<Vec<Chart>, Error> {
        let request = Request::get(&["spaces", &self.space.to_string(), "charts"])?;
        self.client.call(&request)?.decode()
    }

    /// A chart.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn get(&self, id: &Id) -> Result<Chart, Error> {
        let (space, id) = (self.space.to_string(), id.to_string());
        self.client.call(&Request::get(&["spaces", &space, "charts", &id])?)?.decode()
    }

    /// The chart with this name, in whatever case, if there is one.
    ///
    /// # Errors
    /// If there is no such space, or the server does not answer.
    pub fn find(&self, name: &str) -> Result<Option<Chart>, Error> {
        let is_it = |chart: &Chart| chart.name.to_lowercase() == name.to_lowercase();
        let Some(id) = self.list()?.into_iter().find(is_it).and_then(|chart| chart.id) else {
            return Ok(None);
        };
        self.get(&id).map(Some)
    }

    /// Adds a chart to the space. Returns it with its identifier.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Chart, Client, Credentials, Stream};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let chart = Chart::line("CPU").stream(Stream::metric("cpu.user").source("web*"));
    /// client.charts(129).create(&chart)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the server rejects the chart or does not answer.
    pub fn create(&self, chart: &Chart) -> Result<Chart, Error> {
        let request = Request::create(&["spaces", &self.space.to_string(), "charts"])?;
        self.client.call(&request.with_body(chart)?)?.decode()
    }

    /// Changes a chart, which has an identifier. Everything of it is sent, also what this library does
    /// not know.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, Id};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let mut chart = client.charts(129).get(&Id::from(3_700_969))?;
    /// chart.name = "Temperature".to_owned();
    /// client.charts(129).update(&chart)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If it has no identifier, there is none, or the server does not answer.
    pub fn update(&self, chart: &Chart) -> Result<(), Error> {
        let id = chart.id.as_ref().ok_or(Error::Unsaved("chart"))?.to_string();
        let request = Request::put(&["spaces", &self.space.to_string(), "charts", &id])?;
        self.client.call(&request.with_body(chart)?).map(drop)
    }

    /// Deletes a chart.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn delete(&self, id: &Id) -> Result<(), Error> {
        let (space, id) = (self.space.to_string(), id.to_string());
        self.client.call(&Request::delete(&["spaces", &space, "charts", &id])?).map(drop)
    }
}
