//! The file that keeps gauges over a restart.

use super::state::{Gauges, Restored};
use crate::intake::flag_error::FlagError;
use rustix::fs::{Access, access};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, IntoInnerError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zibrato::clock;
use zibrato::daemon::{LogLimit, read_bounded};

/// Maximum size of the file, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// Maximum number of invalid files that are kept.
const MAX_KEPT: usize = 100;

/// The flag of the file.
const FLAG: &str = "--statsd-gauges";

/// Checks that the file can be read and replaced.
///
/// # Errors
/// What prevents that, and the remedy.
pub(super) fn check(path: &Path) -> Result<(), FlagError> {
    let invalid = |why: String| Err(FlagError::invalid(FLAG, path.display(), why));
    let folder = folder_of(path);
    let shown = folder.display();
    if !folder.is_dir() {
        return invalid(format!("there is no folder {shown}; create it, or give another file"));
    }
    match path.metadata() {
        Ok(file) if file.is_dir() => {
            return invalid("it is a folder; give a file in it, such as gauges.json".to_owned());
        }
        Ok(file) if !file.is_file() => {
            return invalid("it is not a regular file; give another one".to_owned());
        }
        Ok(_) | Err(_) => {}
    }
    // The file is replaced by a new one in the folder.
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(()),
        Err(error) => invalid(format!(
            "the folder {shown} cannot be written: {error}; allow the broker's user to, or give \
             another file"
        )),
    }
}

/// What cannot be restored of the file.
pub(super) fn examine(path: &Path, max_gauges: usize) -> Vec<String> {
    let text = match read_bounded(path, MAX_FILE) {
        Ok((text, _)) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![unrestored(path, &error)],
    };
    match Gauges::new(max_gauges).restore(&text, clock::unix_ms(), 0) {
        Ok(Restored { first, .. }) => {
            let shown = |(name, why): (String, &str)| {
                format!("{FLAG} {}: the gauge {name:?} will not be restored: {why}", path.display())
            };
            first.into_iter().map(shown).collect()
        }
        Err(error) => vec![unrestored(path, &error)],
    }
}

fn unrestored(path: &Path, why: &dyn Display) -> String {
    format!(
        "{FLAG} {}: no gauge will be restored: {why}; mend the file, or the broker renames it to \
         {} when it starts",
        path.display(),
        path.with_extension("broken").display()
    )
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Writes the content of the file.
pub(super) type Writer = BufWriter<File>;

/// The file of gauges.
#[derive(Debug)]
pub(super) struct GaugeFile {
    path: PathBuf,
    /// Whether it may be replaced: it was read, or kept under another name.
    saves: bool,
    failures: LogLimit<60>,
}

impl GaugeFile {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), saves: true, failures: LogLimit::default() }
    }

    /// Adds the saved gauges. A file of which something cannot be read is reported, and kept under
    /// another name.
    /// If that fails too, gauges are not saved.
    pub(super) fn load(&mut self, gauges: &mut Gauges, uptime_ms: u64) {
        let text = match read_bounded(&self.path, MAX_FILE) {
            Ok((text, _)) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => return self.keep(&error),
        };
        let file = self.path.display();
        match gauges.restore(&text, clock::unix_ms(), uptime_ms) {
            Ok(Restored { restored, left_out, first }) => {
                tracing::info!(event = "gauges_restored", %file, restored, left_out);
                for (name, why) in first {
                    tracing::warn!(event = "gauge_not_restored", %file, name, why);
                }
                if left_out > 0 {
                    self.keep(&"some gauges in it are invalid or too many");
                }
            }
            Err(error) => self.keep(&error),
        }
    }

    /// Keeps a file that could not be read, or not completely, under another name.
    fn keep(&mut self, why: &dyn Display) {
        let kept = kept_beside(&self.path);
        self.saves = kept.is_ok();
        let (file, why) = (self.path.display(), why.to_string());
        match kept {
            Ok(kept) => {
                let kept = kept.display();
                tracing::warn!(event = "gauges_not_restored", %file, why, %kept);
            }
            Err(error) => {
                let fix = "move the file away; until the next start gauges are not saved";
                let not_kept = error.to_string();
                tracing::error!(event = "gauges_not_restored", %file, why, not_kept, fix);
            }
        }
    }

    /// Replaces the file, whose content `write` writes. If that fails, the file from before remains.
    pub(super) fn save(&mut self, write: impl FnOnce(&mut Writer) -> io::Result<()>) {
        if let Err(error) = self.replace(write)
            && self.failures.admits()
        {
            let (file, why) = (self.path.display(), error.to_string());
            tracing::warn!(event = "gauges_not_saved", %file, why);
        }
    }

    /// Like [`save`](Self::save), at the end.
    ///
    /// # Errors
    /// If the gauges are not saved, which nobody will then do.
    pub(super) fn save_last(
        &mut self,
        write: impl FnOnce(&mut Writer) -> io::Result<()>,
    ) -> Result<(), String> {
        self.replace(write).map_err(|error| {
            let file = self.path.display();
            format!("--statsd-gauges: the gauges are not saved in {file}: {error}")
        })
    }

    fn replace(&self, write: impl FnOnce(&mut Writer) -> io::Result<()>) -> io::Result<()> {
        // Otherwise an error has been logged at the start.
        if self.saves { replace(&self.path, write) } else { Ok(()) }
    }
}

/// Renames a file to the first free name that ends with `.broken`, `.broken-2` and so on.
fn kept_beside(path: &Path) -> io::Result<PathBuf> {
    // A folder or a device is not a file of gauges.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    for number in 1..=MAX_KEPT {
        let end = if number == 1 { "broken".to_owned() } else { format!("broken-{number}") };
        let kept = path.with_extension(end);
        if kept.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            std::fs::rename(path, &kept)?;
            return Ok(kept);
        }
    }
    Err(io::Error::other(format!("there are {MAX_KEPT} such files already")))
}

fn replace(path: &Path, write: impl FnOnce(&mut Writer) -> io::Result<()>) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    let mut file = BufWriter::new(file);
    let written = write(&mut file)
        .and_then(|()| file.into_inner().map_err(IntoInnerError::into_error))
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path));
    if let Err(error) = written {
        // A part of the file is of no use, and takes room.
        std::fs::remove_file(&beside).ok();
        return Err(error);
    }
    File::open(folder_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{GaugeFile, check, examine};
    use crate::intake::statsd::state::Gauges;
    use std::io::{self, Write};

    /// Saves a text.
    fn save(file: &mut GaugeFile, text: &str) {
        file.save(|to| to.write_all(text.as_bytes()));
    }

    #[test]
    fn gauges_survive_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gauges.json");
        let mut file = GaugeFile::new(&path);
        let mut gauges = Gauges::new(10);
        file.load(&mut gauges, 0);
        assert_eq!(gauges.all().count(), 0);
        for (saved, last) in [(r#"{"g":1.5}"#, 1.5), (r#"{"g":2.5}"#, 2.5)] {
            save(&mut file, saved);
            let mut gauges = Gauges::new(10);
            file.load(&mut gauges, 0);
            let all: Vec<_> = gauges.all().map(|(series, value)| (series.name, value)).collect();
            assert_eq!(all, [("g", last)]);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn broken_files_are_kept_under_other_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gauges.json");
        for (text, kept) in [("{\"g\": 1.", "gauges.broken"), ("", "gauges.broken-2")] {
            std::fs::write(&path, text).unwrap();
            let (mut file, mut gauges) = (GaugeFile::new(&path), Gauges::new(10));
            file.load(&mut gauges, 0);
            assert_eq!(gauges.all().count(), 0);
            assert!(!path.exists());
            save(&mut file, "{}");
            assert_eq!(std::fs::read_to_string(folder.path().join(kept)).unwrap(), text);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
    }

    #[test]
    fn a_file_of_which_a_gauge_is_invalid_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gauges.json");
        let text = r#"{"good":1,"bad":"x"}"#;
        std::fs::write(&path, text).unwrap();
        let (mut file, mut gauges) = (GaugeFile::new(&path), Gauges::new(10));
        file.load(&mut gauges, 0);
        file.save(|to| gauges.write_json(to));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), r#"{"good":1.0}"#);
        let kept = folder.path().join("gauges.broken");
        assert_eq!(std::fs::read_to_string(kept).unwrap(), text);
    }

    #[test]
    fn a_path_at_which_no_file_can_be_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, part) in [
            ("", "it is a folder"),
            ("nowhere/gauges.json", "nowhere; create it"),
            ("gauges.json", ""),
        ] {
            let checked = check(&folder.path().join(name)).map_err(|error| error.to_string());
            match checked {
                Ok(()) => assert_eq!(part, "", "{name}"),
                Err(why) => {
                    assert!(why.starts_with("--statsd-gauges /") && why.contains(part), "{why}");
                    assert_ne!(part, "", "{why}");
                }
            }
        }
        let why = check("/dev/null".as_ref()).unwrap_err().to_string();
        assert!(why.contains("not a regular file"), "{why}");
        check("gauges.json".as_ref()).unwrap();
    }

    #[test]
    fn what_cannot_be_restored_is_named_before_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gauges.json");
        assert_eq!(examine(&path, 10), [""; 0]);
        for (text, part) in [
            ("{\"a\":", Some("gauges.broken when it starts")),
            ("{\"a\":1,\"b\":\"x\"}", Some("\"b\" will not be restored: expected a number")),
            ("{\"a\":1}", None),
        ] {
            std::fs::write(&path, text).unwrap();
            let shown = examine(&path, 10);
            assert_eq!(shown.len(), usize::from(part.is_some()), "{shown:?}");
            assert!(shown.concat().contains(part.unwrap_or_default()), "{shown:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn what_can_neither_be_read_nor_kept_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gauges.json");
        // Opening it succeeds, reading it does not.
        std::fs::create_dir(&path).unwrap();
        let mut file = GaugeFile::new(&path);
        file.load(&mut Gauges::new(10), 0);
        std::fs::remove_dir(&path).unwrap();
        save(&mut file, "{}");
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        save(&mut GaugeFile::new(&folder.path().join("nowhere/gauges.json")), "{}");
    }

    #[test]
    fn a_file_that_cannot_be_completed_leaves_nothing_and_is_an_error_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gauges.json");
        let mut file = GaugeFile::new(&path);
        save(&mut file, "{}");
        let error = file.save_last(|to| {
            to.write_all(&[b' '; 100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        });
        let error = error.unwrap_err();
        assert!(error.contains("gauges.json: no storage space"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
    }
}
