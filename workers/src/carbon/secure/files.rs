//! Notices that a file of a flag has changed, such as a renewed certificate.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Maximum number of files of a folder.
const MOST_FILES: usize = 10_000;

/// The state of all files of the flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<(PathBuf, Option<State>)>);

/// The state of one file. Each change of it changes some of this.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Files {
    /// The state of these files, and of those in a folder.
    pub(super) fn of<'a>(
        files: impl IntoIterator<Item = &'a PathBuf>,
        folder: Option<&PathBuf>,
    ) -> Self {
        let inside = folder.into_iter().flat_map(|folder| std::fs::read_dir(folder).ok());
        let inside = inside.flatten().flatten().take(MOST_FILES).map(|entry| entry.path());
        let all = files.into_iter().cloned().chain(inside);
        let mut all: Vec<_> = all.map(|file| (file.clone(), state(&file))).collect();
        // The order of a folder is not defined.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Self(all)
    }
}

/// The state of a file, or of what a link points to; `None` if it is missing.
fn state(file: &Path) -> Option<State> {
    let data = std::fs::metadata(file).ok()?;
    let changed = (data.ctime(), data.ctime_nsec());
    Some(State { inode: data.ino(), bytes: data.len(), changed })
}

#[cfg(test)]
mod tests {
    use super::Files;

    #[test]
    fn any_change_of_a_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("all")).unwrap();
        for name in ["ca", "cert", "all/a", "all/b"] {
            std::fs::write(path(name), "1").unwrap();
        }
        let (files, all) = (["ca", "cert", "key"].map(path), path("all"));
        let now = || Files::of(&files, Some(&all));
        let mut before = now();
        assert_eq!(now(), before);
        let write = |name: &'static str| {
            move |folder: &std::path::Path| {
                std::fs::write(folder.join(name), "22").unwrap();
            }
        };
        let replace = |folder: &std::path::Path| {
            std::fs::write(folder.join("new"), "1").unwrap();
            std::fs::rename(folder.join("new"), folder.join("ca")).unwrap();
        };
        let remove = |folder: &std::path::Path| std::fs::remove_file(folder.join("all/b")).unwrap();
        let changes: [&dyn Fn(&std::path::Path); 6] =
            [&write("cert"), &write("key"), &write("all/a"), &write("all/c"), &replace, &remove];
        for change in changes {
            change(folder.path());
            let after = now();
            assert_ne!(after, before);
            before = after;
        }
        assert_eq!(Files::of([], None), Files::default());
    }
}
