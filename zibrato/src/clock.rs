//! The wall clock, read in this file and nowhere else; everything else takes times as arguments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The current time, in Unix milliseconds. Zero if the clock shows a time before 1970.
#[must_use]
pub fn unix_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// The current time, in Unix microseconds. Zero if the clock shows a time before 1970.
#[must_use]
pub fn unix_us() -> u64 {
    u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX)
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
