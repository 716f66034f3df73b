//! The folder in which programs keep state, and whether they can write to it.

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// The folder in which a service or a user keeps state: the first of `$STATE_DIRECTORY`, or
/// `below` in `$XDG_STATE_HOME`, or `below` in `$HOME/.local/state`.
///
/// A variable without an absolute path is ignored, as the XDG Base Directory Specification demands.
/// So is a home directory `/`, which users without a home have.
///
/// # Errors
/// [`NoStateFolder`] if none of them names a folder.
///
/// ```
/// use std::path::Path;
/// use zibrato::daemon::state_folder;
/// let variable = |name: &str| (name == "HOME").then(|| "/ann".into());
/// let folder = state_folder("zibrato-broker", variable).unwrap();
/// assert_eq!(folder, Path::new("/ann/.local/state/zibrato-broker"));
/// ```
pub fn state_folder(
    below: impl AsRef<Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, NoStateFolder> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    let absolute = |name: &str| path(name).filter(|path| path.is_absolute());
    // systemd separates several folders by colons; the first one is used.
    let first = |all: PathBuf| {
        let text = all.to_str()?;
        text.split(':').next().map(PathBuf::from).filter(|path| path.is_absolute())
    };
    if let Some(service) = path("STATE_DIRECTORY").and_then(first) {
        return Ok(service);
    }
    if let Some(user) = absolute("XDG_STATE_HOME") {
        return Ok(user.join(below));
    }
    match path("HOME") {
        None => Err(NoStateFolder::Unset),
        Some(home) if home.as_os_str().is_empty() => Err(NoStateFolder::Empty),
        Some(home) if !home.is_absolute() => Err(NoStateFolder::Relative { home }),
        Some(home) if home.components().any(|part| matches!(part, Component::Normal(_))) => {
            Ok(home.join(".local/state").join(below))
        }
        Some(_) => Err(NoStateFolder::Root),
    }
}

/// An environment variable, for [`state_folder`]. If HOME is not set, it is the user's home
/// directory in the password database.
#[must_use]
pub fn state_variable(name: &str) -> Option<OsString> {
    let home = || (name == "HOME").then(std::env::home_dir).flatten();
    std::env::var_os(name).or_else(|| home().map(PathBuf::into_os_string))
}

/// Why there is no state folder. Each variant is about HOME, which is usually the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoStateFolder {
    /// HOME is empty.
    #[error("HOME is empty")]
    Empty,
    /// HOME is a relative path.
    #[error("HOME is the relative path {}", home.display())]
    Relative {
        /// The path.
        home: PathBuf,
    },
    /// HOME is the root directory, as for a user without a home.
    #[error("HOME is /, as for a user without a home directory")]
    Root,
    /// HOME is not set, and the password database has no home for this user.
    #[error("HOME is not set, and this user has no home directory")]
    Unset,
}

/// Creates a folder that only its owner can access, and missing parent folders.
///
/// # Errors
/// The error of the system. If the path or a parent is not a folder, the error says what it is.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| in_the_way(folder).unwrap_or(error))
}

/// The error for a path, or a parent, that exists but is not a folder.
fn in_the_way(folder: &Path) -> Option<io::Error> {
    for place in folder.ancestors().filter(|place| !place.as_os_str().is_empty()) {
        let shown = place.display();
        let (kind, why) = match std::fs::metadata(place) {
            Ok(found) if found.is_dir() => return None,
            Ok(_) => (io::ErrorKind::NotADirectory, "is not a folder"),
            Err(_) if place.is_symlink() => {
                (io::ErrorKind::NotFound, "is a symbolic link to a path that does not exist")
            }
            Err(_) => continue,
        };
        let remedy = "remove it, or give another folder";
        return Some(io::Error::new(kind, format!("{shown} {why}; {remedy}")));
    }
    None
}

/// Checks whether files can be written in a folder, or in a new one if it is missing. It writes a
/// few bytes, because empty files can be created even on a full disk, and removes everything
/// afterwards.
///
/// # Errors
/// The error of the system. A symbolic link to a path that does not exist is an error too.
pub fn probe_folder(folder: &Path) -> io::Result<()> {
    for place in folder.ancestors().filter(|place| !place.as_os_str().is_empty()) {
        match std::fs::metadata(place) {
            Ok(found) if !found.is_dir() => {
                return Err(in_the_way(place).unwrap_or(io::ErrorKind::NotADirectory.into()));
            }
            Ok(_) if place == folder => return probe_file(place),
            Ok(_) => {
                let below = probe_path(place);
                DirBuilder::new().mode(0o700).create(&below)?;
                let probed = probe_file(&below);
                return probed.and(std::fs::remove_dir(below));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if place.is_symlink() {
                    return Err(in_the_way(place).unwrap_or(error));
                }
            }
            Err(error) => return Err(in_the_way(folder).unwrap_or(error)),
        }
    }
    // A relative path of which no part exists begins in the current directory.
    probe_folder(Path::new("."))
}

/// The path of a file that nobody else writes. Several threads may probe one folder.
fn probe_path(folder: &Path) -> PathBuf {
    let thread = format!("{:?}", std::thread::current().id());
    let number: String = thread.chars().filter(char::is_ascii_digit).collect();
    folder.join(format!(".zibrato-probe-{}-{number}", std::process::id()))
}

/// Writes a file in a folder and removes it.
fn probe_file(folder: &Path) -> io::Result<()> {
    let path = probe_path(folder);
    // A killed program with the same numbers may have left its file. A file that cannot be
    // removed fails below.
    std::fs::remove_file(&path).ok();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let written = file.write_all(b"probe\n").and_then(|()| file.sync_all());
    written.and(std::fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::{NoStateFolder, make_folder, probe_folder, state_folder};
    use std::ffi::OsString;
    use std::io;
    use std::path::{Path, PathBuf};

    fn place(variables: &[(&str, &str)]) -> Result<PathBuf, NoStateFolder> {
        state_folder("p", |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_folder_is_that_of_the_service_or_in_the_home_directory() {
        let [state, xdg, home] =
            [("STATE_DIRECTORY", "/s/a:/s/b"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(place(&[state, xdg, home]).unwrap(), Path::new("/s/a"));
        assert_eq!(place(&[xdg, home]).unwrap(), Path::new("/x/p"));
        assert_eq!(place(&[home]).unwrap(), Path::new("/h/.local/state/p"));
    }

    #[test]
    fn relative_paths_are_ignored() {
        let home = ("HOME", "/h");
        for ignored in [
            ("XDG_STATE_HOME", "relative"),
            ("XDG_STATE_HOME", ""),
            ("STATE_DIRECTORY", "relative:/x"),
            ("STATE_DIRECTORY", ""),
        ] {
            assert_eq!(place(&[ignored, home]).unwrap(), Path::new("/h/.local/state/p"));
        }
        let relative = || NoStateFolder::Relative { home: "h".into() };
        for (home, expected) in [
            (Some(""), NoStateFolder::Empty),
            (Some("/"), NoStateFolder::Root),
            (Some("//."), NoStateFolder::Root),
            (Some("h"), relative()),
            (None, NoStateFolder::Unset),
        ] {
            let variables: Vec<_> = home.map(|home| ("HOME", home)).into_iter().collect();
            assert_eq!(place(&variables).unwrap_err(), expected);
        }
    }

    #[test]
    fn probing_a_folder_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let empty = || folder.path().read_dir().unwrap().next().is_none();
        probe_folder(folder.path()).unwrap();
        probe_folder(&folder.path().join("a/b")).unwrap();
        assert!(empty());
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for place in [file.clone(), file.join("below")] {
            for error in [probe_folder(&place).unwrap_err(), make_folder(&place).unwrap_err()] {
                assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{}", place.display());
                let expected = format!("{} is not a folder; remove it, or", file.display());
                assert!(error.to_string().starts_with(&expected), "{error}");
            }
        }
    }

    #[test]
    fn several_threads_probe_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        probe_folder(folder.path()).unwrap();
                        probe_folder(&folder.path().join("a/b")).unwrap();
                    }
                });
            }
        });
        assert!(folder.path().read_dir().unwrap().next().is_none());
    }

    #[test]
    fn a_dangling_link_is_not_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("missing"), &link).unwrap();
        for place in [link.clone(), link.join("below")] {
            for error in [probe_folder(&place).unwrap_err(), make_folder(&place).unwrap_err()] {
                let expected = format!("{} is a symbolic link to a path that", link.display());
                assert!(error.to_string().starts_with(&expected), "{error}");
            }
        }
        // A link to a folder is fine.
        let good = folder.path().join("good");
        std::os::unix::fs::symlink(folder.path(), &good).unwrap();
        probe_folder(&good).unwrap();
    }

    #[test]
    fn a_file_left_by_a_killed_program_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(super::probe_path(folder.path()), "").unwrap();
        probe_folder(folder.path()).unwrap();
        assert!(folder.path().read_dir().unwrap().next().is_none());
    }
}
