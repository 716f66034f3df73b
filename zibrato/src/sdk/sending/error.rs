//! Why no instrument could be built.

use crate::curve::ReadKeyError;
use crate::measurement::TextError;
use crate::resources::ShortageError;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why no instrument could be built.
///
/// `Debug` says it in words too, and with its cause, because that is what `main` prints when it
/// returns one.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The system gave no sockets, or ZeroMQ does not understand the endpoint.
    #[error("ZeroMQ cannot connect to {endpoint}")]
    Endpoint {
        /// What was tried.
        endpoint: String,
        /// What ZeroMQ said.
        source: zmq::Error,
    },
    /// The host is neither a name nor an address.
    #[error(
        "{host:?} is not a host; give a name or an address, without scheme and port, or ipc:// and \
         the folder of a broker, such as ipc:///run/zibrato"
    )]
    Host {
        /// The host.
        host: String,
    },
    /// The interval is too short or too long.
    #[error("interval {interval:?} is out of range (10 ms to 1 h)")]
    Interval {
        /// The interval.
        interval: Duration,
    },
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] ReadKeyError),
    /// The port is 0, or has none after it.
    #[error("port {port} is out of range (1 to 65534; the broker's default is 5550)")]
    Port {
        /// The port.
        port: u16,
    },
    /// The system has too few file descriptors or threads, or too little memory.
    #[error(transparent)]
    Resources(#[from] ShortageError),
    /// The source or a level may not be on the wire.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The system gave no thread to send with.
    #[error("the sender's thread could not be started")]
    Thread(#[source] std::io::Error),
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        self.source().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}
