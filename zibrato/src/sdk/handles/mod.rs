//! Handles and guards: what an application measures with beside plain counts and gauges.

pub(crate) mod guard;
pub(crate) mod handle;
pub(crate) mod outcome;
#[doc(hidden)]
pub mod scope;
