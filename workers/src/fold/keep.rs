//! What windows keep beyond their sums.
//!
//! Pure.

/// What windows keep beyond their sums, because the backend uses it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keep {
    /// Each reading of timers and histograms.
    pub(crate) readings: bool,
    /// The readings of gauges by their second.
    pub(crate) gauge_seconds: bool,
}
