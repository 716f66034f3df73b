//! When an alert fires.
//!
//! Pure.

use super::extra::Extra;
use super::id::Id;
use super::lenient::whole;
use super::number::Number;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A condition of an alert. An alert fires if all of them hold.
///
/// ```
/// use zibrato_workers::librato::client::Condition;
/// let hot = Condition::above("temperature", 30).source("attic").duration(300);
/// let cold = Condition::below("temperature", 10).summary_function("min");
/// let silent = Condition::absent("temperature", 600);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Condition {
    /// The identifier that the server gave it. It is not sent back, because the server gives a new
    /// one whenever an alert is changed.
    #[serde(default, skip_serializing)]
    pub id: Option<Id>,
    /// What holds.
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    /// The metric.
    pub metric_name: String,
    /// The source, where `*` stands for any text.
    #[serde(default)]
    pub source: Option<String>,
    /// The series, if the metric has tags.
    #[serde(default, serialize_with = "object_if_empty", deserialize_with = "object_or_list")]
    pub tags: Vec<TagFilter>,
    /// Which number of an interval counts: `average`, `sum`, `count`, `min`, `max` or `derivative`;
    /// for counters `derivative` or `absolute_value`. If there is none, the server chooses.
    #[serde(default)]
    pub summary_function: Option<String>,
    /// The number of seconds for which it must hold, 60 to 3600. If there is none, one reading is
    /// enough.
    #[serde(default, deserialize_with = "whole")]
    pub duration: Option<u64>,
    /// The number to compare with, unless the condition is about absence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Number>,
    /// Whether a counter that begins anew is no change, for `derivative`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect_reset: Option<bool>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ConditionKind {
    /// There are readings above the threshold.
    Above,
    /// There are no readings.
    Absent,
    /// There are readings below the threshold.
    Below,
    /// Something else.
    #[serde(untagged)]
    Other(String),
}

/// Which series with tags are meant, in alerts and charts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TagFilter {
    /// The name of the tag.
    pub name: String,
    /// The values, where `*` stands for any text.
    pub values: Vec<String>,
    /// Whether each value has a series of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grouped: Option<bool>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl TagFilter {
    /// Series whose tag has one of these values.
    #[must_use]
    pub fn new<V: Into<String>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self { name: name.into(), values, ..Self::default() }
    }
}

impl Condition {
    fn new(kind: ConditionKind, metric: String) -> Self {
        Self {
            id: None,
            kind,
            metric_name: metric,
            source: Some("*".to_owned()),
            tags: Vec::new(),
            summary_function: None,
            duration: None,
            threshold: None,
            detect_reset: None,
            extra: Extra::new(),
        }
    }

    /// The average of a reading is above a threshold, at any source.
    #[must_use]
    pub fn above(metric: impl Into<String>, threshold: impl Into<Number>) -> Self {
        let mut condition = Self::new(ConditionKind::Above, metric.into());
        condition.threshold = Some(threshold.into());
        condition.summary_function("average")
    }

    /// The average of a reading is below a threshold, at any source.
    #[must_use]
    pub fn below(metric: impl Into<String>, threshold: impl Into<Number>) -> Self {
        let mut condition = Self::new(ConditionKind::Below, metric.into());
        condition.threshold = Some(threshold.into());
        condition.summary_function("average")
    }

    /// No source that had readings before had any for this number of seconds.
    #[must_use]
    pub fn absent(metric: impl Into<String>, seconds: u64) -> Self {
        Self::new(ConditionKind::Absent, metric.into()).duration(seconds)
    }

    /// Only at this source, where `*` stands for any text.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Only for series with these tags, instead of sources.
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = TagFilter>) -> Self {
        self.tags = tags.into_iter().collect();
        self
    }

    /// Which number of an interval counts; see the [field](Self::summary_function).
    #[must_use]
    pub fn summary_function(mut self, function: impl Into<String>) -> Self {
        self.summary_function = Some(function.into());
        self
    }

    /// The server chooses which number counts: for gauges the average, for counters the derivative.
    #[must_use]
    pub fn without_summary_function(mut self) -> Self {
        self.summary_function = None;
        self
    }

    /// The number of seconds for which it must hold, 60 to 3600.
    #[must_use]
    pub const fn duration(mut self, seconds: u64) -> Self {
        self.duration = Some(seconds);
        self
    }

    /// Whether one reading is enough.
    #[must_use]
    pub fn is_immediate(&self) -> bool {
        self.duration.unwrap_or_default() == 0
    }
}

/// As python-librato writes them: `{}`, or a list.
fn object_if_empty<S: Serializer>(tags: &[TagFilter], serializer: S) -> Result<S::Ok, S::Error> {
    if tags.is_empty() { Extra::new().serialize(serializer) } else { tags.serialize(serializer) }
}

fn object_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TagFilter>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        List(Vec<TagFilter>),
        // With a value, or several, for each name.
        Map(std::collections::BTreeMap<String, Values>),
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Values {
        One(String),
        Several(Vec<String>),
    }
    let filter = |(name, values)| match values {
        Values::One(value) => TagFilter::new(name, [value]),
        Values::Several(values) => TagFilter::new(name, values),
    };
    Ok(match Option::<Given>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Given::List(list)) => list,
        Some(Given::Map(map)) => map.into_iter().map(filter).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Condition, ConditionKind};

    #[test]
    fn a_condition_keeps_what_it_does_not_know() {
        let text = r#"{"type":"above","metric_name":"m","source":null,"tags":[{"name":"a","values":["b"],"grouped":true,"x":1}],"summary_function":"max","duration":60,"threshold":1,"detect_reset":false,"new":[1]}"#;
        let read: Condition = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let other: Condition =
            serde_json::from_str(r#"{"id":7,"type":"odd","metric_name":"m","tags":{"a":"b"}}"#)
                .unwrap();
        assert_eq!(other.kind, ConditionKind::Other("odd".to_owned()));
        assert!(other.is_immediate() && other.tags[0].values == ["b"]);
        assert!(!serde_json::to_string(&other).unwrap().contains('7'));
    }
}
