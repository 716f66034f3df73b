//! The client: calls of methods, which stay below Slack's limits.

use super::answer::judge;
use super::error::{Error, Failed, unanswered};
use super::method::{Body, Method, Pacer};
use super::pause::Pause;
use crate::backoff::roll;
use crate::http::form::form_encode;
use crate::http::retry::{Attempts, Repeat, RetryPolicy};
use crate::http::{Answer, HttpClient, Method as Verb, Uri};
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};
use zibrato::clock;

/// Calls the methods of the Web API. Clones share connections and limits.
///
/// ```no_run
/// use zibrato_workers::slack::client::Client;
/// let client = Client::new("xoxb-…")?;
/// println!("{} in {}", client.auth_test()?.user, client.auth_test()?.team);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) retries: RetryPolicy,
}

/// What clones share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) http: HttpClient,
    /// Without a slash at its end.
    pub(super) base: String,
    pub(super) token: Secret,
    pub(super) authorization: Secret,
    pub(super) pause: Pause,
    pub(super) most: u64,
    pub(super) pacer: Mutex<Pacer>,
    /// How far Slack's clock is ahead of this one, in milliseconds, if an answer has said it.
    pub(super) clock: Mutex<Option<i64>>,
}

/// The fields of a call, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a field if it has a value.
    pub(super) fn with_any(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// As a form: booleans are 1 and 0.
    fn form(&self) -> Vec<u8> {
        let mut form = String::new();
        for (name, value) in &self.0 {
            if !form.is_empty() {
                form.push('&');
            }
            form_encode(name, &mut form);
            form.push('=');
            match value {
                Value::Bool(value) => form.push(if *value { '1' } else { '0' }),
                Value::String(text) => form_encode(text, &mut form),
                other => form_encode(&other.to_string(), &mut form),
            }
        }
        form.into_bytes()
    }

    pub(super) fn json(&self) -> Vec<u8> {
        if self.0.is_empty() { Vec::new() } else { Value::from(self.0.clone()).to_string().into() }
    }
}

impl Client {
    /// The time in Slack, in Unix milliseconds, as the last answer gave it. `None` before the first
    /// answer.
    #[must_use]
    pub fn server_ms(&self) -> Option<u64> {
        let ahead = (*lock(&self.shared.clock))?;
        Some(clock::unix_ms().saturating_add_signed(ahead))
    }

    /// The same client with another policy. Both share connections and limits.
    pub(crate) fn retrying(&self, retries: RetryPolicy) -> Self {
        Self { shared: Arc::clone(&self.shared), retries }
    }

    /// The calls that were made, and their limits.
    pub(super) fn pacer(&self) -> MutexGuard<'_, Pacer> {
        lock(&self.shared.pacer)
    }

    /// Calls a method, and again as the policy says.
    pub(super) fn call(
        &self,
        method: Method,
        fields: &Fields,
        repeat: Repeat,
    ) -> Result<Value, Error> {
        let shared = &*self.shared;
        let url = format!("{}/{}", shared.base, method.name);
        let (body, content_type) = match method.body {
            Body::Form => (fields.form(), "application/x-www-form-urlencoded"),
            Body::Json => (fields.json(), "application/json; charset=utf-8"),
        };
        let caller = shared.caller(&url, &self.retries, shared.most)?;
        let headers =
            [("Authorization", shared.authorization.expose()), ("Content-Type", content_type)];
        let part = fields.text("channel");
        let part = if method == super::method::POST { part } else { "" };
        caller.call(method, part, repeat, &headers, &body, |answer, cut| {
            shared.learn_time(answer);
            let secrets = [&shared.token];
            judge(method.name, answer, cut, &secrets, clock::unix_ms())
        })
    }
}

impl Shared {
    /// Makes calls to a URL, whose answers have at most so many bytes.
    pub(super) fn caller<'a>(
        &'a self,
        url: &str,
        retries: &'a RetryPolicy,
        most: u64,
    ) -> Result<Caller<'a>, Error> {
        Ok(Caller {
            http: &self.http,
            uri: url.parse().map_err(|_| not_an_address())?,
            retries,
            pause: &self.pause,
            pacer: &self.pacer,
            most,
        })
    }

    fn learn_time(&self, answer: &Answer) {
        let date = answer.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
        let since = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        let Some(there_ms) = since.and_then(|since| i64::try_from(since.as_millis()).ok()) else {
            return;
        };
        let here_ms = i64::try_from(clock::unix_ms()).unwrap_or(i64::MAX);
        *lock(&self.clock) = Some(there_ms.saturating_sub(here_ms));
    }
}

pub(super) fn not_an_address() -> Error {
    let why = std::io::Error::new(std::io::ErrorKind::InvalidInput, "its address is not valid");
    Error::Connection(why.into())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes one call, with waits before it and between its attempts.
pub(super) struct Caller<'a> {
    pub(super) http: &'a HttpClient,
    pub(super) uri: Uri,
    pub(super) retries: &'a RetryPolicy,
    pub(super) pause: &'a Pause,
    pub(super) pacer: &'a Mutex<Pacer>,
    pub(super) most: u64,
}

impl Caller<'_> {
    pub(super) fn call<T>(
        &self,
        method: Method,
        part: &str,
        repeat: Repeat,
        headers: &[(&str, &str)],
        body: &[u8],
        judge: impl Fn(&Answer, Option<&crate::http::Cut>) -> Result<T, Failed>,
    ) -> Result<T, Error> {
        let (mut attempts, begun) = (Attempts::new(self.retries), Instant::now());
        loop {
            self.wait_for_limit(method, part)?;
            let sent =
                self.http.request(Verb::POST, self.uri.clone(), headers, Some(body), self.most);
            let judged = match sent {
                Ok((answer, cut)) => judge(&answer, cut.as_ref()),
                Err(why) => Err(unanswered(why)),
            };
            let failed = match judged {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            if failed.error.kind() == super::ErrorKind::RateLimited
                && let crate::http::retry::Again::After(Some(wait)) = failed.again
            {
                lock(self.pacer).hold(method, Instant::now() + wait);
            }
            let next = attempts.next(failed.again, repeat, begun.elapsed(), roll());
            let Some(wait) = next else { return Err(failed.error) };
            let (why, wait_ms) = (&failed.error, wait.as_millis() as u64);
            tracing::debug!(event = "slack_retry", method = method.name, %why, wait_ms);
            self.pause(wait)?;
        }
    }

    fn wait_for_limit(&self, method: Method, part: &str) -> Result<(), Error> {
        let wait = lock(self.pacer).reserve(method, part, Instant::now());
        if !wait.is_zero() {
            let wait_ms = wait.as_millis() as u64;
            tracing::debug!(event = "slack_paced", method = method.name, wait_ms);
        }
        self.pause(wait)
    }

    fn pause(&self, wait: Duration) -> Result<(), Error> {
        if self.pause.go_on_after(wait) { Ok(()) } else { Err(Error::Stopped) }
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn forms_have_numbers_for_booleans_and_json_for_lists() {
        let fields = Fields::default()
            .with("channel", "C1")
            .with("inclusive", false)
            .with("exclude_archived", true)
            .with("limit", 200)
            .with("text", "a & b=c\n日")
            .with_any("cursor", None::<String>);
        let form = String::from_utf8(fields.form()).unwrap();
        let mut parts: Vec<_> = form.split('&').collect();
        parts.sort_unstable();
        assert_eq!(
            parts,
            [
                "channel=C1",
                "exclude_archived=1",
                "inclusive=0",
                "limit=200",
                "text=a+%26+b%3Dc%0A%E6%97%A5"
            ]
        );
        assert_eq!(Fields::default().json(), b"");
    }
}
