//! Why a program cannot reach its broker.

use crate::wire::Endpoint;

/// Why the broker cannot be reached, and the remedy. The text of each is for the log.
///
/// A program finds this out two seconds after the last message from the broker, and then once a
/// minute: it resolves the host, connects to the ports, and identifies what answers there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The broker does not allow the program's key.
    #[error("the broker refuses this program's key {key}; add it to the broker's --allowed-keys")]
    KeyRefused {
        /// The program's public key.
        key: String,
    },
    /// Both keys are given, but no encrypted connection is possible with them.
    #[error(
        "the program that listens there encrypts its connections, but not with these keys; \
         ZIBRATO_SERVER_KEY or Builder::curve must contain the public key of this broker"
    )]
    KeysDiffer,
    /// The broker encrypts its connections, and the program has no keys.
    #[error(
        "the program that listens there encrypts its connections; give the broker's public key and \
         this program's secret key in ZIBRATO_SERVER_KEY and ZIBRATO_CURVE_KEY, or with \
         Builder::curve"
    )]
    KeysMissing,
    /// The program has keys, and the broker does not encrypt its connections.
    #[error(
        "the broker does not encrypt its connections; leave out the keys (ZIBRATO_SERVER_KEY and \
         ZIBRATO_CURVE_KEY, or Builder::curve), or give the broker a --curve-key"
    )]
    KeysUnused,
    /// The system cannot connect, for example because of a firewall.
    #[error("{address} cannot be reached: {why}; correct the host and the port, or the firewall")]
    NoConnection {
        /// The address, or the path of a socket.
        address: String,
        /// The error of the system.
        why: String,
    },
    /// Another program listens there.
    #[error(
        "{} listens on port {port}, not a broker; correct the host and the port",
        if *.is_http { "an HTTP server" } else { "another program" }
    )]
    NotABroker {
        /// The port.
        port: u16,
        /// Whether it is an HTTP server.
        is_http: bool,
    },
    /// Nothing listens there.
    #[error("connection refused by {address}; start the broker, or correct the host and the port")]
    Refused {
        /// The address, or the path of a socket.
        address: String,
    },
    /// The broker accepts connections, but no message of it has arrived.
    #[error("the broker accepts connections but sends nothing; it is starting, or overloaded")]
    Silent,
    /// The name of the host cannot be resolved.
    #[error("unknown host {host}: {why}; correct the host")]
    UnknownHost {
        /// The host.
        host: String,
        /// The error of the system.
        why: String,
    },
    /// A port of a broker with another purpose.
    #[error(
        "port {port} is the one on which the broker {}; give port {right} instead",
        purpose(*.endpoint)
    )]
    WrongPort {
        /// The port.
        port: u16,
        /// What the broker does on it.
        endpoint: Endpoint,
        /// The right port.
        right: u16,
    },
}

const fn purpose(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Publishers => "receives measurements",
        Endpoint::Subscribers => "publishes",
        Endpoint::Replay => "serves the journal",
        Endpoint::Legacy => "serves publishers of Python Zibrato 0.2",
    }
}
