//! Readings of histograms that are taken from the results of functions.

use super::{CallTags, Ending, Recording, Tagged};
use crate::sdk::cells::amount::Amount;
use crate::sdk::points::noted::Reading;
use crate::sdk::points::target::Measures;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Records what a closure of the user's takes from the result, if anybody would take the reading. If
/// the closure panics, nothing is recorded: the function has returned already.
#[inline]
pub fn record<'a, P: Measures, R: ?Sized, V: Reading>(
    place: P,
    result: &'a R,
    look: impl FnOnce(&'a R) -> V,
) {
    if place.is_measured() {
        let value = catch_unwind(AssertUnwindSafe(|| look(result))).ok().and_then(V::reading);
        if let Some(value) = value {
            place.histogram(value);
        }
    }
}

/// Records the reading that is noted with the tags of a call.
#[derive(Debug)]
pub struct Read(Tagged);

impl Tagged {
    /// The reading is taken from the result.
    #[inline]
    #[must_use]
    pub const fn read(self) -> Read {
        Read(self)
    }

    /// The reading is known when the call begins.
    #[inline]
    #[must_use]
    pub fn given<A: Amount>(mut self, value: A) -> Read {
        if let Some(tags) = self.noted() {
            tags.give(value);
        }
        Read(self)
    }
}

impl Recording for Read {
    #[inline]
    fn tags(&mut self) -> Option<&mut CallTags> {
        self.0.noted()
    }

    fn end(&mut self, ending: Ending) {
        self.0.record_reading(ending);
    }
}
