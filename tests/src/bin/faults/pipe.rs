//! One connection through a proxy: two streams, and the bytes in transit between them.

use rustix::event::PollFlags;
use rustix::net::sockopt::set_socket_linger;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Maximum number of bytes in transit.
const MAX_HELD: usize = 64 * 1024;

/// The number of bytes that may pass in each direction since the connection began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) up: usize,
    pub(crate) down: usize,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Conn {
    client: Option<TcpStream>,
    server: Option<TcpStream>,
    up: Pipe,
    down: Pipe,
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    held: Vec<u8>,
    passed: usize,
    /// No more bytes will arrive.
    ended: bool,
    /// The end was forwarded.
    forwarded: bool,
}

/// The state of a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Broken,
    Cut,
    Fine,
}

impl Conn {
    /// `None` if one of the two sides has already disconnected.
    pub(crate) fn new(client: TcpStream, server: TcpStream) -> Option<Self> {
        for stream in [&client, &server] {
            stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).ok()?;
        }
        let (up, down) = (Pipe::default(), Pipe::default());
        Some(Self { client: Some(client), server: Some(server), up, down })
    }

    /// Ends it like a machine that does not know the connection.
    pub(crate) fn reset(self) {
        self.client.into_iter().chain(self.server).for_each(reset);
    }

    /// Closes the connection to the server, but not to the client.
    pub(crate) fn lose_server(&mut self) {
        self.server.take().into_iter().for_each(reset);
    }

    /// Closes the connection to the client, but not to the server.
    pub(crate) fn lose_client(&mut self) {
        self.client.take().into_iter().for_each(reset);
    }

    /// The events to wait for.
    pub(crate) fn waits_for(&self) -> impl Iterator<Item = (&TcpStream, PollFlags)> {
        let flags = |from: &Pipe, to: &Pipe| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !from.ended && from.held.len() < MAX_HELD);
            flags.set(PollFlags::OUT, !to.held.is_empty());
            flags
        };
        let client = self.client.as_ref().map(|c| (c, flags(&self.up, &self.down)));
        let server = self.server.as_ref().map(|s| (s, flags(&self.down, &self.up)));
        // Without any event to wait for, poll would report the end again and again.
        client.into_iter().chain(server).filter(|(_, flags)| !flags.is_empty())
    }

    /// Forwards available bytes; `false` when the connection has ended.
    pub(crate) fn turn(&mut self, flow: Flow) -> bool {
        let (Some(client), Some(server)) = (&self.client, &self.server) else { return false };
        let up = self.up.turn(client, server, flow.up);
        let down = self.down.turn(server, client, flow.down);
        let is_broken = [client, server].iter().any(|s| !matches!(s.take_error(), Ok(None)));
        if is_broken || [up, down].contains(&State::Broken) {
            self.client.take().into_iter().chain(self.server.take()).for_each(reset);
            return false;
        }
        if [up, down].contains(&State::Cut) {
            // An orderly end for the server, which is the more difficult case.
            self.client.take().into_iter().for_each(reset);
            self.server = None;
            return false;
        }
        !(self.up.forwarded && self.down.forwarded)
    }
}

impl Pipe {
    fn turn(&mut self, mut from: &TcpStream, mut to: &TcpStream, at_most: usize) -> State {
        let mut bytes = [0; 16 * 1024];
        while !self.ended && self.held.len() < MAX_HELD {
            match from.read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(n) => self.held.extend(&bytes[..n]),
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(_) => return State::Broken,
            }
        }
        while !self.held.is_empty() && self.passed < at_most {
            let now = self.held.len().min(at_most - self.passed);
            match to.write(&self.held[..now]) {
                Ok(n) => {
                    self.held.drain(..n);
                    self.passed += n;
                }
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(_) => return State::Broken,
            }
        }
        if self.passed >= at_most && !self.held.is_empty() {
            return State::Cut;
        }
        if self.ended && self.held.is_empty() && !self.forwarded {
            // This fails if the other side has already disconnected.
            to.shutdown(Shutdown::Write).ok();
            self.forwarded = true;
        }
        State::Fine
    }
}

/// Closes a stream with a reset.
pub(crate) fn reset(stream: TcpStream) {
    // Without this, the end would be orderly, which is also a fault.
    set_socket_linger(&stream, Some(Duration::ZERO)).ok();
}
