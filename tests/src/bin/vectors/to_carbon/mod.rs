//! What is written to Carbon, and what Carbon's receivers make of it: kinds that begin with
//! `carbon_`.
//!
//! Zibrato sends to Carbon, and does not receive for it. So the cases about receivers check that
//! everything Zibrato writes is accepted, and that it refuses to write what Carbon does not accept.

pub(crate) mod links;
pub(crate) mod outputs;
mod pickles;
mod points;
pub(crate) mod receivers;
pub(crate) mod relay;
mod sink;
pub(crate) mod tags;
