//! The URL of requests.

use std::fmt;
use std::net::IpAddr;
use ureq::http::Uri;
use zibrato::daemon::{Exit, Failure};

/// The URL of requests. Debug output hides the path, which may be a secret (Slack's webhooks).
#[derive(Clone, PartialEq, Eq)]
// Invariant: scheme https, or http to this machine; a host; no user, no fragment.
pub(crate) struct Endpoint(pub(super) Uri);

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

    /// The same URL, without its query, with another segment of its path. The segment consists of
    /// letters, digits, `.`, `:`, `-` and `_`.
    #[cfg(feature = "librato")]
    pub(crate) fn with_segment(&self, segment: &str) -> Self {
        let mut parts = self.0.clone().into_parts();
        let path = format!("{}/{segment}", self.0.path().trim_end_matches('/'));
        parts.path_and_query = path.parse().ok().or(parts.path_and_query);
        Self(Uri::from_parts(parts).unwrap_or_else(|_| self.0.clone()))
    }

    pub(super) fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/***", self.0.scheme_str().unwrap_or(""), self.0.host().unwrap_or(""))
    }
}

pub(super) fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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

    #[cfg(feature = "librato")]
    #[test]
    fn a_segment_is_added_to_the_path() {
        for (url, expected) in [
            ("https://h/v1/annotations", "https://h/v1/annotations/a.b"),
            ("https://h:81/v1/annotations/?x=y", "https://h:81/v1/annotations/a.b"),
        ] {
            let endpoint = Endpoint::parse("--api-url", url).unwrap();
            assert_eq!(endpoint.with_segment("a.b").0.to_string(), expected);
        }
    }

    #[test]
    fn the_path_of_an_endpoint_is_never_shown() {
        let hook = Endpoint::parse("--webhook-url", "https://hooks.slack.com/services/T0/X?a=b");
        assert_eq!(format!("{:?}", hook.unwrap()), "https://hooks.slack.com/***");
    }
}
