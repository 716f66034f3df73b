//! Who may send.

use std::path::PathBuf;

/// Who may send.
#[derive(Debug, Clone)]
pub(super) enum Access {
    /// Everybody on this machine.
    Open,
    /// The users of this file.
    Users(PathBuf),
}
