//! What is noteworthy about a file that is used nevertheless.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Maximum number of lines of one file that are noted as invalid.
const MAX_LINES_NOTED: usize = 10;

/// Something about a file that does not prevent its use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::intake) enum Warning {
    /// A line is skipped.
    #[error("{}: line {line}: {error}", path.display())]
    InvalidLine { path: PathBuf, line: usize, error: String },
    /// More lines are skipped than are shown.
    #[error("{}: more lines are invalid", path.display())]
    MoreLines { path: PathBuf },
    /// Others can read the passwords.
    #[error("{}: all users of this machine can read it; run {fix}", path.display())]
    Readable { path: PathBuf, fix: String },
}

impl Warning {
    /// Writes it to the log.
    pub(in crate::intake) fn log(&self) {
        match self {
            Self::InvalidLine { path, line, error } => {
                let file = path.display();
                tracing::warn!(event = "invalid_line", %file, line, error);
            }
            Self::MoreLines { path } => {
                let (file, why) = (path.display(), "it has more of them");
                tracing::warn!(event = "invalid_lines", %file, why);
            }
            Self::Readable { path, fix } => {
                let (file, why) = (path.display(), "all users of this machine can read it");
                tracing::warn!(event = "passwords_readable", %file, why, fix);
            }
        }
    }
}

/// Notes the first invalid lines of a file.
pub(in crate::intake) struct InvalidLines<'a> {
    path: &'a Path,
    pub(in crate::intake) warnings: Vec<Warning>,
}

impl<'a> InvalidLines<'a> {
    pub(in crate::intake) const fn of(path: &'a Path) -> Self {
        Self { path, warnings: Vec::new() }
    }

    pub(in crate::intake) fn add(&mut self, line: usize, error: impl Display) {
        let (path, noted) = (self.path.to_path_buf(), self.warnings.len());
        if noted < MAX_LINES_NOTED {
            self.warnings.push(Warning::InvalidLine { path, line, error: error.to_string() });
        } else if noted == MAX_LINES_NOTED {
            self.warnings.push(Warning::MoreLines { path });
        }
    }
}
