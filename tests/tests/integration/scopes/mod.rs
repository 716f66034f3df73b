//! What attributes measure around a call: which series, at which level, for each way to end.

mod asynchronous;
mod outcomes;
mod running;
mod seen;
mod slow;
