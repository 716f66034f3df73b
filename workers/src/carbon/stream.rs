//! One TCP stream to Carbon: connects, writes within a deadline, and returns the state of the peer.

use super::address::Address;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Maximum number of reads at once to discard data from the peer. Carbon sends nothing.
const IGNORED_READS: usize = 16;

/// Time to wait for a reset after an orderly end.
const RESET: Duration = Duration::from_secs(1);

/// The state of the peer.
pub(super) enum Peer {
    /// It has closed the connection with unread data, or its machine has failed.
    Broken(io::Error),
    /// It has read everything, and closed the connection.
    Closed,
    Open,
}

/// Whether an error says that the peer has ended the connection.
pub(super) fn is_break(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// Connects within the timeout. Resolving a name takes as long as the system's resolver allows.
pub(super) fn connect(to: &Address, timeout: Duration) -> io::Result<TcpStream> {
    let begun = Instant::now();
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (to.host(), to.port()).to_socket_addrs()? {
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            last = ErrorKind::TimedOut.into();
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return prepare(stream, timeout),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn prepare(stream: TcpStream, timeout: Duration) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    // The kernel breaks the connection if the peer does not acknowledge bytes for this time.
    #[cfg(target_os = "linux")]
    {
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(&stream, millis)?;
    }
    Ok(stream)
}

/// The state of the peer, now or within `timeout`.
pub(super) fn listen(stream: &mut TcpStream, timeout: Duration) -> Peer {
    wait(stream, PollFlags::IN, timeout);
    match peer(stream) {
        Peer::Closed => {
            wait(stream, PollFlags::empty(), RESET);
            match peer(stream) {
                Peer::Broken(why) => Peer::Broken(why),
                Peer::Closed | Peer::Open => Peer::Closed,
            }
        }
        stands => stands,
    }
}

/// Waits at most `timeout` for `events`, an error or a reset.
fn wait(stream: &TcpStream, events: PollFlags, timeout: Duration) {
    let timespec = Timespec::try_from(timeout).unwrap_or_default();
    if let Err(why) = poll(&mut [PollFd::new(stream, events)], Some(&timespec)) {
        // The wait was interrupted; the state of the peer is checked anyway.
        tracing::trace!(event = "poll_interrupted", %why);
    }
}

/// The state of the peer, without waiting.
fn peer(stream: &mut TcpStream) -> Peer {
    let looked = stream.set_nonblocking(true).and_then(|()| read_on(stream));
    let pending = stream.take_error();
    match (pending, looked) {
        (Ok(Some(why)) | Err(why), _) | (_, Err(why)) => Peer::Broken(why),
        (Ok(None), Ok(true)) => Peer::Open,
        (Ok(None), Ok(false)) => Peer::Closed,
    }
}

/// Reads and discards data from the peer; returns whether there may be more.
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

/// Writes all of `bytes`, within the timeout.
pub(super) fn write(stream: &mut TcpStream, mut bytes: &[u8], timeout: Duration) -> io::Result<()> {
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
            // This is the error of a socket's timeout.
            Err(why) if why.kind() == ErrorKind::WouldBlock => {
                return Err(ErrorKind::TimedOut.into());
            }
            Err(why) => return Err(why),
        }
    }
    Ok(())
}
