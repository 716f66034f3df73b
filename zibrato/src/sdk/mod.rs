//! The instrument inside an application: call sites and handles fill cells, one thread sends them.
//!
//! The folders tell the story from the call site to the socket. Each imports from those above it
//! here, and from none below.
//!
//! The sender empties the cells every interval, so that what is measured while the broker is away
//! waits in cells that exist anyway: memory does not grow, and the first batch after the outage
//! carries all of it.

// In this order.
mod cells;

mod points;

mod handles;

mod collection;

mod sending;

mod process;

pub use cells::amount::Amount;
pub use collection::ledger::Stats;
pub use handles::guard::{CountMe, InFlight, TimeMe, in_flight, time, timed};
pub use handles::handle::{CounterHandle, GaugeHandle, TimerGuard, TimerHandle};
pub use handles::outcome::Outcome;
pub use handles::scope;
pub use points::capture::{Attached, Capture, Captured, capture};
pub use points::family::{Family, tag};
pub use points::loss::Loss;
pub use points::registry::OVERFLOW_NAME;
pub use points::site::{Metadata, Site, count, gauge, is_measured};
pub use points::site_names::{name, named, nowhere};
pub use points::tags::{Choice, TagValue};
pub use process::builder::{Builder, InstallError};
pub use process::install::{Guard, installed};
pub use process::zibrato::Zibrato;
pub use sending::error::BuildError;

#[cfg(test)]
mod tests;
