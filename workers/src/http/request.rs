//! Requests other than those of workers: any method, any place on the server, whole answers.

use super::proxy::ProxyError;
use super::retry::Again;
use super::{Answer, Cut, HttpClient, Method, RequestError, Unanswered, Uri};
use std::error::Error;
use std::time::Duration;

impl HttpClient {
    /// Sends a request, and reads at most so many bytes of its answer. If the body of the answer is
    /// not complete, the second value says why.
    pub(crate) fn request(
        &self,
        method: Method,
        uri: Uri,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
        most: u64,
    ) -> Result<(Answer, Option<Cut>), Unanswered> {
        self.send(method, uri, headers, body).map(|response| Answer::read(response, most))
    }
}

impl Unanswered {
    /// Whether another attempt makes sense: not before somebody has fixed something, and otherwise if
    /// the server cannot have received the request, or if it may receive it twice.
    pub(crate) const fn again(&self) -> Again {
        match self.why {
            RequestError::Certificate { .. }
            | RequestError::NoTls(_)
            | RequestError::Proxy(ProxyError::Credentials(_)) => Again::Never,
            _ if self.touched => Again::IfSafe,
            _ => Again::After(None),
        }
    }

    /// The time without an answer.
    pub(crate) const fn timeout(&self) -> Option<Duration> {
        match self.why {
            RequestError::Timeout(after) => Some(after),
            _ => None,
        }
    }

    pub(crate) fn into_cause(self) -> Box<dyn Error + Send + Sync> {
        Box::new(self.why)
    }
}
