//! The instrument inside an application: call sites and handles fill cells, one thread sends them.
//!
//! A call site is a `static` with a cell of its own; a name known only at run time has a cell in
//! its instrument's registry. The sender empties the cells every interval, so that what is
//! measured while the broker is away waits in cells that exist anyway: memory does not grow, and
//! the first batch after the outage carries all of it.

mod account;
mod amount;
mod batches;
mod blocks;
mod books;
mod builder;
mod capture;
mod cell;
mod counter_cell;
mod demand;
mod gauge_cell;
mod grid;
mod guard;
mod handle;
mod handles;
mod instrument;
mod kept;
mod ledger;
mod link;
mod local;
mod names;
mod orders;
mod outcome;
mod owner;
mod patience;
mod point;
mod process;
mod run_names;
#[doc(hidden)]
pub mod scope;
mod sender;
mod site;
mod sync;
mod table;
mod tags;
mod thread;
mod ticks;
mod timer_cell;
mod timer_sums;
mod timer_totals;

pub use amount::Amount;
pub use builder::{Builder, InstallError};
pub use capture::{Attached, Capture, Captured, capture};
pub use guard::{CountMe, InFlight, TimeMe};
pub use handle::{Guard, Zibrato, installed};
pub use handles::{CounterHandle, GaugeHandle, TimerGuard, TimerHandle};
pub use ledger::{Loss, Stats};
pub use outcome::Outcome;
pub use run_names::{OVERFLOW_NAME, name, named, nowhere};
pub use site::{Place, Site, count, gauge, in_flight, is_measured, time, timed};
pub use tags::{Choice, Family, TagValue, tag};

#[cfg(test)]
mod tests;
