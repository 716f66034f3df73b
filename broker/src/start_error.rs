//! Why a broker did not start.

use crate::curve::{AllowedError, StartZapError};
use crate::intake::{IntakeError, Unprotected};
use crate::ipc::IpcError;
use crate::journal::JournalError;
use std::io;
use std::net::IpAddr;
use zibrato::daemon::HttpError;
use zibrato::resources::{Resource, ShortageError};

/// Why a broker did not start. A message that contains that of its cause has no source, so that a
/// report of all sources says each thing once.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The list of allowed keys cannot be used.
    #[error("--allowed-keys {0}")]
    Allowed(AllowedError),
    /// Other machines can reach the address, and nobody has agreed to that.
    #[error(
        "{address} can be reached from other machines, and connections would be neither encrypted \
         nor authenticated: listen on 127.0.0.1, encrypt with --curve-key and --allowed-keys, or \
         allow it with --insecure"
    )]
    Exposed {
        /// The address.
        address: IpAddr,
    },
    /// Other machines can reach an address of an intake, and nobody has agreed to that.
    #[error(
        "{} {} can be reached from other machines, and anyone who reaches it can {}: listen on \
         127.0.0.1, {}or allow it with --insecure",
        .0.flag, .0.address, .0.can, .0.protection.map(|how| format!("{how}, ")).unwrap_or_default()
    )]
    ExposedIntake(Unprotected),
    /// Other machines can reach the pages, and nobody has agreed to that.
    #[error(
        "--http {address} can be reached from other machines, and the HTTP pages are never \
         encrypted: serve them on 127.0.0.1, or allow it with --insecure"
    )]
    ExposedPages {
        /// The address.
        address: IpAddr,
    },
    /// The HTTP server did not start.
    #[error("{0}; give another address with --http, or turn the pages off with --http off")]
    Http(HttpError),
    /// An intake cannot listen.
    #[error("the intake {name} cannot start: {problem}")]
    Intake {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: IntakeError,
    },
    /// The folder of sockets cannot be used.
    #[error(transparent)]
    Ipc(#[from] IpcError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The machine does not have the address.
    #[error("{address} is not an address of this machine; give one with --host")]
    NoAddress {
        /// The address.
        address: IpAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No base port was found of which all ports are free.
    #[error("no free ports were found on {address}; give one with --port")]
    NoFreePorts {
        /// The address.
        address: IpAddr,
    },
    /// The user may not listen on the port.
    #[error("port {port} is reserved for the superuser; give one above 1023 with --port")]
    NotPermitted {
        /// The port.
        port: u16,
    },
    /// There is neither an address nor a folder to listen at.
    #[error("--host off without --ipc leaves nowhere to listen; give one of the two")]
    Nowhere,
    /// Somebody listens on one of the ports.
    #[error(
        "port {port}{} on {address} is in use, by another zibrato-broker or by the program that \
         `ss -ltnp 'sport = :{port}'` shows; stop it, or give another port with --port",
        place(*base, *port)
    )]
    PortInUse {
        /// The address.
        address: IpAddr,
        /// The port for publishers; the others follow it.
        base: u16,
        /// The port that is taken.
        port: u16,
    },
    /// The port leaves no room for those that follow it.
    #[error(
        "port {port} is too high, because the next three ports are used too; give one up to 65532"
    )]
    PortRange {
        /// The port.
        port: u16,
    },
    /// The process may open no more descriptors or start no more threads.
    #[error("no more file descriptors or threads are available: {0}")]
    Resources(io::Error),
    /// The system has too little of something that libzmq would abort for.
    #[error("the broker cannot start: {0}; {remedy}", remedy = remedy(.0))]
    Shortage(ShortageError),
    /// ZeroMQ refuses a socket.
    #[error("cannot create a ZeroMQ socket: {0}")]
    Socket(zmq::Error),
    /// The host has no address.
    #[error(
        "the host {host:?} is not known; give an address or a name of this machine with --host"
    )]
    UnknownHost {
        /// The host.
        host: String,
        /// What the system says.
        source: io::Error,
    },
}

impl From<AllowedError> for StartError {
    fn from(error: AllowedError) -> Self {
        Self::Allowed(error)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Resources(error)
    }
}

impl From<StartZapError> for StartError {
    fn from(error: StartZapError) -> Self {
        match error {
            StartZapError::Socket(error) => Self::Socket(error),
            StartZapError::System(error) => Self::Resources(error),
        }
    }
}

impl StartError {
    /// `base` is the port for publishers, and `port` the one that could not be bound.
    pub(crate) fn from_bind(error: zmq::Error, address: IpAddr, base: u16, port: u16) -> Self {
        match error {
            zmq::Error::EADDRINUSE => Self::PortInUse { address, base, port },
            zmq::Error::EACCES => Self::NotPermitted { port },
            zmq::Error::EADDRNOTAVAIL | zmq::Error::ENODEV => {
                Self::NoAddress { address, source: io::ErrorKind::AddrNotAvailable.into() }
            }
            other => Self::Socket(other),
        }
    }
}

/// The place of a port among those of a broker, unless it is the first one.
fn place(base: u16, port: u16) -> String {
    let after = match port.wrapping_sub(base) {
        0 => return String::new(),
        1 => "the one after",
        2 => "the second one after",
        _ => "the third one after",
    };
    format!(" ({after} --port {base})")
}

const fn remedy(shortage: &ShortageError) -> &'static str {
    match shortage.resource {
        Resource::AddressSpace { .. } => "raise that limit, or give a smaller --max-memory",
        _ => "raise that limit",
    }
}

#[cfg(test)]
mod tests {
    use super::StartError;
    use crate::curve::AllowedError;
    use crate::journal::JournalError;
    use std::error::Error;
    use std::io;
    use std::net::SocketAddr;
    use zibrato::daemon::HttpError;
    use zibrato::resources::{Resource, Resources, ShortageError};

    #[test]
    fn a_report_of_an_error_and_its_sources_says_each_thing_once() {
        let io = || io::Error::from(io::ErrorKind::NotFound);
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let (resource, needed) = (Resource::Descriptors, Resources::default());
        for error in [
            StartError::from(AllowedError::File { file: "keys".into(), problem: io() }),
            StartError::Http(HttpError::Bind { address, source: io() }),
            StartError::Intake { name: "statsd".to_owned(), problem: io().into() },
            StartError::Journal(JournalError::unusable("journal".as_ref())(io())),
            StartError::from(io()),
            StartError::Shortage(ShortageError { resource, needed, source: io() }),
            StartError::Socket(zmq::Error::EMFILE),
        ] {
            let mut cause = error.source();
            while let Some(source) = cause {
                assert!(!error.to_string().contains(&source.to_string()), "{error}");
                cause = source.source();
            }
        }
    }
}
