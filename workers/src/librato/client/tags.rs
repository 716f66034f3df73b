//! Tags of measurements.
//!
//! Pure.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The tags of a measurement: names and values. The API wants names of 1 to 64 characters
/// (`-.:_` and letters and digits) and values of at most 255, and makes both lower-case.
///
/// ```
/// use zibrato_workers::librato::client::Tags;
/// let tags = Tags::from([("region", "eu"), ("service", "app")]);
/// assert_eq!(tags.get("region"), Some("eu"));
/// assert_eq!(tags.with("region", "us").get("region"), Some("us"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// No tags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tag, or replaces its value.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The value of a tag.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// These tags, and those of `other`, which win.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        let mut merged = self.clone();
        merged.0.extend(other.0.clone());
        merged
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Tags {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(tags: I) -> Self {
        Self(tags.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<N: Into<String>, V: Into<String>, const COUNT: usize> From<[(N, V); COUNT]> for Tags {
    fn from(tags: [(N, V); COUNT]) -> Self {
        tags.into_iter().collect()
    }
}
