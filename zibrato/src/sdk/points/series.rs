//! The identity of a series, the way in which its point accumulates readings, and the reasons for
//! lost readings.

use crate::measurement::{Kind, Level, Name, Source, Tags, Unit};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) level: Level,
    pub(crate) source: Source,
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    pub(crate) tags: Tags,
    pub(crate) unit: Option<Unit>,
}

/// How a point accumulates readings.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "generated code creates it")]
pub enum Shape {
    Counter,
    Gauge,
    /// A gauge that keeps every reading.
    Each,
    /// A histogram, and its unit if it has one.
    Histogram(Option<&'static str>),
    /// A gauge that goes up and down by one.
    InFlight,
    Timer,
    /// A timer that counts all calls, and times one in this many, at least 1.
    Sampled(u32),
}

impl Shape {
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Counter => Kind::Counter,
            Self::Gauge | Self::Each | Self::InFlight => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
            Self::Timer | Self::Sampled(_) => Kind::Timer,
        }
    }

    pub(crate) const fn unit(self) -> Option<&'static str> {
        match self {
            Self::Histogram(unit) => unit,
            Self::Counter
            | Self::Gauge
            | Self::Each
            | Self::InFlight
            | Self::Timer
            | Self::Sampled(_) => None,
        }
    }

    /// The default for a kind.
    pub(crate) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Counter | Kind::Set => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::Histogram => Self::Histogram(None),
            Kind::Timer => Self::Timer,
        }
    }
}

/// Why readings were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// The flush deadline passed before the broker received them.
    Deadline,
    /// The level was known only at run time, and is invalid.
    Name,
    /// The number was NaN or infinite.
    NotFinite,
    /// A global allocator counted while the instrument itself allocated.
    Reentrant,
    /// More than 1,024 annotations, or 4 MiB of them, waited for the broker.
    TooManyAnnotations,
    /// There were more than 100,000 names known only at run time, and more than 1,000 levels and
    /// sources among those beyond the limit.
    TooManyNames,
}

impl Loss {
    const ALL: [Self; 6] = [
        Self::Deadline,
        Self::Name,
        Self::NotFinite,
        Self::Reentrant,
        Self::TooManyAnnotations,
        Self::TooManyNames,
    ];
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "deadline",
            Self::Name => "name",
            Self::NotFinite => "not_finite",
            Self::Reentrant => "reentrant",
            Self::TooManyAnnotations => "too_many_annotations",
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

    /// Every reason that occurred, and the number of readings that were lost for it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Loss, u64)> + '_ {
        let all = Loss::ALL.into_iter().zip(&self.0);
        all.map(|(why, lost)| (why, lost.load(Ordering::SeqCst))).filter(|(_, lost)| *lost > 0)
    }
}
