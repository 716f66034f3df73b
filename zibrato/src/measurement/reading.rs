//! One reading, as it was made.

use super::{Kind, Level, Name, Source};

/// One reading: what [`testing::capture`](crate::testing::capture) gives back.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Measurement {
    /// Routes it.
    pub level: Level,
    /// What kind of reading it is.
    pub kind: Kind,
    /// What was measured.
    pub name: Name,
    /// The reading: how many for a counter, seconds for a timer.
    pub value: f64,
    /// Who measured.
    pub source: Source,
    /// What else tells the series apart, ascending by tag.
    pub tags: &'static [(&'static str, &'static str)],
}

impl Measurement {
    pub(crate) fn new(
        level: Level,
        kind: Kind,
        name: Name,
        value: f64,
        source: Source,
        tags: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { level, kind, name, value, source, tags }
    }
}
