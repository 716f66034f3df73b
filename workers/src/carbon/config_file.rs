//! Reads a configuration file of Carbon.

use std::path::Path;
use zibrato::daemon::read_bounded;

/// Maximum size of a file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The text of a file, or why it cannot be read.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let (bytes, _) = read_bounded(path, MAX_BYTES).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "is not a text in UTF-8".to_owned())
}
