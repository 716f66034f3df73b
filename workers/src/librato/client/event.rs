//! Annotations, as the server describes them.
//!
//! Pure.

use super::extra::Extra;
use super::id::Id;
use super::measurements::Link;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// A stream of annotations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AnnotationStream {
    /// Its name.
    pub name: String,
    /// The name that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Annotations by source, if they were asked for. Those without a source are under
    /// `unassigned`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "by_source")]
    pub events: BTreeMap<String, Vec<Annotation>>,
    /// Whether there are more annotations, and other fields about the answer.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub query: Extra,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Something that happened: a deployment, an incident, a post.
///
/// ```
/// use zibrato_workers::librato::client::{Annotation, Link};
/// let build = Annotation::new("build 7")
///     .source("ci")
///     .time(1_700_000_000)
///     .until(1_700_000_060)
///     .link(Link::new("build", "https://ci.example.com/7"));
/// assert_eq!(build.title, "build 7");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Annotation {
    /// The identifier, if the server has stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// What happened.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Where it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it began, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<i64>,
    /// When it ended, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<i64>,
    /// Where more is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Annotation {
    /// Something that happens now.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Where it happened. Defaults to none, which the server calls `unassigned`.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// More about it. Defaults to nothing.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// When it began, in Unix seconds. Defaults to the time at which the server receives it.
    #[must_use]
    pub const fn time(mut self, seconds: i64) -> Self {
        self.start_time = Some(seconds);
        self
    }

    /// When it ended, in Unix seconds. Defaults to none: it has no duration.
    #[must_use]
    pub const fn until(mut self, seconds: i64) -> Self {
        self.end_time = Some(seconds);
        self
    }

    /// Adds a link.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }
}

/// Documentation and servers differ: an object, or a list of objects.
fn by_source<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vec<Annotation>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        List(Vec<BTreeMap<String, Vec<Annotation>>>),
        Map(BTreeMap<String, Vec<Annotation>>),
    }
    let all = match Option::<Given>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Given::List(list)) => list,
        Some(Given::Map(map)) => vec![map],
    };
    let mut events: BTreeMap<String, Vec<Annotation>> = BTreeMap::new();
    for (source, more) in all.into_iter().flatten() {
        events.entry(source).or_default().extend(more);
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::AnnotationStream;

    #[test]
    fn events_are_a_list_or_an_object() {
        let read = |events: &str| {
            let text = format!(r#"{{"name":"a","events":{events}}}"#);
            let stream: AnnotationStream = serde_json::from_str(&text).unwrap();
            stream.events.iter().map(|(s, e)| format!("{s}{}", e.len())).collect::<Vec<_>>()
        };
        assert_eq!(read(r#"[{"s":[{"id":1}]},{"s":[{"id":"2"}],"t":[]}]"#), ["s2", "t0"]);
        assert_eq!(read(r#"{"s":[{"id":1,"title":"x"}]}"#), ["s1"]);
        assert_eq!(read("null"), [""; 0]);
    }
}
