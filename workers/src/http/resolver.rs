//! Looks up the address of a server, and remembers it for some seconds.
//!
//! The client looks it up for each request, in a thread that it starts for this, even if the request
//! has a connection already. That takes as long as the rest of a request to this machine.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long an answer is used.
const KEPT: Duration = Duration::from_secs(10);

/// Remembers the addresses of one server, which is the one that all requests are for.
#[derive(Debug, Default)]
pub(super) struct Remembering {
    resolver: DefaultResolver,
    last: Mutex<Option<Found>>,
}

#[derive(Debug)]
struct Found {
    scheme: String,
    authority: String,
    addresses: Vec<SocketAddr>,
    at: Instant,
}

impl Found {
    fn is_of(&self, uri: &Uri) -> bool {
        uri.scheme_str() == Some(&*self.scheme)
            && uri.authority().is_some_and(|authority| authority.as_str() == self.authority)
            && self.at.elapsed() < KEPT
    }
}

impl Resolver for Remembering {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if let Some(address) = literal(uri) {
            let mut addresses = self.empty();
            addresses.push(address);
            return Ok(addresses);
        }
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = last().as_ref().filter(|found| found.is_of(uri)) {
            let mut addresses = self.empty();
            found.addresses.iter().for_each(|address| addresses.push(*address));
            return Ok(addresses);
        }
        let found = self.resolver.resolve(uri, config, timeout)?;
        *last() = Some(Found {
            scheme: uri.scheme_str().unwrap_or_default().to_owned(),
            authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
            addresses: found.iter().copied().collect(),
            at: Instant::now(),
        });
        Ok(found)
    }
}

/// The address of a URL whose host is one, which need not be looked up.
fn literal(uri: &Uri) -> Option<SocketAddr> {
    let default = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some(SocketAddr::new(host.parse().ok()?, uri.port_u16().unwrap_or(default)))
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Remembering};
    use std::net::SocketAddr;
    use ureq::config::Config;
    use ureq::unversioned::resolver::Resolver as _;
    use ureq::unversioned::transport::NextTimeout;

    fn addresses(resolver: &Remembering, url: &str) -> Vec<SocketAddr> {
        let config = Config::default();
        let found = resolver.resolve(&url.parse().unwrap(), &config, NextTimeout::default());
        found.unwrap().iter().copied().collect()
    }

    #[test]
    fn an_address_is_looked_up_again_for_another_server_and_after_some_seconds() {
        let resolver = Remembering::default();
        let looked_up = addresses(&resolver, "http://localhost:8126/v1/metrics");
        assert!(
            looked_up.iter().all(|address| address.ip().is_loopback() && address.port() == 8126)
        );
        // What is remembered cannot be the result of looking it up.
        let other: Vec<SocketAddr> = vec!["192.0.2.1:1".parse().unwrap()];
        let remember = || resolver.last.lock().unwrap().as_mut().unwrap().addresses = other.clone();
        remember();
        assert_eq!(addresses(&resolver, "http://localhost:8126/v1/other"), other);
        for url in ["http://localhost:8127/", "https://localhost:8127/", "http://LOCALHOST:8127/"] {
            assert_ne!(addresses(&resolver, url), other, "{url}");
            remember();
        }
        assert_eq!(addresses(&resolver, "http://LOCALHOST:8127/"), other);
        resolver.last.lock().unwrap().as_mut().unwrap().at -= KEPT;
        assert_ne!(addresses(&resolver, "http://LOCALHOST:8127/"), other);
    }

    #[test]
    fn an_address_is_not_looked_up() {
        let resolver = Remembering::default();
        for (url, address) in [
            ("http://127.0.0.1:8126/v1/metrics", "127.0.0.1:8126"),
            ("http://192.0.2.1/", "192.0.2.1:80"),
            ("https://[2001:db8::1]/", "[2001:db8::1]:443"),
            ("https://[::1]:1/", "[::1]:1"),
        ] {
            assert_eq!(addresses(&resolver, url), [address.parse().unwrap()], "{url}");
        }
        assert!(resolver.last.lock().unwrap().is_none());
    }
}
