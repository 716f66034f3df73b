//! Identifies the program that listens on a port, by the greeting of ZeroMQ's protocol (ZMTP 3).
//!
//! ```text
//! greeting   FF, 8 bytes, 7F | version: 2 bytes | mechanism: 20 bytes | as-server: 1 | filler: 31
//! command    04, length: 1 byte   or   06, length: 8 bytes
//!            5, "READY", and for each property: length: 1, name, length: 4, value
//! ```
//!
//! Without encryption, the peer sends the type of its socket, which differs between the ports of a
//! broker. So a wrong port is proven, not guessed.

mod timed;

pub use timed::Timed;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// Timeout of the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(2);

const GREETING_BYTES: usize = 64;

/// Position of the mechanism in a greeting.
const BEFORE_MECHANISM: usize = 12;

/// Maximum size of a command.
const MAX_COMMAND_BYTES: u64 = 1024;

/// The program that listens on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Connections are refused.
    Nothing,
    /// Connections are accepted, but nothing is sent; or they are closed immediately.
    Silent,
    /// It does not speak ZeroMQ's protocol.
    Foreign,
    /// It speaks ZeroMQ's protocol, but no port of a broker has this type of socket.
    OtherSocket,
    /// It encrypts, and therefore does not send the type of its socket.
    Encrypted,
    /// A port of a broker, with its offset from the broker's own port.
    Broker {
        /// 0 receives measurements, 1 publishes, 2 serves the journal, 3 is for Python Zibrato 0.2.
        place: u16,
    },
}

/// Identifies the program that listens at an address.
#[must_use]
pub fn identify(address: SocketAddr) -> Listener {
    probe(address).unwrap_or(Listener::Nothing)
}

/// As [`identify`], but returns an error if the address does not accept connections.
///
/// # Errors
/// The error of the system.
pub fn probe(address: SocketAddr) -> io::Result<Listener> {
    let mut timed = Timed::connect(address, TIMEOUT)?;
    Ok(ask(&mut timed).unwrap_or_else(|why| match why.kind() {
        io::ErrorKind::InvalidData => Listener::Foreign,
        _ => Listener::Silent,
    }))
}

/// Whether an HTTP server listens at an address.
#[must_use]
pub fn is_http(address: SocketAddr) -> bool {
    let ask = || {
        let mut timed = Timed::connect(address, TIMEOUT)?;
        timed.write_all(b"HEAD / HTTP/1.0\r\n\r\n")?;
        let mut answer = [0; 5];
        timed.read_exact(&mut answer)?;
        Ok::<_, io::Error>(answer)
    };
    ask().is_ok_and(|answer| answer == *b"HTTP/")
}

fn ask(stream: &mut (impl Read + Write)) -> io::Result<Listener> {
    let greeting = greeting();
    let (first, rest) = greeting.split_at(BEFORE_MECHANISM);
    // libzmq sends its mechanism after these bytes, and disconnects if ours is a different one.
    stream.write_all(first)?;
    let mut theirs = [0; GREETING_BYTES];
    stream.read_exact(&mut theirs[..1])?;
    if theirs[0] != 0xFF {
        return Ok(Listener::Foreign);
    }
    stream.read_exact(&mut theirs[1..])?;
    let mechanism = theirs[12..32].split(|byte| *byte == 0).next().unwrap_or_default();
    if theirs[9] != 0x7F {
        return Ok(Listener::Foreign);
    }
    if mechanism != b"NULL" {
        return Ok(Listener::Encrypted);
    }
    stream.write_all(rest)?;
    let command = read_command(stream)?;
    Ok(match socket_type(&command) {
        Some(b"PULL") => Listener::Broker { place: 0 },
        Some(b"XPUB") => Listener::Broker { place: 1 },
        Some(b"ROUTER") => Listener::Broker { place: 2 },
        Some(b"SUB") => Listener::Broker { place: 3 },
        Some(_) | None => Listener::OtherSocket,
    })
}

fn greeting() -> [u8; GREETING_BYTES] {
    let mut greeting = [0; GREETING_BYTES];
    (greeting[0], greeting[9], greeting[10]) = (0xFF, 0x7F, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

fn read_command(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let [flags, first] = head;
    let length = match flags {
        0x04 => u64::from(first),
        0x06 => {
            let mut long = [first, 0, 0, 0, 0, 0, 0, 0];
            stream.read_exact(&mut long[1..])?;
            u64::from_be_bytes(long)
        }
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    if length > MAX_COMMAND_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut command = vec![0; length as usize];
    stream.read_exact(&mut command)?;
    Ok(command)
}

/// The socket type in a READY command.
fn socket_type(command: &[u8]) -> Option<&[u8]> {
    let mut rest = command.strip_prefix(b"\x05READY")?;
    while let Some((length, after)) = rest.split_first() {
        let (name, after) = after.split_at_checked(usize::from(*length))?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (value, after) = after.split_at_checked(length)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            return Some(value);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Listener, identify, socket_type};
    use crate::curve::SecretKey;
    use proptest::prelude::*;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};

    fn bound(socket: &zmq::Socket) -> SocketAddr {
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        endpoint.trim_start_matches("tcp://").parse().unwrap()
    }

    #[test]
    fn each_port_of_a_broker_is_identified() {
        let context = zmq::Context::new();
        for (kind, expected) in [
            (zmq::PULL, Listener::Broker { place: 0 }),
            (zmq::XPUB, Listener::Broker { place: 1 }),
            (zmq::ROUTER, Listener::Broker { place: 2 }),
            (zmq::SUB, Listener::Broker { place: 3 }),
            (zmq::REP, Listener::OtherSocket),
        ] {
            let socket = context.socket(kind).unwrap();
            assert_eq!(identify(bound(&socket)), expected);
        }
    }

    #[test]
    fn other_listeners_are_distinguished() {
        let socket = zmq::Context::new().socket(zmq::PULL).unwrap();
        let key = SecretKey::generate().unwrap();
        socket.set_curve_server(true).unwrap();
        let secret = key.expose_text().trim_start_matches("secret:").to_owned();
        socket.set_curve_secretkey(&zmq::z85_decode(&secret).unwrap()).unwrap();
        assert_eq!(identify(bound(&socket)), Listener::Encrypted);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(identify(address), Listener::Silent);
        let answers = std::thread::Builder::new().spawn(move || {
            // The first connection is the one that received no answer.
            drop(listener.accept());
            for words in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0xFF; 64], b"\xFF", b""] {
                // Unread bytes would cause a reset instead of an answer.
                let (mut stream, _) = listener.accept().unwrap();
                stream.read_exact(&mut [0; super::BEFORE_MECHANISM]).unwrap();
                stream.write_all(words).unwrap();
            }
        });
        for expected in [Listener::Foreign, Listener::Foreign, Listener::Silent, Listener::Silent] {
            assert_eq!(identify(address), expected);
        }
        answers.unwrap().join().unwrap();
        assert_eq!(identify(address), Listener::Nothing);
    }

    proptest! {
        #[test]
        fn any_command_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(socket_type(&bytes).filter(|found| found.len() > bytes.len()), None);
            let ready = [b"\x05READY", &bytes[..]].concat();
            prop_assert_eq!(socket_type(&ready).filter(|found| found.len() > bytes.len()), None);
        }
    }
}
