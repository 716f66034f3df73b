//! The HTTP client of the workers: with timeouts and size limits, without redirects.

mod answer;
mod endpoint;
mod fewer_calls;
pub(crate) mod form;
mod issuer;
mod one_write;
mod proxy;
mod request;
mod resolver;
pub(crate) mod retry;
#[cfg(feature = "librato")]
mod together;

use crate::tls::{self, Given, Trust};
use crate::{Payload, Secret, SendError, Target};
pub(crate) use answer::{Answer, Cut, MAX_ANSWER_BYTES};
pub(crate) use endpoint::Endpoint;
use endpoint::is_this_machine;
use fewer_calls::FewerCallsConnector;
use issuer::Issuer;
use one_write::OneWriteConnector;
use proxy::{ProxyError, Through};
use resolver::Remembering;
use rustls::{AlertDescription, CertificateError};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
#[cfg(feature = "librato")]
pub(crate) use together::{send_together, send_while_encoding};
use ureq::SendBody;
use ureq::http::Request;
pub(crate) use ureq::http::{Method, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::{Connector as _, DefaultConnector};
use zibrato::daemon::Failure;

/// Maximum number of connections that are kept for the next request.
pub(crate) const MAX_CONNECTIONS: usize = 16;

/// How a client connects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) user_agent: &'a str,
    /// The time for a whole request, including its answer.
    pub(crate) timeout: Duration,
    /// A file of authorities to trust in addition.
    pub(crate) ca_file: Option<&'a Path>,
    /// The URL of the proxy, or no proxy if it is empty. The default is that of the environment,
    /// which does not apply to this machine.
    pub(crate) proxy: Option<&'a str>,
}

/// Sends requests to one server.
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
        let user_agent = &user_agent(program);
        Self::with(endpoint, Settings { user_agent, timeout, ca_file, proxy: None })
    }

    /// A client with these settings.
    ///
    /// # Errors
    /// If the environment, the file or the URL of the proxy is invalid.
    pub(crate) fn with(endpoint: Endpoint, settings: Settings<'_>) -> Result<Self, Failure> {
        let Settings { user_agent, timeout, ca_file, proxy } = settings;
        let variable = |name: &str| std::env::var(name).ok();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .max_idle_connections(MAX_CONNECTIONS)
            .max_idle_connections_per_host(MAX_CONNECTIONS)
            .user_agent(user_agent);
        let proxy = match proxy {
            Some("") => None,
            Some(url) => Some(proxy::parse("the URL of the proxy", url)?),
            None if is_this_machine(endpoint.host()) => None,
            None => proxy::find(&endpoint.0, variable)?,
        };
        let (proxy, through) = proxy.unzip();
        let mut config = config.proxy(proxy);
        if endpoint.0.scheme_str() == Some("https") {
            let trust = Trust::load(Given { file: ca_file, folder: None }, variable)?;
            trust.log();
            config = config.tls_config(TlsConfig::builder().root_certs(roots(&trust)).build());
        }
        let connector = DefaultConnector::new().chain(FewerCallsConnector).chain(OneWriteConnector);
        let resolver = Remembering::default();
        let agent = ureq::Agent::with_parts(config.build(), connector, resolver);
        let issuer = Issuer::default();
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
        let Payload { body, key, .. } = payload;
        self.post_to(&self.endpoint, authorization, content_type, body, key)
    }

    /// The same to `place`, which is on the host of the endpoint.
    pub(crate) fn post_to(
        &self,
        place: &Endpoint,
        authorization: Option<&Secret>,
        content_type: &str,
        body: &[u8],
        key: &str,
    ) -> Result<Answer, Unanswered> {
        let mut headers = vec![("Content-Type", content_type)];
        headers.extend(authorization.map(|secret| ("Authorization", secret.expose())));
        if !key.is_empty() {
            headers.push(("Idempotency-Key", key));
        }
        let sent = self.send(Method::POST, place.0.clone(), &headers, Some(body));
        // The status decides the result of the request. An incomplete body does not change it.
        sent.map(|response| Answer::read(response, MAX_ANSWER_BYTES).0)
    }

    /// Sends a request, and returns the answer as soon as its head is there.
    fn send(
        &self,
        method: Method,
        uri: Uri,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<ureq::http::Response<ureq::Body>, Unanswered> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let Some(body) = body else {
            let sent = request.body(()).map_err(ureq::Error::from);
            let sent = sent.and_then(|request| self.agent.run(request));
            return sent.map_err(|error| Unanswered { why: self.explain(error), touched: false });
        };
        request = request.header("Content-Length", body.len());
        let mut body = Watched { rest: body, touched: body.is_empty() };
        let sent = request.body(SendBody::from_reader(&mut body)).map_err(ureq::Error::from);
        let sent = sent.and_then(|request| self.agent.run(request));
        let touched = body.touched;
        sent.map_err(|error| Unanswered { why: self.explain(error), touched })
    }

    /// Gets `place`, which is on the host of the endpoint.
    #[cfg(feature = "librato")]
    pub(crate) fn get(
        &self,
        place: &Endpoint,
        authorization: Option<&Secret>,
    ) -> Result<Answer, Unanswered> {
        let headers = authorization.map(|secret| ("Authorization", secret.expose()));
        let sent = self.send(Method::GET, place.0.clone(), headers.as_slice(), None);
        sent.map(|response| Answer::read(response, MAX_ANSWER_BYTES).0)
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

/// The `User-Agent` of a program of this crate.
pub(crate) fn user_agent(program: &str) -> String {
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    format!("{program}/{} (rust; {arch}-{os})", env!("CARGO_PKG_VERSION"))
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
