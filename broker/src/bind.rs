//! From a host and a port to four sockets that listen.

use crate::config::{Config, Exposure};
use crate::journal::JournalError;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use zibrato::daemon::HttpError;
use zibrato::wire::MAX_REQUEST_BYTES;

/// Where subscribers connect, from the base port.
const PUBLISH_OFFSET: u16 = 1;

/// Where those connect who read the journal, from the base port.
const REPLAY_OFFSET: u16 = 2;

/// Where legacy publishers connect, from the base port.
const LEGACY_OFFSET: u16 = 3;

/// The highest base port that leaves room for the others.
pub(crate) const MAX_BASE_PORT: u16 = u16::MAX - LEGACY_OFFSET;

/// How many free base ports are tried.
const ATTEMPTS: usize = 100;

/// The most bytes of a message from a subscriber: a topic is short.
const MAX_TOPIC_BYTES: i64 = 4_096;

/// The most answers that wait for one reader that does not read them.
const MAX_ANSWERS: i32 = 4;

/// The most requests that wait from one reader.
const MAX_REQUESTS: i32 = 100;

/// Seconds after which the system asks a silent peer whether it is still there.
const KEEPALIVE_IDLE: i32 = 60;

/// The three sockets of the router, which listen.
pub(crate) struct Sockets {
    pub(crate) context: zmq::Context,
    pub(crate) pull: zmq::Socket,
    pub(crate) publish: zmq::Socket,
    pub(crate) legacy: zmq::Socket,
    pub(crate) ports: Ports,
}

/// The addresses of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    address: IpAddr,
    base: u16,
}

impl Ports {
    pub(crate) const fn base(self) -> u16 {
        self.base
    }

    pub(crate) const fn publish(self) -> u16 {
        self.base + PUBLISH_OFFSET
    }

    pub(crate) const fn replay(self) -> u16 {
        self.base + REPLAY_OFFSET
    }

    pub(crate) const fn legacy(self) -> u16 {
        self.base + LEGACY_OFFSET
    }

    /// As ZeroMQ writes the address with one of the ports.
    pub(crate) fn endpoint(self, port: u16) -> String {
        format!("tcp://{}", SocketAddr::new(self.address, port))
    }
}

impl Config {
    /// Checks everything that can be checked without listening.
    ///
    /// # Errors
    /// As [`Broker::start`](crate::Broker::start).
    pub fn check(&self) -> Result<(), StartError> {
        self.address().map(drop)
    }

    fn address(&self) -> Result<IpAddr, StartError> {
        if self.port > MAX_BASE_PORT {
            return Err(StartError::PortRange { port: self.port });
        }
        let address = resolve(&self.host)?;
        let public = |address: &IpAddr| !address.is_loopback();
        let exposed = Some(address).into_iter().chain(self.http.map(|http| http.ip())).find(public);
        match (self.exposure, exposed) {
            (Exposure::Loopback, Some(address)) => Err(StartError::Exposed { address }),
            _ => Ok(address),
        }
    }

    /// Opens and binds the router's sockets, and the one for replay.
    pub(crate) fn bind(&self) -> Result<(Sockets, zmq::Socket), StartError> {
        let address = self.address()?;
        if self.port != 0 {
            return self.bind_at(Ports { address, base: self.port });
        }
        for _ in 0..ATTEMPTS {
            let free = TcpListener::bind((address, 0)).and_then(|probe| probe.local_addr());
            let base = free.map_err(|source| StartError::NoAddress { address, source })?.port();
            if base > MAX_BASE_PORT {
                continue;
            }
            match self.bind_at(Ports { address, base }) {
                Err(StartError::PortInUse { .. }) => {}
                bound => return bound,
            }
        }
        Err(StartError::NoFreePorts { address })
    }

    fn bind_at(&self, ports: Ports) -> Result<(Sockets, zmq::Socket), StartError> {
        let context = zmq::Context::new();
        let frame = i64::try_from(self.max_frame).unwrap_or(i64::MAX);
        let open = |kind, max_bytes| {
            let socket = context.socket(kind)?;
            self.set_up(&socket, ports.address, max_bytes)?;
            Ok(socket)
        };
        let pull = open(zmq::PULL, frame).map_err(StartError::Socket)?;
        let publish = open(zmq::XPUB, MAX_TOPIC_BYTES).map_err(StartError::Socket)?;
        let legacy = open(zmq::SUB, frame).map_err(StartError::Socket)?;
        legacy.set_subscribe(b"").map_err(StartError::Socket)?;
        let replay = open(zmq::ROUTER, MAX_REQUEST_BYTES as i64).map_err(StartError::Socket)?;
        replay.set_sndhwm(MAX_ANSWERS).map_err(StartError::Socket)?;
        replay.set_rcvhwm(MAX_REQUESTS).map_err(StartError::Socket)?;
        for (socket, port) in [
            (&pull, ports.base()),
            (&publish, ports.publish()),
            (&replay, ports.replay()),
            (&legacy, ports.legacy()),
        ] {
            let bound = socket.bind(&ports.endpoint(port));
            bound.map_err(|error| StartError::from_bind(error, ports.address, port))?;
        }
        Ok((Sockets { context, pull, publish, legacy, ports }, replay))
    }

    fn set_up(&self, socket: &zmq::Socket, address: IpAddr, max_bytes: i64) -> zmq::Result<()> {
        let high_water = i32::try_from(self.high_water).unwrap_or(i32::MAX).max(1);
        socket.set_sndhwm(high_water)?;
        socket.set_rcvhwm(high_water)?;
        socket.set_maxmsgsize(max_bytes)?;
        socket.set_linger(0)?;
        socket.set_ipv6(address.is_ipv6())?;
        // A machine that vanishes never says goodbye; its queue would be kept for ever. (ZMTP's own
        // heartbeats would tell too, but have brought libzmq down with slow subscribers. The libzmq
        // that the `zmq` crate compiles ignores this; there the system gives up on a subscriber when
        // what it is sent is not acknowledged, after a quarter of an hour.)
        socket.set_tcp_keepalive(1)?;
        socket.set_tcp_keepalive_idle(KEEPALIVE_IDLE)
    }
}

/// The first IPv4 address of a host, or else its first address. `*` is every address.
fn resolve(host: &str) -> Result<IpAddr, StartError> {
    if host == "*" {
        return Ok(Ipv4Addr::UNSPECIFIED.into());
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bare.and_then(|bare| bare.parse::<Ipv6Addr>().ok()) {
        return Ok(address.into());
    }
    let unknown = |source| StartError::UnknownHost { host: host.to_owned(), source };
    let all: Vec<_> = (host, 0).to_socket_addrs().map_err(unknown)?.collect();
    let first = all.iter().find(|address| address.is_ipv4()).or(all.first());
    first.map(SocketAddr::ip).ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))
}

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Other machines can reach the address, and nobody has agreed to that.
    #[error(
        "{address} can be reached from other machines, and nothing is encrypted or checked: listen \
         on 127.0.0.1, or agree with --insecure"
    )]
    Exposed {
        /// The address.
        address: IpAddr,
    },
    /// The HTTP server did not start.
    #[error("{0}; give another address with --http, or none with --http off")]
    Http(#[source] HttpError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The machine does not have the address.
    #[error("{address} is no address of this machine; give one with --host")]
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
    #[error("port {port} is kept for the superuser; give one above 1023 with --port")]
    NotPermitted {
        /// The port.
        port: u16,
    },
    /// Somebody listens on one of the ports.
    #[error(
        "port {port} on {address} is in use, by another zibrato-broker or by the program that \
         `ss -ltnp 'sport = :{port}'` shows; stop it, or give another port with --port"
    )]
    PortInUse {
        /// The address.
        address: IpAddr,
        /// The port that is taken.
        port: u16,
    },
    /// The port leaves no room for those that follow it.
    #[error("port {port} is too high: the ports up to the third after it are used too")]
    PortRange {
        /// The port.
        port: u16,
    },
    /// The process may open no more descriptors or start no more threads.
    #[error("the system gives no more descriptors or threads: {0}")]
    Resources(#[from] io::Error),
    /// ZeroMQ refuses a socket.
    #[error("ZeroMQ refuses a socket: {0}")]
    Socket(#[source] zmq::Error),
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

impl StartError {
    fn from_bind(error: zmq::Error, address: IpAddr, port: u16) -> Self {
        match error {
            zmq::Error::EADDRINUSE => Self::PortInUse { address, port },
            zmq::Error::EACCES => Self::NotPermitted { port },
            zmq::Error::EADDRNOTAVAIL | zmq::Error::ENODEV => {
                Self::NoAddress { address, source: io::ErrorKind::AddrNotAvailable.into() }
            }
            other => Self::Socket(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BASE_PORT, StartError, resolve};
    use crate::config::Config;

    #[test]
    fn names_and_addresses_are_resolved() {
        for (host, address) in [
            ("localhost", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("*", "0.0.0.0"),
        ] {
            assert_eq!(resolve(host).unwrap().to_string(), address, "{host}");
        }
        for host in ["", "no such host", "ipc:///tmp/x", "host.invalid."] {
            assert!(matches!(resolve(host), Err(StartError::UnknownHost { .. })), "{host:?}");
        }
    }

    #[test]
    fn only_loopback_is_bound_unless_agreed_to() {
        for host in ["0.0.0.0", "*", "::", "10.0.0.1"] {
            let config = Config::new().host(host);
            assert!(matches!(config.check(), Err(StartError::Exposed { .. })), "{host}");
            config.insecure().check().unwrap();
        }
        let config = Config::new().http(Some("0.0.0.0:5580".parse().unwrap()));
        assert!(matches!(config.check(), Err(StartError::Exposed { .. })));
        for host in ["127.0.0.1", "127.9.9.9", "::1", "localhost"] {
            Config::new().host(host).check().unwrap();
        }
    }

    #[test]
    fn ports_that_leave_no_room_are_refused() {
        Config::new().port(MAX_BASE_PORT).check().unwrap();
        for port in [MAX_BASE_PORT + 1, u16::MAX] {
            let error = Config::new().port(port).check().unwrap_err();
            assert!(matches!(error, StartError::PortRange { .. }), "{error}");
        }
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        // TEST-NET-1: no machine has it.
        let bound = Config::new().host("192.0.2.1").insecure().port(0).bind();
        let error = bound.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("192.0.2.1 is no address of this machine"), "{error}");
    }
}
