//! Addresses of StatsD listeners, and how they are bound.

use super::grammar::Dialect;
use super::receive::{Listener, Packets};
use crate::intake::flag_error::FlagError;
use crate::intake::host_port::HostPort;
use crate::intake::udp;
use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The flag of addresses.
const FLAG: &str = "--statsd";

/// Maximum size of the path of a Unix socket, in bytes.
const MAX_PATH: usize = 107;

/// How often another port is tried, if the one from the system is in use for UDP.
const TRIES: usize = 20;

/// Where a listener's clients connect, with their dialect in front: `dogstatsd://127.0.0.1:8125`.
/// Without one the dialect is `statsd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address<T> {
    pub(super) dialect: Dialect,
    pub(super) at: T,
}

impl FromStr for Address<HostPort> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (dialect, rest) = dialect(text)?;
        Ok(Self { dialect, at: rest.parse()? })
    }
}

impl FromStr for Address<PathBuf> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (dialect, rest) = dialect(text)?;
        if rest.is_empty() {
            return Err(
                "expected the path of a socket, such as /run/zibrato/statsd.sock".to_owned()
            );
        }
        if rest.starts_with('@') {
            return Err(format!(
                "{rest} is an abstract socket, which has no permissions; give the path of a file, \
                 such as /run/zibrato/statsd.sock"
            ));
        }
        Ok(Self { dialect, at: rest.into() })
    }
}

fn dialect(text: &str) -> Result<(Dialect, &str), String> {
    match text.split_once("://") {
        None => Ok((Dialect::Statsd, text)),
        Some(("statsd", rest)) => Ok((Dialect::Statsd, rest)),
        Some(("dogstatsd", rest)) => Ok((Dialect::Dogstatsd, rest)),
        Some((other, _)) => {
            Err(format!("the dialect {other:?} is unknown; use statsd:// or dogstatsd://"))
        }
    }
}

impl Address<HostPort> {
    /// Binds a UDP socket for each of `threads`, and a TCP socket, to the same port.
    pub(super) fn bind(
        &self,
        threads: usize,
    ) -> Result<(SocketAddr, Vec<Packets>, Listener), FlagError> {
        let address = self.at.resolve(FLAG)?;
        let mut tries = if address.port() == 0 { TRIES } else { 1 };
        loop {
            tries -= 1;
            match self.bind_once(address, threads) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && tries > 0 => {}
                bound => {
                    let failed = |error| FlagError::of_bind(FLAG, &self.at, address, &error);
                    return bound.map_err(failed);
                }
            }
        }
    }

    fn bind_once(
        &self,
        address: SocketAddr,
        threads: usize,
    ) -> io::Result<(SocketAddr, Vec<Packets>, Listener)> {
        // TCP first: it cannot share a port. So a second broker fails before its UDP sockets, which
        // can, take packets from the first.
        let tcp = TcpListener::bind(address)?;
        tcp.set_nonblocking(true)?;
        let address = tcp.local_addr()?;
        let mut all = Vec::with_capacity(threads);
        for _ in 0..threads {
            let socket = udp::bind(address, threads > 1)?;
            all.push(Packets::new(socket.into(), self.dialect, None));
        }
        Ok((address, all, Listener::Tcp(tcp, self.dialect)))
    }
}

impl Address<PathBuf> {
    /// Binds a Unix socket for packets.
    pub(super) fn bind_packets(&self) -> Result<(SocketFile, Packets), FlagError> {
        let (file, socket) = self.bind_with("--statsd-socket", |path| {
            let socket = UnixDatagram::bind(path)?;
            socket.set_nonblocking(true)?;
            udp::enlarge_buffer(&socket);
            Ok(socket)
        })?;
        let unnamed = Some(file.path.display().to_string());
        Ok((file, Packets::new(socket.into(), self.dialect, unnamed)))
    }

    /// Binds a Unix socket for connections.
    pub(super) fn bind_stream(&self) -> Result<(SocketFile, Listener), FlagError> {
        let (file, socket) = self.bind_with("--statsd-stream-socket", |path| {
            let socket = UnixListener::bind(path)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })?;
        let sender = file.path.display().to_string();
        Ok((file, Listener::Unix(socket, self.dialect, sender)))
    }

    fn bind_with<S>(
        &self,
        flag: &'static str,
        bind: impl Fn(&Path) -> io::Result<S>,
    ) -> Result<(SocketFile, S), FlagError> {
        let path = &self.at;
        let bound = bind(path).or_else(|error| {
            if error.kind() != ErrorKind::AddrInUse || !is_abandoned(path) {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            bind(path)
        });
        // Clients of other users may send, as over UDP; the folder can restrict that.
        let open = |socket| {
            std::fs::set_permissions(path, Permissions::from_mode(0o666))?;
            Ok((SocketFile::at(path)?, socket))
        };
        bound.and_then(open).map_err(|error| path_error(flag, path, &error))
    }
}

/// What prevents a Unix socket at a path, and the remedy.
fn path_error(flag: &'static str, path: &Path, error: &io::Error) -> FlagError {
    let (at, bytes) = (path.display(), path.as_os_str().len());
    let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if bytes > MAX_PATH {
        let why = format!(
            "the path of a socket has at most {MAX_PATH} bytes, and this one has {bytes}; give a \
             shorter one"
        );
        return FlagError::invalid(flag, at, why);
    }
    if let Some(folder) = parent.filter(|folder| !folder.is_dir()) {
        let folder = folder.display();
        let why = format!("there is no folder {folder}; create it, or give another path");
        return FlagError::invalid(flag, at, why);
    }
    match path.symlink_metadata() {
        Ok(file) if file.file_type().is_socket() && error.kind() == ErrorKind::AddrInUse => {
            let why = "another flag of this broker or another program listens there, which `ss -lxp` \
                       shows; stop it, or give another path";
            FlagError::unavailable(flag, at, why)
        }
        Ok(file) if !file.file_type().is_socket() => {
            let what = if file.is_dir() { "a folder" } else { "a file" };
            let why = format!(
                "{what} that is not a socket is already there; remove it, or give another path"
            );
            FlagError::invalid(flag, at, why)
        }
        _ => {
            let why = format!("{error}; the broker must be able to write to the folder");
            FlagError::invalid(flag, at, why)
        }
    }
}

/// Whether the file is a socket that a program has left behind.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let is_refused = |connected: io::Result<()>| {
        connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    let packets = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    is_socket && is_refused(packets) && is_refused(UnixStream::connect(path).map(drop))
}

/// The file of a Unix socket. Dropping this removes it, unless another program has replaced it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Its device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // If it cannot be removed, the next start finds it abandoned.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::{Address, HostPort};
    use crate::intake::statsd::grammar::Dialect;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::net::{RecvFlags, recv};
    use std::net::UdpSocket;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn an_address_may_begin_with_a_dialect() {
        let of = |text: &str| {
            text.parse::<Address<HostPort>>()
                .map(|address| (address.dialect, address.at.to_string()))
        };
        for (text, dialect, at) in [
            ("127.0.0.1:8125", Dialect::Statsd, "127.0.0.1:8125"),
            ("statsd://[::1]:0", Dialect::Statsd, "[::1]:0"),
            ("dogstatsd://localhost:8125", Dialect::Dogstatsd, "localhost:8125"),
        ] {
            assert_eq!(of(text), Ok((dialect, at.to_owned())), "{text}");
        }
        for (text, part) in [
            ("8125", "HOST:PORT"),
            (":8125", "HOST:PORT"),
            ("localhost", "HOST:PORT"),
            ("localhost:x", "HOST:PORT"),
            ("localhost:70000", "port 70000 is too large"),
            ("udp://localhost:1", "dogstatsd://"),
        ] {
            assert!(of(text).unwrap_err().contains(part), "{text}");
        }
        let path = "dogstatsd:///run/x.sock".parse::<Address<PathBuf>>().unwrap();
        assert_eq!((path.dialect, path.at), (Dialect::Dogstatsd, "/run/x.sock".into()));
        assert!("statsd://".parse::<Address<PathBuf>>().is_err());
        let error = "dogstatsd://@abs".parse::<Address<PathBuf>>().unwrap_err();
        assert!(error.contains("@abs is an abstract socket"), "{error}");
        assert!("./@abs".parse::<Address<PathBuf>>().is_ok());
    }

    #[test]
    fn a_socket_of_another_program_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let at: Address<PathBuf> = path.to_str().unwrap().parse().unwrap();
        let first = at.bind_packets().unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = at.bind_packets().unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_second_broker_takes_no_packets_of_the_first() {
        let at: Address<HostPort> = "127.0.0.1:0".parse().unwrap();
        let (bound, first, _listener) = at.bind(2).unwrap();
        let again: Address<HostPort> = bound.to_string().parse().unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let second = || {
                while !is_over.load(Ordering::Relaxed) {
                    assert!(again.bind(2).is_err());
                }
            };
            let thread = std::thread::Builder::new().spawn_scoped(scope, second).unwrap();
            for n in 0..2_000 {
                // The kernel distributes packets by their sender.
                let client = UdpSocket::bind("127.0.0.1:0").unwrap();
                client.send_to(b"a:1|c", bound).unwrap();
                let mut items: Vec<_> =
                    first.iter().map(|p| PollFd::new(p, PollFlags::IN)).collect();
                let deadline = Timespec { tv_sec: 5, tv_nsec: 0 };
                if poll(&mut items, Some(&deadline)).unwrap() == 0 {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("packet {n} is lost");
                }
                for (packets, item) in first.iter().zip(&items) {
                    if !item.revents().is_empty() {
                        recv(packets, &mut [0; 16], RecvFlags::empty()).unwrap();
                    }
                }
            }
            is_over.store(true, Ordering::Relaxed);
            thread.join().unwrap();
        });
    }

    #[test]
    fn a_path_that_cannot_be_a_socket_is_named_with_its_flag_and_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "").unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        let live = std::os::unix::net::UnixDatagram::bind(at("live")).unwrap();
        for (path, part) in [
            (at("file"), "a file that is not a socket is already there; remove it"),
            (at("folder"), "a folder that is not a socket"),
            (at("nowhere/s.sock"), "/nowhere; create it"),
            (at(&"x".repeat(200)), "at most 107 bytes"),
            (at("live"), "another program listens there"),
        ] {
            let shown = path.display().to_string();
            let address = Address { dialect: Dialect::Statsd, at: path };
            for (flag, error) in [
                ("--statsd-socket", address.bind_packets().map(drop).unwrap_err()),
                ("--statsd-stream-socket", address.bind_stream().map(drop).unwrap_err()),
            ] {
                let error = error.to_string();
                assert!(error.starts_with(&format!("{flag} {shown}: ")), "{error}");
                assert!(error.contains(part), "{error}");
            }
        }
        drop(live);
        assert!(at("file").is_file());
    }
}
