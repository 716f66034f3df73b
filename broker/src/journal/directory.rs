//! The directory of a journal: who may use it, what is in it, and how files get there safely.

use super::record::{MAX_OFFSET, Marker};
use rustix::fs::FlockOperation;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zibrato::wire::PublisherId;

/// What the names of segments end with.
const SEGMENT_EXTENSION: &str = "zbj";

/// The file that tells one journal from another.
const ID_FILE: &str = "id";

/// The file that the broker that uses the journal holds locked.
const LOCK_FILE: &str = "lock";

/// More bytes than any of the small files has.
const MAX_SMALL_FILE: u64 = 16 << 20;

/// A directory in use: nobody else writes there while this is held.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    id: u64,
    /// Locked until it is closed.
    _lock: File,
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
         directory with --journal, or none with --no-journal",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Which process, as far as it is known.
        by: String,
    },
    /// A file or directory cannot be read, made or written.
    #[error(
        "the journal in {} cannot be used: {source}; see to its permissions and its disk, or give \
         another directory with --journal, or none with --no-journal",
        path.display()
    )]
    Unusable {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no directory to keep it in.
    #[error(
        "there is no place for the journal: neither $STATE_DIRECTORY nor $XDG_STATE_HOME nor $HOME \
         is set; give a directory with --journal, or none with --no-journal"
    )]
    NoPlace,
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
        let unusable = || JournalError::unusable(path);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable())?;
        let lock = lock(path)?;
        let id = match read_id(path) {
            Some(id) if has_segments(path) => id,
            _ => {
                let id = u64::from_be_bytes(random());
                put_id(path, id).map_err(unusable())?;
                id
            }
        };
        Ok(Self { path: path.to_owned(), id, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells this journal from every other.
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    /// Makes an empty segment that begins with the batch of this offset.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create_segment(&self, first: u64) -> io::Result<(File, Marker)> {
        let marker = random();
        let path = segment_path(&self.path, first, marker);
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        sync(&self.path)?;
        Ok((file, marker))
    }

    /// Opens a segment for writing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open_segment(&self, first: u64, marker: Marker) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(segment_path(&self.path, first, marker))
    }

    /// Deletes a segment.
    ///
    /// # Errors
    /// When it is there and cannot be deleted.
    pub(crate) fn delete_segment(&self, first: u64, marker: Marker) -> io::Result<()> {
        match fs::remove_file(segment_path(&self.path, first, marker)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Where a segment is.
pub(crate) fn segment_path(directory: &Path, first: u64, marker: Marker) -> PathBuf {
    let marker = u64::from_be_bytes(marker);
    directory.join(format!("{first:020}-{marker:016x}.{SEGMENT_EXTENSION}"))
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

/// Gives the journal in a directory another number; over the one that it has, if the disk is full,
/// which takes no room. One that is cut then is no number, and the next start gives another one.
fn put_id(directory: &Path, id: u64) -> io::Result<()> {
    let text = format!("{id:016x}\n");
    let replaced = replace(directory, ID_FILE, text.as_bytes());
    if !matches!(&replaced, Err(error) if error.kind() == io::ErrorKind::StorageFull) {
        return replaced;
    }
    let mut file = OpenOptions::new().write(true).open(directory.join(ID_FILE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn has_segments(directory: &Path) -> bool {
    // What cannot be read is not taken for empty.
    segments(directory).map_or(true, |segments| !segments.is_empty())
}

/// Whether a broker uses the journal in a directory now.
pub(crate) fn is_in_use(directory: &Path) -> bool {
    let Ok(file) = File::open(directory.join(LOCK_FILE)) else { return false };
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(JournalError::unusable(&path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // For people; the lock is what counts, and a full disk is no reason not to start.
            let told = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            tracing::debug!(event = "journal_locked", told = told.is_ok());
            Ok(file)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut by = String::new();
            let read = file.take(20).read_to_string(&mut by);
            let known = read.is_ok() && by.parse::<u32>().is_ok();
            let by = if known { format!(", process {by}") } else { String::new() };
            Err(JournalError::InUse { path: directory.to_owned(), by })
        }
        Err(error) => Err(JournalError::Unusable { path, source: error.into() }),
    }
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

/// Writes a file whole or not at all, also when the machine fails meanwhile.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn replace(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let new = directory.join(format!("{name}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, directory.join(name))?;
    sync(directory)
}

/// Makes what happened to the names in a directory safe.
///
/// # Errors
/// When it cannot be.
pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn random() -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = PublisherId::random().0;
    [a, b, c, d, e, f, g, h]
}

/// Where a program keeps its journal unless it is told.
///
/// # Errors
/// [`JournalError::NoPlace`] when the environment names no place.
pub(crate) fn default_path(
    variable: impl Fn(&str) -> Option<std::ffi::OsString>,
) -> Result<PathBuf, JournalError> {
    let path = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(state) = path("STATE_DIRECTORY") {
        // systemd puts several between colons; the first is ours.
        let text = state.to_string_lossy().into_owned();
        return Ok(Path::new(text.split(':').next().unwrap_or_default()).join("journal"));
    }
    let state = path("XDG_STATE_HOME").or_else(|| Some(path("HOME")?.join(".local/state")));
    Ok(state.ok_or(JournalError::NoPlace)?.join("zibrato-broker/journal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_for_one_broker_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/journal");
        let first = Directory::open(&path).unwrap();
        assert!(is_in_use(&path));
        let error = Directory::open(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        assert!(!is_in_use(&path));
        Directory::open(&path).unwrap();
    }

    #[test]
    fn a_journal_without_segments_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let id = Directory::open(dir.path()).unwrap().id();
        let directory = Directory::open(dir.path()).unwrap();
        assert_ne!(directory.id(), id);
        let id = directory.id();
        let (_, marker) = directory.create_segment(7).unwrap();
        drop(directory);
        let directory = Directory::open(dir.path()).unwrap();
        assert_eq!(directory.id(), id);
        fs::write(dir.path().join("00000000000000000001-abc.zbj"), "no segment").unwrap();
        fs::write(dir.path().join("notes.txt"), "no segment").unwrap();
        let expected = [SegmentFile { first: 7, marker, bytes: 0 }];
        assert_eq!(segments(dir.path()).unwrap(), expected);
        directory.delete_segment(7, marker).unwrap();
        directory.delete_segment(7, marker).unwrap();
        assert_eq!(segments(dir.path()).unwrap(), []);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_no_reason_not_to_open_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let id = Directory::open(dir.path()).unwrap().id();
        let new = format!("{ID_FILE}.new");
        std::os::unix::fs::symlink("/dev/full", dir.path().join(&new)).unwrap();
        let opened = Directory::open(dir.path()).unwrap().id();
        assert_ne!(opened, id);
        assert_eq!(read_id(dir.path()), Some(opened));
        fs::remove_file(dir.path().join(ID_FILE)).unwrap();
        let error = Directory::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("--journal"), "{error}");
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let directory = Directory::open(&path).unwrap();
        directory.create_segment(1).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        for entry in fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let error = Directory::open(&path).unwrap_err().to_string();
        assert!(error.contains("file") && error.contains("--journal"), "{error}");
    }

    #[test]
    fn the_place_comes_from_the_environment() {
        let place = |pairs: &[(&str, &str)]| {
            default_path(|name| Some(pairs.iter().find(|(n, _)| *n == name)?.1.into()))
        };
        let all = [("STATE_DIRECTORY", "/s/a:/s/b"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(place(&all).unwrap(), Path::new("/s/a/journal"));
        assert_eq!(place(&all[1..]).unwrap(), Path::new("/x/zibrato-broker/journal"));
        let home = Path::new("/h/.local/state/zibrato-broker/journal");
        assert_eq!(place(&all[2..]).unwrap(), home);
        assert!(place(&[("HOME", "")]).unwrap_err().to_string().contains("--journal"));
    }
}
