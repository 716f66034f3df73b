//! The one place where HTTP requests leave a worker: timed, size-limited, without redirects.

use crate::{Payload, Secret, SendError};
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};
use ureq::http::Uri;
use zibrato::daemon::{Exit, Failure};

/// The most that is read of an answer's body; the rest is cut.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// The longest wait that an answer may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Where requests go. Its debug output hides the path, which may be a secret (Slack's webhooks).
#[derive(Clone, PartialEq, Eq)]
// Invariant: scheme https, or http to this machine; a host; no user, no fragment.
pub(crate) struct Endpoint(Uri);

impl Endpoint {
    /// Reads an address; `flag` is where it came from, such as `--api-url`. The error says what is
    /// wrong without showing the address.
    pub(crate) fn parse(flag: &str, text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Err(Failure::new(Exit::Config, format!("{flag}: {why}")));
        let Ok(uri) = text.trim().parse::<Uri>() else {
            return wrong("is no address; write https://host/path");
        };
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return wrong("is no whole address; write https://host/path");
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return wrong("has a user name in it; give credentials by their own flags");
        }
        match scheme {
            "https" => Ok(Self(uri)),
            "http" if is_this_machine(host) => Ok(Self(uri)),
            "http" => wrong("would send credentials in clear over the network; use https://"),
            _ => wrong("begins with neither https:// nor http://"),
        }
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
}

impl HttpClient {
    /// A client for `program`, which its `User-Agent` names.
    pub(crate) fn new(program: &str, endpoint: Endpoint, timeout: Duration) -> Self {
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        let version = env!("CARGO_PKG_VERSION");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .user_agent(format!("{program}/{version} (rust; {arch}-{os})"));
        // A proxy out of the environment is for the world outside.
        let config = if endpoint.0.host().is_some_and(is_this_machine) {
            config.proxy(None)
        } else {
            config
        };
        Self { agent: config.build().new_agent(), endpoint, timeout }
    }

    /// Posts a JSON body, with an `Authorization` header if there is one, and with the payload's key
    /// as `Idempotency-Key`, by which a far side that knows it takes the same payload once.
    pub(crate) fn post(
        &self,
        authorization: Option<&Secret>,
        content_type: &str,
        payload: &Payload,
    ) -> Result<Answer, RequestError> {
        let mut request =
            self.agent.post(self.endpoint.0.clone()).header("Content-Type", content_type);
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization.expose());
        }
        if !payload.key.is_empty() {
            request = request.header("Idempotency-Key", &payload.key);
        }
        let response = request.send(&*payload.body).map_err(|error| match error {
            ureq::Error::Timeout(_) => RequestError::Timeout(self.timeout),
            ureq::Error::Io(error) => RequestError::Connection(error),
            other => RequestError::Failed(Box::new(other)),
        })?;
        Ok(Answer::read(response))
    }
}

/// Why there is no answer. The request may have been taken all the same.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("the connection failed")]
    Connection(#[source] io::Error),
    #[error("the request failed")]
    Failed(#[source] Box<ureq::Error>),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl RequestError {
    /// What it means for the payload: try again, and if it may have arrived, say so.
    pub(crate) fn into_send_error(self) -> SendError {
        let arrived = match &self {
            Self::Connection(error) => error.kind() != ErrorKind::ConnectionRefused,
            Self::Failed(error) => {
                !matches!(**error, ureq::Error::ConnectionFailed | ureq::Error::HostNotFound)
            }
            Self::Timeout(_) => true,
        };
        let (after, why) = (None, Box::new(self));
        if arrived { SendError::Unknown { after, why } } else { SendError::Retry { after, why } }
    }
}

/// An answer, its body cut at a mebibyte.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn read(response: ureq::http::Response<ureq::Body>) -> Self {
        let (head, body) = response.into_parts();
        let headers = head.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        let headers = headers.collect();
        let mut bytes = Vec::new();
        // The status says what became of the request; a body that breaks off changes nothing of
        // it, and whoever needs the body finds it incomplete.
        drop(body.into_reader().take(MAX_ANSWER_BYTES).read_to_end(&mut bytes));
        Self { status: head.status.as_u16(), headers, body: bytes }
    }

    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// How long the far side asks to be left alone: `Retry-After`, in seconds or as a date, at
    /// most an hour.
    pub(crate) fn retry_after(&self, now_ms: u64) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
        }
        let until = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(until.saturating_sub(Duration::from_millis(now_ms)).min(LONGEST_WAIT))
    }
}

/// A text from elsewhere, made fit for one log line: no control characters, at most 300 characters.
pub(crate) fn one_line(text: &str) -> String {
    let clean = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = clean.take(300).collect();
    if text.trim().chars().count() > 300 {
        line.push('…');
    }
    line
}

/// Reads a number of seconds, of which a fraction is allowed, between 0 and a day.
pub(crate) fn seconds(text: &str) -> Result<Duration, SecondsError> {
    let seconds: f64 = text.parse().map_err(|_| SecondsError)?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err(SecondsError);
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// As [`seconds`], but not zero: a timeout of nothing would refuse everything.
pub(crate) fn timeout(text: &str) -> Result<Duration, SecondsError> {
    seconds(text).and_then(|time| if time.is_zero() { Err(SecondsError) } else { Ok(time) })
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("takes a number of seconds, such as 10 or 0.5")]
pub(crate) struct SecondsError;

#[cfg(test)]
mod tests {
    use super::{Answer, Endpoint, one_line, seconds, timeout};
    use std::time::Duration;

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
            ("", "is no address; write https://host/path"),
            ("https://a b/", "is no address; write https://host/path"),
            ("/services/T0/secret", "is no whole address; write https://host/path"),
            ("ftp://host/secret", "begins with neither https:// nor http://"),
            (
                "http://host/secret",
                "would send credentials in clear over the network; use https://",
            ),
            (
                "https://me:secret@host/",
                "has a user name in it; give credentials by their own flags",
            ),
        ] {
            let failure = Endpoint::parse("--webhook-url", bad).unwrap_err();
            assert_eq!(failure.message, format!("--webhook-url: {why}"));
            assert_eq!(failure.exit as u8, 78);
        }
    }

    #[test]
    fn an_endpoint_keeps_its_path_to_itself() {
        let hook = Endpoint::parse("--webhook-url", "https://hooks.slack.com/services/T0/X?a=b");
        assert_eq!(format!("{:?}", hook.unwrap()), "https://hooks.slack.com/***");
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let now_ms = 784_111_777_000 - 60_000;
        for (text, wait) in [
            ("30", Some(30)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999", Some(3600)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = vec![("retry-after".to_owned(), text.to_owned())];
            let answer = Answer { status: 429, headers, body: Vec::new() };
            assert_eq!(answer.retry_after(now_ms), wait.map(Duration::from_secs), "{text:?}");
        }
        let bare = Answer { status: 429, headers: Vec::new(), body: Vec::new() };
        assert_eq!(bare.retry_after(now_ms), None);
    }

    #[test]
    fn foreign_texts_fit_on_one_log_line() {
        assert_eq!(one_line(" a\nb\u{1b}[1m "), "a b [1m");
        assert_eq!(one_line(&"é".repeat(301)), format!("{}…", "é".repeat(300)));
        assert_eq!(one_line(&"é".repeat(300)), "é".repeat(300));
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for bad in ["", "-1", "nan", "inf", "1e9", "10s"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert!(timeout("0").is_err());
        assert_eq!(timeout("10"), Ok(Duration::from_secs(10)));
    }
}
