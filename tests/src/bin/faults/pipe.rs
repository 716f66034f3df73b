//! One connection through a proxy: two streams, and what is on its way between them.

use rustix::event::PollFlags;
use rustix::net::sockopt::set_socket_linger;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How much is on its way at most.
const MAX_HELD: usize = 64 * 1024;

/// How many bytes of a connection may pass in each direction, since it began.
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
    /// No more will come.
    ended: bool,
    /// That was told.
    told: bool,
}

/// How a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Broken,
    Cut,
    Fine,
}

impl Conn {
    /// `None` if one of the two is gone already.
    pub(crate) fn new(client: TcpStream, server: TcpStream) -> Option<Self> {
        for stream in [&client, &server] {
            stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).ok()?;
        }
        let (up, down) = (Pipe::default(), Pipe::default());
        Some(Self { client: Some(client), server: Some(server), up, down })
    }

    /// Ends it as a machine does that knows nothing of it.
    pub(crate) fn reset(self) {
        self.client.into_iter().chain(self.server).for_each(reset);
    }

    /// The server is told that the connection is over, the client is not.
    pub(crate) fn lose_server(&mut self) {
        self.server.take().into_iter().for_each(reset);
    }

    /// The client is told that the connection is over, the server is not.
    pub(crate) fn lose_client(&mut self) {
        self.client.take().into_iter().for_each(reset);
    }

    /// What is to be waited for.
    pub(crate) fn waits_for(&self) -> impl Iterator<Item = (&TcpStream, PollFlags)> {
        let flags = |from: &Pipe, to: &Pipe| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !from.ended && from.held.len() < MAX_HELD);
            flags.set(PollFlags::OUT, !to.held.is_empty());
            flags
        };
        let client = self.client.as_ref().map(|c| (c, flags(&self.up, &self.down)));
        let server = self.server.as_ref().map(|s| (s, flags(&self.down, &self.up)));
        // Without anything to wait for, poll would still tell of an end, again and again.
        client.into_iter().chain(server).filter(|(_, flags)| !flags.is_empty())
    }

    /// Moves what can be moved; `false` when the connection is over.
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
            // An orderly end for the server, which is all the worse for it.
            self.client.take().into_iter().for_each(reset);
            self.server = None;
            return false;
        }
        !(self.up.told && self.down.told)
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
        if self.ended && self.held.is_empty() && !self.told {
            // One that is gone already is told nothing.
            to.shutdown(Shutdown::Write).ok();
            self.told = true;
        }
        State::Fine
    }
}

/// Closes a stream with a reset.
pub(crate) fn reset(stream: TcpStream) {
    // Without it the end is an orderly one, which is a fault too.
    set_socket_linger(&stream, Some(Duration::ZERO)).ok();
}
