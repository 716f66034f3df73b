//! Replaces a file atomically: after a crash it has the old content or the new one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes the content beside the file, which only its owner can read then, and renames it.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = with_ending(path, ".new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    let written = written.and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The error of the write is the one to report.
        std::fs::remove_file(&temporary).ok();
    }
    written?;
    File::open(folder(path))?.sync_all()
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A file beside this one, such as `alerts.json.lock`.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(ending);
    text.into()
}
