//! Why an instrument cannot be built.

use crate::curve::ReadKeyError;
use crate::measurement::TextError;
use crate::resources::ShortageError;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why an instrument cannot be built.
///
/// `Debug` prints the message and its cause, because `main` prints an error that it returns with
/// `Debug`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The system has no sockets available, or the endpoint is invalid.
    #[error("ZeroMQ cannot connect to {endpoint}")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// The error of ZeroMQ.
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
    /// The port is 0, or there is no port after it.
    #[error("port {port} is out of range (1 to 65534; the broker's default is 5550)")]
    Port {
        /// The port.
        port: u16,
    },
    /// The system has too few file descriptors or threads, or too little memory.
    #[error(transparent)]
    Resources(#[from] ShortageError),
    /// The source or a level is invalid.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The system cannot start the sender's thread.
    #[error("the sender's thread could not be started")]
    Thread(#[source] std::io::Error),
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        self.source().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}
