//! Where calls are recorded, depending on how they end.

use super::{CallTags, Ending};
use crate::sdk::cells::amount::Amount;
use crate::sdk::points::measure;
use crate::sdk::points::site::Site;
use crate::sdk::points::target::Measures;

/// A site, or a family of sites, for each ending. Endings that are impossible for the function have none.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "generated code creates it")]
pub struct Outcomes<P: 'static = Site> {
    pub ok: Option<&'static P>,
    pub err: Option<&'static P>,
    pub panic: Option<&'static P>,
    pub cancelled: Option<&'static P>,
}

impl<P> Outcomes<P> {
    /// The place for calls that ended so.
    #[inline]
    pub(super) const fn of(&self, ending: Ending) -> Option<&'static P> {
        match ending {
            Ending::Cancelled => self.cancelled,
            Ending::Err => self.err,
            Ending::Ok => self.ok,
            Ending::Panic => self.panic,
        }
    }
}

/// Where calls are recorded, depending on how they end.
pub trait Places {
    /// Counts a call that ended so.
    fn count<A: Amount>(&mut self, ending: Ending, amount: A);

    /// Records the duration of a call that ended so, in ticks.
    fn record(&mut self, ending: Ending, ticks: i64);

    /// Whether anybody would take a reading of any of them.
    fn are_measured(&self) -> bool;

    /// The tags, if some of them depend on the result.
    #[inline]
    fn tags(&mut self) -> Option<&mut CallTags> {
        None
    }
}

impl Places for Outcomes {
    #[inline]
    fn count<A: Amount>(&mut self, ending: Ending, amount: A) {
        if let Some(site) = self.of(ending) {
            measure::count(site, amount);
        }
    }

    #[inline]
    fn record(&mut self, ending: Ending, ticks: i64) {
        if let Some(site) = self.of(ending) {
            measure::record(site, ticks);
        }
    }

    #[inline]
    fn are_measured(&self) -> bool {
        let sites = [self.ok, self.err, self.panic, self.cancelled];
        sites.into_iter().flatten().any(measure::is_measured)
    }
}

/// One place, for some of the endings.
#[derive(Debug)]
pub struct One<P> {
    place: P,
    ok: bool,
    failed: bool,
    cancelled: bool,
}

impl<P> One<P> {
    #[inline]
    const fn takes(&self, ending: Ending) -> bool {
        match ending {
            Ending::Cancelled => self.cancelled,
            Ending::Err | Ending::Panic => self.failed,
            Ending::Ok => self.ok,
        }
    }
}

impl<P: Measures> Places for One<P> {
    #[inline]
    fn count<A: Amount>(&mut self, ending: Ending, amount: A) {
        if self.takes(ending) {
            self.place.count(amount);
        }
    }

    #[inline]
    fn record(&mut self, ending: Ending, ticks: i64) {
        if self.takes(ending) {
            self.place.record(ticks);
        }
    }

    #[inline]
    fn are_measured(&self) -> bool {
        self.place.is_measured()
    }
}

/// One place, however the call ends.
#[inline]
#[must_use]
pub const fn every<P: Measures>(place: P) -> One<P> {
    One { place, ok: true, failed: true, cancelled: true }
}

/// The same site for errors and panics.
#[inline]
#[must_use]
pub const fn failures<P: Measures>(place: P) -> One<P> {
    One { place, ok: false, failed: true, cancelled: false }
}

/// A site for results that are not errors.
#[inline]
#[must_use]
pub const fn successes<P: Measures>(place: P) -> One<P> {
    One { place, ok: true, failed: false, cancelled: false }
}
