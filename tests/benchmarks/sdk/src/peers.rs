//! The peers: each is set up as its documentation says, with a real exporter.

mod autometrics;
mod cadence;
mod fastrace;
mod metrics;
mod opentelemetry;
mod prometheus;
mod tracing;

use crate::measure::Case;
use std::error::Error;

/// Crates that were considered but are not among the cases, and why.
pub const LEFT_OUT: [(&str, &str); 0] = [];

pub fn cases() -> Result<Vec<Case>, Box<dyn Error>> {
    let mut cases = metrics::cases()?;
    cases.extend(prometheus::cases()?);
    cases.extend(cadence::cases()?);
    cases.extend(opentelemetry::cases());
    cases.extend(autometrics::cases());
    cases.extend(fastrace::cases());
    cases.extend(tracing::cases()?);
    Ok(cases)
}
