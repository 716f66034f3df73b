//! A single reading, and a single annotation.

use super::{Annotation, Kind, Level, Name, Source, Tags, Unit};

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

/// An annotation with its level and source, as [`Capture::annotations`] returns it.
///
/// [`Capture::annotations`]: crate::testing::Capture::annotations
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedAnnotation {
    /// The level, which routes it.
    pub level: Level,
    /// The source.
    pub source: Source,
    /// The annotation.
    pub annotation: Annotation,
}
