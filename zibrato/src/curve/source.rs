//! The source of a key: a file, or the text of a setting.

use super::key::{KeyError, KeyLine, PublicKey, SecretKey};
use crate::bounded::read_bounded;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Maximum size of a file with one key.
const MAX_FILE_BYTES: u64 = 4096;

/// Permissions that the file of a secret key must not have. Its group may read it.
const OTHERS: u32 = 0o037;

/// A key as it is configured: the key itself if the text begins with `public:` or `secret:`,
/// otherwise the path of its file. Debug output shows no key.
///
/// ```
/// use zibrato::curve::KeySource;
/// assert_eq!(format!("{:?}", KeySource::from("/etc/zibrato/web-1.key")), "/etc/zibrato/web-1.key");
/// assert_eq!(format!("{:?}", KeySource::from("secret:…")), "***");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeySource(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Text(String),
}

impl KeySource {
    /// Reads a public key.
    ///
    /// # Errors
    /// [`ReadKeyError`] if the file cannot be read or contains none.
    pub fn public_key(&self) -> Result<PublicKey, ReadKeyError> {
        self.parse(&self.read()?.0)
    }

    /// Reads a secret key.
    ///
    /// # Errors
    /// [`ReadKeyError`] if the file cannot be read, is readable by other users, or contains none.
    pub fn secret_key(&self) -> Result<SecretKey, ReadKeyError> {
        let (text, mode) = self.read()?;
        let key = self.parse(&text)?;
        match (&self.0, mode) {
            (Place::File(file), Some(mode)) if mode & OTHERS != 0 => {
                Err(ReadKeyError::Exposed { file: file.clone(), mode })
            }
            _ => Ok(key),
        }
    }

    fn parse<K: FromStr<Err = KeyError>>(&self, text: &str) -> Result<K, ReadKeyError> {
        let mut lines = KeyLine::all(text);
        let (line, another) = (lines.next(), lines.next());
        if another.is_some() {
            return Err(ReadKeyError::Several { origin: format!("{self:?}") });
        }
        let key = line.map_or("", |line| line.key).parse();
        key.map_err(|problem| ReadKeyError::Key { origin: format!("{self:?}"), problem })
    }

    /// The text, and the permissions of its file.
    fn read(&self) -> Result<(String, Option<u32>), ReadKeyError> {
        match &self.0 {
            Place::Text(text) => Ok((text.clone(), None)),
            Place::File(file) => read(file),
        }
    }
}

fn read(file: &Path) -> Result<(String, Option<u32>), ReadKeyError> {
    let wrong = |problem| ReadKeyError::File { file: file.to_owned(), problem };
    let no_key =
        || ReadKeyError::Key { origin: file.display().to_string(), problem: KeyError::NoKey };
    let (bytes, metadata) = match read_bounded(file, MAX_FILE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(no_key()),
        read => read.map_err(wrong)?,
    };
    // Permissions do not matter for a pipe, such as a shell's <(…).
    let mode = metadata.is_file().then(|| metadata.mode() & 0o777);
    Ok((String::from_utf8(bytes).map_err(|_| no_key())?, mode))
}

impl From<OsString> for KeySource {
    fn from(given: OsString) -> Self {
        let is_key = |text: &&str| text.starts_with("public:") || text.starts_with("secret:");
        match given.to_str().map(str::trim).filter(is_key) {
            Some(text) => Self(Place::Text(text.to_owned())),
            None => Self(Place::File(given.into())),
        }
    }
}

impl From<&str> for KeySource {
    fn from(given: &str) -> Self {
        OsString::from(given).into()
    }
}

impl From<PathBuf> for KeySource {
    fn from(file: PathBuf) -> Self {
        Self(Place::File(file))
    }
}

impl FromStr for KeySource {
    type Err = Infallible;

    fn from_str(given: &str) -> Result<Self, Infallible> {
        Ok(given.into())
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(file) => write!(f, "{}", file.display()),
            Place::Text(_) => f.write_str("***"),
        }
    }
}

/// Why a key cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadKeyError {
    /// Others can read or change the file of a secret key.
    #[error(
        "{}: other users can read or change it (mode {mode:04o}); run `chmod 600 {}`, and make a \
         new pair if others may have read it", .file.display(), .file.display()
    )]
    Exposed {
        /// The file.
        file: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file cannot be read.
    #[error("{}: {problem}; create keys with `zibrato-broker keygen`", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        problem: io::Error,
    },
    /// The key of a setting, such as `--server-key`, cannot be read.
    #[error("{name} {problem}")]
    Given {
        /// The flag or the variable.
        name: &'static str,
        /// Why.
        problem: Box<Self>,
    },
    /// Only one of two keys is given that belong together.
    #[error(
        "{given} is given without {missing}; a client needs the broker's public key and its own secret one"
    )]
    Half {
        /// The setting that is given.
        given: &'static str,
        /// The setting that is missing.
        missing: &'static str,
    },
    /// The text is not a key, or is a key of the wrong type.
    #[error("{origin}: {problem}")]
    Key {
        /// The file, or `***` for a key that was given as text.
        origin: String,
        /// What is wrong with it.
        problem: KeyError,
    },
    /// There is more than one key.
    #[error("{origin}: contains more than one key; keep only one")]
    Several {
        /// The file.
        origin: String,
    },
}

impl ReadKeyError {
    /// Adds the name of the setting.
    pub(super) fn given_as(name: &'static str) -> impl FnOnce(Self) -> Self {
        move |problem| Self::Given { name, problem: Box::new(problem) }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyError, KeySource, ReadKeyError, SecretKey};
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn bad_key_files_say_what_is_wrong_and_show_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let key = SecretKey::generate().unwrap();
        let (secret, public) = (key.expose_text(), key.public_key().to_string());
        let cut = |text: &str, at| text.get(..at).unwrap().to_owned();
        let source = KeySource::from(file.clone());
        for (content, part) in [
            (String::new(), "no key that begins with"),
            (secret.replace("secret:", ""), "no key that begins with"),
            (cut(&secret, 30), "23 characters in place of 40"),
            (secret.clone() + "x", "41 characters in place of 40"),
            (cut(&secret, 46) + "~", "character 40 of the key is wrong"),
            (cut(&secret, 46) + "ä", "character 40 of the key is wrong"),
            (format!("{secret}\n{secret}"), "more than one key"),
            (public.clone(), "this is a public key"),
            ("x".repeat(5_000), "no key that begins with"),
        ] {
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            let error = source.secret_key().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(file.to_str().unwrap()), "{error}");
            assert!(!error.contains(&cut(&secret, 20)), "{error}");
        }
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(source.secret_key().is_err());
        std::fs::write(&file, &secret).unwrap();
        let error = source.public_key().unwrap_err();
        assert!(matches!(error, ReadKeyError::Key { problem: KeyError::IsSecret, .. }), "{error}");
        assert_eq!(source.secret_key().unwrap(), key);
        let gone = KeySource::from("/nonexistent/key").secret_key().unwrap_err().to_string();
        assert!(gone.contains("/nonexistent/key") && gone.contains("keygen"), "{gone}");
        assert!(KeySource::from(folder.path().to_owned()).secret_key().is_err());
    }

    #[test]
    fn a_secret_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, SecretKey::generate().unwrap().expose_text()).unwrap();
        let read = |mode| {
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            KeySource::from(file.clone()).secret_key()
        };
        for mode in [0o644, 0o604, 0o620, 0o660, 0o777] {
            let error = read(mode).unwrap_err().to_string();
            assert!(
                error.contains("chmod 600") && error.contains(&format!("{mode:04o}")),
                "{error}"
            );
        }
        for mode in [0o400, 0o600, 0o440, 0o640] {
            read(mode).unwrap();
        }
    }
}
