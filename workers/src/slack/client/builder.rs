//! The settings of a client.

use super::connection::{Client, Shared};
use super::method::{DELETE, Limit, Pacer};
use super::pause::Pause;
use crate::http::retry::RetryPolicy;
use crate::http::{Endpoint, HttpClient, Settings, user_agent};
use crate::secret::Secret;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

const API: &str = "https://slack.com/api";

/// The longest answer that is read: a page of 200 messages of 40,000 characters each.
const MOST: u64 = 64 << 20;

/// The settings of a client that is not built yet.
///
/// ```
/// use std::time::Duration;
/// use zibrato_workers::slack::client::{Client, RetryPolicy};
/// let client = Client::builder("xoxb-…")
///     .timeout(Duration::from_secs(3))
///     .retries(RetryPolicy::never())
///     .build();
/// assert!(client.unwrap_err().to_string().starts_with("the token"));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    pub(super) token: Secret,
    pub(super) url: Option<String>,
    pub(super) proxy: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) user_agent: Option<String>,
    pub(super) retries: RetryPolicy,
    pub(super) timeout: Duration,
    pub(super) pause: Pause,
    pub(super) deletions: Option<u16>,
}

/// Why a client cannot be built: its token, its URL, its proxy or its authorities are invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(pub(super) String);

impl Client {
    /// A client with default settings.
    ///
    /// # Errors
    /// If the token cannot be sent, or the environment names a proxy or authorities that are invalid.
    pub fn new(token: impl Into<String>) -> Result<Self, BuildError> {
        Self::builder(token).build()
    }

    /// The settings of a client, to be changed.
    pub fn builder(token: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            token: Secret::new(token),
            url: None,
            proxy: None,
            ca_file: None,
            user_agent: None,
            retries: RetryPolicy::default(),
            timeout: Duration::from_secs(10),
            pause: Pause::default(),
            deletions: None,
        }
    }
}

impl ClientBuilder {
    /// The URL below which the methods are. `http://` is allowed for this machine only, because it
    /// shows the token to everybody. Defaults to `https://slack.com/api`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The URL of a proxy, `http://user:password@host:port`; an empty one means none. Defaults to that
    /// of the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), which does not apply to this
    /// machine.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// A PEM file of authorities to trust, in addition to those of the system. Defaults to none.
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// A file of authorities, if there is one.
    pub(crate) fn trust(self, file: Option<PathBuf>) -> Self {
        Self { ca_file: file.or_else(|| self.ca_file.clone()), ..self }
    }

    /// The text of the `User-Agent`. Defaults to name and version of this library.
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.user_agent = Some(text.into());
        self
    }

    /// How often a call is made again. Defaults to four times within two minutes.
    pub fn retries(mut self, policy: RetryPolicy) -> Self {
        self.retries = policy;
        self
    }

    /// The time for a call, including its answer. Defaults to 10 seconds.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How the client waits for a limit or for the next attempt. It returns whether to go on; if not,
    /// the call fails with [`Error::Stopped`](super::Error::Stopped). Defaults to sleeping.
    pub fn pause(mut self, wait: impl Fn(Duration) -> bool + Send + Sync + 'static) -> Self {
        self.pause = Pause::new(wait);
        self
    }

    /// The number of messages to delete a minute, at least 1. Slack allows about 50. Defaults to 45.
    pub const fn deletions_per_minute(mut self, calls: u16) -> Self {
        self.deletions = Some(if calls == 0 { 1 } else { calls });
        self
    }

    /// Builds the client. It makes no call.
    ///
    /// # Errors
    /// If the token, the URL, the proxy or the file of authorities is invalid.
    pub fn build(self) -> Result<Client, BuildError> {
        let token = self.token.expose();
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
            let why =
                "the token is empty, or contains a blank or another character that it cannot have";
            return Err(BuildError(why.to_owned()));
        }
        let base = self.url.as_deref().unwrap_or(API).trim().trim_end_matches('/').to_owned();
        let http = self.http("the URL", &base)?;
        let mut pacer = Pacer::default();
        if let Some(calls) = self.deletions {
            pacer.limit(DELETE, Limit::per_minute(calls.into()));
        }
        let authorization = Secret::new(format!("Bearer {token}"));
        let shared = Shared {
            http,
            base,
            token: self.token,
            authorization,
            pause: self.pause,
            most: MOST,
            pacer: Mutex::new(pacer),
            clock: Mutex::new(None),
        };
        Ok(Client { shared: Arc::new(shared), retries: self.retries })
    }

    /// The HTTP client for a URL; `what` is how errors call it.
    pub(super) fn http(&self, what: &str, url: &str) -> Result<HttpClient, BuildError> {
        let failed = |failure: zibrato::daemon::Failure| BuildError(failure.message);
        if url.contains(['?', '#']) {
            return Err(BuildError(format!("{what}: has a query or a fragment; leave it out")));
        }
        let endpoint = Endpoint::parse(what, url).map_err(failed)?;
        let own = user_agent("zibrato-slack-client");
        let user_agent = self.user_agent.as_deref().unwrap_or(&own);
        if !user_agent.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return Err(BuildError("the user agent: is not printable ASCII".to_owned()));
        }
        let settings = Settings {
            user_agent,
            timeout: self.timeout,
            ca_file: self.ca_file.as_deref(),
            proxy: self.proxy.as_deref(),
        };
        HttpClient::with(endpoint, settings).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::Client;

    #[test]
    fn what_is_invalid_is_named_without_its_secrets() {
        let build = |token: &str, url: &str| {
            let built = Client::builder(token).url(url).proxy("").build();
            built.map_err(|error| error.to_string())
        };
        assert!(build("xoxb-1", "http://127.0.0.1:8080/api/").is_ok());
        for (token, url, expected) in [
            ("", "https://slack.com/api", "the token is empty"),
            ("xoxb-secret 1", "https://slack.com/api", "contains a blank"),
            ("xoxb-secret", "http://slack.com/api", "use https://"),
            ("xoxb-secret", "https://slack.com/api?token=1", "has a query"),
        ] {
            let error = build(token, url).unwrap_err();
            assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn no_debug_output_has_the_token() {
        let builder = Client::builder("xoxb-hunter2");
        let shown = format!("{builder:?} {:?}", builder.clone().build().unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
