//! Where Carbon listens, and which protocol it reads there: parsed once.

use std::fmt;
use std::str::FromStr;

/// A host and a port, such as `127.0.0.1:2003`, `carbon.example.com:2003` or `[::1]:2003`. A
/// [`Protocol`] may stand in front: `pickle://carbon.example.com:2004`, `udp://127.0.0.1:2003`.
///
/// Defaults to `127.0.0.1:2003`.
///
/// ```
/// use zibrato_workers::carbon::{Address, Protocol};
/// let address: Address = "[::1]:2003".parse().unwrap();
/// assert_eq!((address.host(), address.port()), ("::1", 2003));
/// assert_eq!(address.protocol(), Protocol::Tcp);
/// let address: Address = "pickle://carbon.example.com:2004".parse().unwrap();
/// assert_eq!(address.protocol(), Protocol::Pickle);
/// assert!("carbon".parse::<Address>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    protocol: Protocol,
    // Invariant: not empty, without brackets, blanks and slashes.
    host: String,
    // Invariant: not zero.
    port: u16,
}

/// A protocol that Carbon reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Lines over a TCP connection, Carbon's port 2003. The default.
    #[default]
    Tcp,
    /// Lines in datagrams, usually to the same port. Carbon needs `ENABLE_UDP_LISTENER = True`. What
    /// the network or Carbon loses is not noticed.
    Udp,
    /// Pickles of protocol 2 over a TCP connection, Carbon's port 2004.
    Pickle,
    /// Lines over TLS, to a proxy such as stunnel or to a hosted Graphite.
    Tls,
    /// Pickles over TLS.
    PickleTls,
}

impl Protocol {
    const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::Pickle, Self::Tls, Self::PickleTls];

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::PickleTls)
    }

    const fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Pickle => "pickle",
            Self::Tls => "tls",
            Self::PickleTls => "pickle+tls",
        }
    }
}

impl Address {
    /// The protocol.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The name or the address of the host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Default for Address {
    fn default() -> Self {
        Self { protocol: Protocol::Tcp, host: "127.0.0.1".to_owned(), port: 2003 }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError { text: text.to_owned() };
        let (protocol, rest) = match text.trim().split_once("://") {
            Some((scheme, rest)) => {
                let protocol = Protocol::ALL.into_iter().find(|known| known.scheme() == scheme);
                (protocol.ok_or_else(wrong)?, rest)
            }
            None => (Protocol::default(), text.trim()),
        };
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let strange = |c: char| c.is_whitespace() || c.is_control() || "/[]@".contains(c);
        if port == 0 || bare.is_empty() || bare.contains(strange) {
            return Err(wrong());
        }
        Ok(Self { protocol, host: bare.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol != Protocol::default() {
            write!(f, "{}://", self.protocol.scheme())?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A text is not a host and port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an address; write host:port, such as 127.0.0.1:2003 or [::1]:2003, with tls://, pickle://, \
     pickle+tls:// or udp:// in front for another protocol than lines over TCP"
)]
#[non_exhaustive]
pub struct AddressError {
    /// The text.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_is_displayed_as_it_was_parsed() {
        for text in [
            "127.0.0.1:2003",
            "carbon.example.com:1",
            "[::1]:65535",
            "[fe80::1%eth0]:2003",
            "udp://[::1]:2003",
            "pickle://carbon.example.com:2004",
            "tls://carbon.example.com:2003",
            "pickle+tls://[::1]:2004",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("127.0.0.1:2003".parse(), Ok(Address::default()));
        assert_eq!("tcp://127.0.0.1:2003".parse(), Ok(Address::default()));
    }

    #[test]
    fn an_invalid_address_is_rejected() {
        for text in [
            "",
            "carbon",
            ":2003",
            "carbon:",
            "carbon:0",
            "carbon:65536",
            "carbon:-1",
            "a b:2003",
            "::1:2003",
            "[::1]2003",
            "[::1",
            "[]:2003",
            "http://carbon:2003",
            "PICKLE://carbon:2004",
            "pickle://",
            "://carbon:2003",
            "udp://tcp://carbon:2003",
            "carbon:2003:a",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
