//! The directory of a journal: who may use it, what is in it, and how files get there safely.

use super::home::{Home, Place};
use super::record::{MAX_OFFSET, Marker};
use super::writer::is_full;
use rustix::fs::OFlags;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zibrato::daemon::NoStateFolder;
use zibrato::wire::PublisherId;

/// What the names of segments end with.
const SEGMENT_EXTENSION: &str = "zbj";

/// The file that tells one journal from another.
const ID_FILE: &str = "id";

/// The file that the broker that uses the journal holds locked.
pub(super) const LOCK_FILE: &str = "lock";

/// More bytes than any of the small files has.
const MAX_SMALL_FILE: u64 = 16 << 20;

/// The directory of a journal, and what is known of where it is. Shared by those who write there.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    id: u64,
    /// Or why it is not in its place.
    home: Mutex<Result<Arc<Home>, String>>,
    /// How often it was made again.
    made_again: AtomicU64,
}

/// Why the folder of the journal is not where it should be. Inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("its folder {} is not in its place: {why}", path.display())]
pub(crate) struct Misplaced {
    path: PathBuf,
    why: String,
}

/// Whether an error says that the folder of the journal is not where it should be.
pub(crate) fn is_misplaced(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Misplaced>())
}

/// Where the folder was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Return {
    /// Where it has been all the time.
    Stayed,
    /// It was away, and is back.
    CameBack,
    /// It was deleted, and has been made again.
    MadeAgain,
}

/// A file with records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentFile {
    /// The offset of its first batch.
    pub(crate) first: u64,
    /// What its records begin with.
    pub(crate) marker: Marker,
    /// How many bytes it has.
    pub(crate) bytes: u64,
}

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
        /// Which process, as far as it is known.
        by: String,
    },
    /// There is nothing to look at.
    #[error("there is no journal in {}; give the folder of one with --journal", .0.display())]
    NoJournal(PathBuf),
    /// A file or directory cannot be read, made or written.
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
    /// A file, or a link that leads nowhere, stands where the folder should be.
    #[error(
        "the journal needs a folder, and {} is a file, or a link that leads nowhere; give another \
         one with --journal, or keep no journal with --no-journal",
        .0.display()
    )]
    NotAFolder(PathBuf),
    /// The default directory cannot be made or written.
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
    /// There is no directory to keep it in.
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

impl Directory {
    /// Opens the directory, and makes it if need be.
    ///
    /// # Errors
    /// [`JournalError`] when it cannot be, or somebody else has it.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        // A program may change its working directory.
        let path = &std::path::absolute(path).map_err(JournalError::unusable(path))?;
        let unusable = || JournalError::unusable(path);
        if let Some(file) = file_in_the_way(path) {
            return Err(JournalError::NotAFolder(file));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable())?;
        let home = Home::open(path)?;
        delete_unfinished(path);
        let id = match read_id(path) {
            Some(id) if has_segments(path) => id,
            _ => {
                let id = u64::from_be_bytes(random());
                put_id(&home, id).map_err(unusable())?;
                id
            }
        };
        let home = Mutex::new(Ok(Arc::new(home)));
        Ok(Self { path: path.to_owned(), id, home, made_again: AtomicU64::new(0) })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells this journal from every other.
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    /// How often the folder was made again: what stood in it has to be written again, too.
    pub(super) fn made_again(&self) -> u64 {
        self.made_again.load(Ordering::Acquire)
    }

    fn home_slot(&self) -> MutexGuard<'_, Result<Arc<Home>, String>> {
        // It is assigned in one step, so a panic elsewhere leaves nothing half done.
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn misplaced(&self, why: String) -> io::Error {
        io::Error::other(Misplaced { path: self.path.clone(), why })
    }

    /// The folder, to write in.
    ///
    /// # Errors
    /// [`Misplaced`] while it is known not to be in its place.
    pub(super) fn home(&self) -> io::Result<Arc<Home>> {
        self.home_slot().clone().map_err(|why| self.misplaced(why))
    }

    /// Whether the path still names the folder that is written in. Asked before anything in it is
    /// acknowledged.
    ///
    /// # Errors
    /// [`Misplaced`] if it does not.
    pub(super) fn check_place(&self) -> io::Result<()> {
        match self.home()?.place() {
            Place::Here => Ok(()),
            Place::Deleted => Err(self.misplaced("it was deleted".to_owned())),
            Place::Away(why) => Err(self.misplaced(why)),
        }
    }

    /// As [`check_place`](Self::check_place), and mends what can be: a folder that was deleted is made
    /// again, one that is back is used again. One that is away is let go of, so that its disk can be
    /// unmounted. `is_ours` says whether a folder that has come back is as it was left.
    ///
    /// # Errors
    /// [`Misplaced`] while it is away.
    pub(super) fn mend_place(&self, is_ours: impl Fn(&Home) -> bool) -> io::Result<Return> {
        let mut slot = self.home_slot();
        let home = match &*slot {
            Ok(home) => home,
            Err(why) => match self.come_back(why, is_ours) {
                Ok(home) => {
                    *slot = Ok(Arc::new(home));
                    return Ok(Return::CameBack);
                }
                Err(why) => return Err(self.misplaced(why)),
            },
        };
        match home.place() {
            Place::Here => Ok(Return::Stayed),
            Place::Deleted => {
                let new = home.make_again().map_err(|why| self.misplaced(why))?;
                if has_segments(&self.path) || read_id(&self.path).is_some_and(|id| id != self.id) {
                    let why = "it was deleted, and another journal is in its place";
                    return Err(self.misplaced(why.to_owned()));
                }
                put_id(&new, self.id)?;
                self.made_again.fetch_add(1, Ordering::Release);
                *slot = Ok(Arc::new(new));
                Ok(Return::MadeAgain)
            }
            Place::Away(why) => {
                *slot = Err(why.clone());
                Err(self.misplaced(why))
            }
        }
    }

    /// Opens a folder that has come back; it was away because of `why`.
    fn come_back(&self, why: &str, is_ours: impl Fn(&Home) -> bool) -> Result<Home, String> {
        match read_id(&self.path) {
            None => return Err(why.to_owned()),
            Some(id) if id != self.id => return Err(format!("{why}; another journal is there")),
            Some(_) => {}
        }
        let home = Home::open(&self.path).map_err(|error| error.to_string())?;
        if is_ours(&home) {
            return Ok(home);
        }
        Err(format!("{why}; it is back, but has changed: restart this broker to use it as it is"))
    }

    /// Makes an empty segment that begins with the batch of this offset.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn create_segment(&self, first: u64) -> io::Result<(File, Marker)> {
        let home = self.home()?;
        let marker = random();
        let file = home.open_file(&segment_name(first, marker), OFlags::CREATE | OFlags::EXCL)?;
        home.sync()?;
        Ok((file, marker))
    }

    /// Opens a segment for writing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open_segment(&self, first: u64, marker: Marker) -> io::Result<File> {
        self.home()?.open_file(&segment_name(first, marker), OFlags::empty())
    }

    /// Deletes a segment.
    ///
    /// # Errors
    /// When it is there and cannot be deleted.
    pub(super) fn delete_segment(&self, first: u64, marker: Marker) -> io::Result<()> {
        self.home()?.delete(&segment_name(first, marker)).map(drop)
    }
}

/// The name of the file of a segment.
pub(super) fn segment_name(first: u64, marker: Marker) -> String {
    let marker = u64::from_be_bytes(marker);
    format!("{first:020}-{marker:016x}.{SEGMENT_EXTENSION}")
}

/// Where a segment is.
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
        // One that was moved to another disk is a link.
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

/// Gives the journal in a directory another number; over the one that it has, if it has one and the
/// disk is full, which takes no room. One that is cut then is no number, and the next start gives another one.
fn put_id(home: &Home, id: u64) -> io::Result<()> {
    let text = format!("{id:016x}\n");
    let Err(error) = home.replace(ID_FILE, text.as_bytes()) else { return Ok(()) };
    if !is_full(error.kind()) {
        return Err(error);
    }
    let mut file = match home.open_file(ID_FILE, OFlags::empty()) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Err(error),
        opened => opened?,
    };
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The file, or link that leads nowhere, that stands where a folder should be, on the way to this
/// one, if there is one.
fn file_in_the_way(path: &Path) -> Option<PathBuf> {
    let is_there = |above: &&Path| fs::symlink_metadata(above).is_ok();
    let file = path.ancestors().find(is_there).filter(|found| !found.is_dir())?;
    Some(file.to_owned())
}

/// Deletes what a broker left that ended while it wrote a segment again.
fn delete_unfinished(path: &Path) {
    let unfinished = format!(".{SEGMENT_EXTENSION}.new");
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_name().to_string_lossy().ends_with(&unfinished)) {
        let deleted = fs::remove_file(entry.path());
        tracing::debug!(event = "unfinished_deleted", ok = deleted.is_ok());
    }
}

fn has_segments(directory: &Path) -> bool {
    // What cannot be read is not taken for empty.
    segments(directory).map_or(true, |segments| !segments.is_empty())
}

/// Reads a file that is small, and is cut off if it is not.
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
