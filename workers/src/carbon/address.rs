//! Where Carbon listens, and which protocol it reads there: parsed once.

use std::fmt;
use std::str::FromStr;

/// A host and a port, such as `127.0.0.1:2003`, `carbon.example.com:2003` or `[::1]:2003`. A
/// [`Protocol`] may stand in front: `pickle://carbon.example.com:2004`, `udp://127.0.0.1:2003`. An
/// instance may follow, as in Carbon's `DESTINATIONS`: `127.0.0.1:2103:b`. It identifies one of
/// several Carbons on a host when names are hashed.
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
/// let address: Address = "127.0.0.1:2103:b".parse().unwrap();
/// assert_eq!(address.instance(), Some("b"));
/// assert!("carbon".parse::<Address>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    protocol: Protocol,
    // Invariant: not empty, without brackets, blanks and slashes.
    host: String,
    // Invariant: not zero.
    port: u16,
    // Invariant: without blanks and commas. An empty one differs from none.
    instance: Option<String>,
}

/// A protocol that Carbon reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
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

    /// What to check if a server closes connections over what is written.
    pub(super) const fn question(self) -> &'static str {
        match self {
            Self::Pickle => "is it the port for lines? omit pickle:// then",
            Self::PickleTls => {
                "is it the port for lines? write tls:// then; or is the Carbon behind the proxy down?"
            }
            Self::Tcp => "is it the port for pickles? write pickle:// in front of the address then",
            Self::Tls => {
                "is it the port for pickles? write pickle+tls:// then; or is the Carbon behind the proxy \
                          down?"
            }
            Self::Udp => "is it Carbon's port for datagrams?",
        }
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

    /// The instance, if there is one.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// The address without its protocol, as in Carbon's `DESTINATIONS`.
    pub(super) fn destination(&self) -> String {
        Self { protocol: Protocol::default(), ..self.clone() }.to_string()
    }

    /// Whether both are the same destination, whatever the protocol.
    pub(super) fn is_same_destination(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port && self.instance == other.instance
    }
}

impl Default for Address {
    fn default() -> Self {
        Self { protocol: Protocol::Tcp, host: "127.0.0.1".to_owned(), port: 2003, instance: None }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |why: String| AddressError { text: text.to_owned(), why };
        let no_port = || wrong("the port is missing".to_owned());
        let (protocol, rest) = match text.trim().split_once("://") {
            Some((scheme, rest)) => {
                let protocol = Protocol::ALL.into_iter().find(|known| known.scheme() == scheme);
                (protocol.ok_or_else(|| wrong(format!("unknown protocol `{scheme}`")))?, rest)
            }
            None => (Protocol::default(), text.trim()),
        };
        let (host, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once("]:").ok_or_else(no_port)?,
            None => rest.split_once(':').ok_or_else(no_port)?,
        };
        let (port, instance) = match rest.split_once(':') {
            Some((port, instance)) => (port, Some(instance)),
            None => (rest, None),
        };
        let is_blank = |c: char| c.is_whitespace() || c.is_control();
        let strange = |c: char| is_blank(c) || "/[]@,".contains(c);
        if host.is_empty() {
            return Err(wrong("the host is missing".to_owned()));
        }
        if let Some(bad) = host.chars().find(|c| strange(*c)) {
            return Err(wrong(format!("a host cannot contain {bad:?}")));
        }
        if port.is_empty() {
            return Err(no_port());
        }
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            wrong(format!("`{port}` is not a port, which is a number from 1 to 65535"))
        })?;
        if instance.is_some_and(|text| text.contains(|c| is_blank(c) || c == ',')) {
            return Err(wrong("an instance cannot contain blanks and commas".to_owned()));
        }
        Ok(Self { protocol, host: host.to_owned(), port, instance: instance.map(str::to_owned) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol != Protocol::default() {
            write!(f, "{}://", self.protocol.scheme())?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        self.instance.iter().try_for_each(|instance| write!(f, ":{instance}"))
    }
}

/// A text is not a host and port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an address: {why}; write host:port or host:port:instance, such as 127.0.0.1:2003 or \
     [::1]:2003:a, with tls://, pickle://, pickle+tls:// or udp:// in front for another protocol than \
     lines over TCP"
)]
#[non_exhaustive]
pub struct AddressError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
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
            "127.0.0.1:2003:a",
            "h:1:a:b",
            "h:1:",
            "pickle://[::1]:2004:b",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!(" 127.0.0.1:2003 ".parse(), Ok(Address::default()));
        let instance = |text: &str| text.parse::<Address>().unwrap().instance().map(str::to_owned);
        assert_eq!(
            ["h:1", "h:1:", "h:1:a:b"].map(instance),
            [None, Some(String::new()), Some("a:b".to_owned())]
        );
        assert_eq!("tcp://127.0.0.1:2003".parse(), Ok(Address::default()));
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        for (text, why) in [
            ("carbon", "the port is missing"),
            ("carbon:", "the port is missing"),
            ("[::1]2003", "the port is missing"),
            (":2003", "the host is missing"),
            ("::1:2003", "the host is missing"),
            ("carbon:65536", "`65536` is not a port, which is a number from 1 to 65535"),
            ("carbon:2003/", "`2003/` is not a port, which is a number from 1 to 65535"),
            ("http://carbon:2003", "unknown protocol `http`"),
            ("tls+pickle://carbon:2004", "unknown protocol `tls+pickle`"),
            ("a b:2003", "a host cannot contain ' '"),
            ("carbon:2003:a b", "an instance cannot contain blanks and commas"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().why, why, "{text}");
        }
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
            "carbon:2003:a b",
            "carbon:2003,carbon:2004",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
