//! Application instrumentation that stays switched on.
// The crate documentation is completed with the SDK.

pub mod clock;
#[cfg(feature = "daemon")]
pub mod daemon;
mod measurement;
mod sketch;
#[cfg(feature = "window")]
mod sparkline;
mod summary;
#[cfg(feature = "window")]
pub mod window;
pub mod wire;

// The public interface is:
pub use measurement::{
    DEFAULT_SOURCE, Gauge, Kind, Level, MAX_LEVEL_BYTES, MAX_NAME_BYTES, Name, Source, TextError,
    TextProblem, check_level, check_name,
};
pub use sketch::Sketch;
pub use summary::Summary;
