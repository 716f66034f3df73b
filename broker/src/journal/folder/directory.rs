//! The folder of a journal: its number, its segments, and its recovery when it is missing.

use super::locked::{Location, LockedFolder};
use crate::journal::error::{JournalError, is_full};
use crate::journal::format::record::{MAX_OFFSET, Marker};
use rustix::fs::OFlags;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zibrato::wire::PublisherId;

/// Extension of the names of segments.
const SEGMENT_EXTENSION: &str = "zbj";

/// The file with the number of the journal.
const ID_FILE: &str = "id";

/// Maximum size of a small file, in bytes.
const MAX_SMALL_FILE: u64 = 16 << 20;

/// The folder of a journal. Everything that writes to it shares this.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    id: u64,
    /// The open folder, or why it is missing.
    folder: Mutex<Result<Arc<LockedFolder>, String>>,
    /// How often it was created again.
    recreations: AtomicU64,
}

/// The reason why the folder is missing. It is inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("the journal's folder {} is missing: {why}", path.display())]
pub(crate) struct FolderMissing {
    path: PathBuf,
    why: String,
}

/// Whether an error says that the folder is missing.
pub(crate) fn is_folder_missing(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<FolderMissing>())
}

/// The result of a check of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FolderState {
    /// It is in its place.
    Unchanged,
    /// It was missing, and is back.
    Returned,
    /// It was deleted, and was created again.
    Recreated,
}

/// The file of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentFile {
    /// The offset of its first batch.
    pub(crate) first: u64,
    /// The marker of its records.
    pub(crate) marker: Marker,
    /// Its size, in bytes.
    pub(crate) bytes: u64,
}

impl Directory {
    /// Opens a folder, and creates it if need be.
    ///
    /// # Errors
    /// [`JournalError`] when it cannot be used, or another broker uses it.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        // A program may change its working directory.
        let path = &std::path::absolute(path).map_err(JournalError::unusable(path))?;
        let unusable = || JournalError::unusable(path);
        if let Some(file) = file_in_the_way(path) {
            return Err(JournalError::NotAFolder(file));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable())?;
        let folder = LockedFolder::open(path)?;
        delete_unfinished(path);
        let id = match read_id(path) {
            Some(id) if has_segments(path) => id,
            _ => {
                let id = u64::from_be_bytes(random());
                put_id(&folder, id).map_err(unusable())?;
                id
            }
        };
        let folder = Mutex::new(Ok(Arc::new(folder)));
        Ok(Self { path: path.to_owned(), id, folder, recreations: AtomicU64::new(0) })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the journal.
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    /// The number of times that the folder was created again. After each, its files must be written
    /// again too.
    pub(crate) fn recreations(&self) -> u64 {
        self.recreations.load(Ordering::Acquire)
    }

    fn folder_slot(&self) -> MutexGuard<'_, Result<Arc<LockedFolder>, String>> {
        // It is assigned in one step, so a panic leaves valid data.
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn missing(&self, why: String) -> io::Error {
        io::Error::other(FolderMissing { path: self.path.clone(), why })
    }

    /// The open folder, to write in.
    ///
    /// # Errors
    /// [`FolderMissing`] while it is known to be missing.
    pub(crate) fn folder(&self) -> io::Result<Arc<LockedFolder>> {
        self.folder_slot().clone().map_err(|why| self.missing(why))
    }

    /// Checks that the path still leads to the open folder. Called before anything in it is
    /// acknowledged.
    ///
    /// # Errors
    /// [`FolderMissing`] if it does not.
    pub(crate) fn check_location(&self) -> io::Result<()> {
        match self.folder()?.location() {
            Location::InPlace => Ok(()),
            Location::Deleted => Err(self.missing("it was deleted".to_owned())),
            Location::Elsewhere(why) => Err(self.missing(why)),
        }
    }

    /// Like [`check_location`](Self::check_location), with repairs: a deleted folder is created again. A
    /// missing folder is closed, so that its disk can be unmounted. When it is back and unchanged, it is
    /// used again; `is_ours` returns whether it is unchanged.
    ///
    /// # Errors
    /// [`FolderMissing`] while it is missing.
    pub(crate) fn restore(
        &self,
        is_ours: impl Fn(&LockedFolder) -> bool,
    ) -> io::Result<FolderState> {
        let mut slot = self.folder_slot();
        let folder = match &*slot {
            Ok(folder) => folder,
            Err(why) => match self.reopen(why, is_ours) {
                Ok(folder) => {
                    *slot = Ok(Arc::new(folder));
                    return Ok(FolderState::Returned);
                }
                Err(why) => return Err(self.missing(why)),
            },
        };
        match folder.location() {
            Location::InPlace => Ok(FolderState::Unchanged),
            Location::Deleted => {
                let new = folder.recreate().map_err(|why| self.missing(why))?;
                if has_segments(&self.path) || read_id(&self.path).is_some_and(|id| id != self.id) {
                    let why = "it was deleted, and another journal is in its place";
                    return Err(self.missing(why.to_owned()));
                }
                put_id(&new, self.id)?;
                self.recreations.fetch_add(1, Ordering::Release);
                *slot = Ok(Arc::new(new));
                Ok(FolderState::Recreated)
            }
            Location::Elsewhere(why) => {
                *slot = Err(why.clone());
                Err(self.missing(why))
            }
        }
    }

    /// Opens the folder that is back. `why` is the reason why it was missing.
    fn reopen(
        &self,
        why: &str,
        is_ours: impl Fn(&LockedFolder) -> bool,
    ) -> Result<LockedFolder, String> {
        match read_id(&self.path) {
            None => return Err(why.to_owned()),
            Some(id) if id != self.id => {
                return Err(format!("{why}; another journal is in its place"));
            }
            Some(_) => {}
        }
        let folder = LockedFolder::open(&self.path).map_err(|error| error.to_string())?;
        if is_ours(&folder) {
            return Ok(folder);
        }
        Err(format!("{why}; it is back with other contents: restart this broker to use them"))
    }

    /// Creates an empty segment whose first batch has this offset.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn create_segment(&self, first: u64) -> io::Result<(File, Marker)> {
        let folder = self.folder()?;
        let marker = random();
        let file = folder.open_file(&segment_name(first, marker), OFlags::CREATE | OFlags::EXCL)?;
        folder.sync()?;
        Ok((file, marker))
    }

    /// Opens a segment for writing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open_segment(&self, first: u64, marker: Marker) -> io::Result<File> {
        self.folder()?.open_file(&segment_name(first, marker), OFlags::empty())
    }

    /// Deletes a segment.
    ///
    /// When it exists and cannot be deleted.
    /// When it is there and cannot be deleted.
    pub(crate) fn delete_segment(&self, first: u64, marker: Marker) -> io::Result<()> {
        self.folder()?.delete(&segment_name(first, marker)).map(drop)
    }
}

/// The name of the file of a segment.
pub(crate) fn segment_name(first: u64, marker: Marker) -> String {
    let marker = u64::from_be_bytes(marker);
    format!("{first:020}-{marker:016x}.{SEGMENT_EXTENSION}")
}

/// The path of a segment.
pub(crate) fn segment_path(directory: &Path, first: u64, marker: Marker) -> PathBuf {
    directory.join(segment_name(first, marker))
}

/// The segments in a directory, oldest first.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Some((first, marker)) = entry.file_name().to_str().and_then(parse_name) else {
            continue;
        };
        // A segment that was moved to another disk is a symbolic link.
        match fs::metadata(entry.path()) {
            Ok(found) if !found.is_file() => {}
            Ok(found) => segments.push(SegmentFile { first, marker, bytes: found.len() }),
            // It has just been deleted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    segments.sort_unstable_by_key(|segment| (segment.first, segment.marker));
    Ok(segments)
}

fn parse_name(name: &str) -> Option<(u64, Marker)> {
    let (first, marker) =
        name.strip_suffix(SEGMENT_EXTENSION)?.strip_suffix('.')?.split_once('-')?;
    let marker = (marker.len() == 16).then(|| u64::from_str_radix(marker, 16).ok()).flatten()?;
    let first = (first.len() == 20).then(|| first.parse().ok()).flatten()?;
    (1..=MAX_OFFSET).contains(&first).then_some(())?;
    Some((first, marker.to_be_bytes()))
}

/// The number of the journal in a directory.
pub(crate) fn read_id(directory: &Path) -> Option<u64> {
    let text = read_small(&directory.join(ID_FILE)).ok()?;
    u64::from_str_radix(std::str::from_utf8(&text).ok()?.trim_end(), 16).ok()
}

/// Gives the journal a new number. On a full disk the file is overwritten in place. If only half of it
/// is written, the next start gives another number.
fn put_id(folder: &LockedFolder, id: u64) -> io::Result<()> {
    let text = format!("{id:016x}\n");
    let Err(error) = folder.replace(ID_FILE, text.as_bytes()) else { return Ok(()) };
    if !is_full(error.kind()) {
        return Err(error);
    }
    let mut file = match folder.open_file(ID_FILE, OFlags::empty()) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Err(error),
        opened => opened?,
    };
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A file or dangling link at the path of this folder or of a folder above it.
fn file_in_the_way(path: &Path) -> Option<PathBuf> {
    let is_there = |above: &&Path| fs::symlink_metadata(above).is_ok();
    let file = path.ancestors().find(is_there).filter(|found| !found.is_dir())?;
    Some(file.to_owned())
}

/// Deletes incomplete files of a broker that ended while it restored a segment.
fn delete_unfinished(path: &Path) {
    let unfinished = format!(".{SEGMENT_EXTENSION}.new");
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_name().to_string_lossy().ends_with(&unfinished)) {
        let deleted = fs::remove_file(entry.path());
        tracing::debug!(event = "unfinished_deleted", ok = deleted.is_ok());
    }
}

fn has_segments(directory: &Path) -> bool {
    // A folder that cannot be read is not considered empty.
    segments(directory).map_or(true, |segments| !segments.is_empty())
}

/// Reads a small file, at most 16 MiB of it.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SMALL_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn random() -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = PublisherId::random().0;
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests;
