//! Payloads that the backend rejected, kept in files until an operator handles them.
//!
//! The name of a file consists of the window, the key and the worker, so files sorted by name are
//! sorted by window. If the same payload is rejected twice, there is one file. Two payloads always
//! have two files, even if their keys are equal. Several workers, such as those of a program with
//! several destinations, may have one folder, and none of them overwrites a file of another one.

pub(crate) mod command;
mod letter;

pub(crate) use letter::{Letter, LetterError};

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zibrato::daemon::{LogLimit, make_folder, probe_folder};

/// Extension of dead letters.
const ENDING: &str = "dead";

/// Extension of a letter until it is complete.
const UNFINISHED: &str = ".new";

/// Maximum size of a file that is read.
const MAX_LETTER_BYTES: u64 = 64 << 20;

/// Minimum time between two scans of the folder.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A folder of dead letters, with a limit.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    folder: PathBuf,
    program: String,
    most: u64,
    /// Total size of the letters, and the time of the scan. Other programs may remove letters.
    known: Option<(u64, Instant)>,
    /// Size of the last letter that did not fit, if the folder is full.
    too_large: Option<u64>,
    full: LogLimit,
    rejected: LogLimit,
}

/// Why a letter was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error(
        "{folder} has reached --dead-letters-max ({most} bytes); see `{program} deadletter list`, \
         and send or drop some"
    )]
    Full { folder: String, most: u64, program: String },
    #[error("{folder}: {source}")]
    Disk { folder: String, source: io::Error },
}

impl KeepError {
    /// The reason for which the series are lost.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Disk { .. } => "dead_letters_disk",
            Self::Full { .. } => "dead_letters_full",
        }
    }
}

impl DeadLetters {
    /// A folder with a limit of `most` bytes. The first [`probe`](Self::probe) or letter creates
    /// it. Incomplete letters of this worker, which was killed, are deleted.
    pub(crate) fn new(folder: PathBuf, most: u64, program: String, worker: &str) -> Self {
        delete_unfinished(&folder, worker);
        let (full, rejected) = (LogLimit::default(), LogLimit::default());
        Self { folder, program, most, known: None, too_large: None, full, rejected }
    }

    /// Checks whether a letter could be written now: creates the folder, and writes and removes a
    /// file there. A folder that was full counts as full until there is space for the letter that
    /// was lost.
    pub(crate) fn probe(&mut self) -> Result<(), KeepError> {
        let folder = &self.folder;
        let probed = make_folder(folder).and_then(|()| probe_folder(folder));
        probed
            .map_err(|source| KeepError::Disk { folder: folder.display().to_string(), source })?;
        self.too_large.map_or(Ok(()), |bytes| self.has_room(bytes))
    }

    /// Writes a letter. That the folder is full is logged once, not for each letter.
    pub(crate) fn put(&mut self, letter: &Letter) -> Result<(), KeepError> {
        let kept = self.try_put(letter);
        if let Err(error @ KeepError::Full { .. }) = &kept
            && let Some(left_out) = self.full.admit(Instant::now())
        {
            let reason = error.reason();
            tracing::error!(event = "dead_letter_lost", reason, left_out, why = %error);
        }
        kept
    }

    /// The folder is no longer full. Returns whether to log that, because it was logged that it was
    /// full.
    pub(crate) const fn is_full_no_more(&mut self) -> bool {
        self.full.is_over()
    }

    fn try_put(&mut self, letter: &Letter) -> Result<(), KeepError> {
        let folder = self.folder.display().to_string();
        let disk = |source| KeepError::Disk { folder: folder.clone(), source };
        let bytes = letter.encode(&self.program);
        self.has_room(bytes.len() as u64)?;
        let Some(name) = free_name(&self.folder, letter).map_err(disk)? else { return Ok(()) };
        write(&self.folder, &name, &bytes).map_err(disk)?;
        if let Some((used, _)) = &mut self.known {
            *used += bytes.len() as u64;
        }
        if let Some(left_out) = self.rejected.admit(Instant::now()) {
            let file = self.folder.join(&name);
            tracing::info!(event = "dead_letter", file = %file.display(), left_out);
        }
        Ok(())
    }

    /// Whether there is space for a letter of this size.
    fn has_room(&mut self, bytes: u64) -> Result<(), KeepError> {
        let folder = self.folder.display().to_string();
        let used = match self.used() {
            Ok(used) => used,
            Err(source) => return Err(KeepError::Disk { folder, source }),
        };
        let is_full = used.saturating_add(bytes) > self.most;
        self.too_large = is_full.then_some(bytes);
        if is_full {
            let program = self.program.clone();
            return Err(KeepError::Full { folder, most: self.most, program });
        }
        Ok(())
    }

    /// The total size, from a recent scan.
    fn used(&mut self) -> io::Result<u64> {
        if let Some((used, at)) = self.known
            && at.elapsed() < LOOK_EVERY
        {
            return Ok(used);
        }
        make_folder(&self.folder)?;
        let mut used = 0;
        for path in files(&self.folder)? {
            // A letter that was just removed has no size.
            used += path.metadata().map_or(0, |data| data.len());
        }
        self.known = Some((used, Instant::now()));
        Ok(used)
    }
}

/// The name of a letter's file. Names sort by window. A number above 1 distinguishes letters of one
/// key.
fn file_name(letter: &Letter, number: u64) -> String {
    let tail = letter.key.rsplit('/').next().unwrap_or_default();
    let tail: String = tail.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let number = if number > 1 { format!("-{number}") } else { String::new() };
    let (start, length) = (letter.start_ms, letter.length_ms);
    format!("{start:013}-{length}-{tail}{number}{}", ending(&letter.name))
}

/// The end of the names of a worker's files.
fn ending(worker: &str) -> String {
    let is_valid = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    format!("@{}.{ENDING}", worker.chars().filter(is_valid).collect::<String>())
}

/// A free name; `None` if the folder already has this letter. No other worker writes a file with
/// such a name.
fn free_name(folder: &Path, letter: &Letter) -> io::Result<Option<String>> {
    for number in 1_u64.. {
        let name = file_name(letter, number);
        let path = folder.join(&name);
        if !path.try_exists()? {
            return Ok(Some(name));
        }
        // A file that cannot be read may be anything, so it is not overwritten.
        if read(&path).is_ok_and(|(found, _)| found.is_same(letter)) {
            break;
        }
    }
    Ok(None)
}

/// Writes a file atomically: it exists completely or not at all.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    make_folder(folder)?;
    let (temporary, path) = (folder.join(format!(".{name}{UNFINISHED}")), folder.join(name));
    let written = write_synced(&temporary, bytes)
        .and_then(|()| std::fs::rename(&temporary, &path))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        // The incomplete file would take up space, which is already short.
        std::fs::remove_file(&temporary).ok();
    }
    written
}

/// Such a file is not a letter and is not counted. Its payload will be rejected again, because it
/// was not committed. Other workers may be writing theirs now.
fn delete_unfinished(folder: &Path, worker: &str) {
    let ending = ending(worker) + UNFINISHED;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(&ending)) {
            let deleted = std::fs::remove_file(entry.path());
            tracing::debug!(event = "unfinished_deleted", ok = deleted.is_ok());
        }
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The letters of a folder, the oldest window first. A missing folder has none.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(why),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a letter; also returns the program that wrote it.
pub(crate) fn read(path: &Path) -> Result<(Letter, String), ReadError> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LETTER_BYTES).read_to_end(&mut bytes)?;
    Ok(Letter::decode(&bytes)?)
}

/// Why a file is not a letter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Letter(#[from] LetterError),
}

#[cfg(test)]
mod tests {
    use super::{DeadLetters, Letter, files, read};
    use std::os::unix::fs::PermissionsExt;

    fn letter(start_ms: u64, bytes: usize) -> Letter {
        Letter {
            name: "w".to_owned(),
            key: format!("w/{start_ms}+1000/0-af63dc4c8601ec8c"),
            start_ms,
            length_ms: 1000,
            series: 1,
            names: String::new(),
            rejected_ms: 2_000,
            answer: "no".to_owned(),
            body: vec![b'x'; bytes],
        }
    }

    #[test]
    fn only_the_owner_can_read_letters_and_the_oldest_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("state/dead-letters");
        let mut letters = DeadLetters::new(place.clone(), 1 << 20, "p".to_owned(), "w");
        for start_ms in [30_000, 1_000, 2_000, 30_000] {
            letters.put(&letter(start_ms, 10)).unwrap();
        }
        let files = files(&place).unwrap();
        let starts: Vec<_> = files.iter().map(|file| read(file).unwrap().0.start_ms).collect();
        // The same payload, rejected twice, is one letter.
        assert_eq!(starts, [1_000, 2_000, 30_000]);
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&files[0]), mode(&place)), (0o600, 0o700));
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 3);
    }

    #[test]
    fn a_letter_never_overwrites_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut letters = DeadLetters::new(folder.path().to_owned(), 1 << 20, "p".to_owned(), "w");
        let sent: Vec<_> =
            (1..=3).map(|bytes| Letter { key: String::new(), ..letter(1_000, bytes) }).collect();
        for letter in sent.iter().chain(&sent) {
            letters.put(letter).unwrap();
        }
        // One was edited, and another one was damaged.
        let paths = files(folder.path()).unwrap();
        assert_eq!(paths.len(), 3);
        std::fs::write(&paths[0], "mended").unwrap();
        for letter in &sent {
            letters.put(letter).unwrap();
        }
        let paths = files(folder.path()).unwrap();
        let mut bodies: Vec<_> =
            paths.iter().filter_map(|path| Some(read(path).ok()?.0.body.len())).collect();
        bodies.sort_unstable();
        assert_eq!((paths.len(), bodies), (4, vec![1, 2, 3]));
    }

    #[test]
    fn workers_that_reject_the_same_lines_at_the_same_time_keep_a_letter_each() {
        let folder = tempfile::tempdir().unwrap();
        let workers = 8;
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let place = folder.path().to_owned();
                scope.spawn(move || {
                    let name = format!("w.g{worker}.example.com_2003");
                    let mut letters = DeadLetters::new(place, 1 << 20, "p".to_owned(), &name);
                    for start_ms in 1_000..1_020 {
                        letters.probe().unwrap();
                        let name = name.clone();
                        letters.put(&Letter { name, ..letter(start_ms, 10) }).unwrap();
                    }
                });
            }
        });
        let files = files(folder.path()).unwrap();
        assert_eq!(files.len(), workers * 20);
        assert!(files.iter().all(|file| read(file).is_ok()));
    }

    #[test]
    fn a_letter_that_cannot_be_written_is_lost_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let mut letters = DeadLetters::new(folder.path().to_owned(), 2_000, "p".to_owned(), "w");
        letters.put(&letter(1_000, 1_000)).unwrap();
        let error = letters.put(&letter(2_000, 1_000)).unwrap_err();
        assert_eq!(error.reason(), "dead_letters_full");
        assert!(error.to_string().contains("`p deadletter list`"), "{error}");
        let kept = files(folder.path()).unwrap();
        assert_eq!(kept.len(), 1);
        // It is full until there is space again.
        assert_eq!(letters.probe().unwrap_err().reason(), "dead_letters_full");
        std::fs::remove_file(&kept[0]).unwrap();
        letters.known = None;
        letters.probe().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for place in [file.clone(), file.join("below")] {
            let mut letters = DeadLetters::new(place, 2_000, "p".to_owned(), "w");
            for error in [letters.put(&letter(1_000, 10)), letters.probe()] {
                let error = error.unwrap_err();
                assert_eq!(error.reason(), "dead_letters_disk");
                assert!(error.to_string().contains("file is not a folder; "), "{error}");
            }
        }
    }

    #[test]
    fn an_incomplete_letter_is_deleted_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let names = [".0-1-a@w.dead.new", ".0-1-a@other.dead.new", ".notes.new", "0-1-a@w.dead"];
        for name in names {
            std::fs::write(folder.path().join(name), "half").unwrap();
        }
        DeadLetters::new(folder.path().to_owned(), 2_000, "p".to_owned(), "w");
        assert_eq!(names.map(|name| folder.path().join(name).exists()), [false, true, true, true]);
    }

    #[test]
    fn a_file_that_is_not_a_letter_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0-x.dead");
        std::fs::write(&path, "a line\n\nand more").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("is not a dead letter"));
        assert!(files(&folder.path().join("nowhere")).unwrap().is_empty());
    }
}
