//! Where something is measured, as generated code says it.

use super::measure;
use super::site::Site;
use super::variant::Variant;
use crate::sdk::cells::amount::Amount;

/// Where something is measured: what the compiler sees through where it is a site.
#[doc(hidden)]
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "generated code makes it")]
pub enum Target {
    Site(&'static Site),
    /// In a box, so that a future that has one is not much larger.
    Variant(Box<Variant>),
    /// Nobody would take a reading.
    Nowhere,
}

/// Where something can be measured.
#[doc(hidden)]
pub trait Measures {
    fn count<A: Amount>(&self, amount: A);
    fn gauge<A: Amount>(&self, value: A);
    fn histogram<A: Amount>(&self, value: A);
    /// Whether anybody would take a reading.
    fn is_measured(&self) -> bool;
    /// Records how long something took, in ticks.
    fn record(&self, ticks: i64);
    /// As [`Target`].
    fn target(self) -> Target;
}

impl Measures for &'static Site {
    #[inline]
    fn count<A: Amount>(&self, amount: A) {
        measure::count(*self, amount);
    }

    #[inline]
    fn gauge<A: Amount>(&self, value: A) {
        measure::gauge(*self, value);
    }

    #[inline]
    fn histogram<A: Amount>(&self, value: A) {
        measure::histogram(*self, value);
    }

    #[inline]
    fn is_measured(&self) -> bool {
        measure::is_measured(*self)
    }

    #[inline]
    fn record(&self, ticks: i64) {
        measure::record(*self, ticks);
    }

    #[inline]
    fn target(self) -> Target {
        Target::Site(self)
    }
}

impl Measures for Target {
    #[inline]
    fn count<A: Amount>(&self, amount: A) {
        match self {
            Self::Site(site) => measure::count(*site, amount),
            Self::Variant(variant) => {
                variant.with(|named| measure::count(&**named, amount));
            }
            Self::Nowhere => {}
        }
    }

    #[inline]
    fn gauge<A: Amount>(&self, value: A) {
        match self {
            Self::Site(site) => measure::gauge(*site, value),
            Self::Variant(variant) => {
                variant.with(|named| measure::gauge(&**named, value));
            }
            Self::Nowhere => {}
        }
    }

    #[inline]
    fn histogram<A: Amount>(&self, value: A) {
        match self {
            Self::Site(site) => measure::histogram(*site, value),
            Self::Variant(variant) => {
                variant.with(|named| measure::histogram(&**named, value));
            }
            Self::Nowhere => {}
        }
    }

    #[inline]
    fn is_measured(&self) -> bool {
        match self {
            Self::Site(site) => measure::is_measured(*site),
            // That was asked before there was a key.
            Self::Variant(_) => true,
            Self::Nowhere => false,
        }
    }

    #[inline]
    fn record(&self, ticks: i64) {
        match self {
            Self::Site(site) => measure::record(*site, ticks),
            Self::Variant(variant) => {
                variant.with(|named| measure::record(&**named, ticks));
            }
            Self::Nowhere => {}
        }
    }

    #[inline]
    fn target(self) -> Target {
        self
    }
}

/// Counts at a call site.
#[doc(hidden)]
#[inline]
pub fn count<T: Measures, A: Amount>(target: T, amount: A) {
    target.count(amount);
}

/// Sets a gauge at a call site.
#[doc(hidden)]
#[inline]
pub fn gauge<T: Measures, A: Amount>(target: T, value: A) {
    target.gauge(value);
}

/// Records a reading of a histogram at a call site.
#[doc(hidden)]
#[inline]
pub fn histogram<T: Measures, A: Amount>(target: T, value: A) {
    target.histogram(value);
}
