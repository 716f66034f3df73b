//! The file that keeps gauges over a restart.

use super::state::Gauges;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zibrato::clock;
use zibrato::daemon::{LogLimit, read_bounded};

/// Maximum size of the file, in bytes.
const MAX_FILE: u64 = 512 << 20;

/// The file of gauges.
#[derive(Debug)]
pub(super) struct GaugeFile {
    path: PathBuf,
    failures: LogLimit<60>,
}

impl GaugeFile {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), failures: LogLimit::default() }
    }

    /// Adds the saved gauges. A file that cannot be read is reported, and kept under another name.
    pub(super) fn load(&self, gauges: &mut Gauges) {
        let file = self.path.display();
        let text = match read_bounded(&self.path, MAX_FILE) {
            Ok((text, _)) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => {
                return tracing::warn!(event = "gauges_not_restored", %file, why = %error);
            }
        };
        match gauges.restore(&text, clock::unix_ms()) {
            Ok((restored, left_out)) => {
                tracing::info!(event = "gauges_restored", %file, restored, left_out);
            }
            Err(error) => {
                let kept = self.path.with_extension("broken");
                let kept = std::fs::rename(&self.path, &kept).ok().map(|()| kept);
                let kept = kept.as_ref().map(|path| path.display().to_string());
                tracing::warn!(event = "gauges_not_restored", %file, why = %error, kept);
            }
        }
    }

    /// Replaces the file. If that fails, the file from before remains.
    pub(super) fn save(&mut self, gauges: &str) {
        if let Err(error) = replace(&self.path, gauges)
            && self.failures.admits()
        {
            let file = self.path.display();
            tracing::warn!(event = "gauges_not_saved", %file, why = %error);
        }
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::GaugeFile;
    use crate::intake::statsd::state::Gauges;

    #[test]
    fn gauges_survive_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gauges.json");
        let mut file = GaugeFile::new(&path);
        let mut gauges = Gauges::new(10);
        file.load(&mut gauges);
        assert_eq!(gauges.to_json(), "{}");
        for saved in [r#"{"g":1.5}"#, r#"{"g":2.5,"h":1.0}"#] {
            file.save(saved);
            let mut gauges = Gauges::new(10);
            file.load(&mut gauges);
            assert_eq!(gauges.to_json(), saved);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_broken_file_is_kept_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gauges.json");
        std::fs::write(&path, "{\"g\": 1.").unwrap();
        let mut gauges = Gauges::new(10);
        GaugeFile::new(&path).load(&mut gauges);
        assert_eq!(gauges.all().count(), 0);
        assert!(!path.exists() && folder.path().join("gauges.broken").exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        GaugeFile::new(&folder.path().join("nowhere/gauges.json")).save("{}");
    }
}
