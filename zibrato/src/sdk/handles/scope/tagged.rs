//! What an attribute whose tags are known only at run time measures of a call, in several series.
//!
//! The values of the tags are noted when the call begins, because the body may move what they are made
//! of. Tags over the result get their values when it ends.

use super::{CallTags, CountsPolls, Ending, Outcomes, Places};
use crate::sdk::cells::amount::Amount;
use crate::sdk::cells::ticks;
use crate::sdk::handles::guard::TimeMe;
use crate::sdk::points::choice::Choice;
use crate::sdk::points::family::Family;
use crate::sdk::points::noted::Found;

/// What else is measured of a call beside its end.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "generated code creates it")]
pub struct More {
    /// Where calls of at least this many seconds are recorded.
    pub slow: Option<(&'static Family, f64)>,
    pub in_flight: Option<&'static Family>,
    pub polls: Option<&'static Family>,
    /// Number of tags over the result.
    pub late: usize,
}

/// The families of one attribute, and the values of the tags of one call.
#[derive(Debug)]
pub struct Tagged {
    outcomes: Outcomes<Family>,
    more: More,
    /// `None` if nobody would take a reading.
    tags: Option<CallTags>,
}

/// Notes the tags of a call that begins.
#[inline]
pub fn tagged<C: Choice>(outcomes: Outcomes<Family>, more: More, choice: C) -> Tagged {
    let Outcomes { ok, err, panic, cancelled } = outcomes;
    let families = [
        ok,
        err,
        panic,
        cancelled,
        more.slow.map(|(family, _)| family),
        more.in_flight,
        more.polls,
    ];
    let is_measured = families.into_iter().flatten().any(Family::is_measured);
    let tags = is_measured.then(|| CallTags::new(&choice, more.late));
    Tagged { outcomes, more, tags }
}

impl Outcomes<Family> {
    /// One family, however the call ends.
    #[inline]
    #[must_use]
    pub const fn every(family: &'static Family) -> Self {
        let family = Some(family);
        Self { ok: family, err: family, panic: family, cancelled: family }
    }

    /// One family for errors and panics.
    #[inline]
    #[must_use]
    pub const fn failures(family: &'static Family) -> Self {
        Self { ok: None, err: Some(family), panic: Some(family), cancelled: None }
    }

    /// A family for results that are not errors.
    #[inline]
    #[must_use]
    pub const fn successes(family: &'static Family) -> Self {
        Self { ok: Some(family), err: None, panic: None, cancelled: None }
    }
}

impl Tagged {
    fn found(&self, family: Option<&'static Family>) -> Option<Found> {
        family?.find_noted(self.tags.as_ref()?)
    }

    /// Counts the call as in flight until the returned value is dropped.
    #[must_use = "the call counts as running until it is dropped"]
    pub fn in_flight(&self) -> TaggedInFlight {
        let found = self.found(self.more.in_flight);
        if let Some(found) = &found {
            found.move_in_flight(1);
        }
        TaggedInFlight(found)
    }

    /// Where polls are counted.
    #[must_use]
    pub fn polls(&self) -> Polls {
        Polls(self.found(self.more.polls))
    }

    /// Counts a call that begins.
    pub fn begin<A: Amount>(&self, amount: A) {
        if let (Some(family), Some(tags)) = (self.outcomes.ok, &self.tags) {
            family.count_noted(tags, amount);
        }
    }

    /// Times a call until the returned value is dropped.
    pub fn time(&self) -> TimeMe {
        let found = self.outcomes.ok.and_then(|family| Some((family, self.found(Some(family))?)));
        TimeMe::found(found)
    }

    /// The tags, if anybody would take a reading.
    #[inline]
    pub(super) fn noted(&mut self) -> Option<&mut CallTags> {
        self.tags.as_mut()
    }

    /// Records the noted reading of a histogram.
    pub(super) fn record_reading(&mut self, ending: Ending) {
        let family = self.outcomes.of(ending);
        if let (Some(family), Some(tags)) = (family, self.ended(ending)) {
            family.histogram_noted(tags);
        }
    }

    /// The tags of a call that ended so, all of which have a value.
    fn ended(&mut self, ending: Ending) -> Option<&CallTags> {
        let tags = self.tags.as_mut()?;
        tags.fill(ending.word());
        Some(tags)
    }
}

impl Places for Tagged {
    fn count<A: Amount>(&mut self, ending: Ending, amount: A) {
        let family = self.outcomes.of(ending);
        if let (Some(family), Some(tags)) = (family, self.ended(ending)) {
            family.count_noted(tags, amount);
        }
    }

    fn record(&mut self, ending: Ending, ticks: i64) {
        let (family, slow) = (self.outcomes.of(ending), self.more.slow);
        let Some(tags) = self.ended(ending) else { return };
        if let Some(family) = family {
            family.record_noted(tags, ticks);
        }
        if let Some((family, seconds)) = slow
            && ticks::seconds(ticks) >= seconds
        {
            family.record_noted(tags, ticks);
        }
    }

    #[inline]
    fn are_measured(&self) -> bool {
        self.tags.is_some()
    }

    #[inline]
    fn tags(&mut self) -> Option<&mut CallTags> {
        self.tags.as_mut().filter(|tags| tags.is_missing())
    }
}

/// Where the polls of a call are counted.
#[derive(Debug)]
pub struct Polls(Option<Found>);

impl CountsPolls for Polls {
    fn count_poll(&self) {
        if let Some(found) = &self.0 {
            found.count(1_u64);
        }
    }
}

/// Counts a call as in flight until it is dropped, in the series of its beginning.
#[derive(Debug)]
#[must_use = "the call counts as running until it is dropped"]
pub struct TaggedInFlight(Option<Found>);

impl Drop for TaggedInFlight {
    fn drop(&mut self) {
        // Even if it is not wanted any more: every increment needs its decrement.
        if let Some(found) = &self.0 {
            found.move_in_flight(-1);
        }
    }
}
