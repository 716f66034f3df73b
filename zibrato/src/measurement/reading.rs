//! A single reading.

use super::{Kind, Level, Name, Source, Tags};

/// A single reading, as [`testing::capture`](crate::testing::capture) returns it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Measurement {
    /// The level, which routes it.
    pub level: Level,
    /// The kind.
    pub kind: Kind,
    /// The name.
    pub name: Name,
    /// The value: the increment of a counter, seconds for a timer.
    pub value: f64,
    /// The source.
    pub source: Source,
    /// The tags.
    pub tags: Tags,
}

impl Measurement {
    pub(crate) fn new(
        level: Level,
        kind: Kind,
        name: Name,
        value: f64,
        source: Source,
        tags: Tags,
    ) -> Self {
        Self { level, kind, name, value, source, tags }
    }
}
