//! Why a batch, or one of its entries, was rejected.

use crate::measurement::{AnnotationError, TextProblem};
use crate::wire::msgpack::Malformed;

/// Why the whole body of a batch was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// It is not MessagePack of the expected structure.
    #[error("the body of the batch is not valid MessagePack of the expected structure")]
    Malformed,
    /// The map lacks a key.
    #[error("the body of the batch lacks the key {key:?}")]
    Missing {
        /// The key that is missing.
        key: &'static str,
    },
    /// The source is invalid.
    #[error("the source of the batch {0}")]
    Source(TextProblem),
}

impl From<Malformed> for BatchError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Why an entry was rejected. Only [`Malformed`](Self::Malformed) affects other entries of the
/// batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// A part of an annotation is invalid.
    #[error("{0}")]
    Annotation(AnnotationError),
    /// The parts of the value contradict each other.
    #[error("the parts of the value contradict each other")]
    Inconsistent,
    /// The kind is unknown.
    #[error("the kind is not a, c, g, h, s or t")]
    Kind,
    /// The entry is not MessagePack of the expected structure. If `lost` is above 1, the rest of
    /// the batch could not be read either.
    #[error("not valid MessagePack of the expected structure; {lost} entries lost")]
    Malformed {
        /// Number of lost entries, including this one.
        lost: u32,
    },
    /// The member of a set is invalid.
    #[error("a member of the set {0}")]
    Member(TextProblem),
    /// The map lacks a key.
    #[error("the entry lacks the key {key:?}")]
    Missing {
        /// The key that is missing.
        key: &'static str,
    },
    /// The name is invalid.
    #[error("the name {0}")]
    Name(TextProblem),
    /// A number is NaN or infinite.
    #[error("a number is NaN or infinite")]
    NotFinite,
    /// A tag or its value is invalid.
    #[error("a tag {0}")]
    Tag(TextProblem),
    /// It has more than 50 tags.
    #[error("more than 50 tags")]
    TooManyTags,
    /// The unit of a histogram is invalid.
    #[error("the unit {0}")]
    Unit(TextProblem),
}

impl EntryError {
    /// The reason as a constant word, the label of counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Annotation(_) => "annotation",
            Self::Inconsistent | Self::NotFinite => "value",
            Self::Kind => "kind",
            Self::Malformed { .. } | Self::Missing { .. } => "malformed",
            Self::Member(_) => "member",
            Self::Name(_) => "name",
            Self::Tag(_) | Self::TooManyTags => "tags",
            Self::Unit(_) => "unit",
        }
    }

    /// Number of entries lost because of it.
    #[must_use]
    pub const fn lost(&self) -> u32 {
        match self {
            Self::Malformed { lost } => *lost,
            _ => 1,
        }
    }
}

impl From<AnnotationError> for EntryError {
    fn from(error: AnnotationError) -> Self {
        Self::Annotation(error)
    }
}

impl From<Malformed> for EntryError {
    fn from(_: Malformed) -> Self {
        Self::Malformed { lost: 1 }
    }
}
