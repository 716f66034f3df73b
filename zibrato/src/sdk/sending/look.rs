//! Finds out why the broker cannot be reached: resolves its host, and identifies what listens on
//! its ports.
//!
//! Resolving a name has no deadline, so a separate thread does it, and the sender does not wait for
//! it. The sender starts this thread, so its sockets are in the sender's table of descriptors.

use super::thread::Thread;
use crate::curve::Curve;
use crate::listener::{Listener, is_http, probe};
use crate::monitored::MonitoredSocket;
use crate::resources;
use crate::sdk::cells::lock;
use crate::sdk::collection::unreachable::Unreachable;
use crate::wire::Endpoint;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// No further address of a host is tried after this time.
const LONGEST: Duration = Duration::from_secs(4);

/// Timeout of one encrypted handshake.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// The sockets of a broker, in the order of [`Endpoint::ALL`], and the type that each accepts.
const KINDS: [(Endpoint, zmq::SocketType); 4] = [
    (Endpoint::Publishers, zmq::PUSH),
    (Endpoint::Subscribers, zmq::SUB),
    (Endpoint::Replay, zmq::DEALER),
    (Endpoint::Legacy, zmq::PUB),
];

/// A look at the broker, by a thread `zibrato-look`. If this is dropped, the thread is detached, and
/// ends when the system has answered it.
#[derive(Debug)]
pub(super) struct Look {
    found: Arc<Mutex<Option<Unreachable>>>,
    _thread: Thread,
}

impl Look {
    /// Begins to look at the endpoint for batches and the one for acknowledgements.
    pub(super) fn begin(endpoints: [String; 2], curve: Option<Curve>) -> io::Result<Self> {
        let found = Arc::new(Mutex::new(None));
        let its = Arc::clone(&found);
        let run = move || {
            let reason = look(&endpoints, curve.as_ref());
            *lock(&its) = Some(reason);
        };
        Ok(Self { found, _thread: Thread::spawn(c"zibrato-look", run)? })
    }

    /// The reason, once it is found.
    pub(super) fn found(&self) -> Option<Unreachable> {
        lock(&self.found).take()
    }
}

fn look(endpoints: &[String; 2], curve: Option<&Curve>) -> Unreachable {
    let both = [Endpoint::Publishers, Endpoint::Subscribers].into_iter().zip(endpoints);
    let mut problems = both.filter_map(|(wanted, endpoint)| check(endpoint, wanted, curve).err());
    problems.next().unwrap_or(Unreachable::Silent)
}

/// Checks whether the broker has this endpoint there.
fn check(endpoint: &str, wanted: Endpoint, curve: Option<&Curve>) -> Result<(), Unreachable> {
    if let Some(path) = endpoint.strip_prefix("ipc://") {
        UnixStream::connect(path).map_err(|error| no_connection(path.to_owned(), &error))?;
        return Ok(());
    }
    let address = endpoint.trim_start_matches("tcp://");
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().unwrap_or_default();
    let addresses = (host, port).to_socket_addrs().map_err(|error| Unreachable::UnknownHost {
        host: host.to_owned(),
        why: error.to_string(),
    })?;
    let (address, listener) = first_listener(addresses, address)?;
    match (listener, curve) {
        (Listener::Broker { place }, _) if place != wanted.offset() => {
            Err(wrong_port(port, usize::from(place), wanted))
        }
        (Listener::Broker { .. }, None) => Ok(()),
        (Listener::Broker { .. }, Some(_)) => Err(Unreachable::KeysUnused),
        (Listener::Encrypted, None) => Err(Unreachable::KeysMissing),
        (Listener::Encrypted, Some(curve)) => shake_hands(endpoint, port, wanted, curve),
        (Listener::Foreign | Listener::OtherSocket | Listener::Silent | Listener::Nothing, _) => {
            match (listener, is_http(address)) {
                // The system accepts connections also for a broker that is stopped or overloaded.
                (Listener::Silent, false) => Err(Unreachable::Silent),
                (_, is_http) => Err(Unreachable::NotABroker { port, is_http }),
            }
        }
    }
}

/// What listens at the first of these addresses that accepts a connection.
fn first_listener(
    addresses: impl Iterator<Item = SocketAddr>,
    all: &str,
) -> Result<(SocketAddr, Listener), Unreachable> {
    let begun = Instant::now();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses.take_while(|_| begun.elapsed() < LONGEST) {
        match probe(address) {
            Ok(listener) => return Ok((address, listener)),
            Err(error) => last = error,
        }
    }
    Err(no_connection(all.to_owned(), &last))
}

fn no_connection(address: String, error: &io::Error) -> Unreachable {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Unreachable::Refused { address },
        _ => Unreachable::NoConnection { address, why: error.to_string() },
    }
}

/// The reason for a port that has another place among the ports of its broker.
fn wrong_port(port: u16, place: usize, wanted: Endpoint) -> Unreachable {
    let of = Endpoint::ALL.get(place).copied();
    let right = |of: Endpoint| port.checked_sub(of.offset())?.checked_add(wanted.offset());
    match of.and_then(|of| Some((of, right(of)?))) {
        Some((endpoint, right)) => Unreachable::WrongPort { port, endpoint, right },
        None => Unreachable::NotABroker { port, is_http: false },
    }
}

/// Tries an encrypted connection, with each type of socket that a broker has.
fn shake_hands(
    endpoint: &str,
    port: u16,
    wanted: Endpoint,
    curve: &Curve,
) -> Result<(), Unreachable> {
    for (place, (of, kind)) in KINDS.into_iter().enumerate() {
        match shake(endpoint, kind, curve) {
            Ok(Handshake::Succeeded) if of == wanted => return Ok(()),
            Ok(Handshake::Succeeded) => return Err(wrong_port(port, place, wanted)),
            Ok(Handshake::Refused) => {
                return Err(Unreachable::KeyRefused { key: curve.public_key().to_string() });
            }
            Ok(Handshake::Failed) | Err(_) => {}
        }
    }
    Err(Unreachable::KeysDiffer)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handshake {
    Succeeded,
    /// The broker does not allow the key.
    Refused,
    Failed,
}

/// Connects a socket of this type, and waits for the end of its handshake.
fn shake(endpoint: &str, kind: zmq::SocketType, curve: &Curve) -> zmq::Result<Handshake> {
    const OF_INTEREST: [zmq::SocketEvent; 4] = [
        zmq::SocketEvent::HANDSHAKE_SUCCEEDED,
        zmq::SocketEvent::HANDSHAKE_FAILED_AUTH,
        zmq::SocketEvent::HANDSHAKE_FAILED_NO_DETAIL,
        zmq::SocketEvent::HANDSHAKE_FAILED_PROTOCOL,
    ];
    // The socket, and two of its monitor.
    let context = resources::new_context(3).map_err(|_| zmq::Error::EMFILE)?;
    let socket = MonitoredSocket::new(&context, kind, &OF_INTEREST)?;
    socket.set_linger(0)?;
    socket.set_ipv6(endpoint.contains('['))?;
    curve.secure(&socket)?;
    socket.connect(endpoint)?;
    let event = socket.wait_for_event(i32::try_from(HANDSHAKE.as_millis()).unwrap_or(i32::MAX))?;
    let is = |of: zmq::SocketEvent| event == of.to_raw();
    Ok(if is(zmq::SocketEvent::HANDSHAKE_SUCCEEDED) {
        Handshake::Succeeded
    } else if is(zmq::SocketEvent::HANDSHAKE_FAILED_AUTH) {
        Handshake::Refused
    } else {
        Handshake::Failed
    })
}

#[cfg(test)]
mod tests {
    use super::look;
    use crate::curve::{Curve, SecretKey};
    use crate::sdk::collection::unreachable::Unreachable;
    use crate::wire::Endpoint;

    fn bound(socket: &zmq::Socket) -> (String, u16) {
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        let port = endpoint.rsplit_once(':').unwrap().1.parse().unwrap();
        (endpoint, port)
    }

    fn at(endpoint: &str) -> Unreachable {
        look(&[endpoint.to_owned(), endpoint.to_owned()], None)
    }

    #[test]
    fn both_ports_are_looked_at() {
        let context = zmq::Context::new();
        let [pull, publish] = [zmq::PULL, zmq::XPUB].map(|kind| context.socket(kind).unwrap());
        let ([push_to, control], port) = ([bound(&pull).0, bound(&publish).0], 1);
        assert_eq!(look(&[push_to.clone(), control], None), Unreachable::Silent);
        let closed = format!("tcp://127.0.0.1:{port}");
        let refused = Unreachable::Refused { address: format!("127.0.0.1:{port}") };
        assert_eq!(look(&[push_to.clone(), closed.clone()], None), refused);
        assert_eq!(look(&[closed, push_to], None), refused);
    }

    #[test]
    fn a_port_with_another_purpose_is_named_with_the_right_one() {
        let context = zmq::Context::new();
        for (kind, endpoint) in [
            (zmq::XPUB, Endpoint::Subscribers),
            (zmq::ROUTER, Endpoint::Replay),
            (zmq::SUB, Endpoint::Legacy),
        ] {
            let socket = context.socket(kind).unwrap();
            let (there, port) = bound(&socket);
            let right = port - endpoint.offset();
            assert_eq!(at(&there), Unreachable::WrongPort { port, endpoint, right });
        }
        let socket = context.socket(zmq::REP).unwrap();
        let (there, port) = bound(&socket);
        assert_eq!(at(&there), Unreachable::NotABroker { port, is_http: false });
    }

    #[test]
    fn keys_are_judged() {
        let (server, own) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let other = *SecretKey::generate().unwrap().public_key();
        let context = zmq::Context::new();
        let secured = |kind| {
            let socket = context.socket(kind).unwrap();
            socket.set_curve_server(true).unwrap();
            socket.set_curve_secretkey(server.expose()).unwrap();
            let (there, port) = bound(&socket);
            (socket, there, port)
        };
        let (_pull, push_to, _) = secured(zmq::PULL);
        let (_publish, control, port) = secured(zmq::XPUB);
        let right = Curve::new(*server.public_key(), own.clone());
        let wrong = Curve::new(other, own);
        let both = [push_to, control.clone()];
        assert_eq!(look(&both, None), Unreachable::KeysMissing);
        assert_eq!(look(&both, Some(&right)), Unreachable::Silent);
        assert_eq!(look(&both, Some(&wrong)), Unreachable::KeysDiffer);
        let swapped =
            Unreachable::WrongPort { port, endpoint: Endpoint::Subscribers, right: port - 1 };
        assert_eq!(look(&[control.clone(), control], Some(&right)), swapped);
        let plain = context.socket(zmq::PULL).unwrap();
        let there = bound(&plain).0;
        assert_eq!(look(&[there.clone(), there], Some(&right)), Unreachable::KeysUnused);
    }

    #[test]
    fn a_program_that_accepts_and_says_nothing_may_be_a_broker() {
        // As a broker that is stopped: only the system accepts connections.
        let stopped = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(at(&format!("tcp://{}", stopped.local_addr().unwrap())), Unreachable::Silent);
    }

    #[test]
    fn a_missing_folder_and_an_unknown_host_are_named() {
        let missing = at("ipc:///nonexistent/publishers.sock");
        let Unreachable::NoConnection { address, .. } = &missing else { panic!("{missing:?}") };
        assert_eq!(address, "/nonexistent/publishers.sock");
        let unknown = at("tcp://nowhere.invalid:5550");
        let Unreachable::UnknownHost { host, .. } = &unknown else { panic!("{unknown:?}") };
        assert_eq!(host, "nowhere.invalid");
    }
}
