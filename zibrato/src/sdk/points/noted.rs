//! The values of tags of one call, kept from its beginning to its end, for several series that have the
//! same tags.

use super::choice::{Choice, Chosen, Values};
use super::family::Family;
use super::key::Key;
use super::measure;
use super::names::Named;
use super::site::Site;
use super::variant::Variant;
use crate::sdk::cells::amount::{Amount, Number};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The values of the tags of one call.
#[doc(hidden)]
#[derive(Debug)]
pub struct CallTags {
    values: Noted,
    /// Number of tags over the result whose values are not known yet.
    missing: usize,
    /// The reading of a histogram.
    reading: Option<Number>,
}

/// What a closure over the result may give as the reading of a histogram: a number, or nothing.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a value of a histogram",
    label = "neither a number nor an `Option` of one"
)]
pub trait Reading {
    /// The number, if there is one.
    #[doc(hidden)]
    fn reading(self) -> Option<Number>;
}

impl<A: Amount> Reading for A {
    #[inline]
    fn reading(self) -> Option<Number> {
        Some(self.number())
    }
}

impl<A: Amount> Reading for Option<A> {
    #[inline]
    fn reading(self) -> Option<Number> {
        Some(self?.number())
    }
}

#[derive(Debug)]
enum Noted {
    /// The index of one of few combinations.
    Few(Values, usize),
    /// Values that a series is looked up by: a key without an origin. In a box, so that a future that
    /// has one is not much larger.
    Key(Box<Key>),
}

/// The series of one call, found when it begins.
#[derive(Debug)]
pub(crate) enum Found {
    Site(&'static Site),
    Named(Arc<Named>),
}

impl CallTags {
    /// The values that are known when the call begins. `late` tags have a value when it ends.
    pub(crate) fn new<C: Choice>(choice: &C, late: usize) -> Self {
        const { C::CHECKED };
        if C::IS_FEW && late == 0 {
            let values = Noted::Few(C::VALUES, choice.index());
            return Self { values, missing: 0, reading: None };
        }
        let mut key = Key::new(0);
        choice.write(&mut key);
        Self { values: Noted::Key(Box::new(key)), missing: late, reading: None }
    }

    pub(crate) const fn is_missing(&self) -> bool {
        self.missing > 0
    }

    /// Calls a closure of the user's with the result. If it panics, that is the value of the tag: the
    /// function has returned already.
    #[inline]
    pub fn look<'a, R: ?Sized, V>(
        &mut self,
        result: &'a R,
        look: impl FnOnce(&'a R) -> V,
    ) -> Option<V> {
        let value = catch_unwind(AssertUnwindSafe(|| look(result))).ok();
        if value.is_none() {
            self.push(|key| key.text("_panicked"));
        }
        value
    }

    /// Adds the value of a tag over the result.
    #[inline]
    pub fn add(&mut self, value: impl Chosen) {
        self.push(|key| value.write(key));
    }

    /// Notes the reading that a closure of the user's takes from the result. If it panics, there is
    /// none: the function has returned already.
    #[inline]
    pub fn read<'a, R: ?Sized, V: Reading>(
        &mut self,
        result: &'a R,
        look: impl FnOnce(&'a R) -> V,
    ) {
        let look = AssertUnwindSafe(|| look(result));
        self.reading = catch_unwind(look).ok().and_then(V::reading);
    }

    /// Notes a reading that is known when the call begins.
    pub(crate) fn give<A: Amount>(&mut self, value: A) {
        self.reading = Some(value.number());
    }

    /// Adds this text as the value of each tag over the result: there is no result.
    pub(crate) fn fill(&mut self, text: &str) {
        while self.missing > 0 {
            self.push(|key| key.text(text));
        }
    }

    #[inline]
    fn push(&mut self, write: impl FnOnce(&mut Key)) {
        self.missing = self.missing.saturating_sub(1);
        if let Noted::Key(key) = &mut self.values {
            write(key);
        }
    }
}

/// Takes what a closure over the result says, for Clippy, which sees it in another place.
#[doc(hidden)]
pub fn looked<V>(_: V) {}

/// The series of a family for the noted values. Each is measured only if the family's level is wanted.
impl Family {
    pub(crate) fn count_noted<A: Amount>(&'static self, tags: &CallTags, amount: A) {
        match &tags.values {
            Noted::Few(values, index) => measure::count(self.site(values, *index), amount),
            Noted::Key(key) => {
                self.look_up(key, |named| measure::count(&**named, amount));
            }
        }
    }

    /// Records the noted reading, if there is one.
    pub(crate) fn histogram_noted(&'static self, tags: &CallTags) {
        let Some(value) = tags.reading else { return };
        match &tags.values {
            Noted::Few(values, index) => measure::histogram(self.site(values, *index), value),
            Noted::Key(key) => {
                self.look_up(key, |named| measure::histogram(&**named, value));
            }
        }
    }

    pub(crate) fn record_noted(&'static self, tags: &CallTags, ticks: i64) {
        match &tags.values {
            Noted::Few(values, index) => measure::record(self.site(values, *index), ticks),
            Noted::Key(key) => {
                self.look_up(key, |named| measure::record(&**named, ticks));
            }
        }
    }

    /// The series, if it is measured.
    pub(crate) fn find_noted(&'static self, tags: &CallTags) -> Option<Found> {
        match &tags.values {
            Noted::Few(values, index) => {
                let site = self.site(values, *index);
                measure::is_measured(site).then_some(Found::Site(site))
            }
            Noted::Key(key) => {
                let named = self.look_up(key, Arc::clone)?;
                measure::is_measured(&*named).then_some(Found::Named(named))
            }
        }
    }

    fn look_up<T>(&'static self, key: &Key, act: impl FnOnce(&Arc<Named>) -> T) -> Option<T> {
        if !self.is_measured() {
            return None;
        }
        let key = key.with_origin(self.origin());
        Variant::of(self.like(), key).with(act)
    }
}

impl Found {
    pub(crate) fn count<A: Amount>(&self, amount: A) {
        match self {
            Self::Site(site) => measure::count(*site, amount),
            Self::Named(named) => measure::count(&**named, amount),
        }
    }

    pub(crate) fn move_in_flight(&self, amount: i64) {
        match self {
            Self::Site(site) => measure::move_in_flight(*site, amount),
            Self::Named(named) => measure::move_in_flight(&**named, amount),
        }
    }
}
