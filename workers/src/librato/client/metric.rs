//! Metrics, as the server describes them.
//!
//! Pure.

use super::attributes::Attributes;
use super::extra::Extra;
use super::lenient::{or_default, whole};
use super::number::Number;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<MetricKind>,
    /// The interval between its measurements, in seconds.
    #[serde(deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// How it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
    /// The name that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The expression of a composite metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composite: Option<String>,
    /// The time by which the measurements of a composite metric are late, in seconds.
    #[serde(deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub source_lag: Option<u64>,
    /// The interval of the measurements in this answer, in seconds.
    #[serde(deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub resolution: Option<u64>,
    /// Measurements by source, if they were asked for. Those without a source are under
    /// `unassigned`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub measurements: BTreeMap<String, Vec<Point>>,
    /// Whether there are more measurements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<MetricPart>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a metric is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MetricKind {
    /// Computed from others.
    Composite,
    /// A total that grows.
    Counter,
    /// Readings.
    Gauge,
    /// Something else.
    #[serde(untagged)]
    Other(String),
}

/// A measurement of a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Point {
    /// When it was measured, in Unix seconds.
    pub measure_time: i64,
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
    /// The number of readings in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Number>,
    /// Their sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<Number>,
    /// The smallest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Number>,
    /// The largest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Number>,
    /// The sum of their squares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum_squares: Option<Number>,
    /// The difference to the counter before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<Number>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Whether an answer has all measurements.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MetricPart {
    /// Present if there are more measurements: the `start_time` of the next request, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_time: Option<i64>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Properties of a metric to set. What is not set here is left as it is.
///
/// ```
/// use zibrato_workers::librato::client::MetricProperties;
/// let properties = MetricProperties::new().display_name("Temperature").period(60);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[must_use]
pub struct MetricProperties {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<MetricKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    composite: Option<String>,
    #[serde(flatten)]
    extra: Extra,
}

impl MetricProperties {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the metric is. A metric that does not exist is created if this is set.
    pub fn kind(mut self, kind: MetricKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The name that people see.
    pub fn display_name(mut self, text: impl Into<String>) -> Self {
        self.display_name = Some(text.into());
        self
    }

    /// What the metric means.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// The interval between measurements, in seconds.
    pub const fn period(mut self, seconds: u64) -> Self {
        self.period = Some(seconds);
        self
    }

    /// How the metric is shown.
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = Some(attributes);
        self
    }

    /// The expression of a composite metric.
    pub fn composite(mut self, expression: impl Into<String>) -> Self {
        self.composite = Some(expression.into());
        self
    }

    /// Further fields, sent as they are.
    pub fn extra(mut self, fields: Extra) -> Self {
        self.extra = fields;
        self
    }
}

/// The measurements of an expression over metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Composite {
    /// The expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compose: Option<String>,
    /// The interval of the measurements, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<u64>,
    /// The results of the expression.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<CompositeSeries>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One result of an expression.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CompositeSeries {
    /// Its values.
    pub series: Vec<Point>,
    /// Other fields, such as the metric and the source.
    #[serde(flatten)]
    pub extra: Extra,
}
