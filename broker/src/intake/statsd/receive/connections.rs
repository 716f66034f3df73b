//! Connections whose clients send lines, over TCP or Unix sockets.

use crate::intake::statsd::grammar::Dialect;
use crate::intake::statsd::shared::Shared;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use zibrato::clock;

/// Maximum size of a line, or of a packet with its length in front, in bytes.
const MAX_LINE: usize = 65_536;

/// Bytes of the length in front of a packet.
const LENGTH: usize = 4;

/// A socket that accepts connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener, Dialect),
    Unix(UnixListener, Dialect, String),
}

impl Listener {
    /// Accepts a connection. `None` if none is waiting.
    pub(super) fn accept(&self) -> io::Result<Option<Connection>> {
        let accepted = match self {
            Self::Tcp(listener, dialect) => listener.accept().and_then(|(stream, sender)| {
                stream.set_nonblocking(true)?;
                rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
                Ok(Connection::new(Stream::Tcp(stream), sender.to_string(), *dialect))
            }),
            Self::Unix(listener, dialect, path) => listener.accept().and_then(|(stream, _)| {
                stream.set_nonblocking(true)?;
                Ok(Connection::new(Stream::Unix(stream), path.clone(), *dialect))
            }),
        };
        match accepted {
            Ok(connection) => Ok(Some(connection)),
            // A client that has given up already.
            Err(error) if is_temporary(&error) || error.kind() == ErrorKind::ConnectionAborted => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener, _) => listener.as_fd(),
            Self::Unix(listener, ..) => listener.as_fd(),
        }
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// How a client separates what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Lines that end with `\n`.
    Lines,
    /// Packets with their length in front: four bytes, little-endian, as Datadog's clients send
    /// them.
    Lengths,
}

/// A connected client.
pub(super) struct Connection {
    stream: Stream,
    sender: String,
    dialect: Dialect,
    /// Known after the first four bytes.
    framing: Option<Framing>,
    /// What has been received, and is not yet a whole line or packet.
    buffer: Vec<u8>,
    /// Whether the rest of a line is skipped, because it is too long.
    skips: bool,
}

impl Connection {
    const fn new(stream: Stream, sender: String, dialect: Dialect) -> Self {
        Self { stream, sender, dialect, framing: None, buffer: Vec::new(), skips: false }
    }

    /// Reads what has arrived, at most 64 KiB. Returns whether the connection stays open.
    pub(super) fn receive(&mut self, shared: &Shared) -> bool {
        let begun = self.buffer.len();
        self.buffer.resize(begun + MAX_LINE, 0);
        let free = &mut self.buffer[begun..];
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(free),
            Stream::Unix(stream) => stream.read(free),
        };
        let count = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(begun + count);
        match read {
            Ok(0) => {
                self.take_rest(shared);
                false
            }
            Ok(_) => self.take_whole(shared),
            Err(error) if is_temporary(&error) => true,
            Err(_) => {
                self.take_rest(shared);
                false
            }
        }
    }

    /// Takes the whole lines or packets in the buffer. Returns whether what follows can be
    /// understood.
    fn take_whole(&mut self, shared: &Shared) -> bool {
        match self.framing() {
            Some(Framing::Lines) => {
                self.take_lines(shared);
                true
            }
            Some(Framing::Lengths) => self.take_packets(shared),
            None => true,
        }
    }

    /// A length is below 2^24, so that its last byte is 0. Lines contain none.
    fn framing(&mut self) -> Option<Framing> {
        if self.framing.is_none() {
            let framing = |last: &u8| if *last == 0 { Framing::Lengths } else { Framing::Lines };
            self.framing = self.buffer.get(LENGTH - 1).map(framing);
        }
        self.framing
    }

    fn take_lines(&mut self, shared: &Shared) {
        let end = memchr::memrchr(b'\n', &self.buffer).map_or(0, |end| end + 1);
        let mut lines = &self.buffer[..end];
        if self.skips && end > 0 {
            let first = memchr::memchr(b'\n', lines).map_or(end, |first| first + 1);
            lines = &lines[first..];
            self.skips = false;
        }
        if !lines.is_empty() {
            shared.lock().take(lines, self.dialect, &self.sender, clock::unix_ms());
        }
        self.buffer.drain(..end);
        if self.buffer.len() > MAX_LINE {
            if !self.skips {
                self.reject(shared, "too_long");
            }
            self.skips = true;
            self.buffer.clear();
        }
    }

    fn take_packets(&mut self, shared: &Shared) -> bool {
        let mut rest = &*self.buffer;
        while let Some((length, after)) = rest.split_first_chunk::<LENGTH>() {
            let length = u32::from_le_bytes(*length) as usize;
            if length > MAX_LINE {
                self.reject(shared, "too_long");
                return false;
            }
            let Some((packet, next)) = after.split_at_checked(length) else { break };
            shared.lock().take(packet, self.dialect, &self.sender, clock::unix_ms());
            rest = next;
        }
        let taken = self.buffer.len() - rest.len();
        self.buffer.drain(..taken);
        true
    }

    /// The client has ended the connection: a last line may lack its end, a packet may not.
    fn take_rest(&mut self, shared: &Shared) {
        if self.buffer.is_empty() || self.skips {
            return;
        }
        if self.framing == Some(Framing::Lengths) {
            return self.reject(shared, "truncated");
        }
        shared.lock().take(&self.buffer, self.dialect, &self.sender, clock::unix_ms());
    }

    fn reject(&self, shared: &Shared, reason: &'static str) {
        let beginning = self.buffer.get(..100).unwrap_or(&self.buffer);
        let sample = || format!("{}: {}", self.sender, String::from_utf8_lossy(beginning));
        shared.lock().counts.reject(reason, 1, sample);
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("sender", &self.sender).finish_non_exhaustive()
    }
}
