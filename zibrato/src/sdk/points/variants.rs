//! Call sites with a part that is known only at the call: the values of tags, or the name.
//!
//! Tags have few values. The call site is a family of sites, one for each combination of values,
//! which are created at its first use. After that, a call costs as much as at a plain site, plus an
//! index into a table. A name is looked up among all names made at run time, and has a site too.

use super::capture;
use super::instrument::installed;
use super::names::{MAX_NAMES, Registry};
use super::series::Loss;
use super::site::Site;
use super::tags::{Choice, MAX_TAGS, Tags, Values, expect_valid};
use crate::measurement::{Name, check_name};
use once_cell::race::OnceBox;
use std::ptr;

/// Returns the value of a tag. [`Family::at`] checks its type, so that the compiler reports an
/// error only once.
#[doc(hidden)]
#[inline]
pub const fn tag<T>(value: &T) -> &T {
    value
}

/// A call site for each combination of values of its tags.
#[doc(hidden)]
#[derive(Debug)]
pub struct Family {
    /// The template of all sites, also used if the index of a value is out of range.
    like: Site,
    keys: &'static [&'static str],
    tables: OnceBox<Table>,
}

/// The sites for the values of one combination of types. In a generic function, one place may have
/// several.
#[derive(Debug)]
struct Table {
    values: Values,
    sites: Box<[Site]>,
    next: OnceBox<Self>,
}

impl Family {
    /// Creates sites like this one, with additional tags for `keys`.
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
            // Equal values may be at two addresses. Then there are two tables, and their readings
            // are merged in the batch.
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

    /// The tags of one combination. They are created once per site, and live as long as the site.
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

/// The names made at run time of all call sites.
pub(crate) static NAMES: Registry<NamedSite> = Registry::new();

#[derive(Debug)]
pub(crate) struct NamedSite {
    like: &'static Site,
    name: &'static str,
    site: Site,
}

/// Returns a name made at run time as a text. If its type is invalid, the compiler reports the
/// error here.
#[doc(hidden)]
#[inline]
pub fn name<T: AsRef<str> + ?Sized>(name: &T) -> &str {
    name.as_ref()
}

/// The site like this one with another name. Beyond the limit it is this site, which then counts
/// for all further names. An invalid name is a counted loss.
#[doc(hidden)]
pub fn named(like: &'static Site, name: &str) -> &'static Site {
    let is_it = |known: &NamedSite| ptr::eq(known.like, like) && known.name == name;
    let make = || {
        Name::new(name).ok()?;
        let name: &'static str = String::leak(name.to_owned());
        Some(NamedSite { like, name, site: like.with_name(name) })
    };
    let why = match NAMES.find_or_make((ptr::from_ref(like), name), is_it, make, MAX_NAMES) {
        Ok(named) => return &named.site,
        Err(Loss::TooManyNames) => match NAMES.overflow(name) {
            Ok(()) => return like,
            Err(why) => why,
        },
        Err(why) => why,
    };
    if let Some(instrument) = installed().filter(|_| !capture::capturing()) {
        instrument.refused.add(why, 1);
    }
    nowhere()
}

/// A site that is never wanted.
#[doc(hidden)]
#[must_use]
pub fn nowhere() -> &'static Site {
    static NOWHERE: Site = Site::unwanted();
    &NOWHERE
}

/// The number of bytes of two texts together.
#[doc(hidden)]
#[must_use]
pub const fn joined_length(first: &str, second: &str) -> usize {
    first.len() + second.len()
}

/// The bytes of two texts, concatenated.
#[doc(hidden)]
#[must_use]
pub const fn join<const LENGTH: usize>(first: &str, second: &str) -> [u8; LENGTH] {
    let (first, second) = (first.as_bytes(), second.as_bytes());
    let mut joined = [0; LENGTH];
    let mut at = 0;
    while at < LENGTH {
        joined[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    joined
}

/// Converts bytes to the text that they are.
#[doc(hidden)]
#[must_use]
pub const fn text(joined: &'static [u8]) -> &'static str {
    match str::from_utf8(joined) {
        Ok(text) => text,
        // Unreachable: concatenated texts are valid UTF-8.
        Err(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::{join, joined_length, text};

    #[test]
    fn two_texts_become_one() {
        static JOINED: [u8; joined_length("größe", ".polls")] = join("größe", ".polls");
        assert_eq!(text(&JOINED), "größe.polls");
    }
}
