//! Files that are read again when they change.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// Maximum size of a file, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The permission of all users to read a file.
const OTHERS_READ: u32 = 0o004;

/// A file, and the version that was read.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) path: PathBuf,
    version: Option<Version>,
}

/// Differs between two versions of a file, whether it is written in place or replaced.
type Version = [i64; 6];

impl Watched {
    /// A file that was not read yet.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, version: None }
    }

    /// Whether there is another version than the one that was read.
    pub(super) fn has_changed(&self) -> bool {
        self.current() != self.version
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read, or is over 16 MiB. It counts as read nevertheless, until it changes.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        // Before it is read, so that no change after this is missed.
        self.version = self.current();
        let mut text = Vec::new();
        File::open(&self.path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::other("it is over 16 MiB"));
        }
        Ok(text)
    }

    /// How to keep other users of this machine from reading it, if they can.
    pub(super) fn protection(&self) -> Option<String> {
        let is_open = fs::metadata(&self.path).is_ok_and(|file| file.mode() & OTHERS_READ != 0);
        is_open.then(|| format!("chmod o= {}", self.path.display()))
    }

    fn current(&self) -> Option<Version> {
        let file = fs::metadata(&self.path).ok()?;
        let ids = [file.dev().cast_signed(), file.ino().cast_signed(), file.size().cast_signed()];
        let [dev, ino, size] = ids;
        Some([dev, ino, size, file.mtime(), file.mtime_nsec(), file.ctime_nsec()])
    }
}
