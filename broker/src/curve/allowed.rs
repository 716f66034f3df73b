//! The list of allowed public keys: a file, or the `*.pub` files of a folder.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zibrato::curve::{KeyError, KeyLine, PublicKey};
use zibrato::daemon::read_bounded;

/// Maximum size of a file, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Maximum number of files in a folder.
const MAX_FILES: usize = 10_000;

/// Maximum number of allowed keys.
const MAX_KEYS: usize = 100_000;

/// The permission that other users must not have: to change the list.
const OTHERS_WRITE: u32 = 0o002;

/// The allowed keys, and the names of their owners.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    /// The name of each key's owner, by the text of the key. libzmq adds that text to each message.
    names: HashMap<String, String>,
    /// The broker's own public key, which its own commands use, such as `zibrato-broker cursors`.
    own: String,
}

impl Allowed {
    /// Reads the list. The broker's own key is allowed too, and is not counted.
    pub(super) fn read(place: &Path, own: &PublicKey) -> Result<Self, AllowedError> {
        let mut allowed = Self { names: HashMap::new(), own: own.to_string() };
        let wrong = |problem| AllowedError::File { file: place.to_owned(), problem };
        if !std::fs::metadata(place).map_err(wrong)?.is_dir() {
            allowed.add_file(place)?;
            return Ok(allowed);
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(place).map_err(wrong)? {
            let file = entry.map_err(wrong)?.path();
            if file.extension().is_some_and(|extension| extension == "pub") {
                files.push(file);
            }
            if files.len() > MAX_FILES {
                return Err(AllowedError::TooMany { place: place.to_owned(), most: MAX_FILES });
            }
        }
        // The name of a key that is in several files must not depend on the order in the folder.
        files.sort_unstable();
        files.iter().try_for_each(|file| allowed.add_file(file))?;
        Ok(allowed)
    }

    fn add_file(&mut self, file: &Path) -> Result<(), AllowedError> {
        let wrong = |problem| AllowedError::File { file: file.to_owned(), problem };
        let (bytes, metadata) = match read_bounded(file, MAX_FILE_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(AllowedError::TooMany { place: file.to_owned(), most: MAX_KEYS });
            }
            read => read.map_err(wrong)?,
        };
        if metadata.mode() & OTHERS_WRITE != 0 {
            return Err(AllowedError::Writable { file: file.to_owned() });
        }
        let text = String::from_utf8(bytes);
        let text =
            text.map_err(|error| wrong(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        for KeyLine { number, key, name } in KeyLine::all(&text) {
            let key: PublicKey = key.parse().map_err(|problem| AllowedError::Key {
                file: file.to_owned(),
                line: number,
                problem,
            })?;
            self.names.entry(key.to_string()).or_insert_with(|| name.to_owned());
            if self.names.len() > MAX_KEYS {
                return Err(AllowedError::TooMany { place: file.to_owned(), most: MAX_KEYS });
            }
        }
        Ok(())
    }

    /// Whether the key with this text is allowed.
    pub(super) fn contains(&self, key: &str) -> bool {
        self.names.contains_key(key) || key == self.own
    }

    /// The owner of a key; empty if the list does not name one.
    pub(super) fn name(&self, key: &str) -> &str {
        self.names.get(key).map_or("", String::as_str)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The keys that are in this list and not in `other`.
    pub(super) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a String> {
        self.names.keys().filter(|key| !other.contains(key))
    }
}

/// An error in the list of allowed keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AllowedError {
    /// It cannot be read.
    #[error("{}: {problem}; give a file with one public key per line, or a folder of *.pub files", .file.display())]
    File {
        /// The file or folder.
        file: PathBuf,
        /// The error of the system.
        problem: io::Error,
    },
    /// A line has no public key.
    #[error("{}, line {line}: {problem}", .file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The error in the key.
        problem: KeyError,
    },
    /// There are too many keys or files.
    #[error("{}: more than {most} keys or files; give a shorter list", .place.display())]
    TooMany {
        /// The file or folder.
        place: PathBuf,
        /// The maximum number.
        most: usize,
    },
    /// Every user can write to it, and could add keys.
    #[error("{}: every user can write to it and could add keys; run `chmod o-w {}`", .file.display(), .file.display())]
    Writable {
        /// The file.
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::{Allowed, AllowedError, KeyError};
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use zibrato::curve::{PublicKey, SecretKey};

    const OWN: PublicKey = PublicKey::new([9; 32]);

    #[test]
    fn a_list_is_a_file_or_a_folder_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = [1, 2, 3].map(|n| PublicKey::new([n; 32]).to_string());
        let (x, y) = (folder.path().join("x.pub"), folder.path().join("y.pub"));
        std::fs::write(&x, format!("# ours\n{a} web 1\n\n{b}\n")).unwrap();
        std::fs::write(&y, format!("{c} worker\n{a} again\n")).unwrap();
        std::fs::write(folder.path().join("x.key"), "secret:…").unwrap();
        let one = Allowed::read(&x, &OWN).unwrap();
        assert_eq!(
            (one.len(), one.name(&a), one.name(&b), one.contains(&c)),
            (2, "web 1", "", false)
        );
        let all = Allowed::read(folder.path(), &OWN).unwrap();
        assert_eq!((all.len(), all.name(&a), all.name(&c)), (3, "web 1", "worker"));
        assert!(all.contains(&OWN.to_string()));
        assert_eq!(all.without(&one).collect::<Vec<_>>(), [&c]);
    }

    #[test]
    fn a_bad_list_names_the_line_and_shows_no_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let secret = SecretKey::generate().unwrap();
        let read = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            Allowed::read(file.path(), &OWN)
        };
        assert_eq!(read("").unwrap().len(), 0);
        let error = read(&format!("# x\n{} me\n", secret.expose_text())).unwrap_err();
        assert!(matches!(error, AllowedError::Key { line: 2, problem: KeyError::IsSecret, .. }));
        assert!(!error.to_string().contains(secret.expose_text().get(7..20).unwrap()), "{error}");
        for text in ["public:short", "web-1 public:0", "public:", "\0"] {
            assert!(matches!(read(text), Err(AllowedError::Key { line: 1, .. })), "{text:?}");
        }
        std::fs::write(file.path(), [0xff]).unwrap();
        assert!(matches!(Allowed::read(file.path(), &OWN), Err(AllowedError::File { .. })));
        assert!(matches!(Allowed::read("/nowhere".as_ref(), &OWN), Err(AllowedError::File { .. })));
    }

    #[test]
    fn a_list_that_anybody_can_write_to_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(0o666)).unwrap();
        let error = Allowed::read(file.path(), &OWN).unwrap_err();
        assert!(matches!(error, AllowedError::Writable { .. }), "{error}");
    }
}
