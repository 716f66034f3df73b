//! The body of a batch, version 1: MessagePack, written by [`BatchWriter`], read by [`BatchReader`].
//!
//! ```text
//! { "s": source, "t": interval start (unix ms), "l": interval length (ms), "e": [entry, …] }
//!
//! entry    { "k": kind, "n": name, "g": { tag: value, … } if any, … and by kind: }
//! counter    "v": sum
//! gauge      "v": last, "w": its time (unix ms), and unless it is the only reading
//!            "c": count, "s": sum, "m": min, "x": max
//!        or  "r": [time (unix ms), value, …]                every reading
//! set        "u": [member, …]
//! timer      "c": count, "s": sum, "m": min, "x": max, "q": sum of squares,
//!            "d": sum of squared deviations from the mean (old publishers leave it out),
//!            "b": [first bucket, its count, steps to the next bucket, its count, …]
//!        or  "r": [seconds, …]                              every reading
//! histogram  as a timer, in any unit, and "i": unit if it has one
//! annotation "t": title, "w": start (unix ms), and if it has them "y": end (unix ms),
//!            "e": description, "h": [{ "rel": …, "href": …, "label": … if any }, …]
//! ```

mod annotation;
mod error;
mod items;
mod read;
mod write;

pub use crate::measurement::MAX_TAGS;
pub use error::{BatchError, EntryError};
pub use items::{EncodedSummary, Members, Numbers, Readings, Tags};
pub use read::{BatchReader, Entries, Entry, Value};
pub use write::BatchWriter;

#[cfg(test)]
mod tests;
