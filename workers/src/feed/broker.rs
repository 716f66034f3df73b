//! The address of a broker, and how a worker connects to it.

use zibrato::curve::Curve;
use zibrato::wire::Endpoint;

/// The remedy if the broker does not answer.
pub(super) const NOT_HEARD: &str =
    "the broker sends nothing; start it, or give its address with --host and --port";

/// One of the endpoints of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) curve: Option<Curve>,
    pub(crate) endpoint: Endpoint,
}

impl Broker {
    /// The endpoint on which a broker publishes.
    pub(crate) fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, curve: None, endpoint: Endpoint::Subscribers }
    }

    /// The endpoint on which the same broker serves its journal: the next port. `None` if there is
    /// no next port.
    pub(crate) fn replay(&self) -> Option<Self> {
        let (port, endpoint) = (self.port.checked_add(1)?, Endpoint::Replay);
        Some(Self { port, endpoint, ..self.clone() })
    }

    /// The host without the brackets that an IPv6 address may have.
    pub(crate) fn bare_host(&self) -> &str {
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        bare.unwrap_or(&self.host)
    }

    /// The ZeroMQ endpoint. `None` if the host is not a name, an address or a folder, or if the
    /// port is 0.
    pub(crate) fn endpoint(&self) -> Option<String> {
        let address = self.endpoint.address(&self.host, self.port)?;
        (self.port != 0 || address.starts_with("ipc:")).then_some(address)
    }

    /// The port, if the host is not a folder of Unix sockets.
    pub(crate) fn tcp_port(&self) -> Option<u16> {
        self.endpoint.ipc_endpoint(&self.host).is_none().then_some(self.port)
    }

    /// Connects a new socket to the broker, in the background.
    pub(crate) fn connect(&self, socket: &zmq::Socket, endpoint: &str) -> zmq::Result<()> {
        // With IPv6 enabled, libzmq resolves a name to IPv6 addresses only, and a broker often does
        // not listen on the IPv6 address of `localhost`.
        socket.set_ipv6(endpoint.contains('['))?;
        if let Some(curve) = &self.curve {
            curve.secure(socket)?;
        }
        socket.connect(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::Broker;

    fn endpoint(host: &str) -> Option<String> {
        Broker::new(host, 5551).endpoint()
    }

    #[test]
    fn an_ipv6_address_is_put_in_brackets() {
        for (host, expected) in [
            ("127.0.0.1", "tcp://127.0.0.1:5551"),
            ("broker_1.example.com", "tcp://broker_1.example.com:5551"),
            ("::1", "tcp://[::1]:5551"),
            ("[::1]", "tcp://[::1]:5551"),
            ("fe80::1%eth0", "tcp://[fe80::1%eth0]:5551"),
            ("ipc:///run/zibrato", "ipc:///run/zibrato/subscribers.sock"),
        ] {
            assert_eq!(endpoint(host).as_deref(), Some(expected));
        }
    }

    #[test]
    fn an_invalid_host_is_rejected() {
        for host in ["", "a b", "tcp://a", "a:5551", "[a]x", "*", "a/b", "a;b", "\n"] {
            assert_eq!(endpoint(host), None, "{host:?}");
        }
        assert_eq!(Broker::new("a", 0).endpoint(), None);
    }
}
