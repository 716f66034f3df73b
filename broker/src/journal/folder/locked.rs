//! The open and locked folder of the journal, and whether its path still leads to it.
//!
//! A folder can be deleted, moved or unmounted while a broker runs, and its open files can still be
//! written. But acknowledged batches must exist under the folder's path. So all writes go through the
//! descriptor of the folder, and each acknowledgement is preceded by a check that the path leads to it.

use crate::journal::error::JournalError;
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file that a broker locks as long as it uses the journal.
const LOCK_FILE: &str = "lock";

/// The permissions of the files of a journal.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Device and inode of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(found: &Stat) -> Self {
        Self { device: found.st_dev, inode: found.st_ino }
    }
}

/// A locked folder. As long as this exists, no other broker writes to the folder.
#[derive(Debug)]
pub(crate) struct LockedFolder {
    path: PathBuf,
    /// The same path without symbolic links.
    real: PathBuf,
    /// Locked until it is closed, if its file system can lock folders.
    folder: OwnedFd,
    identity: Identity,
    /// The locked file in it. If it is deleted, it is created again.
    lock: Mutex<File>,
}

/// The current location of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// At its path.
    InPlace,
    /// Nowhere: it was deleted.
    Deleted,
    /// Elsewhere, or unreachable; the text says what is at its path.
    Elsewhere(String),
}

impl LockedFolder {
    /// Opens and locks an existing folder.
    ///
    /// # Errors
    /// [`JournalError`] when it cannot be used, or another broker uses it.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let unusable = || JournalError::unusable(path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let folder = folder.map_err(io::Error::from).map_err(unusable())?;
        let in_use = || JournalError::InUse { path: path.to_owned(), by: user_of(path) };
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(in_use()),
            // Some network file systems lock files only.
            Err(error) => tracing::debug!(event = "folder_not_locked", %error),
        }
        let lock = take_lock(&folder)
            .map_err(JournalError::unusable(&path.join(LOCK_FILE)))?
            .ok_or_else(in_use)?;
        let found = rustix::fs::fstat(&folder).map_err(io::Error::from).map_err(unusable())?;
        let identity = Identity::of(&found);
        let real = fs::canonicalize(path).map_err(unusable())?;
        Ok(Self { path: path.to_owned(), real, folder, identity, lock: Mutex::new(lock) })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the folder is now.
    pub(crate) fn location(&self) -> Location {
        let at_path = rustix::fs::stat(&self.path);
        match at_path {
            Ok(found) if Identity::of(&found) == self.identity => return Location::InPlace,
            _ => {}
        }
        let link = fs::read_link(format!("/proc/self/fd/{}", self.folder.as_raw_fd()));
        let now_at = link.unwrap_or_default();
        // Some file systems keep no link count for folders.
        let is_deleted = rustix::fs::fstat(&self.folder).is_ok_and(|found| found.st_nlink == 0)
            || now_at.to_string_lossy().ends_with(" (deleted)");
        if is_deleted {
            return Location::Deleted;
        }
        let moved = rustix::fs::stat(&now_at).is_ok_and(|at| Identity::of(&at) == self.identity);
        Location::Elsewhere(match at_path {
            _ if moved => format!("it was moved to {}", now_at.display()),
            Ok(found) if FileType::from_raw_mode(found.st_mode).is_dir() => {
                "another folder is in its place, or its disk was unmounted".to_owned()
            }
            Ok(_) => "a file is in its place".to_owned(),
            Err(Errno::NOENT) => "it is not there; its disk may have been unmounted".to_owned(),
            Err(error) => io::Error::from(error).to_string(),
        })
    }

    /// Creates a deleted folder again, or uses the empty one that took its place.
    ///
    /// # Errors
    /// The reason, if its parent was deleted too or is on another disk, or something else is in its
    /// place.
    pub(crate) fn recreate(&self) -> Result<Self, String> {
        let parent = self.real.parent().unwrap_or(&self.real);
        let shown = parent.display();
        let found = rustix::fs::stat(parent)
            .map_err(|error| format!("it was deleted, and so was {shown} ({error})"))?;
        // If its disk was unmounted, the journal must not be written to the disk below.
        if found.st_dev != self.identity.device {
            return Err(format!("it was deleted, and {shown} is on another disk now"));
        }
        let again =
            |error: io::Error| format!("it was deleted and cannot be created again: {error}");
        match DirBuilder::new().mode(0o700).create(&self.real) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(again(error)),
            _ => {}
        }
        let new = Self::open(&self.path).map_err(|error| error.to_string())?;
        if new.identity.device != self.identity.device {
            return Err("it was deleted, and another disk is mounted in its place".to_owned());
        }
        Ok(new)
    }

    /// Locks the lock file again if it was deleted or replaced; `false` if another broker has locked it
    /// meanwhile.
    ///
    /// # Errors
    /// When it cannot be checked or created.
    pub(crate) fn keep_lock(&self) -> io::Result<bool> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let held = Identity::of(&rustix::fs::fstat(&*lock)?);
        if self.identity_of(LOCK_FILE)? == Some(held) {
            return Ok(true);
        }
        let Some(new) = take_lock(&self.folder)? else { return Ok(false) };
        *lock = new;
        tracing::warn!(
            event = "journal_lock_restored",
            journal = %self.path.display(),
            why = "the file `lock` was deleted; the folder itself is still locked"
        );
        Ok(true)
    }

    /// The identity of a file in the folder; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be checked.
    pub(crate) fn identity_of(&self, name: &str) -> io::Result<Option<Identity>> {
        Ok(self.stat(name)?.map(|found| Identity::of(&found)))
    }

    /// The size of a file in the folder, in bytes; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be checked.
    pub(crate) fn bytes_of(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(self.stat(name)?.map(|found| u64::try_from(found.st_size).unwrap_or_default()))
    }

    /// Whether a file in the folder is this open file and has at least this many bytes; `None` if
    /// there is no such file, or it is another one.
    ///
    /// # Errors
    /// When it cannot be checked.
    pub(crate) fn holds(&self, name: &str, file: &File, bytes: u64) -> io::Result<Option<bool>> {
        let Some(found) = self.stat(name)? else { return Ok(None) };
        let open = rustix::fs::fstat(file)?;
        let is_it = Identity::of(&found) == Identity::of(&open);
        Ok(is_it.then(|| u64::try_from(open.st_size).unwrap_or_default() >= bytes))
    }

    fn stat(&self, name: &str) -> io::Result<Option<Stat>> {
        // A segment that was moved to another disk is a symbolic link.
        match rustix::fs::statat(&self.folder, name, AtFlags::empty()) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file in the folder for reading and writing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open_file(&self, name: &str, create: OFlags) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | create;
        Ok(rustix::fs::openat(&self.folder, name, flags, MODE)?.into())
    }

    /// Renames a file in the folder; `false` if there is none.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<bool> {
        missing_is_false(rustix::fs::renameat(&self.folder, from, &self.folder, to))
    }

    /// Deletes a file in the folder; `false` if there is none.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub(crate) fn delete(&self, name: &str) -> io::Result<bool> {
        missing_is_false(rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()))
    }

    /// Replaces a file atomically, even if the machine fails meanwhile.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = self.write_new(name, content)?;
        self.rename(&new, name)?;
        self.sync()
    }

    /// Writes a file that will replace another, in the same folder; returns its name.
    ///
    /// # Errors
    /// When it cannot be written. The old file is then unchanged, and the new one deleted.
    pub(crate) fn write_new(&self, name: &str, content: &[u8]) -> io::Result<String> {
        let new = format!("{name}.new");
        let mut file = self.open_file(&new, OFlags::CREATE | OFlags::TRUNC)?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // The incomplete file would use disk space, which may be short already.
            let deleted = self.delete(&new);
            tracing::debug!(event = "unfinished_deleted", ok = deleted.is_ok());
            return Err(error);
        }
        Ok(new)
    }

    /// Makes renamed, created and deleted names durable.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.folder)?)
    }

    /// The size and free space of its disk.
    ///
    /// # Errors
    /// When they are unknown.
    pub(crate) fn disk(&self) -> io::Result<rustix::fs::StatVfs> {
        Ok(rustix::fs::fstatvfs(&self.folder)?)
    }
}

fn missing_is_false(done: rustix::io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Locks the lock file of a folder; `None` if another broker has locked it.
fn take_lock(folder: &OwnedFd) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, LOCK_FILE, flags, MODE)?);
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // The process id is for display only, so a full disk does not prevent the start.
            let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            tracing::debug!(event = "journal_locked", pid_written = written.is_ok());
            Ok(Some(file))
        }
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The process that uses a folder, according to its lock file.
fn user_of(path: &Path) -> String {
    let mut by = String::new();
    let read =
        File::open(path.join(LOCK_FILE)).and_then(|file| file.take(20).read_to_string(&mut by));
    let known = read.is_ok() && by.parse::<u32>().is_ok();
    if known { format!(", process {by}") } else { String::new() }
}

/// Whether a broker uses the journal in a folder now.
pub(crate) fn is_in_use(path: &Path) -> bool {
    let is_locked = |path: &Path| {
        let Ok(file) = File::open(path) else { return false };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
    };
    // Earlier versions lock only the file, and a file can be deleted.
    is_locked(path) || is_locked(&path.join(LOCK_FILE))
}
