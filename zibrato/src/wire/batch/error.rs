//! Why a batch or one of its entries was refused.

use crate::measurement::TextProblem;
use crate::wire::msgpack::Malformed;

/// Why the body of a batch was refused as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// It is not MessagePack of the right shape.
    #[error("the body of the batch is not valid MessagePack of the expected structure")]
    Malformed,
    /// The map lacks something.
    #[error("the body of the batch lacks the key {key:?}")]
    Missing {
        /// The key that is missing.
        key: &'static str,
    },
    /// The source may not be.
    #[error("the source of the batch {0}")]
    Source(TextProblem),
}

impl From<Malformed> for BatchError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Why an entry was refused. All but [`Malformed`](Self::Malformed) leave the other entries of the
/// batch alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The parts of the value contradict each other.
    #[error("the parts of the value contradict each other")]
    Inconsistent,
    /// The kind is not known here.
    #[error("the kind is not c, g, s or t")]
    Kind,
    /// The entry is not MessagePack of the right shape; so is, if `lost` is above 1, the rest of
    /// the batch.
    #[error("not valid MessagePack of the expected structure; {lost} entries lost")]
    Malformed {
        /// How many entries are lost, this one included.
        lost: u32,
    },
    /// The member of a set may not be.
    #[error("a member of the set {0}")]
    Member(TextProblem),
    /// The map lacks something.
    #[error("the entry lacks the key {key:?}")]
    Missing {
        /// The key that is missing.
        key: &'static str,
    },
    /// The name may not be.
    #[error("the name {0}")]
    Name(TextProblem),
    /// A number is NaN or infinite.
    #[error("a number is NaN or infinite")]
    NotFinite,
    /// A tag or its value may not be.
    #[error("a tag {0}")]
    Tag(TextProblem),
    /// It has more than 50 tags.
    #[error("more than 50 tags")]
    TooManyTags,
}

impl EntryError {
    /// A constant word for the reason, as counters are labelled with it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Inconsistent | Self::NotFinite => "value",
            Self::Kind => "kind",
            Self::Malformed { .. } | Self::Missing { .. } => "malformed",
            Self::Member(_) => "member",
            Self::Name(_) => "name",
            Self::Tag(_) | Self::TooManyTags => "tags",
        }
    }

    /// How many entries were lost with it.
    #[must_use]
    pub const fn lost(&self) -> u32 {
        match self {
            Self::Malformed { lost } => *lost,
            _ => 1,
        }
    }
}

impl From<Malformed> for EntryError {
    fn from(_: Malformed) -> Self {
        Self::Malformed { lost: 1 }
    }
}
