//! How a point gathers.

use crate::measurement::Kind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Counter,
    Gauge,
    /// A gauge that keeps every reading.
    Each,
    /// A gauge that goes up and down by one.
    InFlight,
    Timer,
    /// A timer that times one call in so many, and counts all.
    Sampled(u32),
}

impl Shape {
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Counter => Kind::Counter,
            Self::Gauge | Self::Each | Self::InFlight => Kind::Gauge,
            Self::Timer | Self::Sampled(_) => Kind::Timer,
        }
    }

    /// The plain one of a kind.
    pub(crate) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Counter | Kind::Set => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::Timer => Self::Timer,
        }
    }
}
