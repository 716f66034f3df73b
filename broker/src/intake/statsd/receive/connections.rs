//! Connections whose clients send lines, over TCP or Unix sockets.

use crate::intake::statsd::grammar::Dialect;
use crate::intake::statsd::shared::Shared;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;
use zibrato::clock;

/// Maximum size of a line, or of a packet with its length in front, in bytes.
const MAX_LINE: usize = 65_536;

/// Bytes of the length in front of a packet.
const LENGTH: usize = 4;

/// A buffer that all connections of a thread share. It holds the incomplete line of one connection,
/// followed by the bytes of one read.
pub(super) struct Input(Vec<u8>);

impl Input {
    pub(super) fn new() -> Self {
        Self(vec![0; LENGTH + 2 * MAX_LINE])
    }
}

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
    rest: Box<[u8]>,
    /// When something was last received.
    pub(super) used: Instant,
    /// Whether the rest of a line is skipped, because it is too long.
    skips: bool,
}

impl Connection {
    fn new(stream: Stream, sender: String, dialect: Dialect) -> Self {
        let (rest, used) = (Box::default(), Instant::now());
        Self { stream, sender, dialect, framing: None, rest, used, skips: false }
    }

    /// Reads what has arrived, at most 64 KiB. Returns whether the connection stays open.
    pub(super) fn receive(&mut self, input: &mut Input, shared: &Shared) -> bool {
        let begun = self.rest.len();
        input.0[..begun].copy_from_slice(&self.rest);
        let free = &mut input.0[begun..begun + MAX_LINE];
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(free),
            Stream::Unix(stream) => stream.read(free),
        };
        match read {
            Ok(count) if count > 0 => {
                self.used = Instant::now();
                self.take_whole(&input.0[..begun + count], shared)
            }
            Ok(_) => {
                self.take_rest(shared);
                false
            }
            Err(error) if is_temporary(&error) => true,
            Err(_) => {
                self.cut(shared);
                false
            }
        }
    }

    /// Takes whole lines or packets, and keeps the rest. Returns whether what follows can be
    /// understood.
    fn take_whole(&mut self, input: &[u8], shared: &Shared) -> bool {
        let (rest, is_understood) = match self.framing(input) {
            Some(Framing::Lines) => (self.take_lines(input, shared), true),
            Some(Framing::Lengths) => self.take_packets(input, shared),
            None => (input, true),
        };
        self.rest = rest.into();
        is_understood
    }

    /// A length is below 2^24, so that its last byte is 0. Lines contain none.
    fn framing(&mut self, input: &[u8]) -> Option<Framing> {
        if self.framing.is_none() {
            let framing = |last: &u8| if *last == 0 { Framing::Lengths } else { Framing::Lines };
            self.framing = input.get(LENGTH - 1).map(framing);
        }
        self.framing
    }

    fn take_lines<'a>(&mut self, input: &'a [u8], shared: &Shared) -> &'a [u8] {
        let end = memchr::memrchr(b'\n', input).map_or(0, |end| end + 1);
        let (mut lines, rest) = input.split_at(end);
        if self.skips && end > 0 {
            let first = memchr::memchr(b'\n', lines).map_or(end, |first| first + 1);
            lines = &lines[first..];
            self.skips = false;
        }
        // A read has at most MAX_LINE bytes, so that only the first line can be longer.
        if let Some(first) = memchr::memchr(b'\n', lines).filter(|first| *first > MAX_LINE) {
            self.reject(lines, shared, "too_long");
            lines = lines.get(first + 1..).unwrap_or_default();
        }
        if !lines.is_empty() {
            shared.lock().take(lines, self.dialect, &self.sender, clock::unix_ms());
        }
        if rest.len() <= MAX_LINE {
            return rest;
        }
        if !self.skips {
            self.reject(rest, shared, "too_long");
        }
        self.skips = true;
        &[]
    }

    fn take_packets<'a>(&self, input: &'a [u8], shared: &Shared) -> (&'a [u8], bool) {
        let mut rest = input;
        while let Some((length, after)) = rest.split_first_chunk::<LENGTH>() {
            let length = u32::from_le_bytes(*length) as usize;
            if length > MAX_LINE {
                self.reject(rest, shared, "too_long");
                return (rest, false);
            }
            let Some((packet, next)) = after.split_at_checked(length) else { break };
            shared.lock().take(packet, self.dialect, &self.sender, clock::unix_ms());
            rest = next;
        }
        (rest, true)
    }

    /// The client has ended the connection: the last line may lack its end, a packet may not.
    fn take_rest(&self, shared: &Shared) {
        if self.framing == Some(Framing::Lengths) {
            return self.cut(shared);
        }
        if self.rest.is_empty() || self.skips {
            return;
        }
        shared.lock().take(&self.rest, self.dialect, &self.sender, clock::unix_ms());
    }

    /// The connection ends, and not because the client is done. What would follow may change the
    /// meaning of an incomplete line: `a:320|m` is a counter, `a:320|ms` is a timer.
    pub(super) fn cut(&self, shared: &Shared) {
        if !self.rest.is_empty() && !self.skips {
            self.reject(&self.rest, shared, "truncated");
        }
    }

    /// Counts that the connection is closed because another client needs its place.
    pub(super) fn close(&self, shared: &Shared) {
        self.cut(shared);
        let sample = || {
            format!(
                "{}: closed because it was idle, and clients are many or descriptors few",
                self.sender
            )
        };
        shared.lock().counts.reject("connections", 1, sample);
    }

    fn reject(&self, input: &[u8], shared: &Shared, reason: &'static str) {
        let beginning = input.get(..100).unwrap_or(input);
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
