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
         directory with --journal, or keep no journal with --no-journal",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, if it is known.
        by: String,
    },
    /// The folder has no journal.
    #[error("there is no journal in {}; give the folder of one with --journal", .0.display())]
    NoJournal(PathBuf),
    /// A file or directory cannot be read, created or written.
    #[error(
        "the journal in {} cannot be used: {source}; check its permissions and its disk, or give \
         another directory with --journal, or keep no journal with --no-journal",
        path.display()
    )]
    Unusable {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is a file or a dangling link at the path of the folder.
    #[error(
        "the journal needs a folder, but {} is a file or a dangling link; give another folder with \
         --journal, or keep no journal with --no-journal",
        .0.display()
    )]
    NotAFolder(PathBuf),
    /// The default directory cannot be created or written.
    #[error(
        "the journal cannot be written to the default directory {}: {source}; give a directory with \
         --journal, or set STATE_DIRECTORY or HOME to one that this user can write, or keep no \
         journal with --no-journal",
        path.display()
    )]
    DefaultUnusable {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No default directory is known.
    #[error(
        "there is no directory for the journal: {0}; give one with --journal, or set \
         STATE_DIRECTORY or HOME, or keep no journal with --no-journal"
    )]
    NoPlace(#[from] NoStateFolder),
}

impl JournalError {
    pub(crate) fn unusable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Unusable { path, source }
    }
}

/// Whether the disk, or the user's quota of it, is full.
pub(crate) const fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
