//! Why no instrument was installed.

use crate::sdk::sending::error::BuildError;
use std::fmt;

/// Why no instrument was installed.
///
/// `Debug` prints the message and its cause, because `main` prints an error that it returns with
/// `Debug`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The program already has an instrument.
    #[error("an instrument is already installed; `build` makes another one beside it")]
    AlreadyInstalled,
    /// The instrument cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl fmt::Debug for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyInstalled => write!(f, "{self}"),
            Self::Build(error) => write!(f, "{error:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BuildError, InstallError};
    use crate::Zibrato;

    #[test]
    fn what_main_prints_says_what_to_do() {
        let error = Zibrato::builder().port(0).build().unwrap_err();
        let words = "port 0 is out of range (1 to 65534; the broker's default is 5550)";
        assert_eq!(format!("{error:?}"), words);
        let error = InstallError::from(BuildError::Thread(std::io::Error::other("no room")));
        assert_eq!(format!("{error:?}"), "the sender's thread could not be started: no room");
    }
}
