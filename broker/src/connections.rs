//! Cuts connections of this process that libzmq has and does not show.
//!
//! libzmq 4.3.4 does not survive the end of a listener while somebody hostile is about to say who it is.
//! It does survive the end of a connection, whoever ends it: so it is ended behind its back.
#![expect(unsafe_code, reason = "they are calls into C, and descriptors of others")]

use crate::ports::Ports;
use std::fs;
use std::mem::ManuallyDrop;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use zibrato::wire::Door;

/// As much may wait in the system for a peer that reads, if slowly.
const UNREAD_BYTES: libc::c_int = 64 << 10;

/// Where the kernel's `struct tcp_info` has how many bytes the peer has sent (`tcpi_bytes_received`,
/// since Linux 4.1).
const BYTES_RECEIVED: std::ops::Range<usize> = 128..136;

/// Which connections at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those whose peer has sent at least so many bytes since it came.
    Sent(u64),
    /// Those whose peer does not read what it is sent.
    Unread,
}

/// Cuts connections that were made to these doors of this process; gives how many. Where the system
/// does not list descriptors, all stay.
pub(crate) fn cut(ports: &Ports, whom: &[(Door, Which)]) -> u64 {
    let of = |(door, which): &(Door, Which)| {
        let file = ports.folder.as_ref().map(|folder| folder.file(*door));
        Cut { port: ports.port(*door), file, which: *which }
    };
    let cuts: Vec<_> = whom.iter().map(of).collect();
    let listed = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let all = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|descriptor| is_cut(*descriptor, &cuts)).count() as u64
}

/// Where a door is, and who is to be cut off there.
struct Cut {
    port: u16,
    file: Option<PathBuf>,
    which: Which,
}

fn is_cut(descriptor: RawFd, cuts: &[Cut]) -> bool {
    // SAFETY: they are not closed when these are dropped. If it is no socket, or no longer open, or
    // somebody else's by now, each call below fails or tells so. What is cut by such a mistake has
    // the same door, and comes back as everybody does.
    let (tcp, unix) =
        unsafe { (TcpStream::from_raw_fd(descriptor), UnixStream::from_raw_fd(descriptor)) };
    let (tcp, unix) = (ManuallyDrop::new(tcp), ManuallyDrop::new(unix));
    let found = if let Ok(local) = tcp.local_addr() {
        cuts.iter().find(|cut| cut.port == local.port())
    } else if let Ok(local) = unix.local_addr() {
        let file = local.as_pathname();
        cuts.iter().find(|cut| file.is_some() && cut.file.as_deref() == file)
    } else {
        None
    };
    // Who listens has no peer.
    let has_peer = tcp.peer_addr().is_ok() || unix.peer_addr().is_ok();
    let is_meant = |cut: &Cut| match cut.which {
        Which::Sent(bytes) => bytes == 0 || received(descriptor) >= bytes,
        Which::Unread => unread(descriptor) >= UNREAD_BYTES,
    };
    has_peer && found.is_some_and(is_meant) && tcp.shutdown(Shutdown::Both).is_ok()
}

/// How many bytes the peer has sent; as many as can be where the system does not say.
fn received(descriptor: RawFd) -> u64 {
    let mut info = [0_u8; BYTES_RECEIVED.end];
    let mut length = info.len() as libc::socklen_t;
    let place = info.as_mut_ptr().cast();
    // SAFETY: the call writes at most `length` bytes to a place that has as many, and how many.
    let code = unsafe {
        libc::getsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut length)
    };
    let told = info.get(BYTES_RECEIVED).filter(|_| code == 0 && length as usize == info.len());
    told.and_then(|told| told.try_into().ok()).map_or(u64::MAX, u64::from_ne_bytes)
}

/// How many bytes the peer has not taken.
fn unread(descriptor: RawFd) -> libc::c_int {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call writes one int to a pointer to one int, or fails.
    let code = unsafe { libc::ioctl(descriptor, libc::TIOCOUTQ, &raw mut bytes) };
    if code == 0 { bytes } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::{Which, cut};
    use crate::ipc::Folder;
    use crate::ports::Ports;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::Arc;
    use zibrato::wire::Door;

    /// Whether writing comes to an end because nobody reads, and not because of something else.
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
        let ports =
            Ports { address: None, base: listener.local_addr().unwrap().port(), folder: None };
        let cut = |which| cut(&ports, &[(Door::Publishers, which)]);
        let pair = || {
            let theirs = TcpStream::connect(("127.0.0.1", ports.base)).unwrap();
            (theirs, listener.accept().unwrap().0)
        };
        let ((mut reads, mut kept), (_deaf, full)) = (pair(), pair());
        full.set_nonblocking(true).unwrap();
        assert!(fills(&full));
        assert_eq!(cut(Which::Unread), 1);
        assert!(is_cut(&full));
        reads.write_all(&[0; 1000]).unwrap();
        kept.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(cut(Which::Sent(1001)), 0);
        assert_eq!(cut(Which::Sent(1000)), 1);
        assert!(cut(Which::Sent(0)) >= 1);
        assert_eq!(reads.read(&mut [0; 1]).unwrap(), 0);
        // Who listens goes on.
        assert!(TcpStream::connect(("127.0.0.1", ports.base)).is_ok());
    }

    #[test]
    fn connections_in_a_folder_are_cut_too() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::take(dir.path(), 0o600).unwrap());
        let file = folder.file(Door::Replay);
        let listener = UnixListener::bind(&file).unwrap();
        let ports = Ports { address: None, base: 1, folder: Some(folder) };
        let (_deaf, full) = (UnixStream::connect(&file).unwrap(), listener.accept().unwrap().0);
        let (_other, kept) = (UnixStream::connect(&file).unwrap(), listener.accept().unwrap().0);
        full.set_nonblocking(true).unwrap();
        assert!(fills(&full));
        assert_eq!(cut(&ports, &[(Door::Publishers, Which::Unread)]), 0);
        assert_eq!(cut(&ports, &[(Door::Replay, Which::Unread)]), 1);
        assert!(is_cut(&full) && !is_cut(&kept));
    }
}
