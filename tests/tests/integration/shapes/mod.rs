//! Every shape of function exists plain and annotated: both behave the same, and the annotated one
//! records what it should.

// Code that attributes add does not count as a use of an argument.
#![warn(clippy::used_underscore_binding)]

#[macro_use]
mod shape;

mod asynchronous;
mod blocks;
mod boxed_futures;
mod calls;
mod drops;
mod functions;
mod future_types;
mod hidden_types;
mod made_futures;
mod methods;
mod names;
mod open_bounds;
mod outcomes;
mod run_time_names;
mod tags;
mod texts;
mod unwrapped_futures;

pub(crate) use shape::{block_on, observe, once_pending};
