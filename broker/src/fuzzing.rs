//! What the fuzz targets in `tests/fuzz` call: it is not part of the public interface.

use crate::journal::fuzzing;

pub use fuzzing::{cursors, cursors_seed, journal};

/// Any bytes as a configuration file: read, or refused in words.
///
/// # Panics
/// When it is refused without a word.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Err(why) = zibrato::daemon::check_configuration::<crate::Flags>(text) {
        assert!(!why.is_empty() && !why.contains('\n'), "{why:?}");
    }
}
