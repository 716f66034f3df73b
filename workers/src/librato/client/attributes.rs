//! How a metric is shown and summed up.
//!
//! Pure.

use super::extra::Extra;
use super::number::Number;
use serde::{Deserialize, Serialize};

/// Attributes of a metric. A field that is `None` is left as it is.
///
/// ```
/// use zibrato_workers::librato::client::Attributes;
/// let mut attributes = Attributes::default();
/// attributes.color = Some("#52D74C".to_owned());
/// attributes.display_units_short = Some("ms".to_owned());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Attributes {
    /// The color in charts, `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// The largest value of the vertical axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_max: Option<Number>,
    /// The smallest value of the vertical axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_min: Option<Number>,
    /// The unit in words, such as `milliseconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_units_long: Option<String>,
    /// The unit in short, such as `ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_units_short: Option<String>,
    /// Whether charts stack the sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_stacked: Option<bool>,
    /// How readings of an interval become one: `average`, `sum`, `count`, `min` or `max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summarize_function: Option<String>,
    /// Whether the server sums up the readings of each period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<bool>,
    /// Whether charts show where readings are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_detection: Option<bool>,
    /// The `User-Agent` of the client that created the metric. The server sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by_ua: Option<String>,
    /// Other attributes.
    #[serde(flatten)]
    pub extra: Extra,
}
