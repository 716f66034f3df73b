//! A single reading.

use super::{Kind, Level, Name, Source, Tags, Unit};

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
    /// The value: the increment of a counter, seconds for a timer, the unit's for a histogram.
    pub value: f64,
    /// The source.
    pub source: Source,
    /// The tags.
    pub tags: Tags,
    /// The unit of a histogram that has one.
    pub unit: Option<Unit>,
}
