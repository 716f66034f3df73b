//! Errors of the client.
//!
//! Pure.

use crate::http::Unanswered;
use crate::http::retry::Failed as FailedAttempt;
use crate::slack::words::{ErrorKind, explained, kind_of};
use std::time::Duration;

/// An attempt that failed.
pub(super) type Failed = FailedAttempt<Error>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection, or it was lost.
    #[error("the connection to Slack failed")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API is elsewhere. The token is not sent to another place unasked.
    #[error("the answer ({status}) is a redirect to {}, which is not followed; check --api-url", host.as_deref().unwrap_or("a place that it does not name"))]
    Moved {
        /// The status.
        status: u16,
        /// The host of the other place.
        host: Option<String>,
    },
    /// No channel has this name.
    #[error(
        "the app sees no channel #{name} among {seen}; check --channel, and invite the app if the \
         channel is private"
    )]
    NoChannel {
        /// The name, without `#`.
        name: String,
        /// The number of channels that the app sees.
        seen: usize,
    },
    /// Slack refused the call.
    #[error(transparent)]
    Refused(Box<Refused>),
    /// The wait before an attempt was ended from outside: see
    /// [`ClientBuilder::pause`](super::ClientBuilder::pause).
    #[error("stopped")]
    Stopped,
    /// There was no answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer is not what Slack gives: HTML of a proxy, half of an answer, or an object without
    /// an essential field.
    #[error("the answer ({status}) cannot be read: {why}")]
    Unreadable {
        /// The status.
        status: u16,
        /// What is wrong with it.
        why: String,
    },
}

/// A call that Slack refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{method}: {}", explained(word, self.scopes()))]
#[non_exhaustive]
pub struct Refused {
    /// The method, such as `chat.postMessage`, or `webhook`.
    pub method: &'static str,
    /// The status.
    pub status: u16,
    /// The error code, such as `not_in_channel`.
    pub word: String,
    /// The scope that is missing, if that is the cause.
    pub needed: Option<String>,
    /// The scopes of the token, if the answer names them.
    pub provided: Option<String>,
    /// The time for which Slack asks to wait before the next call.
    pub retry_after: Option<Duration>,
}

impl Refused {
    /// What the code means.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match (self.status, kind_of(&self.word)) {
            (429, _) => ErrorKind::RateLimited,
            (_, Some(kind)) => kind,
            (500.., None) => ErrorKind::Transient,
            (_, None) => ErrorKind::Other,
        }
    }

    fn scopes(&self) -> Option<(&str, &str)> {
        self.needed.as_deref().zip(self.provided.as_deref())
    }
}

impl Error {
    /// What it means. Lost connections and timeouts are [`ErrorKind::Transient`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(refused) => refused.kind(),
            Self::Connection(_) | Self::Timeout(_) => ErrorKind::Transient,
            Self::Unreadable { status: 200..=299 | 500.., .. } => ErrorKind::Transient,
            Self::NoChannel { .. } => ErrorKind::Channel,
            Self::Moved { .. } | Self::Stopped | Self::Unreadable { .. } => ErrorKind::Other,
        }
    }

    /// The error code, if Slack refused the call.
    ///
    /// ```no_run
    /// # let client = zibrato_workers::slack::client::Client::new("xoxb-…")?;
    /// match client.join("C0123456789") {
    ///     Err(error) if error.word() == Some("missing_scope") => println!("invite the app instead"),
    ///     joined => println!("{}", joined?.name),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Refused(refused) => Some(&refused.word),
            _ => None,
        }
    }

    /// The time for which Slack asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refused) => refused.retry_after,
            _ => None,
        }
    }
}

/// A request without an answer.
pub(super) fn unanswered(unanswered: Unanswered) -> Failed {
    let again = unanswered.again();
    let error = match unanswered.timeout() {
        Some(after) => Error::Timeout(after),
        None => Error::Connection(unanswered.into_cause()),
    };
    Failed { error, again }
}
