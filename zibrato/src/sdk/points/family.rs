//! Call sites with tags whose values are known only at the call.
//!
//! Such a tag has a bounded number of values. The call site is a family of sites, one for each
//! value, which are made at its first use. From then on a call costs what a site costs, and an
//! index into a table.

use super::site::Site;
use super::tags::{Choice, MAX_TAGS, Tags, Values, expect_valid};
use crate::measurement::check_name;
use once_cell::race::OnceBox;
use std::ptr;

/// Gives back the value of a tag. Whether it can be one, [`Family::at`] asks, so that the compiler
/// complains once.
#[doc(hidden)]
#[inline]
pub const fn tag<T>(value: &T) -> &T {
    value
}

/// A call site for each value that its tags can have.
#[doc(hidden)]
#[derive(Debug)]
pub struct Family {
    /// What all of them are like; itself for what has no index.
    like: Site,
    keys: &'static [&'static str],
    tables: OnceBox<Table>,
}

/// The sites for the values of one combination of types: a place in a generic function may meet
/// several.
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
    pub const fn new(like: Site, keys: &'static [&'static str]) -> Self {
        assert!(like.tags().len() + keys.len() <= MAX_TAGS, "a series has at most 50 tags");
        let mut i = 0;
        while i < keys.len() {
            expect_valid(check_name(keys[i]));
            i += 1;
        }
        Self { like, keys, tables: OnceBox::new() }
    }

    /// The site for these values.
    #[inline]
    pub fn at<C: Choice>(&'static self, choice: C) -> &'static Site {
        const { C::CHECKED };
        match self.tables.get() {
            Some(table) if ptr::eq(table.values, C::VALUES) => {
                table.sites.get(choice.index()).unwrap_or(&self.like)
            }
            _ => self.at_slowly(C::VALUES, choice.index()),
        }
    }

    #[cold]
    fn at_slowly(&'static self, values: Values, index: usize) -> &'static Site {
        let mut slot = &self.tables;
        loop {
            // Equal values may stand at two addresses. Then there are two tables, whose readings
            // meet in the batch.
            let table = match slot.get() {
                Some(table) => table,
                None => slot.get_or_init(|| Box::new(self.table(values))),
            };
            if ptr::eq(table.values, values) {
                return table.sites.get(index).unwrap_or(&self.like);
            }
            slot = &table.next;
        }
    }

    fn table(&self, values: Values) -> Table {
        let combinations = values.iter().map(|of_tag| of_tag.len()).product();
        let site = |index| self.like.with_tags(self.tags(values, index));
        Table { values, sites: (0..combinations).map(site).collect(), next: OnceBox::new() }
    }

    /// The tags of one combination. They are made once for each site, and there as long as it.
    fn tags(&self, values: Values, index: usize) -> Tags {
        let mut tags = self.like.tags().to_vec();
        let mut rest = index;
        for (key, of_tag) in self.keys.iter().zip(values).rev() {
            tags.push((key, of_tag[rest % of_tag.len()]));
            rest /= of_tag.len();
        }
        tags.sort_unstable();
        tags.leak()
    }
}
