//! Errors of the client.
//!
//! Pure.

use super::number::Number;
use super::payload::ErrorPayload;
use super::rate_limits::RateLimits;
use std::time::Duration;

/// An attempt that failed.
pub(super) type Failed = crate::http::retry::Failed<Error>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server rejected the request, or part of it.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// There is no connection, or it was lost.
    #[error("the connection to the API failed")]
    Connection(#[source] Cause),
    /// The address of a request cannot be built, because a name or identifier is empty, `.` or `..`,
    /// or too long.
    #[error("{0:?} cannot be part of the address of a request")]
    InvalidAddress(String),
    /// The API is elsewhere. Credentials are not sent to another place unasked.
    #[error("the API has moved ({code}) to {}; set the URL of the client to it", location.as_deref().unwrap_or("a place that the answer does not name"))]
    Moved {
        /// The status.
        code: u16,
        /// The new place.
        location: Option<String>,
    },
    /// AppOptics accepts only measurements with tags.
    #[error("At least one tag is needed.")]
    NoTag,
    /// A number is NaN or infinite.
    #[error("the {field} of {name:?} is {number}, and only finite numbers can be sent")]
    NotFinite {
        /// The name of the measurement.
        name: String,
        /// The field, such as `value`.
        field: &'static str,
        /// The number.
        number: Number,
    },
    /// A queue holds as many measurements as it may. The one that was added is lost.
    #[error("the queue is full with {0} measurements; submit it, or raise its capacity")]
    QueueFull(usize),
    /// There was no answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer is not what the API gives: HTML of a proxy, half of an answer, an object without
    /// an essential field.
    #[error("the answer ({code}) cannot be read: {why}")]
    Unreadable {
        /// The status.
        code: u16,
        /// What is wrong with it.
        why: String,
    },
    /// A request cannot be written as JSON.
    #[error("the request cannot be written")]
    Unwritable(#[source] Cause),
    /// An object cannot be changed or deleted, because the server did not give it an identifier.
    #[error("the {0} is not stored yet; create it first")]
    Unsaved(&'static str),
}

/// A request that the server rejected, wholly or in part.
#[derive(Debug, Clone, thiserror::Error)]
#[error("[{code}] {}", payload.message())]
#[non_exhaustive]
pub struct ApiError {
    /// The status.
    pub code: u16,
    /// What the server says.
    pub payload: ErrorPayload,
    /// The limits of the account, if the answer has them.
    pub rate_limits: Option<RateLimits>,
    /// The time for which the server asks to wait before the next request.
    pub retry_after: Option<Duration>,
}

/// What a rejection means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiErrorKind {
    /// 400: parameters are invalid. Nothing of the request was accepted.
    BadRequest,
    /// 401: the credentials are wrong or have expired.
    Unauthorized,
    /// 403: the account must not do this, or has reached a limit.
    Forbidden,
    /// 404: there is no such object.
    NotFound,
    /// 429: the request has reached a limit. Part of it may have been accepted.
    RateLimited,
    /// 500 and above, after the last attempt.
    Server,
    /// 200 to 299: part of the request was accepted. The rest is in the payload.
    Partial,
    /// Other errors of the request, such as 409, 415 and 422.
    Other,
}

impl ApiError {
    /// What the code means.
    #[must_use]
    pub const fn kind(&self) -> ApiErrorKind {
        match self.code {
            200..=299 => ApiErrorKind::Partial,
            400 => ApiErrorKind::BadRequest,
            401 => ApiErrorKind::Unauthorized,
            403 => ApiErrorKind::Forbidden,
            404 => ApiErrorKind::NotFound,
            429 => ApiErrorKind::RateLimited,
            500.. => ApiErrorKind::Server,
            _ => ApiErrorKind::Other,
        }
    }
}

impl Error {
    /// The status of the answer, if there was one.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// match client.metrics().get("temperature") {
    ///     Err(error) if error.code() == Some(404) => println!("there is no such metric"),
    ///     other => println!("{:?}", other?),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Api(error) => Some(error.code),
            Self::Moved { code, .. } | Self::Unreadable { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What the rejection means, if the server rejected the request.
    #[must_use]
    pub fn kind(&self) -> Option<ApiErrorKind> {
        self.api().map(ApiError::kind)
    }

    /// What the server says, if it rejected the request.
    #[must_use]
    pub fn payload(&self) -> Option<&ErrorPayload> {
        self.api().map(|error| &error.payload)
    }

    /// The rejection of the server, if it is one.
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }
}
