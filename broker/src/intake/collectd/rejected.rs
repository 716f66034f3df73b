//! What is not used of a datagram, for counters and the log.

use super::parts::PartError;
use super::value_list::{HeaderError, ListId};
use std::fmt;

/// Maximum length of a text that is shown, in bytes.
const MAX_SHOWN_BYTES: usize = 120;

/// Something that is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rejected<'a> {
    /// A constant word for the counter.
    pub(super) reason: &'static str,
    pub(super) about: About<'a>,
}

/// What is not used. Its text is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About<'a> {
    /// A datagram, or the rest of it.
    Datagram { why: &'static str },
    /// A value list.
    List { list: &'a ListId<'a>, why: &'static str },
    /// A value of a list.
    Value { list: &'a ListId<'a>, source: &'a str },
    /// What a user signed or encrypted.
    User { user: &'a [u8], why: &'static str },
    /// A notification.
    Notification { text: &'a [u8] },
}

impl<'a> Rejected<'a> {
    /// What `user` signed or encrypted.
    pub(super) const fn user(reason: &'static str, user: &'a [u8], why: &'static str) -> Self {
        Self { reason, about: About::User { user, why } }
    }

    /// What a user signed or encrypted who is not in the authentication file.
    pub(super) const fn unknown_user(user: &'a [u8]) -> Self {
        Self::user("user", user, "--collectd-auth-file does not have the user")
    }
}

impl From<PartError> for Rejected<'_> {
    fn from(error: PartError) -> Self {
        let (reason, why) = match error {
            PartError::Malformed => ("part", "a part is malformed; the rest is not read"),
            PartError::Truncated => ("truncated", "a part is truncated; the rest is not read"),
        };
        Self { reason, about: About::Datagram { why } }
    }
}

impl From<HeaderError> for Rejected<'_> {
    fn from(error: HeaderError) -> Self {
        let (reason, why) = match error {
            HeaderError::Encoding => ("encoding", "a text is not UTF-8"),
            HeaderError::Incomplete => ("incomplete", "values without plugin, type or time"),
            HeaderError::TooLong => ("length", "a text is longer than 255 bytes"),
        };
        Self { reason, about: About::Datagram { why } }
    }
}

/// The part of a text that is shown.
fn shown(text: &[u8]) -> &[u8] {
    text.get(..MAX_SHOWN_BYTES).unwrap_or(text)
}

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datagram { why } => f.write_str(why),
            Self::List { list, why } => write!(f, "{list}: {why}"),
            Self::Value { list, source } => write!(f, "{list}: {source}"),
            Self::User { user, why } => write!(f, "user {}: {why}", shown(user).escape_ascii()),
            Self::Notification { text } => {
                let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
                f.write_str(&String::from_utf8_lossy(shown(text)))
            }
        }
    }
}
