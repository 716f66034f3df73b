//! Addresses of flags: a host and a port.

use super::flag_error::FlagError;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// A host and a port, as `HOST:PORT`. The host is looked up when it is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPort(String);

impl HostPort {
    /// The first address of the host.
    ///
    /// # Errors
    /// That `flag` names an unknown host.
    pub(super) fn resolve(&self, flag: &'static str) -> Result<SocketAddr, FlagError> {
        let address = self.0.to_socket_addrs().ok().and_then(|mut all| all.next());
        address.ok_or_else(|| {
            let why = "the host is not known; give an address or a name of this machine";
            FlagError::invalid(flag, self, why)
        })
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        match parts {
            Some(_) if text.contains(',') => {
                Err("expected one HOST:PORT, such as 127.0.0.1:8125, and no list".to_owned())
            }
            Some((_, port)) if port.parse::<u16>().is_ok() => Ok(Self(text.to_owned())),
            Some((_, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                Err(format!("the port {port} is too large; expected HOST:PORT with at most 65535"))
            }
            _ => Err("expected HOST:PORT, such as 127.0.0.1:8125".to_owned()),
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
        for (bad, part) in [("a:1,b:2", "no list"), ("a:65536", "65536 is too large")] {
            assert!(bad.parse::<HostPort>().unwrap_err().contains(part), "{bad}");
        }
    }

    #[test]
    fn a_host_that_is_not_known_is_named_with_its_flag() {
        assert!("127.0.0.1:0".parse::<HostPort>().unwrap().resolve("--x").is_ok());
        let error = "no host:1".parse::<HostPort>().unwrap().resolve("--x").unwrap_err();
        assert!(error.to_string().starts_with("--x no host:1: the host is not known"), "{error}");
    }
}
