//! What the samples of an interval add up to. Pure: times are arguments.
//!
//! ```text
//! sample ─▶ Table: one slot for each name, kind and tags as received ─▶ Value
//!                                                                      │ once a second
//!                                     Gauges: values that persist ◀────┴──▶ the broker's window
//! ```

mod gauges;
mod readings;
mod series;
mod table;
mod value;

pub(super) use gauges::{Gauges, Restored};
pub(super) use series::{Matching, Named, Series};
pub(super) use table::{Overflow, Refused, Table};
pub(super) use value::Taken;
