//! The StatsD intake.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod grammar;
mod identity;
mod number;
