//! The proxy for requests, if the environment names one.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};
use zibrato::daemon::{Exit, Failure};

/// The variables that name a proxy for `https`, by precedence. As usual, there are lower-case ones
/// too.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// A proxy for log lines: without its password, and with the variable that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Through {
    host: String,
    port: u16,
    pub(super) variable: &'static str,
}

impl fmt::Display for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{} ({})", self.host, self.port, self.variable)
    }
}

/// Why a connection through a proxy failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    #[error(
        "the proxy {0} rejects the credentials (407); give them in {var}, as \
         http://user:password@host:port",
        var = .0.variable
    )]
    Credentials(Through),
    #[error("the connection through the proxy {0} failed")]
    Broken(Through, #[source] io::Error),
    #[error("the proxy {0} refuses the connection: {1}")]
    Refused(Through, String),
    #[error("the proxy {0} cannot be reached")]
    Unreachable(Through, #[source] io::Error),
}

impl Through {
    /// Converts an error about the proxy; returns any other error.
    pub(super) fn explain(&self, error: ureq::Error) -> Result<ProxyError, ureq::Error> {
        let proxy = self.clone();
        Ok(match error {
            // The library gives the status only as text.
            ureq::Error::ConnectProxyFailed(why) if why.contains("responded 407") => {
                ProxyError::Credentials(proxy)
            }
            ureq::Error::ConnectProxyFailed(why) => ProxyError::Refused(proxy, why),
            ureq::Error::HostNotFound => {
                ProxyError::Unreachable(proxy, io::Error::other("its host name cannot be resolved"))
            }
            ureq::Error::Io(why) => match why.kind() {
                ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable => ProxyError::Unreachable(proxy, why),
                _ => ProxyError::Broken(proxy, why),
            },
            other => return Err(other),
        })
    }
}

/// The proxy for a URL, and its description for log lines.
pub(super) fn find(
    to: &Uri,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<(Proxy, Through)>, Failure> {
    let full = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let Some((name, value)) = VARIABLES.into_iter().find_map(|name| Some((name, full(name)?)))
    else {
        return Ok(None);
    };
    let exceptions = full("NO_PROXY").or_else(|| full("no_proxy")).unwrap_or_default();
    if is_exempt(to.host().unwrap_or_default(), to.port_u16().unwrap_or(443), &exceptions) {
        return Ok(None);
    }
    parse(name, &value).map(Some)
}

/// The proxy of a URL, and its description. `name` is the origin of the URL.
pub(super) fn parse(name: &'static str, value: &str) -> Result<(Proxy, Through), Failure> {
    // The value may contain a password, so it is not shown.
    let wrong = |why: &str| Failure::new(Exit::Config, format!("{name}: {why}"));
    let whole =
        if value.contains("://") { value.trim().to_owned() } else { format!("http://{value}") };
    let uri: Uri = whole.trim().parse().map_err(|_| wrong("write http://host:port"))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong("only http:// proxies are supported"));
    }
    let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
        return Err(wrong("write http://host:port"));
    };
    let port = uri.port_u16().unwrap_or(80);
    let mut builder = Proxy::builder(ProxyProtocol::Http).host(host).port(port);
    if let Some((user, _)) = authority.as_str().rsplit_once('@') {
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        builder = builder.username(&decoded(user)).password(&decoded(password));
    }
    let proxy = builder.build().map_err(|_| wrong("write http://host:port"))?;
    Ok((proxy, Through { host: host.to_owned(), port, variable: name }))
}

/// Whether `NO_PROXY` names the host: itself or a domain above it, with a port or without; `*` is
/// everything.
fn is_exempt(host: &str, port: u16, exceptions: &str) -> bool {
    let host = bare(host).to_ascii_lowercase();
    exceptions.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let (entry, of_port) = match entry.rsplit_once(':') {
            Some((name, digits)) if !name.contains(':') || name.ends_with(']') => {
                (name, digits.parse::<u16>().ok())
            }
            _ => (entry, None),
        };
        if of_port.is_some_and(|of_port| of_port != port) {
            return false;
        }
        let entry = bare(entry).to_ascii_lowercase();
        let name = entry.trim_start_matches('*').trim_start_matches('.');
        let is_address = host.parse::<IpAddr>().is_ok();
        entry == "*"
            || host == name
            || (!is_address && !name.is_empty() && host.ends_with(&format!(".{name}")))
    })
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Decodes `%xx` escapes.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let byte = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{find, is_exempt};
    use std::io::ErrorKind;
    use ureq::http::Uri;

    fn proxy(to: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let found = find(&to.parse::<Uri>().unwrap(), variable);
        found
            .map(|found| found.map(|(_, through)| through.to_string()))
            .map_err(|failure| failure.message)
    }

    #[test]
    fn a_proxy_comes_from_the_environment_and_no_password_is_shown() {
        let to = "https://metrics.example.com/v1";
        let shown = |text: &str| Ok(Some(text.to_owned()));
        for (variables, expected) in [
            (&[][..], Ok(None)),
            (&[("HTTP_PROXY", "http://p:1")], Ok(None)),
            (&[("HTTPS_PROXY", "")], Ok(None)),
            (&[("HTTPS_PROXY", "http://p:3128")], shown("http://p:3128 (HTTPS_PROXY)")),
            (&[("https_proxy", "p:3128")], shown("http://p:3128 (https_proxy)")),
            (&[("ALL_PROXY", "http://ann:se%40cret@p")], shown("http://p:80 (ALL_PROXY)")),
            (
                &[("HTTPS_PROXY", "http://a"), ("ALL_PROXY", "http://b")],
                shown("http://a:80 (HTTPS_PROXY)"),
            ),
            (&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "x,.example.com")], Ok(None)),
            (&[("HTTPS_PROXY", "http://p:1"), ("no_proxy", "*")], Ok(None)),
        ] {
            assert_eq!(proxy(to, variables), expected, "{variables:?}");
        }
        for bad in ["socks5://ann:secret@p:1", "https://ann:secret@p", "http://a b", "http://"] {
            let why = proxy(to, &[("HTTPS_PROXY", bad)]).unwrap_err();
            assert!(why.starts_with("HTTPS_PROXY: ") && !why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn errors_about_a_proxy_name_it_and_the_variable() {
        let to = "https://metrics.example.com/v1".parse::<Uri>().unwrap();
        let variable =
            |name: &str| (name == "ALL_PROXY").then(|| "http://ann:secret@p:1".to_owned());
        let (_, through) = find(&to, variable).unwrap().unwrap();
        let proxy = |status| ureq::Error::ConnectProxyFailed(format!("responded {status}"));
        for (error, part) in [
            (proxy("407/407"), "credentials (407); give them in ALL_PROXY"),
            (proxy("403/403"), "refuses the connection: responded 403"),
            (ureq::Error::Io(ErrorKind::ConnectionRefused.into()), "cannot be reached"),
            (ureq::Error::Io(ErrorKind::ConnectionReset.into()), "failed"),
            (ureq::Error::HostNotFound, "cannot be reached"),
        ] {
            let why = through.explain(error).unwrap().to_string();
            assert!(why.contains("proxy http://p:1 (ALL_PROXY)") && why.contains(part), "{why}");
        }
        through.explain(ureq::Error::BodyStalled).unwrap_err();
    }

    #[test]
    fn exceptions_are_hosts_and_domains_with_a_port_or_without() {
        for (host, exceptions, expected) in [
            ("a.example.com", "a.example.com", true),
            ("a.example.com", "example.com", true),
            ("a.example.com", ".example.com", true),
            ("a.example.com", "*.example.com", true),
            ("A.Example.COM", "example.com:443", true),
            ("a.example.com", "example.com:8080", false),
            ("an-example.com", "example.com", false),
            ("a.example.com", "other.com, example.com", true),
            ("a.example.com", "", false),
            ("a.example.com", ".", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "0.1", false),
            ("[fd00::1]", "fd00::1", true),
            ("[fd00::1]", "[fd00::1]:443", true),
            ("a", "*", true),
        ] {
            assert_eq!(is_exempt(host, 443, exceptions), expected, "{host} {exceptions}");
        }
    }
}
