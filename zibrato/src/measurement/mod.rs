//! The parts of a measurement: kind, level, name and source; and the summary of a gauge.

mod finite;
mod gauge;
mod kind;
#[cfg(feature = "sdk")]
mod reading;
#[cfg(feature = "sdk")]
mod tags;
mod text;

pub(crate) use finite::sum as finite_sum;
pub use gauge::Gauge;
pub use kind::Kind;
#[cfg(feature = "sdk")]
pub use reading::Measurement;
#[cfg(feature = "sdk")]
pub use tags::Tags;
pub use text::{
    DEFAULT_SOURCE, Level, MAX_LEVEL_BYTES, MAX_NAME_BYTES, MAX_UNIT_BYTES, Name, Source,
    TextError, TextProblem, Unit, check_level, check_name, check_unit,
};
