//! Why a journal cannot be used.

use std::io;
use std::path::{Path, PathBuf};
use zibrato::daemon::NoStateFolder;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another broker uses it.
    #[error(
        "the journal in {} is in use by another zibrato-broker{by}; stop that one, or give another \
         folder with --journal, or keep no journal with --no-journal",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process, if it is known.
        by: String,
    },
    /// The folder has no journal.
    #[error("there is no journal in {}; give the folder of one with --journal", .0.display())]
    NoJournal(PathBuf),
    /// A file or folder cannot be read, created or written.
    #[error(
        "the journal in {} cannot be used: {problem}; check its permissions and its disk, or give \
         another folder with --journal, or keep no journal with --no-journal",
        path.display()
    )]
    Unusable {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What the system says.
        problem: io::Error,
    },
    /// There is a file or a dangling link at the path of the folder.
    #[error(
        "the journal needs a folder, but {} is a file or a dangling link; give another folder with \
         --journal, or keep no journal with --no-journal",
        .0.display()
    )]
    NotAFolder(PathBuf),
    /// The default folder cannot be created or written.
    #[error(
        "the journal cannot be written to the default folder {}: {problem}; give a folder with \
         --journal, or set STATE_DIRECTORY or HOME to one that this user can write, or keep no \
         journal with --no-journal",
        path.display()
    )]
    DefaultUnusable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        problem: io::Error,
    },
    /// No default folder is known.
    #[error(
        "there is no folder for the journal: {0}; give one with --journal, or set \
         STATE_DIRECTORY or HOME, or keep no journal with --no-journal"
    )]
    NoPlace(NoStateFolder),
}

impl From<NoStateFolder> for JournalError {
    fn from(error: NoStateFolder) -> Self {
        Self::NoPlace(error)
    }
}

impl JournalError {
    pub(crate) fn unusable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |problem| Self::Unusable { path, problem }
    }
}

/// Whether the disk, or the user's quota of it, is full.
pub(crate) const fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
