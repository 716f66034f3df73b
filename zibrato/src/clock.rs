//! The wall clock, read in this file and nowhere else; everything else takes times as arguments.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in unix milliseconds. Zero if the clock stands before 1970.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
