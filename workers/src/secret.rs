//! Tokens and secret addresses, which no log line, error or debug output shows.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use zibrato::daemon::{Exit, Failure, read_bounded};

/// Maximum size of a file that contains a secret, in bytes.
const MAX_FILE_BYTES: u64 = 4096;

/// Shorter texts are not hidden: replacing them would garble the text and reveal where the secret
/// was.
const FEWEST_CHARS: usize = 4;

/// A text that must not be shown. Its debug output is `***`; it does not implement `Display`.
///
/// ```
/// use zibrato_workers::Secret;
/// let token = Secret::new("tok123");
/// assert_eq!(format!("{token:?}"), "***");
/// assert_eq!(token.expose(), "tok123");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes a text a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Use it only in requests.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secret from a flag, or from the file that the flag's `-file` variant names; `None` if
    /// neither is given or the flag is empty. `flag` is the name of the flag, such as `--apitoken`.
    ///
    /// ```
    /// use zibrato_workers::Secret;
    /// let given = Secret::from_flag("--token", Some(Secret::new("tok123")), None);
    /// let given = given.unwrap().unwrap();
    /// assert_eq!((given.secret.expose(), &*given.from), ("tok123", "--token"));
    /// ```
    ///
    /// # Errors
    /// If both are given, or if the file cannot be read, is empty or is longer than 4096 bytes.
    pub fn from_flag(
        flag: &str,
        secret: Option<Self>,
        file: Option<PathBuf>,
    ) -> Result<Option<GivenSecret>, Failure> {
        let wrong = |why: String| Failure::new(Exit::Config, why);
        match (secret, file) {
            (Some(_), Some(_)) => {
                Err(wrong(format!("{flag} and {flag}-file are both given; leave one out")))
            }
            (secret, None) => {
                let secret = secret.filter(|secret| !secret.expose().is_empty());
                Ok(secret.map(|secret| GivenSecret { secret, from: flag.to_owned() }))
            }
            (None, Some(file)) => {
                let from = format!("{flag}-file {}", file.display());
                let read = Self::read(&file).map_err(|error| wrong(format!("{from}: {error}")));
                Ok(Some(GivenSecret { secret: read?, from }))
            }
        }
    }

    /// `text` with each occurrence of the secret replaced by `***`, for external texts. A secret of
    /// fewer than four characters is not replaced.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let is_secret = self.0.chars().count() >= FEWEST_CHARS;
        if is_secret { text.replace(&self.0, "***") } else { text.to_owned() }
    }

    fn read(file: &Path) -> io::Result<Self> {
        let wrong = |why| io::Error::new(ErrorKind::InvalidData, why);
        let (bytes, _) =
            read_bounded(file, MAX_FILE_BYTES).map_err(|error| match error.kind() {
                ErrorKind::FileTooLarge => wrong("the file is too long for a secret"),
                _ => error,
            })?;
        match std::str::from_utf8(&bytes).map(str::trim) {
            Err(_) => Err(wrong("the file is not UTF-8 text")),
            Ok("") => Err(wrong("the file is empty")),
            Ok(text) => Ok(Self::new(text)),
        }
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenSecret {
    /// The secret.
    pub secret: Secret,
    /// The origin, for errors: `--apitoken`, or `--apitoken-file` and the path.
    pub from: String,
}

#[cfg(test)]
mod tests {
    use super::{GivenSecret, MAX_FILE_BYTES, Secret};
    use std::path::PathBuf;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.redact("user:hunter2@host"), "user:***@host");
        for short in ["", "x", "abc"] {
            assert_eq!(Secret::new(short).redact("x of abc"), "x of abc");
        }
        assert_eq!(Secret::new("abcd").redact("x of abcd"), "x of ***");
    }

    #[test]
    fn a_secret_comes_from_its_flag_or_its_file_but_not_from_both() {
        let secret = || Some(Secret::new("hunter2"));
        let missing = || Some(PathBuf::from("/nonexistent/token"));
        let expected = GivenSecret { secret: secret().unwrap(), from: "--token".to_owned() };
        assert_eq!(Secret::from_flag("--token", secret(), None).unwrap(), Some(expected));
        assert_eq!(Secret::from_flag("--token", Some(Secret::new("")), None).unwrap(), None);
        assert_eq!(Secret::from_flag("--token", None, None).unwrap(), None);
        let both = Secret::from_flag("--token", secret(), missing()).unwrap_err().message;
        assert_eq!(both, "--token and --token-file are both given; leave one out");
        let gone = Secret::from_flag("--token", None, missing()).unwrap_err().message;
        assert!(gone.starts_with("--token-file /nonexistent/token: "), "{gone}");
    }

    #[test]
    fn white_space_around_a_secret_in_a_file_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Secret::from_flag("--token", None, Some(file.clone()))
                .map_err(|failure| failure.message)
        };
        let from = format!("--token-file {}", file.display());
        let secret = Secret::new("hunter2");
        assert_eq!(read(" hunter2\r\n"), Ok(Some(GivenSecret { secret, from: from.clone() })));
        assert_eq!(read(" \n"), Err(format!("{from}: the file is empty")));
        let long = "x".repeat(MAX_FILE_BYTES as usize + 1);
        assert_eq!(read(&long), Err(format!("{from}: the file is too long for a secret")));
        let endless =
            Secret::from_flag("--token", None, Some("/dev/zero".into())).unwrap_err().message;
        assert_eq!(endless, "--token-file /dev/zero: the file is too long for a secret");
    }
}
