//! Addresses of flags: a host and a port.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// A host and a port, as `HOST:PORT`. The host is looked up when it is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPort(String);

impl HostPort {
    /// The first address of the host.
    pub(super) fn resolve(&self) -> io::Result<SocketAddr> {
        let unknown = || io::Error::new(ErrorKind::NotFound, "no address is known");
        self.0.to_socket_addrs()?.next().ok_or_else(unknown)
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        match parts.and_then(|(_, port)| port.parse::<u16>().ok()) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err("expected HOST:PORT, such as 127.0.0.1:8125".to_owned()),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::HostPort;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["127.0.0.1:25826", "[::1]:0", "localhost:1", "[ff18::efc0:4a42]:25826"] {
            assert_eq!(good.parse::<HostPort>().unwrap().to_string(), good);
        }
        for bad in ["", "127.0.0.1", ":25826", "a:b", "a:65536", "25826"] {
            assert!(bad.parse::<HostPort>().unwrap_err().contains("HOST:PORT"), "{bad}");
        }
    }
}
