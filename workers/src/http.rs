//! The HTTP client of the workers: with timeouts and size limits, without redirects.

mod answer;
mod issuer;
mod proxy;

use crate::tls::{self, Given, Trust};
use crate::{Payload, Secret, SendError, Target};
pub(crate) use answer::Answer;
use issuer::Issuer;
use proxy::{ProxyError, Through};
use rustls::{AlertDescription, CertificateError};
use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::SendBody;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zibrato::daemon::{Exit, Failure};

/// The URL of requests. Debug output hides the path, which may be a secret (Slack's webhooks).
#[derive(Clone, PartialEq, Eq)]
// Invariant: scheme https, or http to this machine; a host; no user, no fragment.
pub(crate) struct Endpoint(Uri);

impl Endpoint {
    /// Parses a URL; `flag` is its origin, such as `--api-url`. The error says what is wrong
    /// without showing the URL.
    pub(crate) fn parse(flag: &str, text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Err(Failure::new(Exit::Config, format!("{flag}: {why}")));
        let Ok(uri) = text.trim().parse::<Uri>() else {
            return wrong("is not a URL; write https://host/path");
        };
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return wrong("is not a complete URL; write https://host/path");
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return wrong("contains a user name; give credentials with the flags for them");
        }
        match scheme {
            "https" => Ok(Self(uri)),
            "http" if is_this_machine(host) => Ok(Self(uri)),
            "http" => wrong("would send credentials unencrypted over the network; use https://"),
            _ => wrong("must begin with https://, or with http:// for this machine"),
        }
    }
}

impl Endpoint {
    /// Scheme, host and port, which log lines may show.
    pub(crate) fn origin(&self) -> String {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self.0.authority().map(ToString::to_string).unwrap_or_default();
        format!("{scheme}://{authority}")
    }

    fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/***", self.0.scheme_str().unwrap_or(""), self.0.host().unwrap_or(""))
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Posts to one endpoint.
#[derive(Debug)]
pub(crate) struct HttpClient {
    agent: ureq::Agent,
    endpoint: Endpoint,
    timeout: Duration,
    /// The proxy, without its password.
    through: Option<Through>,
    issuer: Issuer,
}

impl HttpClient {
    /// A client for `program`, the name in its `User-Agent`. The environment determines the proxy
    /// and, together with `ca_file` (`--ca-file`), the trusted authorities.
    ///
    /// # Errors
    /// If the environment or the file is invalid.
    pub(crate) fn new(
        program: &str,
        endpoint: Endpoint,
        timeout: Duration,
        ca_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var(name).ok();
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        let version = env!("CARGO_PKG_VERSION");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .user_agent(format!("{program}/{version} (rust; {arch}-{os})"));
        // A proxy of the environment does not apply to this machine.
        let local = is_this_machine(endpoint.host());
        let proxy = if local { None } else { proxy::find(&endpoint.0, variable)? };
        let (proxy, through) = proxy.unzip();
        let mut config = config.proxy(proxy);
        if endpoint.0.scheme_str() == Some("https") {
            let trust = Trust::load(Given { file: ca_file, folder: None }, variable)?;
            trust.log();
            config = config.tls_config(TlsConfig::builder().root_certs(roots(&trust)).build());
        }
        let (agent, issuer) = (config.build().new_agent(), Issuer::default());
        Ok(Self { agent, endpoint, timeout, through, issuer })
    }

    /// The host of requests.
    #[cfg(feature = "librato")]
    pub(crate) fn host(&self) -> &str {
        self.endpoint.host()
    }

    /// The origin of requests, and the proxy, for log lines.
    pub(crate) fn destination(&self) -> String {
        let origin = self.endpoint.origin();
        match &self.through {
            Some(proxy) => format!("{origin} through the proxy {proxy}"),
            None => origin,
        }
    }

    /// The host of requests, or that of the proxy, if there is one. `flag` is the origin of the
    /// endpoint.
    pub(crate) fn target(&self, flag: &str) -> Target {
        if let (Some(proxy), Some(through)) = (self.agent.config().proxy(), &self.through) {
            return Target::new(through.variable, proxy.host(), proxy.port());
        }
        let Endpoint(uri) = &self.endpoint;
        let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        Target::new(flag, host, uri.port_u16().unwrap_or(default))
    }

    /// Posts a JSON body, with an `Authorization` header if one is given. The payload's key is sent
    /// as `Idempotency-Key`, so that a server that supports it accepts the same payload only once.
    pub(crate) fn post(
        &self,
        authorization: Option<&Secret>,
        content_type: &str,
        payload: &Payload,
    ) -> Result<Answer, Unanswered> {
        let mut request = self
            .agent
            .post(self.endpoint.0.clone())
            .header("Content-Type", content_type)
            .header("Content-Length", payload.body.len());
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization.expose());
        }
        if !payload.key.is_empty() {
            request = request.header("Idempotency-Key", &payload.key);
        }
        let mut body = Watched { rest: &payload.body, touched: payload.body.is_empty() };
        let sent = request.send(SendBody::from_reader(&mut body));
        let touched = body.touched;
        sent.map(Answer::read).map_err(|error| Unanswered { why: self.explain(error), touched })
    }

    /// Gets `place`, which is on the host of the endpoint.
    #[cfg(feature = "librato")]
    pub(crate) fn get(
        &self,
        place: &Endpoint,
        authorization: Option<&Secret>,
    ) -> Result<Answer, Unanswered> {
        let mut request = self.agent.get(place.0.clone());
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization.expose());
        }
        let got = request.call().map(Answer::read);
        got.map_err(|error| Unanswered { why: self.explain(error), touched: false })
    }

    fn explain(&self, error: ureq::Error) -> RequestError {
        if let Some(certificate) = certificate_error(&error) {
            let (why, remedy) = tls::explain(certificate);
            let host = self.endpoint.host().to_owned();
            // Through a proxy the issuer cannot be looked up.
            let port = self.endpoint.0.port_u16().unwrap_or(443);
            let is_direct = self.through.is_none();
            let issuer = is_direct.then(|| self.issuer.of(&host, port)).flatten();
            let issuer = issuer.map(|name| format!(", issued by {name:?},")).unwrap_or_default();
            return RequestError::Certificate { host, issuer, why, remedy };
        }
        if let Some(why) = no_tls(&error) {
            return RequestError::NoTls(why);
        }
        let error = match &self.through {
            Some(through) => match through.explain(error) {
                Ok(error) => return RequestError::Proxy(error),
                Err(error) => error,
            },
            None => error,
        };
        match error {
            ureq::Error::Timeout(_) => RequestError::Timeout(self.timeout),
            ureq::Error::Io(error) => RequestError::Connection(error),
            other => RequestError::Failed(Box::new(other)),
        }
    }
}

/// The authorities as the client takes them.
fn roots(trust: &Trust) -> RootCerts {
    if trust.authorities.is_empty() {
        return RootCerts::WebPki;
    }
    let owned = trust.authorities.iter().map(|der| Certificate::from_der(der).to_owned());
    RootCerts::Specific(Arc::new(owned.collect()))
}

fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// The problem with a certificate, if the error is about one.
fn certificate_error(error: &ureq::Error) -> Option<&CertificateError> {
    match tls_error(error)? {
        rustls::Error::InvalidCertificate(why) => Some(why),
        _ => None,
    }
}

/// Why a TLS connection is impossible, if that is known.
fn no_tls(error: &ureq::Error) -> Option<&'static str> {
    match tls_error(error)? {
        rustls::Error::InvalidMessage(_) => Some(tls::NO_TLS),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            Some("the server requires a client certificate, which this worker does not support")
        }
        _ => None,
    }
}

/// A body, and whether any of it was read. It is read after the connection is established and the
/// head of the request is written, so before that nothing can have arrived.
struct Watched<'a> {
    rest: &'a [u8],
    touched: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.touched = true;
        self.rest.read(into)
    }
}

/// There is no answer. The server may have processed the request nevertheless.
#[derive(Debug)]
pub(crate) struct Unanswered {
    why: RequestError,
    /// Whether part of the body was sent.
    touched: bool,
}

/// The cause.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("the certificate of {host}{issuer} is rejected: {why}; {remedy}")]
    Certificate { host: String, issuer: String, why: String, remedy: &'static str },
    #[error("the connection failed")]
    Connection(#[source] io::Error),
    #[error("the request failed")]
    Failed(#[source] Box<ureq::Error>),
    #[error("{0}")]
    NoTls(&'static str),
    #[error(transparent)]
    Proxy(ProxyError),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl Unanswered {
    /// The cause.
    #[cfg(feature = "librato")]
    pub(crate) fn why(&self) -> String {
        crate::deliver::causes(&self.why)
    }

    /// What it means for the payload: retry, or [`SendError::Unknown`] if it may have arrived. A
    /// rejected certificate, or credentials that the proxy rejects, need an operator, so the
    /// payload is held.
    pub(crate) fn into_send_error(self) -> SendError {
        let (after, why) = (None, Box::new(self.why));
        match (&*why, self.touched) {
            (
                RequestError::Certificate { .. } | RequestError::Proxy(ProxyError::Credentials(_)),
                _,
            ) => SendError::Stop { why },
            (_, true) => SendError::Unknown { after, why },
            (_, false) => SendError::Retry { after, why },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn an_endpoint_is_https_or_on_this_machine() {
        for good in [
            "https://metrics-api.librato.com/v1/metrics",
            "https://hooks.slack.com/services/T0/B0/X",
            "http://127.0.0.1:8080/v1",
            "http://[::1]:8080/",
            " http://localhost/\n",
        ] {
            assert!(Endpoint::parse("--api-url", good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", "is not a URL; write https://host/path"),
            ("https://a b/", "is not a URL; write https://host/path"),
            ("/services/T0/secret", "is not a complete URL; write https://host/path"),
            ("ftp://host/secret", "must begin with https://, or with http:// for this machine"),
            (
                "http://host/secret",
                "would send credentials unencrypted over the network; use https://",
            ),
            (
                "https://me:secret@host/",
                "contains a user name; give credentials with the flags for them",
            ),
        ] {
            let failure = Endpoint::parse("--webhook-url", bad).unwrap_err();
            assert_eq!(failure.message, format!("--webhook-url: {why}"));
            assert_eq!(failure.exit as u8, 78);
        }
    }

    #[test]
    fn the_path_of_an_endpoint_is_never_shown() {
        let hook = Endpoint::parse("--webhook-url", "https://hooks.slack.com/services/T0/X?a=b");
        assert_eq!(format!("{:?}", hook.unwrap()), "https://hooks.slack.com/***");
    }
}
