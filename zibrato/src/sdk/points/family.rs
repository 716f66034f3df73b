//! Call sites whose name, or whose values of tags, are known only at the call.
//!
//! If the types of all values have few values, there is a site for each combination of values. They are
//! created at the first call; further calls select one by its index. Otherwise the name and the values
//! form the key of a series, which is looked up at each call; see [`cache`](super::cache) and
//! [`names`](super::names).

use super::cache;
use super::choice::{Choice, Values};
use super::key::{KeyHash, after_origin};
use super::measure::{self, slowly};
use super::names::Named;
use super::site::Site;
use super::tags::{FixedTags, MAX_TAGS, expect_valid};
use super::target::Target;
use super::variant::{Like, Variant, Varying, key_of, origin_of};
use crate::measurement::check_name;
use crate::sdk::cells::amount::Amount;
use once_cell::race::OnceBox;
use std::ptr;
use std::sync::Arc;

/// A call site whose series depends on the call.
#[doc(hidden)]
#[derive(Debug)]
pub struct Family {
    varying: Varying,
    tables: OnceBox<Table>,
}

/// The sites for one combination of types. A call site in a generic function can have several of these.
#[derive(Debug)]
struct Table {
    values: Values,
    sites: Box<[Site]>,
    next: OnceBox<Self>,
}

impl Family {
    /// Sites like this one that have, beside its own tags, one for each of `keys`.
    #[must_use]
    #[track_caller]
    pub const fn new(like: Site, keys: &'static [&'static str], max_series: u32) -> Self {
        Self::checked(like, keys, max_series, false)
    }

    /// Like [`new`](Self::new), and with a name that is made at each call.
    #[must_use]
    #[track_caller]
    pub const fn named(like: Site, keys: &'static [&'static str], max_series: u32) -> Self {
        Self::checked(like, keys, max_series, true)
    }

    #[track_caller]
    const fn checked(
        like: Site,
        keys: &'static [&'static str],
        max_series: u32,
        has_name: bool,
    ) -> Self {
        assert!(like.tags().len() + keys.len() <= MAX_TAGS, "a series has at most 50 tags");
        let mut i = 0;
        while i < keys.len() {
            expect_valid(check_name(keys[i]));
            i += 1;
        }
        let varying = Varying { like, keys, max_series, has_name };
        Self { varying, tables: OnceBox::new() }
    }

    /// Whether anybody would take a reading of one of its series.
    #[inline]
    pub fn is_measured(&'static self) -> bool {
        measure::is_measured(&self.varying.like)
    }

    /// Where the series with these values is measured.
    #[inline]
    pub fn at<C: Choice>(&'static self, choice: C) -> Target {
        const { C::CHECKED };
        if C::IS_FEW {
            return Target::Site(self.site(C::VALUES, choice.index()));
        }
        if self.is_measured() {
            Target::Variant(Box::new(self.variant(None, &choice)))
        } else {
            Target::Nowhere
        }
    }

    /// Counts in the series with these values.
    #[inline]
    pub fn count<C: Choice, A: Amount>(&'static self, choice: C, amount: A) {
        const { C::CHECKED };
        if C::IS_FEW {
            measure::count(self.site(C::VALUES, choice.index()), amount);
        } else if self.is_measured() {
            self.with(&choice, |named| measure::count(&**named, amount));
        }
    }

    /// Sets the gauge with these values.
    #[inline]
    pub fn gauge<C: Choice, A: Amount>(&'static self, choice: C, value: A) {
        const { C::CHECKED };
        if C::IS_FEW {
            measure::gauge(self.site(C::VALUES, choice.index()), value);
        } else if self.is_measured() {
            self.with(&choice, |named| measure::gauge(&**named, value));
        }
    }

    /// Records a reading of the histogram with these values.
    #[inline]
    pub fn histogram<C: Choice, A: Amount>(&'static self, choice: C, value: A) {
        const { C::CHECKED };
        if C::IS_FEW {
            measure::histogram(self.site(C::VALUES, choice.index()), value);
        } else if self.is_measured() {
            self.with(&choice, |named| measure::histogram(&**named, value));
        }
    }

    /// Calls `act` with the series with these values.
    #[inline]
    pub(crate) fn with<C: Choice, T>(
        &'static self,
        choice: &C,
        act: impl FnOnce(&Arc<Named>) -> T,
    ) -> Option<T> {
        if !C::IS_PLAIN {
            return self.variant(None, choice).with(act);
        }
        let origin = origin_of(&self.varying.like);
        let is_it = |key: &[u8]| {
            after_origin(key, origin)
                .and_then(|key| choice.after(key))
                .is_some_and(<[u8]>::is_empty)
        };
        let find = || slowly(|| self.variant(None, choice).find());
        cache::with_parts(choice.hash(KeyHash::new(origin)).get(), is_it, find, act)
    }

    /// Where the series with this name and these values is measured. Called only if
    /// [`is_measured`](Self::is_measured).
    #[inline]
    pub fn at_name<C: Choice>(&'static self, name: &str, choice: C) -> Target {
        const { C::CHECKED };
        Target::Variant(Box::new(self.variant(Some(name), &choice)))
    }

    /// What its series are variants of.
    pub(crate) const fn like(&'static self) -> Like {
        Like::Varying(&self.varying)
    }

    #[inline]
    fn variant<C: Choice>(&'static self, name: Option<&str>, choice: &C) -> Variant {
        let mut key = key_of(&self.varying.like);
        if let Some(name) = name {
            key.text(name);
        }
        choice.write(&mut key);
        Variant::of(self.like(), key)
    }

    /// What keys of its series begin with.
    pub(crate) fn origin(&'static self) -> u64 {
        origin_of(&self.varying.like)
    }

    /// The site for these values.
    #[inline]
    pub(crate) fn site(&'static self, values: Values, index: usize) -> &'static Site {
        match self.tables.get() {
            Some(table) if ptr::eq(table.values, values) => {
                table.sites.get(index).unwrap_or(&self.varying.like)
            }
            _ => self.find_site(values, index),
        }
    }

    #[cold]
    fn find_site(&'static self, values: Values, index: usize) -> &'static Site {
        let mut slot = &self.tables;
        loop {
            // Equal values may stand at two addresses. Then there are two tables, whose readings
            // meet in the batch.
            let table = match slot.get() {
                Some(table) => table,
                None => slot.get_or_init(|| Box::new(self.table(values))),
            };
            if ptr::eq(table.values, values) {
                return table.sites.get(index).unwrap_or(&self.varying.like);
            }
            slot = &table.next;
        }
    }

    fn table(&self, values: Values) -> Table {
        let combinations = values.iter().map(|of_tag| of_tag.len()).product();
        let site = |index| self.varying.like.with_tags(self.tags(values, index));
        Table { values, sites: (0..combinations).map(site).collect(), next: OnceBox::new() }
    }

    /// The tags of one combination. They are made once for each site, and there as long as it.
    fn tags(&self, values: Values, index: usize) -> FixedTags {
        let mut tags = self.varying.like.tags().to_vec();
        let mut rest = index;
        for (key, of_tag) in self.varying.keys.iter().zip(values).rev() {
            tags.push((key, of_tag[rest % of_tag.len()]));
            rest /= of_tag.len();
        }
        tags.sort_unstable();
        tags.leak()
    }
}
