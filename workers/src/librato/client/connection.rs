//! The client: one connection to the API, which calls share.

use super::answer::{Success, judge};
use super::auth::{Credentials, Service};
use super::error::{Error, Failed};
use super::rate_limits::RateLimits;
use super::request::{Request, Verb};
use super::sanitize::Sanitizer;
use super::tags::Tags;
use crate::backoff::roll;
use crate::http::retry::{Attempts, RetryPolicy};
use crate::http::{Answer, Cut, HttpClient, Method, Unanswered, Uri};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zibrato::clock;

/// A body that is shorter is not compressed: it would hardly become smaller.
const FEWEST_TO_COMPRESS: usize = 1024;

/// Calls the API. Clones share connections; calls from several threads are independent.
///
/// ```no_run
/// use zibrato_workers::librato::client::{Client, Credentials, Measurement};
/// let client = Client::new(Credentials::new("user@example.com", "tok123")?)?;
/// client.submit(Measurement::gauge("temperature", 22.5).source("attic"))?;
/// for metric in client.metrics().all(&Default::default()) {
///     println!("{}", metric?.name);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) tags: Tags,
}

/// What clones share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) http: HttpClient,
    /// Without a slash at its end.
    pub(super) base: String,
    pub(super) credentials: Credentials,
    pub(super) sanitizer: Sanitizer,
    pub(super) retries: RetryPolicy,
    pub(super) timeout: Duration,
    pub(super) most: u64,
    pub(super) compress: bool,
    pub(super) limits: Mutex<RateLimits>,
}

impl Client {
    /// The tags that measurements get if they have none of their own.
    #[must_use]
    pub const fn tags(&self) -> &Tags {
        &self.tags
    }

    /// Replaces these tags, for this clone of the client.
    pub fn set_tags(&mut self, tags: impl Into<Tags>) {
        self.tags = tags.into();
    }

    /// Adds to these tags, for this clone of the client.
    pub fn add_tags(&mut self, tags: impl Into<Tags>) {
        self.tags = self.tags.merged(&tags.into());
    }

    /// The time for a request, including its answer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.shared.timeout
    }

    /// The limits of the account, as the last answer with such headers gave them.
    #[must_use]
    pub fn rate_limits(&self) -> RateLimits {
        *self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether every measurement must have a tag.
    pub(super) fn is_appoptics(&self) -> bool {
        self.shared.credentials.service == Service::AppOptics
    }

    /// The name to send for a metric.
    pub(super) fn sanitized(&self, name: &str) -> String {
        self.shared.sanitizer.apply(name.to_owned())
    }

    /// Sends a request, and repeats it as the policy says.
    pub(super) fn call(&self, request: &Request) -> Result<Success, Error> {
        let shared = &*self.shared;
        let question = if request.query.is_empty() { "" } else { "?" };
        let url = format!("{}/{}{question}{}", shared.base, request.path, request.query);
        let uri: Uri = url.parse().map_err(|_| Error::InvalidAddress(request.path.clone()))?;
        let compressed = request.body.as_deref().and_then(|body| shared.compressed(body));
        // The same for all attempts, so that a server that knows the header takes one of them.
        let key = (request.verb == Verb::Post).then(random_key);
        let (mut attempts, begun) = (Attempts::new(&shared.retries), Instant::now());
        loop {
            let failed = match shared.attempt(request, &uri, compressed.as_deref(), key.as_deref())
            {
                Ok(success) => return Ok(success),
                Err(failed) => failed,
            };
            let next = attempts.next(failed.again, request.repeat, begun.elapsed(), roll());
            let Some(wait) = next else { return Err(failed.error) };
            let (why, wait_ms) = (&failed.error, wait.as_millis() as u64);
            tracing::debug!(event = "librato_retry", path = request.path, %why, wait_ms);
            thread::sleep(wait);
        }
    }
}

impl Shared {
    fn compressed(&self, body: &[u8]) -> Option<Vec<u8>> {
        if !self.compress || body.len() < FEWEST_TO_COMPRESS {
            return None;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).ok()?;
        encoder.finish().ok()
    }

    fn attempt(
        &self,
        request: &Request,
        uri: &Uri,
        compressed: Option<&[u8]>,
        key: Option<&str>,
    ) -> Result<Success, Failed> {
        let mut headers = vec![("Authorization", self.credentials.authorization.expose())];
        if request.body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        if compressed.is_some() {
            headers.push(("Content-Encoding", "gzip"));
        }
        let body = compressed.or(request.body.as_deref());
        // Creations and changes without properties have a length of 0.
        let (method, body) = match request.verb {
            Verb::Delete => (Method::DELETE, body),
            Verb::Get => (Method::GET, body),
            Verb::Post => (Method::POST, Some(body.unwrap_or_default())),
            Verb::Put => (Method::PUT, Some(body.unwrap_or_default())),
        };
        let sent = self.http.request(method, uri.clone(), &headers, body, self.most);
        let (answer, cut) = sent.map_err(unanswered)?;
        self.judge(answer, cut)
    }

    fn judge(&self, answer: Answer, cut: Option<Cut>) -> Result<Success, Failed> {
        if let Some(limits) = RateLimits::read(|name| answer.header(name)) {
            *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
        }
        judge(answer, cut, &self.credentials, clock::unix_ms())
    }
}

fn random_key() -> String {
    // The standard library seeds each state from the system's randomness.
    let state = RandomState::new();
    format!("{:016x}{:016x}", state.hash_one(0_u8), state.hash_one(1_u8))
}

fn unanswered(unanswered: Unanswered) -> Failed {
    let again = unanswered.again();
    let error = match unanswered.timeout() {
        Some(after) => Error::Timeout(after),
        None => Error::Connection(unanswered.into_cause()),
    };
    Failed { error, again }
}
