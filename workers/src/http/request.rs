//! Requests other than those of workers: any method, any place on the server, whole answers.

use super::proxy::ProxyError;
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
    /// Whether the server may have received the request.
    pub(crate) const fn has_arrived(&self) -> bool {
        self.touched
    }

    /// Whether another attempt can succeed only after somebody has fixed something.
    pub(crate) const fn needs_operator(&self) -> bool {
        matches!(
            self.why,
            RequestError::Certificate { .. }
                | RequestError::NoTls(_)
                | RequestError::Proxy(ProxyError::Credentials(_))
        )
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
