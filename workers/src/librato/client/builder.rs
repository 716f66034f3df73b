//! The settings of a client.

use super::auth::{Credentials, Service};
use super::connection::{Client, Shared};
use super::rate_limits::RateLimits;
use super::sanitize::Sanitizer;
use super::tags::Tags;
use crate::http::retry::RetryPolicy;
use crate::http::{Endpoint, HttpClient, Settings, user_agent};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIBRATO: &str = "https://metrics-api.librato.com/v1";
const APPOPTICS: &str = "https://api.appoptics.com/v1";

/// The longest answer that is read, unless another limit is set.
const MOST: u64 = 16 << 20;

/// The settings of a client that is not built yet.
///
/// ```
/// use std::time::Duration;
/// use zibrato_workers::librato::client::{Client, Credentials, sanitize_metric_name};
/// let client = Client::builder(Credentials::new("user@example.com", "tok123")?)
///     .url("https://metrics.example.com/v1")
///     .sanitizer(sanitize_metric_name)
///     .timeout(Duration::from_secs(3))
///     .tags([("service", "app")])
///     .build()?;
/// assert_eq!(client.timeout(), Duration::from_secs(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    credentials: Credentials,
    url: Option<String>,
    proxy: Option<String>,
    ca_file: Option<PathBuf>,
    user_agent: Option<String>,
    sanitizer: Sanitizer,
    retries: RetryPolicy,
    timeout: Duration,
    tags: Tags,
    most: u64,
    compress: bool,
}

/// Why a client cannot be built: its URL, its proxy or its authorities are invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(String);

impl Client {
    /// A client with default settings.
    ///
    /// # Errors
    /// If the environment names a proxy or authorities that are invalid.
    pub fn new(credentials: Credentials) -> Result<Self, BuildError> {
        Self::builder(credentials).build()
    }

    /// The settings of a client, to be changed.
    pub fn builder(credentials: Credentials) -> ClientBuilder {
        ClientBuilder {
            credentials,
            url: None,
            proxy: None,
            ca_file: None,
            user_agent: None,
            sanitizer: Sanitizer::default(),
            retries: RetryPolicy::default(),
            timeout: Duration::from_secs(10),
            tags: Tags::new(),
            most: MOST,
            compress: false,
        }
    }
}

impl ClientBuilder {
    /// The URL below which the API is, such as `https://metrics.example.com/v1`. `http://` is allowed
    /// for this machine only, because it shows the credentials to everybody. Defaults to that of the
    /// service, `https://metrics-api.librato.com/v1` or `https://api.appoptics.com/v1`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The URL of a proxy, `http://user:password@host:port`. Defaults to that of the environment
    /// (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), which does not apply to this machine.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// No proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = Some(String::new());
        self
    }

    /// A PEM file of authorities to trust, in addition to those of the system. Defaults to none.
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// The text of the `User-Agent`. Defaults to name and version of this library.
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.user_agent = Some(text.into());
        self
    }

    /// Changes each name of a metric before it is sent, such as
    /// [`sanitize_metric_name`](super::sanitize_metric_name). Defaults to no change.
    pub fn sanitizer(mut self, change: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.sanitizer = Sanitizer::new(change);
        self
    }

    /// How often a request is sent again. Defaults to five attempts within two minutes.
    pub fn retries(mut self, policy: RetryPolicy) -> Self {
        self.retries = policy;
        self
    }

    /// The time for a request, including its answer. Defaults to 10 seconds.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The tags that measurements get if they have none of their own. With tags, `submit` and queues
    /// send to `measurements` instead of `metrics`. Defaults to none.
    pub fn tags(mut self, tags: impl Into<Tags>) -> Self {
        self.tags = tags.into();
        self
    }

    /// The longest answer that is read, in bytes. Defaults to 16 MiB.
    pub const fn max_answer_bytes(mut self, most: u64) -> Self {
        self.most = most;
        self
    }

    /// Compresses bodies of requests with gzip. Defaults to no compression, because a server that does
    /// not know it rejects the request.
    pub const fn compress(mut self) -> Self {
        self.compress = true;
        self
    }

    /// Builds the client. It makes no request.
    ///
    /// # Errors
    /// If the URL, the proxy or the file of authorities is invalid.
    pub fn build(self) -> Result<Client, BuildError> {
        let default = match self.credentials.service {
            Service::AppOptics => APPOPTICS,
            Service::Librato => LIBRATO,
        };
        let base = self.url.as_deref().unwrap_or(default).trim().trim_end_matches('/').to_owned();
        if base.contains(['?', '#']) {
            return Err(BuildError("the URL: has a query or a fragment; leave it out".to_owned()));
        }
        let failed = |failure: zibrato::daemon::Failure| BuildError(failure.message);
        let endpoint = Endpoint::parse("the URL", &base).map_err(failed)?;
        let user_agent = self.user_agent.unwrap_or_else(|| user_agent("zibrato-librato-client"));
        if !user_agent.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return Err(BuildError("the user agent: is not printable ASCII".to_owned()));
        }
        let settings = Settings {
            user_agent: &user_agent,
            timeout: self.timeout,
            ca_file: self.ca_file.as_deref(),
            proxy: self.proxy.as_deref(),
        };
        let http = HttpClient::with(endpoint, settings).map_err(failed)?;
        let shared = Shared {
            http,
            base,
            credentials: self.credentials,
            sanitizer: self.sanitizer,
            retries: self.retries,
            timeout: self.timeout,
            most: self.most,
            compress: self.compress,
            limits: Mutex::new(RateLimits::default()),
        };
        Ok(Client { shared: Arc::new(shared), tags: self.tags })
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Credentials};

    #[test]
    fn an_invalid_url_or_proxy_is_named_without_its_secrets() {
        let build = |url: &str, proxy: &str| {
            let credentials = Credentials::new("user@example.com", "tok123").unwrap();
            Client::builder(credentials).url(url).proxy(proxy).build().map_err(|e| e.to_string())
        };
        assert!(build("http://127.0.0.1:8080/v1/", "").is_ok());
        assert!(build("https://metrics.example.com", "http://proxy:3128").is_ok());
        for (url, proxy, expected) in [
            (
                "ftp://host",
                "",
                "the URL: must begin with https://, or with http:// for this machine",
            ),
            ("http://host", "", "use https://"),
            ("https://a?b", "", "the URL: has a query"),
            ("https://host", "socks5://me:secret@h", "only http:// proxies are supported"),
        ] {
            let error = build(url, proxy).unwrap_err();
            assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn no_debug_output_has_the_token() {
        let credentials = Credentials::new("user@example.com", "tok123").unwrap();
        let builder = Client::builder(credentials);
        let shown = format!("{builder:?} {:?}", builder.clone().build().unwrap());
        assert!(!shown.contains("tok123") && !shown.contains("dXNlc"), "{shown}");
    }
}
