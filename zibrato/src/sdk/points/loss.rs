//! Why readings are lost, and how many were.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why readings were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// The flush deadline passed before the broker took them.
    Deadline,
    /// The level or name, known only at run time, is not valid.
    Name,
    /// The number was NaN or infinite.
    NotFinite,
    /// A global allocator counted while the instrument itself allocated.
    Reentrant,
    /// There were more than 100,000 names known only at run time, and more than 1,000 levels and
    /// sources among those beyond the limit.
    TooManyNames,
}

impl Loss {
    const ALL: [Self; 5] =
        [Self::Deadline, Self::Name, Self::NotFinite, Self::Reentrant, Self::TooManyNames];
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "deadline",
            Self::Name => "name",
            Self::NotFinite => "not_finite",
            Self::Reentrant => "reentrant",
            Self::TooManyNames => "too_many_names",
        })
    }
}

/// How many readings were lost, for each reason.
#[derive(Debug, Default)]
pub(crate) struct Losses([AtomicU64; Loss::ALL.len()]);

impl Losses {
    pub(crate) fn add(&self, why: Loss, readings: u64) {
        self.0[why as usize].fetch_add(readings, Ordering::SeqCst);
    }

    /// Every reason that there was, and how many readings it cost.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Loss, u64)> + '_ {
        let all = Loss::ALL.into_iter().zip(&self.0);
        all.map(|(why, lost)| (why, lost.load(Ordering::SeqCst))).filter(|(_, lost)| *lost > 0)
    }
}
