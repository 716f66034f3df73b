//! The instrument inside an application: call sites and handles fill cells, and one thread sends
//! their contents.
//!
//! The folders are listed in the order of the data, from the call site to the socket. Each imports
//! only from those listed before it.
//!
//! The sender empties the cells every interval. While the broker is away, measurements accumulate
//! in the cells, which exist anyway: memory does not grow, and the first batch after the outage
//! contains everything.

// In this order.
mod cells;

mod notices;

mod points;

mod handles;

mod collection;

mod sending;

mod process;

pub use cells::amount::Amount;
pub use collection::ledger::Stats;
pub use collection::unreachable::Unreachable;
pub use handles::{
    CountMe, CounterHandle, GaugeHandle, HistogramHandle, InFlight, Outcome, TimeMe, TimerGuard,
    TimerHandle, in_flight, scope, time, time_chosen, timed,
};
pub use points::capture::{
    Attached, Capture, InTask, capture, capture_process, capture_process_within,
};
pub use points::choice::{
    Choice, Chosen, Few, Given, GivenAny, GivenPlain, Plain, PlainText, PlainValue, Shown, TagText,
    tag,
};
pub use points::constant::{Constant, ConstantTag, ConstantText, constant};
pub use points::draft::{Draft, annotates, draft};
pub use points::family::Family;
pub use points::key::{Key, KeyHash};
pub use points::names::OVERFLOW_NAME;
pub use points::noted::{CallTags, Reading, looked};
pub use points::series::{Loss, Shape};
pub use points::site::{Metadata, Site};
pub use points::tags::TagValue;
pub use points::target::{Measures, Target, count, gauge, histogram};
pub use points::texts::{join, joined_length, name, text};
pub use points::variant::Variant;
pub use process::install::{Guard, installed};
pub use process::zibrato::Zibrato;
pub use process::{Builder, InstallError};
pub use sending::error::{BuildError, VariableProblem};

#[cfg(test)]
mod tests;
