//! A stream: what a chart shows of a metric.
//!
//! Pure.

use super::condition::TagFilter;
use super::extra::Extra;
use super::id::Id;
use super::number::Number;
use serde::{Deserialize, Serialize};

/// What a chart shows of a metric or an expression.
///
/// ```
/// use zibrato_workers::librato::client::Stream;
/// let mut stream = Stream::metric("cpu.user").source("web*");
/// stream.color = Some("#52D74C".to_owned());
/// let sum = Stream::composite(r#"sum(s("cpu.user", "*"))"#);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Stream {
    /// The identifier, if the server has stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The source, where `*` stands for any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The series, if the metric has tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<TagFilter>>,
    /// The expression, instead of a metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composite: Option<String>,
    /// The name that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type of the metric, such as `gauge`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How sources become one: `average`, `sum`, `min`, `max` or `breakout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_function: Option<String>,
    /// How readings of an interval become one: `average`, `sum`, `min`, `max` or `count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_function: Option<String>,
    /// An expression over each value, `x`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform_function: Option<String>,
    /// How values become fewer: `average`, `sum`, `min` or `max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downsample_function: Option<String>,
    /// The interval of the values, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<Number>,
    /// Whether it has a vertical axis of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_axis: Option<bool>,
    /// The smallest value of the vertical axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Number>,
    /// The largest value of the vertical axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Number>,
    /// The unit in short, such as `ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_short: Option<String>,
    /// The unit in words, such as `milliseconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_long: Option<String>,
    /// The color, `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Whether it shows where readings are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_detection: Option<bool>,
    /// Its place in the chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Number>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Stream {
    /// A metric, of all sources.
    #[must_use]
    pub fn metric(name: impl Into<String>) -> Self {
        let source = Some("*".to_owned());
        Self { metric: Some(name.into()), source, ..Self::default() }
    }

    /// A metric, of series with these tags.
    #[must_use]
    pub fn tagged(name: impl Into<String>, tags: impl IntoIterator<Item = TagFilter>) -> Self {
        let tags = Some(tags.into_iter().collect());
        Self { metric: Some(name.into()), tags, ..Self::default() }
    }

    /// An expression over metrics.
    #[must_use]
    pub fn composite(expression: impl Into<String>) -> Self {
        Self { composite: Some(expression.into()), ..Self::default() }
    }

    /// Only of this source, where `*` stands for any text.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// How sources become one; see the [field](Self::group_function).
    #[must_use]
    pub fn group_function(mut self, function: impl Into<String>) -> Self {
        self.group_function = Some(function.into());
        self
    }

    /// How readings become one; see the [field](Self::summary_function).
    #[must_use]
    pub fn summary_function(mut self, function: impl Into<String>) -> Self {
        self.summary_function = Some(function.into());
        self
    }
}
