//! The connection to Carbon, and what to send again when it breaks.
//!
//! A TCP write says only that the kernel has taken the bytes; Carbon says nothing at all. So what
//! was written lately is kept, and written again on the next connection. Carbon keeps one value per
//! name and time: what comes twice does no harm.
//!
//! A peer that closes when it has read everything sends an orderly end. One that closes over bytes
//! it has not read, or gets more afterwards, sends a reset. One whose machine is gone sends
//! nothing, and the kernel gives up after the timeout. A Carbon that is killed has read everything
//! as likely as not, and keeps what it has read in memory for a while before it is stored: so an
//! orderly end may be a loss too. But then the payload at hand is not sent again at once, since a
//! peer that closes after each window would get it for ever. What remains: more than
//! [`KEEP_BYTES`] on the way at once, and what Carbon has not stored within [`KEEP_FOR`].

use super::address::Address;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How much of what was written is kept: more than the buffers on both sides hold by default.
const KEEP_BYTES: usize = 16 << 20;

/// How long it is kept.
const KEEP_FOR: Duration = Duration::from_secs(120);

/// How often a peer that is well may break the connection over it: it may be what the peer does not
/// like.
const MAX_AGAIN: u8 = 2;

/// How long to listen, after the last payload of a window, for a peer that has closed.
const LISTEN: Duration = Duration::from_millis(50);

/// How long to wait, after an orderly end, for a reset.
const SETTLE: Duration = Duration::from_secs(1);

/// How much of what the peer says is read and ignored in one go. Carbon says nothing.
const IGNORED_READS: usize = 16;

/// A connection that is made when it is needed, and made again when it has broken.
#[derive(Debug)]
pub(super) struct Connection {
    address: Address,
    timeout: Duration,
    stream: Option<TcpStream>,
    written: VecDeque<Kept>,
    written_bytes: usize,
    /// What was written may have been lost.
    suspect: bool,
    /// What the last peer had not read was surely lost.
    reset: bool,
}

/// A payload that was written, and may be lost for a while.
#[derive(Debug)]
struct Kept {
    at: Instant,
    /// How often a peer that was well broke the connection when it was written again.
    again: u8,
    bytes: Vec<u8>,
}

/// Where in a window a payload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Last,
    NotLast,
}

/// How the peer stands.
enum Peer {
    Broken(io::Error),
    Closed,
    Open,
}

/// Why a payload was not written, or may be lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("no connection to {0}")]
    Connect(Address, #[source] io::Error),
    #[error("{0} reset the connection over what it had not read")]
    Reset(Address),
    #[error("the connection to {0} broke")]
    Write(Address, #[source] io::Error),
}

impl ConnectionError {
    /// Whether the peer has ended the connection while or after something was written.
    pub(super) fn is_break(&self) -> bool {
        match self {
            Self::Connect(..) => false,
            Self::Reset(_) => true,
            Self::Write(_, why) => matches!(
                why.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
            ),
        }
    }
}

impl Connection {
    pub(super) const fn new(address: Address, timeout: Duration) -> Self {
        Self {
            address,
            timeout,
            stream: None,
            written: VecDeque::new(),
            written_bytes: 0,
            suspect: false,
            reset: false,
        }
    }

    pub(super) const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    /// Writes a payload; connects before, if need be, and writes again what may have been lost.
    pub(super) fn write(&mut self, payload: &[u8], place: Place) -> Result<(), ConnectionError> {
        // The first write after the peer has closed would be taken, and lost.
        self.look(Duration::ZERO);
        if self.stream.is_none() {
            self.connect()?;
        }
        if self.suspect
            && let Err(error) = self.write_again()
        {
            // A peer that is away breaks connections too, and is not to lose anything for that.
            if self.is_well() {
                self.written.iter_mut().for_each(|kept| kept.again += 1);
            }
            return Err(error);
        }
        self.write_now(payload)?;
        if place == Place::Last {
            self.reset = false;
            self.look(LISTEN);
            if self.reset {
                return Err(ConnectionError::Reset(self.address.clone()));
            }
        }
        self.keep(payload);
        Ok(())
    }

    /// Writes again what may have been lost, and waits a little whether the peer bears it.
    fn write_again(&mut self) -> Result<(), ConnectionError> {
        self.forget();
        let kept = std::mem::take(&mut self.written);
        let result = kept.iter().try_for_each(|kept| self.write_now(&kept.bytes));
        self.written = kept;
        result?;
        self.suspect = false;
        if !self.written.is_empty() {
            self.look(LISTEN);
        }
        match self.stream {
            Some(_) => Ok(()),
            None => Err(ConnectionError::Reset(self.address.clone())),
        }
    }

    /// Finds out whether the peer has closed, or does so within `patience`, and whether something
    /// was lost by that for sure.
    fn look(&mut self, patience: Duration) {
        let Some(stream) = &mut self.stream else { return };
        wait(stream, PollFlags::IN, patience);
        match peer(stream) {
            Peer::Open => return,
            Peer::Closed => {
                wait(stream, PollFlags::empty(), SETTLE);
                self.reset = matches!(peer(stream), Peer::Broken(_));
            }
            Peer::Broken(why) => {
                tracing::debug!(event = "connection_broken", address = %self.address, %why);
                self.reset = true;
            }
        }
        tracing::info!(event = "disconnected", address = %self.address, lost = self.reset);
        (self.stream, self.suspect) = (None, true);
    }

    /// Connects, within the timeout; the look-up of a name takes as long as the system's resolver
    /// is told to take.
    fn connect(&mut self) -> Result<(), ConnectionError> {
        let failed = |why| ConnectionError::Connect(self.address.clone(), why);
        let host = (self.address.host(), self.address.port());
        let begun = Instant::now();
        let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in host.to_socket_addrs().map_err(failed)? {
            let left = self.timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                last = ErrorKind::TimedOut.into();
                break;
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    self.stream = Some(self.prepare(stream).map_err(failed)?);
                    tracing::info!(event = "connected", address = %self.address);
                    return Ok(());
                }
                Err(why) => last = why,
            }
        }
        Err(failed(last))
    }

    fn prepare(&self, stream: TcpStream) -> io::Result<TcpStream> {
        stream.set_nodelay(true)?;
        // Bytes that the other machine does not acknowledge break the connection after this time.
        #[cfg(target_os = "linux")]
        {
            let millis = u32::try_from(self.timeout.as_millis()).unwrap_or(u32::MAX);
            rustix::net::sockopt::set_tcp_user_timeout(&stream, millis)?;
        }
        Ok(stream)
    }

    /// Writes all of `bytes`, within the timeout.
    fn write_now(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let result = match &mut self.stream {
            Some(stream) => write_within(stream, bytes, self.timeout),
            None => Err(ErrorKind::NotConnected.into()),
        };
        result.map_err(|why| {
            // What is left of the payload would be read as the end of a cut line.
            self.stream = None;
            self.suspect = true;
            ConnectionError::Write(self.address.clone(), why)
        })
    }

    /// Keeps a payload for as long as it may be lost.
    fn keep(&mut self, payload: &[u8]) {
        self.written.push_back(Kept { at: Instant::now(), again: 0, bytes: payload.to_vec() });
        self.written_bytes += payload.len();
        self.forget();
    }

    /// Forgets what need not be written again, or has been often enough.
    fn forget(&mut self) {
        let mut bytes = self.written_bytes;
        self.written.retain(|kept| {
            let keep =
                bytes <= KEEP_BYTES && kept.at.elapsed() < KEEP_FOR && kept.again < MAX_AGAIN;
            if !keep {
                bytes -= kept.bytes.len();
            }
            keep
        });
        self.written_bytes = bytes;
    }

    /// Whether the peer takes a connection and keeps it open for a while when nothing is written: it
    /// is well, then.
    pub(super) fn is_well(&self) -> bool {
        let host = (self.address.host(), self.address.port());
        let Ok(mut addresses) = host.to_socket_addrs() else { return false };
        addresses.any(|address| {
            let Ok(mut stream) = TcpStream::connect_timeout(&address, self.timeout) else {
                return false;
            };
            wait(&stream, PollFlags::IN, SETTLE);
            matches!(peer(&mut stream), Peer::Open)
        })
    }
}

/// Waits for `events`, an error or a reset, but no longer than `timeout`.
fn wait(stream: &TcpStream, events: PollFlags, timeout: Duration) {
    let timespec = Timespec::try_from(timeout).unwrap_or_default();
    if let Err(why) = poll(&mut [PollFd::new(stream, events)], Some(&timespec)) {
        // An interrupted wait; what counts is how the peer stands.
        tracing::trace!(event = "poll_interrupted", %why);
    }
}

/// How the peer stands, without waiting.
fn peer(stream: &mut TcpStream) -> Peer {
    let looked = stream.set_nonblocking(true).and_then(|()| read_on(stream));
    let pending = stream.take_error();
    match (pending, looked) {
        (Ok(Some(why)) | Err(why), _) | (_, Err(why)) => Peer::Broken(why),
        (Ok(None), Ok(true)) => Peer::Open,
        (Ok(None), Ok(false)) => Peer::Closed,
    }
}

/// Reads and ignores what the peer says; whether it may still say more.
fn read_on(stream: &mut TcpStream) -> io::Result<bool> {
    let mut ignored = [0; 4096];
    for _ in 0..IGNORED_READS {
        match stream.read(&mut ignored) {
            Ok(0) => return Ok(false),
            Ok(_) => (),
            Err(why) if why.kind() == ErrorKind::Interrupted => (),
            Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(why) => return Err(why),
        }
    }
    Ok(true)
}

fn write_within(stream: &mut TcpStream, mut bytes: &[u8], timeout: Duration) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let begun = Instant::now();
    while !bytes.is_empty() {
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(why) if why.kind() == ErrorKind::Interrupted => (),
            // That is what a timeout of the socket looks like.
            Err(why) if why.kind() == ErrorKind::WouldBlock => {
                return Err(ErrorKind::TimedOut.into());
            }
            Err(why) => return Err(why),
        }
    }
    Ok(())
}
