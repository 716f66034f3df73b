//! Tokens and secret addresses: texts that no log line, error or debug output shows.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use zibrato::daemon::{Exit, Failure};

/// The longest secret that is read from a file, in bytes.
const MAX_FILE_BYTES: u64 = 4096;

/// A text that is not to be shown. Its debug output is `***`, and it has no other.
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
    /// Keeps a text secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the request that needs it and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` with `***` wherever the secret stands in it, for texts that come from elsewhere.
    pub(crate) fn redact(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "***") }
    }

    fn read(file: &Path) -> io::Result<Self> {
        let mut text = String::new();
        std::fs::File::open(file)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
        Ok(Self::new(text.trim()))
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

/// The secret that a flag names or the flag's file holds; `None` when neither is given or it is
/// empty. `flag` is the name of the flag, such as `--apitoken`.
pub(crate) fn given(
    flag: &str,
    secret: Option<Secret>,
    file: Option<PathBuf>,
) -> Result<Option<Secret>, Failure> {
    let wrong = |why: String| Failure::new(Exit::Config, why);
    let secret = match (secret, file) {
        (Some(_), Some(_)) => {
            return Err(wrong(format!("{flag} and {flag}-file are both given; leave one out")));
        }
        (secret, None) => secret,
        (None, Some(file)) => Some(
            Secret::read(&file)
                .map_err(|error| wrong(format!("{flag}-file {}: {error}", file.display())))?,
        ),
    };
    Ok(secret.filter(|secret| !secret.expose().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::{Secret, given};
    use std::path::PathBuf;

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.redact("user:hunter2@host"), "user:***@host");
        assert_eq!(Secret::new("").redact("nothing"), "nothing");
    }

    #[test]
    fn a_secret_comes_from_its_flag_or_its_file_but_not_from_both() {
        let secret = || Some(Secret::new("hunter2"));
        let missing = || Some(PathBuf::from("/nonexistent/token"));
        assert_eq!(given("--token", secret(), None).unwrap(), secret());
        assert_eq!(given("--token", Some(Secret::new("")), None).unwrap(), None);
        assert_eq!(given("--token", None, None).unwrap(), None);
        let both = given("--token", secret(), missing()).unwrap_err().message;
        assert_eq!(both, "--token and --token-file are both given; leave one out");
        let gone = given("--token", None, missing()).unwrap_err().message;
        assert!(gone.starts_with("--token-file /nonexistent/token: "), "{gone}");
    }

    #[test]
    fn white_space_around_a_secret_in_a_file_is_no_part_of_it() {
        let file = std::env::temp_dir().join(format!("zibrato-secret-{}", std::process::id()));
        std::fs::write(&file, " hunter2\r\n").unwrap();
        let read = given("--token", None, Some(file.clone())).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(read.unwrap().expose(), "hunter2");
    }
}
