//! Lines as datagrams to Carbon's UDP receiver. Nothing tells whether a datagram arrived.
//!
//! If nothing listens on a port, the machine answers with an ICMP message, which is the error of a
//! later write. So after the last payload of a window the socket is watched for a moment.

use super::address::Address;
use super::connection::{LISTEN, Place};
use super::failure::ConnectionError;
use super::wire::Wire;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

/// Size of a datagram: it fits into an Ethernet frame, whose 1,500 bytes contain the headers of IPv6
/// and UDP and often those of a tunnel. A longer line is sent alone.
const DATAGRAM_BYTES: usize = 1432;

/// The receiver of Carbon (Twisted) reads this number of bytes of a datagram and discards the rest.
const LONGEST_LINE: usize = 8192;

/// Time after which the host is looked up again. No error says that it has another address now, and
/// what is sent to the old one is lost.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);

/// A socket that is opened when it is needed, and again after an error and from time to time.
#[derive(Debug)]
pub(super) struct Datagrams {
    address: Address,
    wire: Wire,
    /// With the time of its opening.
    socket: Option<(UdpSocket, Instant)>,
}

impl Datagrams {
    pub(super) const fn new(address: Address) -> Self {
        Self { address, wire: Wire::lines(), socket: None }
    }

    pub(super) const fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    /// A window begins.
    pub(super) fn window_begins(&mut self) {
        self.socket.take_if(|(_, opened)| opened.elapsed() >= LOOK_UP_EVERY);
    }

    /// Sends the lines of a payload.
    pub(super) fn write(&mut self, lines: &[u8], place: Place) -> Result<(), ConnectionError> {
        // With the key, so that it counts.
        let written = self.wire.of(lines)?.into_owned();
        let lines = written.split_inclusive(|byte| *byte == b'\n');
        if lines.clone().any(|line| line.len() > LONGEST_LINE) {
            return Err(ConnectionError::TooLong(self.address.clone(), LONGEST_LINE));
        }
        let (socket, opened) = match self.socket.take() {
            Some(open) => open,
            None => {
                let socket = self.open();
                let failed = |why| ConnectionError::Connect(self.address.clone(), why);
                (socket.map_err(failed)?, Instant::now())
            }
        };
        let mut datagram = Vec::with_capacity(DATAGRAM_BYTES);
        let sent = lines
            .chain([&b""[..]])
            .try_for_each(|line| {
                let is_full = datagram.len() + line.len() > DATAGRAM_BYTES || line.is_empty();
                if is_full && !datagram.is_empty() {
                    send(&socket, &datagram)?;
                    datagram.clear();
                }
                datagram.extend_from_slice(line);
                Ok(())
            })
            .and_then(|()| if place == Place::Last { watch(&socket) } else { Ok(()) });
        // After an error the host is looked up again.
        sent.map_err(|why| ConnectionError::Write(self.address.clone(), why))?;
        self.socket = Some((socket, opened));
        Ok(())
    }

    /// Sends an empty datagram, which no receiver stores, and says what works.
    pub(super) fn reach(&self) -> Result<Vec<String>, ConnectionError> {
        let socket = self.open();
        let failed = |why| ConnectionError::Connect(self.address.clone(), why);
        let reached = socket.and_then(|socket| {
            send(&socket, b"")?;
            watch(&socket)?;
            socket.peer_addr()
        });
        let peer = reached.map_err(failed)?;
        let works =
            format!("datagrams can be sent to {peer}; whether any arrive cannot be checked");
        Ok(vec![works])
    }

    fn open(&self) -> io::Result<UdpSocket> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in (self.address.host(), self.address.port()).to_socket_addrs()? {
            let socket = match address.is_ipv4() {
                true => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
                false => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
            };
            match socket.and_then(|socket| socket.connect(address).map(|()| socket)) {
                Ok(socket) => return Ok(socket),
                Err(why) => last = why,
            }
        }
        Err(last)
    }
}

fn send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<()> {
    loop {
        match socket.send(datagram) {
            Ok(_) => return Ok(()),
            Err(why) if why.kind() == ErrorKind::Interrupted => (),
            Err(why) => return Err(why),
        }
    }
}

/// Waits a moment for an error.
fn watch(socket: &UdpSocket) -> io::Result<()> {
    let timespec = Timespec::try_from(LISTEN).unwrap_or_default();
    poll(&mut [PollFd::new(socket, PollFlags::empty())], Some(&timespec))?;
    socket.take_error()?.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::{Datagrams, LONGEST_LINE, LOOK_UP_EVERY};
    use crate::carbon::connection::Place;
    use crate::carbon::failure::ConnectionError;
    use crate::carbon::key::ApiKey;
    use crate::secret::{GivenSecret, Secret};
    use std::io::ErrorKind;
    use std::net::UdpSocket;
    use std::time::Duration;

    fn receiver() -> (UdpSocket, Datagrams) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let address = format!("udp://{}", socket.local_addr().unwrap());
        (socket, Datagrams::new(address.parse().unwrap()))
    }

    fn next(socket: &UdpSocket) -> String {
        let mut bytes = [0; 65_536];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_datagram_has_whole_lines_and_fits_into_a_frame_of_ethernet() {
        let (socket, mut datagrams) = receiver();
        let line = |n| format!("{n:0>99} 1 60\n");
        let long = format!("{} 1 60\n", "n".repeat(2_000));
        let body = (0..30).map(line).collect::<String>() + &long + &line(30);
        datagrams.write(body.as_bytes(), Place::Last).unwrap();
        let received: Vec<_> = (0..5).map(|_| next(&socket)).collect();
        assert_eq!(received.concat(), body);
        assert!(received.iter().all(|datagram| datagram.ends_with('\n')));
        let lengths: Vec<_> = received.iter().map(String::len).collect();
        assert_eq!(lengths, [13 * 105, 13 * 105, 4 * 105, 2_006, 105]);
    }

    #[test]
    fn an_api_key_counts_for_the_size_of_a_datagram_and_of_a_line() {
        let (socket, mut datagrams) = receiver();
        let given = GivenSecret { secret: Secret::new("hunter2"), from: String::new() };
        datagrams.wire().set_key(ApiKey::parse(given).unwrap());
        let line = |n| format!("{n:0>99} 1 60\n");
        let body = (0..14).map(line).collect::<String>();
        datagrams.write(body.as_bytes(), Place::Last).unwrap();
        let received = [next(&socket), next(&socket)];
        assert_eq!(
            received.concat(),
            (0..14).map(|n| "hunter2.".to_owned() + &line(n)).collect::<String>()
        );
        assert_eq!(received.map(|datagram| datagram.len()), [12 * 113, 2 * 113]);
        let longest = format!("{} 1 60\n", "n".repeat(LONGEST_LINE - 6));
        let refused = datagrams.write(longest.as_bytes(), Place::Last).unwrap_err();
        assert!(matches!(refused, ConnectionError::TooLong(..)), "{refused:?}");
        assert!(!format!("{refused} {refused:?} {datagrams:?}").contains("hunter2"));
    }

    #[test]
    fn the_host_is_looked_up_again_after_a_while() {
        let (socket, mut datagrams) = receiver();
        // Sends a window, and returns the time of the last look-up.
        let window = |datagrams: &mut Datagrams| {
            datagrams.window_begins();
            datagrams.write(b"a 1 60\n", Place::Last).unwrap();
            assert_eq!(next(&socket), "a 1 60\n");
            datagrams.socket.as_ref().unwrap().1
        };
        let first = window(&mut datagrams);
        assert_eq!(window(&mut datagrams), first);
        datagrams.socket.as_mut().unwrap().1 = first.checked_sub(LOOK_UP_EVERY).unwrap();
        let again = window(&mut datagrams);
        assert!(again > first);
        assert_eq!(window(&mut datagrams), again);
    }

    #[test]
    fn a_line_that_carbon_would_truncate_is_refused() {
        let (_socket, mut datagrams) = receiver();
        let body = format!("a 1 60\n{} 1 60\n", "n".repeat(LONGEST_LINE));
        let refused = datagrams.write(body.as_bytes(), Place::Last);
        assert!(matches!(refused, Err(ConnectionError::TooLong(..))), "{refused:?}");
    }

    #[test]
    fn a_port_on_which_nothing_listens_is_an_error() {
        let (socket, mut datagrams) = receiver();
        drop(socket);
        let refused = datagrams.write(b"a 1 60\n", Place::Last);
        let Err(ConnectionError::Write(_, why)) = refused else { panic!("{refused:?}") };
        assert_eq!(why.kind(), ErrorKind::ConnectionRefused);
        let refused = datagrams.reach();
        let Err(ConnectionError::Connect(_, why)) = refused else { panic!("{refused:?}") };
        assert_eq!(why.kind(), ErrorKind::ConnectionRefused);
    }
}
