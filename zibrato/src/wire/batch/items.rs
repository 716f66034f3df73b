//! The items inside an entry, decoded lazily.

use super::error::EntryError;
use crate::measurement::{MAX_TAGS, check_name};
use crate::summary::Summary;
use crate::wire::msgpack::{self as mp, Malformed};

/// An array whose items are decoded lazily.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Flat<'a> {
    rest: &'a [u8],
    pub(super) left: u32,
}

impl<'a> Flat<'a> {
    pub(super) fn read(from: &mut &'a [u8]) -> Result<Self, Malformed> {
        let mut whole = mp::skip(from)?;
        let left = mp::read_array(&mut whole)?;
        Ok(Self { rest: whole, left })
    }

    pub(super) fn next_with<T>(
        &mut self,
        read: impl FnOnce(&mut &'a [u8]) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        self.left = self.left.checked_sub(1).ok_or(Malformed)?;
        read(&mut self.rest)
    }
}

/// Tags and their values, in the order of the entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tags<'a>(Flat<'a>);

impl<'a> Tags<'a> {
    pub(super) fn read(from: &mut &'a [u8]) -> Result<Self, EntryError> {
        let pairs = mp::read_map(from)?;
        if pairs as usize > MAX_TAGS {
            return Err(EntryError::TooManyTags);
        }
        let start = *from;
        for _ in 0..2 * pairs {
            check_name(mp::read_text(from)?).map_err(EntryError::Tag)?;
        }
        Ok(Self(Flat { rest: start, left: pairs }))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.left == 0
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let read = |from: &mut &'a [u8]| Ok((mp::read_text(from)?, mp::read_text(from)?));
        self.0.next_with(read).ok()
    }
}

/// Every reading of a timer, in seconds, or of a histogram, in its unit; all finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers<'a>(Flat<'a>);

impl<'a> Numbers<'a> {
    pub(super) fn check(items: Flat<'a>) -> Result<Self, EntryError> {
        let mut rest = items.clone();
        while rest.left > 0 {
            finite(Some(rest.next_with(mp::read_number)?), "r")?;
        }
        Ok(Self(items))
    }
}

impl Iterator for Numbers<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.0.next_with(mp::read_number).ok()
    }
}

/// Every reading of a gauge: unix milliseconds and value; all finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Readings<'a>(Flat<'a>);

impl<'a> Readings<'a> {
    pub(super) fn check(items: Flat<'a>) -> Result<Self, EntryError> {
        if items.left % 2 == 1 {
            return Err(EntryError::Inconsistent);
        }
        let mut rest = items.clone();
        while rest.left > 0 {
            rest.next_with(mp::read_unsigned)?;
            finite(Some(rest.next_with(mp::read_number)?), "r")?;
        }
        Ok(Self(items))
    }
}

impl Iterator for Readings<'_> {
    type Item = (u64, f64);

    fn next(&mut self) -> Option<Self::Item> {
        let at_ms = self.0.next_with(mp::read_unsigned).ok()?;
        Some((at_ms, self.0.next_with(mp::read_number).ok()?))
    }
}

/// The distinct members of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Members<'a>(Flat<'a>);

impl<'a> Members<'a> {
    pub(super) fn check(items: Flat<'a>) -> Result<Self, EntryError> {
        let mut rest = items.clone();
        while rest.left > 0 {
            check_name(rest.next_with(mp::read_text)?).map_err(EntryError::Member)?;
        }
        Ok(Self(items))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.next_with(mp::read_text).ok()
    }
}

/// A summarized timer, in seconds, or histogram, in its unit, whose sketch is not decoded yet.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EncodedSummary<'a> {
    /// Number of readings; at least one.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The sum of their squares.
    pub sum_squares: f64,
    /// The sum of squared deviations from the mean; `None` if the publisher does not send it.
    pub squared_deviations: Option<f64>,
    pub(super) buckets: Flat<'a>,
}

impl EncodedSummary<'_> {
    /// Adds it to a summary.
    pub fn merge_into(&self, summary: &mut Summary) {
        let Self { count, sum, min, max, sum_squares, .. } = *self;
        let mut exact = Summary::folded(count, sum, min, max, sum_squares);
        if let Some(deviations) = self.squared_deviations {
            exact = exact.with_squared_deviations(deviations);
        }
        summary.merge_exact(&exact);
        for (bucket, count) in self.buckets() {
            summary.sketch_mut().add_to_bucket(bucket, count);
        }
    }

    /// The buckets of its sketch, as [`Sketch::buckets`](crate::Sketch::buckets) gives them.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        let mut rest = self.buckets.clone();
        let mut bucket = 0_i32;
        std::iter::from_fn(move || {
            bucket = bucket.saturating_add(rest.next_with(mp::read_i32).ok()?);
            Some((bucket, rest.next_with(mp::read_unsigned).ok()?))
        })
    }
}

pub(super) fn finite(value: Option<f64>, key: &'static str) -> Result<f64, EntryError> {
    let value = value.ok_or(EntryError::Missing { key })?;
    if value.is_finite() { Ok(value) } else { Err(EntryError::NotFinite) }
}
