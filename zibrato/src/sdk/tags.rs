//! Tags of call sites: what tells a series apart beside its name and source.
//!
//! A tag whose value is known only at the call has a bounded number of values. Its place is a
//! family of sites, one for each value, that are made when the place is first used. From then on a
//! call costs what a site costs, and finding the one at an index.

use super::site::{Site, expect_valid};
use crate::measurement::{TextProblem, check_name};
use once_cell::race::OnceBox;
use std::ptr;

/// Tag and value each, ascending by tag.
pub(crate) type Tags = &'static [(&'static str, &'static str)];

/// The most tags of a series; a reader of batches refuses more.
const MAX_TAGS: usize = 50;

/// The most sites of one family.
const MAX_SITES: usize = 256;

/// A type with few values, each of which has a name: what the value of a tag can be.
///
/// Derive it for an enum without fields. The names are those of the variants in snake case, or as
/// `#[tag(value = "..")]` says. `bool` has it too.
///
/// ```
/// use zibrato::{TagValue, count_me};
///
/// #[derive(TagValue)]
/// enum Method {
///     Get,
///     #[tag(value = "post")]
///     Submit,
/// }
///
/// #[count_me(name = "requests", tags(method = method, region = "eu"))]
/// fn handle(method: &Method) {}
///
/// let capture = zibrato::testing::capture();
/// handle(&Method::Submit);
/// assert_eq!(capture.measurements()[0].tags, [("method", "post"), ("region", "eu")]);
/// assert_eq!(Method::VALUES, ["get", "post"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "the value of a tag has to be one of few: `{Self}` is no `TagValue`",
    label = "no `TagValue`",
    note = "write a literal or a constant in capitals, or a value of an enum that derives \
            `zibrato::TagValue`"
)]
pub trait TagValue {
    /// All the values there are; they are checked as names are, when the program is compiled.
    ///
    /// The values of all tags of one place have at most 256 combinations:
    ///
    /// ```compile_fail,E0080
    /// struct Port(u16);
    ///
    /// impl zibrato::TagValue for Port {
    ///     const VALUES: &'static [&'static str] = &["a"; 257];
    ///     fn index(&self) -> usize {
    ///         self.0.into()
    ///     }
    /// }
    ///
    /// zibrato::count!("info", "packets", tags(port = Port(80)));
    /// ```
    const VALUES: &'static [&'static str];

    /// Which of them it is. One beyond the last is measured without the tags of its place whose
    /// values are known only at the call.
    fn index(&self) -> usize;
}

impl TagValue for bool {
    const VALUES: &'static [&'static str] = &["false", "true"];

    #[inline]
    fn index(&self) -> usize {
        usize::from(*self)
    }
}

impl<T: TagValue + ?Sized> TagValue for &T {
    const VALUES: &'static [&'static str] = T::VALUES;

    #[inline]
    fn index(&self) -> usize {
        T::index(self)
    }
}

/// Checks tags and values as names are checked.
pub(crate) const fn check(tags: Tags) -> Result<(), TextProblem> {
    assert!(tags.len() <= MAX_TAGS, "a series has at most 50 tags");
    let mut i = 0;
    while i < tags.len() {
        let (tag, value) = tags[i];
        if let Err(problem) = check_name(tag) {
            return Err(problem);
        }
        if let Err(problem) = check_name(value) {
            return Err(problem);
        }
        i += 1;
    }
    Ok(())
}

/// The values of each of several tags.
type Values = &'static [&'static [&'static str]];

/// One value for each of several tags.
#[doc(hidden)]
pub trait Choice {
    const VALUES: Values;
    const CHECKED: () = check_values(Self::VALUES);

    /// Which of all combinations it is; the last tag counts fastest.
    fn index(&self) -> usize;
}

macro_rules! choice {
    ($($value:ident),+) => {
        impl<$($value: TagValue),+> Choice for ($(&$value,)+) {
            const VALUES: Values = &[$($value::VALUES),+];

            #[inline]
            #[expect(non_snake_case, reason = "a type and its value have one name")]
            fn index(&self) -> usize {
                let ($($value,)+) = self;
                let mut index = 0_usize;
                $(
                    let next = $value.index();
                    if next >= $value::VALUES.len() {
                        return usize::MAX;
                    }
                    index = index * $value::VALUES.len() + next;
                )+
                index
            }
        }
    };
}

choice!(A);
choice!(A, B);
choice!(A, B, C);
choice!(A, B, C, D);

const fn check_values(values: Values) {
    let mut combinations = 1;
    let mut tag = 0;
    while tag < values.len() {
        combinations *= values[tag].len();
        assert!(
            combinations <= MAX_SITES,
            "the values of these tags have more than 256 combinations"
        );
        let mut i = 0;
        while i < values[tag].len() {
            expect_valid(check_name(values[tag][i]));
            i += 1;
        }
        tag += 1;
    }
}

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
