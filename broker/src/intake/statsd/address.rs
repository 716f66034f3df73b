//! Addresses of StatsD listeners, and how they are bound.

use super::grammar::Dialect;
use super::receive::{Listener, Packets};
use crate::intake::host_port::HostPort;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Memory that is asked for packets that wait in the kernel, in bytes. It grants what
/// `net.core.rmem_max` allows.
const RECEIVE_BUFFER: usize = 8 << 20;

/// How often another port is tried, if the one from the system is in use for TCP.
const TRIES: usize = 20;

/// Where a listener's clients connect, with their dialect in front: `dogstatsd://127.0.0.1:8125`.
/// Without one the dialect is `statsd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address<T> {
    pub(super) dialect: Dialect,
    pub(super) at: T,
}

/// What could not be bound, and why.
#[derive(Debug, thiserror::Error)]
#[error("{at}: {source}")]
pub(super) struct BindError {
    at: String,
    source: io::Error,
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
    ) -> Result<(SocketAddr, Vec<Packets>, Listener), BindError> {
        let failed = |source| BindError { at: self.at.to_string(), source };
        let address = self.at.resolve().map_err(failed)?;
        let mut tries = if address.port() == 0 { TRIES } else { 1 };
        loop {
            tries -= 1;
            match self.bind_once(address, threads) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && tries > 0 => {}
                bound => return bound.map_err(failed),
            }
        }
    }

    fn bind_once(
        &self,
        address: SocketAddr,
        threads: usize,
    ) -> io::Result<(SocketAddr, Vec<Packets>, Listener)> {
        let first = udp(address, threads > 1)?;
        let address = UdpSocket::from(first.try_clone()?).local_addr()?;
        let mut all = vec![packets(first, self.dialect, None)];
        for _ in 1..threads {
            all.push(packets(udp(address, true)?, self.dialect, None));
        }
        let tcp = TcpListener::bind(address)?;
        tcp.set_nonblocking(true)?;
        Ok((address, all, Listener::Tcp(tcp, self.dialect)))
    }
}

fn packets(socket: OwnedFd, dialect: Dialect, unnamed: Option<String>) -> Packets {
    Packets { socket, dialect, unnamed, drops: 0 }
}

/// A UDP socket. If it `shares` its port, the kernel distributes packets among the sockets by
/// their sender.
fn udp(address: SocketAddr, shares: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    if shares {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
    bind(&socket, &address)?;
    Ok(socket)
}

impl Address<PathBuf> {
    /// Binds a Unix socket for packets.
    pub(super) fn bind_packets(&self) -> Result<(SocketFile, Packets), BindError> {
        let (file, socket) = self.bind_with(|path| {
            let socket = UnixDatagram::bind(path)?;
            socket.set_nonblocking(true)?;
            sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
            Ok(socket)
        })?;
        let unnamed = Some(file.0.display().to_string());
        Ok((file, packets(socket.into(), self.dialect, unnamed)))
    }

    /// Binds a Unix socket for connections.
    pub(super) fn bind_stream(&self) -> Result<(SocketFile, Listener), BindError> {
        let (file, socket) = self.bind_with(|path| {
            let socket = UnixListener::bind(path)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })?;
        let sender = file.0.display().to_string();
        Ok((file, Listener::Unix(socket, self.dialect, sender)))
    }

    fn bind_with<S>(
        &self,
        bind: impl Fn(&Path) -> io::Result<S>,
    ) -> Result<(SocketFile, S), BindError> {
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
            Ok((SocketFile(path.clone()), socket))
        };
        let failed = |source| BindError { at: path.display().to_string(), source };
        bound.and_then(open).map_err(failed)
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

/// The file of a Unix socket. Dropping this removes it.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If it cannot be removed, the next start finds it abandoned.
        std::fs::remove_file(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, HostPort};
    use crate::intake::statsd::grammar::Dialect;
    use std::path::PathBuf;

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
            ("localhost:70000", "HOST:PORT"),
            ("udp://localhost:1", "dogstatsd://"),
        ] {
            assert!(of(text).unwrap_err().contains(part), "{text}");
        }
        let path = "dogstatsd:///run/x.sock".parse::<Address<PathBuf>>().unwrap();
        assert_eq!((path.dialect, path.at), (Dialect::Dogstatsd, "/run/x.sock".into()));
        assert!("statsd://".parse::<Address<PathBuf>>().is_err());
    }
}
