//! MetricsD: counters, gauges, histograms, meters and timers in binary packets over UDP.
//!
//! ```text
//! packet ─▶ decode ─▶ series: apply to a metric      (metrics, ewma, reservoir: its statistics)
//!                       └─ every interval (handlers) ─▶ a gauge for each statistic
//! ```

mod decode;
#[cfg(test)]
mod encode;
mod ewma;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod handlers;
mod metrics;
mod reservoir;
mod series;
#[cfg(test)]
mod vectors;
