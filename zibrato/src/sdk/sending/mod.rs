//! Sending: the one thread that collects, and talks to the broker.

mod descriptor_table;
pub(crate) mod error;
mod grid;
pub(crate) mod link;
mod orders;
pub(crate) mod sender;
pub(crate) mod thread;
