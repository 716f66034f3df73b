//! Why a line is rejected.

use crate::measurement::TextProblem;

/// Why a line was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is not UTF-8.
    #[error("the line is not UTF-8")]
    Encoding,
    /// It does not have six fields.
    #[error("a line has 6 fields, level|mtype|name|value|timestamp|source, this one has {found}")]
    Fields {
        /// The number that was found.
        found: usize,
    },
    /// The mtype is unknown.
    #[error("the mtype is not counter, gauge, histogram, set or timer")]
    Kind,
    /// The level is invalid.
    #[error("the level {0}")]
    Level(TextProblem),
    /// The member of a set is invalid.
    #[error("the member {0}")]
    Member(TextProblem),
    /// The name is invalid.
    #[error("the name {0}")]
    Name(TextProblem),
    /// The source is invalid.
    #[error("the source {0}")]
    Source(TextProblem),
    /// The timestamp is not a number of Unix seconds in the valid range.
    #[error("the timestamp is not a number of Unix seconds")]
    Timestamp,
    /// The value is not a finite decimal number.
    #[error("the value is not a finite decimal number")]
    Value,
}

impl LineError {
    /// The reason as a constant word, the label of counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::Fields { .. } => "fields",
            Self::Kind => "mtype",
            Self::Level(_) => "level",
            Self::Member(_) => "member",
            Self::Name(_) => "name",
            Self::Source(_) => "source",
            Self::Timestamp => "timestamp",
            Self::Value => "value",
        }
    }
}
