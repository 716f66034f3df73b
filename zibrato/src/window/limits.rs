//! The limits of a window.

/// Upper limit on the number of series of a window, because the index of each is a `u32`.
pub(super) const MOST_SERIES: usize = u32::MAX as usize - 16;

/// Maximum number of octaves in the sketch of one timer or histogram. Real readings do not span more.
pub(super) const MAX_OCTAVES: usize = 64;

/// Maximum average number of octaves, per series that a window may have. Beyond it, each sketch is
/// reduced to [`FEW_OCTAVES`]. Only invalid data is this wide.
pub(super) const MANY_OCTAVES: usize = 2;

/// Number of octaves of a reduced sketch: those of the largest readings.
pub(super) const FEW_OCTAVES: usize = 2;

/// Maximum number of readings that one timer or histogram keeps, and all of a window, which take
/// 32 MiB; see [`Window::keep_readings`](super::Window::keep_readings).
pub(super) const MAX_READINGS: usize = 1_000;
pub(super) const MAX_ALL_READINGS: usize = 4 << 20;

/// Maximum number of seconds of all gauges of a window, which take 96 MiB; see
/// [`Window::keep_gauge_seconds`](super::Window::keep_gauge_seconds).
pub(super) const MAX_ALL_SECONDS: usize = 2 << 20;
