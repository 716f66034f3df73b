//! Cuts TCP connections of this process that libzmq has and does not show.
//!
//! libzmq 4.3.4 does not survive the end of a listener while somebody hostile is about to say who it is.
//! It does survive the end of a connection, whoever ends it: so it is ended behind its back.
#![expect(unsafe_code, reason = "they are calls into C, and descriptors of others")]

use std::fs;
use std::mem::ManuallyDrop;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

/// As much may wait in the system for a peer that reads, if slowly.
const UNREAD_BYTES: libc::c_int = 64 << 10;

/// Which connections at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All.
    All,
    /// Those whose peer does not read what it is sent.
    Unread,
}

/// Cuts connections that were made to a port of this process; gives how many. Those with other
/// kinds of sockets, and everything where the system does not list descriptors, stay.
pub(crate) fn cut(port: u16, which: Which) -> u64 {
    let listed = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let all = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|descriptor| is_cut(*descriptor, port, which)).count() as u64
}

fn is_cut(descriptor: RawFd, port: u16, which: Which) -> bool {
    // SAFETY: it is not closed when this is dropped. If it is no socket, or no longer open, or
    // somebody else's by now, each call below fails or tells so. What is cut by such a mistake has
    // the same port, and comes back as everybody does.
    let stream = unsafe { ManuallyDrop::new(TcpStream::from_raw_fd(descriptor)) };
    let is_ours = stream.local_addr().is_ok_and(|local| local.port() == port);
    if !is_ours || stream.peer_addr().is_err() {
        return false;
    }
    if which == Which::Unread && unread(&stream) < UNREAD_BYTES {
        return false;
    }
    stream.shutdown(Shutdown::Both).is_ok()
}

/// How many bytes the peer has not taken.
fn unread(stream: &TcpStream) -> libc::c_int {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call writes one int to a pointer to one int, or fails.
    let code = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if code == 0 { bytes } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::{Which, cut};
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn connections_at_a_port_are_cut_if_they_are_such() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pair = || {
            let theirs = TcpStream::connect(("127.0.0.1", port)).unwrap();
            (theirs, listener.accept().unwrap().0)
        };
        let ((mut reads, _kept), (_deaf, mut full)) = (pair(), pair());
        full.set_nonblocking(true).unwrap();
        let blocked = loop {
            if let Err(error) = full.write(&[0; 1 << 16]) {
                break error.kind();
            }
        };
        assert_eq!(blocked, ErrorKind::WouldBlock);
        assert_eq!(cut(port, Which::Unread), 1);
        assert!(full.write(&[0]).is_err_and(|error| error.kind() == ErrorKind::BrokenPipe));
        assert!(cut(port, Which::All) >= 1);
        assert_eq!(reads.read(&mut [0; 1]).unwrap(), 0);
        // Who listens goes on.
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    }
}
