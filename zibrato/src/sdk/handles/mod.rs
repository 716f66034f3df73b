//! Guards and handles, by which an application measures scopes and series with names known at run
//! time.
//!
//! Guards measure until they are dropped, by return, `?` or panic. A handle refers to one series,
//! for names known at run time that are measured often.

mod guard;
mod handle;
mod histogram;
mod outcome;
mod running;
#[doc(hidden)]
pub mod scope;

pub use guard::{CountMe, InFlight, TimeMe, in_flight, time, time_chosen, timed};
pub(crate) use handle::Handle;
pub use handle::{CounterHandle, GaugeHandle, TimerGuard, TimerHandle};
pub use histogram::HistogramHandle;
pub use outcome::Outcome;
