//! Errors in what the flags of intakes name, with their remedies.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use zibrato::daemon::Exit;

/// Why an intake cannot use what a flag names.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {value}: {why}")]
pub(crate) struct FlagError {
    flag: &'static str,
    value: String,
    /// What is wrong, and how to correct it.
    why: String,
    exit: Exit,
}

impl FlagError {
    /// An error that lasts until the flags, or what they name, are corrected.
    pub(super) fn invalid(
        flag: &'static str,
        value: impl ToString,
        why: impl Into<String>,
    ) -> Self {
        Self { flag, value: value.to_string(), why: why.into(), exit: Exit::Config }
    }

    /// An error that may pass, such as an address that another program uses.
    pub(super) fn unavailable(
        flag: &'static str,
        value: impl ToString,
        why: impl Into<String>,
    ) -> Self {
        Self { exit: Exit::Unavailable, ..Self::invalid(flag, value, why) }
    }

    /// The error of a port that cannot be bound.
    pub(super) fn of_bind(
        flag: &'static str,
        value: impl ToString,
        address: SocketAddr,
        error: &io::Error,
    ) -> Self {
        let port = address.port();
        match error.kind() {
            ErrorKind::AddrInUse => Self::unavailable(
                flag,
                value,
                format!(
                    "the port is in use, by another flag of this broker or by the program that \
                     `ss -lntup 'sport = :{port}'` shows; stop it, or give another port"
                ),
            ),
            ErrorKind::PermissionDenied => {
                let why = "the port is reserved for the superuser; give one above 1023";
                Self::unavailable(flag, value, why)
            }
            ErrorKind::AddrNotAvailable => {
                let why = "it is not an address of this machine; `ip address` shows them";
                Self::invalid(flag, value, why)
            }
            _ => Self::unavailable(flag, value, error.to_string()),
        }
    }
}

/// All errors in the flags of an intake; at least one.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; and "))]
pub(crate) struct FlagErrors(Vec<FlagError>);

impl FlagErrors {
    /// The exit code for all of them: correcting the flags comes first.
    pub(crate) fn exit(&self) -> Exit {
        let is_invalid = self.0.iter().any(|error| error.exit == Exit::Config);
        if is_invalid { Exit::Config } else { Exit::Unavailable }
    }

    /// One error for each.
    pub(crate) fn split(self) -> impl Iterator<Item = Self> {
        self.0.into_iter().map(|error| Self(vec![error]))
    }
}

/// Collects errors, so that all of them can be reported.
#[derive(Debug, Default)]
pub(super) struct Collected(Vec<FlagError>);

impl Collected {
    /// The value of a result, or `None` after its error was added.
    pub(super) fn take<T>(&mut self, result: Result<T, FlagError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    /// # Errors
    /// The errors, if there are any.
    pub(super) fn finish(self) -> Result<(), FlagErrors> {
        if self.0.is_empty() { Ok(()) } else { Err(FlagErrors(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Collected, FlagError};
    use std::io::ErrorKind;
    use zibrato::daemon::Exit;

    #[test]
    fn all_errors_are_reported_and_invalid_flags_decide_the_exit_code() {
        let bind = |kind: ErrorKind| {
            let address = ([127, 0, 0, 1], 8125).into();
            FlagError::of_bind("--statsd", "localhost:8125", address, &kind.into())
        };
        for (kinds, exit, parts) in [
            (&[ErrorKind::AddrInUse][..], Exit::Unavailable, &["sport = :8125"][..]),
            (&[ErrorKind::AddrNotAvailable], Exit::Config, &["address of this machine"]),
            (
                &[ErrorKind::PermissionDenied, ErrorKind::AddrNotAvailable],
                Exit::Config,
                &["above 1023", "; and --statsd localhost:8125: it is not"],
            ),
        ] {
            let mut errors = Collected::default();
            kinds.iter().for_each(|kind| assert!(errors.take(Err::<(), _>(bind(*kind))).is_none()));
            let errors = errors.finish().unwrap_err();
            let text = errors.to_string();
            assert_eq!(errors.exit(), exit, "{text}");
            parts.iter().for_each(|part| assert!(text.contains(part), "{text}"));
            assert_eq!(errors.split().count(), kinds.len());
        }
        let mut errors = Collected::default();
        assert_eq!(errors.take(Ok(1)), Some(1));
        errors.finish().unwrap();
    }
}
