//! Closes single connections of libzmq, which libzmq itself cannot do.
//!
//! libzmq can only close all connections of a listener. But it handles the end of a single
//! connection, whichever side ends it. So this module finds the descriptors of connections in the
//! process's own list, and shuts them down. For libzmq, that looks as if the peer had closed the
//! connection.
#![expect(unsafe_code, reason = "they are calls into C, and descriptors of others")]

use crate::ports::Ports;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{Shutdown, SocketAddrUnix};
use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use zibrato::wire::Endpoint;

/// A peer that has not read this many bytes counts as one that does not read.
const UNREAD_BYTES: libc::c_int = 64 << 10;

/// The position of the connection's state in the kernel's `struct tcp_info` (`tcpi_state`).
const STATE: usize = 0;

/// The state of a connection that neither side has closed (`TCP_ESTABLISHED`).
const ESTABLISHED: u8 = 1;

/// The position of the number of bytes that the peer has sent in `struct tcp_info`
/// (`tcpi_bytes_received`, since Linux 4.1).
const BYTES_RECEIVED: Range<usize> = 128..136;

/// The identity of one connection. It differs from that of a later connection with the same
/// descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connection {
    descriptor: RawFd,
    inode: u64,
}

impl Connection {
    /// The connection that currently has this descriptor; `None` if the descriptor is not open.
    pub(crate) fn of(descriptor: RawFd) -> Option<Self> {
        if descriptor < 0 {
            return None;
        }
        // SAFETY: the descriptor is only inspected. If it is closed meanwhile, the call fails or
        // inspects another file.
        let other = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let inode = rustix::fs::fstat(other).ok()?.st_ino;
        Some(Self { descriptor, inode })
    }

    /// Whether neither side has closed it.
    pub(crate) fn is_open(self) -> bool {
        if Self::of(self.descriptor) != Some(self) {
            return false;
        }
        // SAFETY: as above; at worst, this inspects whether another connection has ended.
        let other = unsafe { BorrowedFd::borrow_raw(self.descriptor) };
        let mut asked = [PollFd::from_borrowed_fd(other, PollFlags::RDHUP)];
        let at_once = Timespec::default();
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        match poll(&mut asked, Some(&at_once)) {
            Ok(_) => !asked.iter().any(|one| one.revents().intersects(gone)),
            Err(_) => true,
        }
    }
}

/// Selects connections at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// Those whose peer has sent at least this many bytes, and those for which the number is unknown.
    Sent(u64),
    /// Those whose peer has sent at least this many bytes, or does not read.
    SentOrUnread(u64),
    /// Those whose peer does not read.
    Unread,
}

/// Closes connections to these endpoints of this process, and returns their number. If the system does
/// not list descriptors, it closes none.
pub(crate) fn cut(ports: &Ports, whom: &[(Endpoint, Which)]) -> u64 {
    let cuts: Vec<_> =
        whom.iter().map(|(endpoint, which)| Cut::new(ports, *endpoint, *which)).collect();
    let listed = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let all = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|descriptor| is_cut(*descriptor, &cuts)).count() as u64
}

/// Closes one connection to an endpoint of this process, and returns whether it existed.
pub(crate) fn cut_one(ports: &Ports, endpoint: Endpoint, descriptor: RawFd) -> bool {
    is_cut(descriptor, &[Cut::new(ports, endpoint, Which::All)])
}

/// The address of an endpoint, and which of its connections to close.
struct Cut {
    port: Option<u16>,
    file: Option<PathBuf>,
    which: Which,
}

impl Cut {
    fn new(ports: &Ports, endpoint: Endpoint, which: Which) -> Self {
        let port = ports.address.map(|_| ports.port(endpoint));
        Self { port, file: ports.folder.as_ref().map(|folder| folder.file(endpoint)), which }
    }
}

fn is_cut(descriptor: RawFd, cuts: &[Cut]) -> bool {
    if descriptor < 0 {
        return false;
    }
    // SAFETY: libzmq may close the descriptor, and the system may reuse its number. Then the new
    // file is inspected. The duplicate refers to the same file until it is dropped.
    let other = unsafe { BorrowedFd::borrow_raw(descriptor) };
    // Other files are skipped, because closing even a duplicate of a file would release this
    // process's locks on it.
    if rustix::net::sockopt::socket_domain(other).is_err() {
        return false;
    }
    match other.try_clone_to_owned() {
        Ok(own) => is_cut_socket(own.as_fd(), cuts),
        // There is no descriptor left for a duplicate, and none becomes free unless a connection is
        // closed. If libzmq closes this one right now, at worst another connection is closed, and
        // its peer reconnects.
        Err(error) if error.raw_os_error() == Some(libc::EMFILE) => is_cut_socket(other, cuts),
        Err(_) => false,
    }
}

fn is_cut_socket(socket: BorrowedFd<'_>, cuts: &[Cut]) -> bool {
    // A listening socket has no peer. A connection that was closed earlier may not have disappeared
    // yet.
    if rustix::net::getpeername(socket).is_err() {
        return false;
    }
    let Ok(local) = rustix::net::getsockname(socket) else { return false };
    let is_meant = match SocketAddr::try_from(local.clone()) {
        Ok(local) => {
            let Some((state, received)) = info(socket) else { return false };
            let found = cuts.iter().find(|cut| cut.port == Some(local.port()));
            state == ESTABLISHED && found.is_some_and(|cut| cut.is_meant(socket, received))
        }
        Err(_) => {
            let Ok(local) = SocketAddrUnix::try_from(local) else { return false };
            let file = local.path_bytes().map(|path| Path::new(OsStr::from_bytes(path)));
            let found = cuts.iter().find(|cut| file.is_some() && cut.file.as_deref() == file);
            found.is_some_and(|cut| cut.is_meant(socket, u64::MAX))
        }
    };
    is_meant && rustix::net::shutdown(socket, Shutdown::Both).is_ok()
}

impl Cut {
    fn is_meant(&self, stream: BorrowedFd<'_>, received: u64) -> bool {
        let is_unread = || unread(stream) >= UNREAD_BYTES;
        match self.which {
            Which::All => true,
            Which::Sent(bytes) => received >= bytes,
            Which::SentOrUnread(bytes) => received >= bytes || is_unread(),
            Which::Unread => is_unread(),
        }
    }
}

/// The state of a connection, and the number of bytes that its peer has sent: the maximum if the system
/// does not report it. `None` if it is not a TCP connection.
fn info(stream: BorrowedFd<'_>) -> Option<(u8, u64)> {
    let mut info = [0_u8; BYTES_RECEIVED.end];
    let mut length = info.len() as libc::socklen_t;
    let (descriptor, place) = (stream.as_raw_fd(), info.as_mut_ptr().cast());
    // SAFETY: `length` is the size of the buffer. The call writes at most that many bytes, and
    // updates it.
    let code = unsafe {
        libc::getsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut length)
    };
    let received = info.get(BYTES_RECEIVED).filter(|_| length as usize == info.len());
    let received = received.and_then(|told| told.try_into().ok()).map(u64::from_ne_bytes);
    (code == 0).then(|| (info[STATE], received.unwrap_or(u64::MAX)))
}

/// The number of bytes that the peer has not read.
fn unread(stream: BorrowedFd<'_>) -> libc::c_int {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call writes one int to a pointer to one int, or fails.
    let code = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if code == 0 { bytes } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::{Which, cut};
    use crate::ipc::Folder;
    use crate::ports::Ports;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::Arc;
    use zibrato::wire::Endpoint;

    /// Whether writing fails because the peer does not read, and not for another reason.
    fn fills(mut stream: impl Write) -> bool {
        loop {
            if let Err(error) = stream.write(&[0; 1 << 16]) {
                return error.kind() == ErrorKind::WouldBlock;
            }
        }
    }

    fn is_cut(mut stream: impl Write) -> bool {
        stream.write(&[0]).is_err_and(|error| error.kind() == ErrorKind::BrokenPipe)
    }

    #[test]
    fn connections_at_a_port_are_cut_if_they_are_such() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Some(Ipv4Addr::LOCALHOST.into());
        let ports = Ports { address, base: listener.local_addr().unwrap().port(), folder: None };
        let cut = |which| cut(&ports, &[(Endpoint::Publishers, which)]);
        let pair = || {
            let theirs = TcpStream::connect(("127.0.0.1", ports.base)).unwrap();
            (theirs, listener.accept().unwrap().0)
        };
        let ((mut reads, mut kept), (_stalled, full)) = (pair(), pair());
        full.set_nonblocking(true).unwrap();
        assert!(fills(&full));
        assert_eq!(cut(Which::Unread), 1);
        assert!(is_cut(&full));
        // It exists until its owner closes it, but is not counted again.
        assert_eq!(cut(Which::Unread), 0);
        reads.write_all(&[0; 1000]).unwrap();
        kept.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(cut(Which::Sent(1001)), 0);
        assert_eq!(cut(Which::Sent(1000)), 1);
        assert_eq!(cut(Which::All), 0);
        assert_eq!(reads.read(&mut [0; 1]).unwrap(), 0);
        // The listener still accepts connections.
        assert!(TcpStream::connect(("127.0.0.1", ports.base)).is_ok());
    }

    #[test]
    fn connections_in_a_folder_are_cut_too() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::take(dir.path(), 0o600).unwrap());
        let file = folder.file(Endpoint::Replay);
        let listener = UnixListener::bind(&file).unwrap();
        let ports = Ports { address: None, base: 1, folder: Some(folder) };
        let (_stalled, full) = (UnixStream::connect(&file).unwrap(), listener.accept().unwrap().0);
        let (_other, kept) = (UnixStream::connect(&file).unwrap(), listener.accept().unwrap().0);
        full.set_nonblocking(true).unwrap();
        assert!(fills(&full));
        assert_eq!(cut(&ports, &[(Endpoint::Publishers, Which::Unread)]), 0);
        assert_eq!(cut(&ports, &[(Endpoint::Replay, Which::Unread)]), 1);
        assert!(is_cut(&full) && !is_cut(&kept));
    }
}
