//! A socket for packets, many of which are received with one system call.

use crate::intake::statsd::grammar::Dialect;
use crate::intake::statsd::shared::Received;
use crate::intake::udp::KernelDrops;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg};
use std::fmt::Display;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::MutexGuard;
use zibrato::clock;

/// Number of packets that one system call receives.
const BATCH: usize = 64;

/// Maximum size of a packet, in bytes. UDP has no larger ones.
const MAX_PACKET: usize = 65_535;

/// Distance between packets in memory. It is no power of two, so that they do not all use the same
/// lines of the processor's cache.
const STRIDE: usize = MAX_PACKET + 1 + 17 * 64;

/// Memory for a batch of packets, which all sockets of a thread use.
pub(super) struct Buffers(Vec<u8>);

impl Buffers {
    pub(super) fn new() -> Self {
        Self(vec![0; BATCH * STRIDE])
    }
}

/// The addresses of the senders of a batch. Each socket has its own, because the length of an
/// address remains from the batch before. `None` if the socket has no addresses.
pub(super) struct Senders(Option<MultiHeaders<SockaddrStorage>>);

/// A UDP socket, or a Unix socket for datagrams.
#[derive(Debug)]
pub(crate) struct Packets {
    pub(crate) socket: OwnedFd,
    pub(crate) dialect: Dialect,
    /// Who sends, if the socket has no addresses.
    pub(crate) unnamed: Option<String>,
    drops: KernelDrops,
}

impl Packets {
    pub(crate) fn new(socket: OwnedFd, dialect: Dialect, unnamed: Option<String>) -> Self {
        Self { socket, dialect, unnamed, drops: KernelDrops::default() }
    }

    pub(super) fn senders(&self) -> Senders {
        Senders(self.unnamed.is_none().then(|| MultiHeaders::preallocate(BATCH, None)))
    }

    /// Receives what has arrived, at most one batch. Returns whether there may be more.
    pub(super) fn receive<'r>(
        &self,
        buffers: &mut Buffers,
        senders: &mut Senders,
        received: impl FnOnce() -> MutexGuard<'r, Received>,
    ) -> io::Result<bool> {
        match &mut senders.0 {
            Some(headers) => self.receive_with(buffers, headers, Some, received),
            None => {
                let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
                self.receive_with(buffers, &mut headers, |()| None, received)
            }
        }
    }

    fn receive_with<'r, S: SockaddrLike + Copy>(
        &self,
        buffers: &mut Buffers,
        headers: &mut MultiHeaders<S>,
        address: impl Fn(S) -> Option<SockaddrStorage>,
        received: impl FnOnce() -> MutexGuard<'r, Received>,
    ) -> io::Result<bool> {
        let mut chunks = buffers.0.chunks_exact_mut(STRIDE);
        let mut slices: [_; BATCH] = std::array::from_fn(|_| {
            let chunk = chunks.next().unwrap_or_default();
            let packet = chunk.get_mut(..MAX_PACKET).unwrap_or_default();
            [IoSliceMut::new(packet)]
        });
        let socket = self.socket.as_raw_fd();
        let packets = match recvmmsg(socket, headers, &mut slices, MsgFlags::MSG_DONTWAIT, None) {
            Ok(packets) => packets,
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let (now_ms, mut count) = (clock::unix_ms(), 0);
        let mut received = received();
        for packet in packets {
            count += 1;
            let bytes = packet.iovs().next().unwrap_or_default();
            let address = packet.address.and_then(&address);
            let sender: &dyn Display = match (&self.unnamed, &address) {
                (Some(path), _) => path,
                (None, Some(address)) => address,
                (None, None) => &"?",
            };
            // The last line of a packet that was cut is not whole.
            let is_cut = packet.flags.contains(MsgFlags::MSG_TRUNC);
            let end =
                memchr::memrchr(b'\n', bytes).filter(|_| is_cut).map_or(bytes.len(), |end| end + 1);
            received.take(&bytes[..end], self.dialect, sender, now_ms);
            if is_cut {
                let sample = || format!("{sender}: a packet of more than 64 KiB");
                received.counts.reject("truncated", 1, sample);
            }
        }
        Ok(count == BATCH)
    }

    /// Number of packets that the kernel has dropped since the last call, because they came faster
    /// than they were received.
    pub(super) fn new_drops(&mut self) -> u32 {
        self.drops.more(&self.socket)
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffers, Packets};
    use crate::intake::statsd::grammar::Dialect;
    use crate::intake::statsd::shared::Shared;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;

    fn packets(socket: impl Into<std::os::fd::OwnedFd>, unnamed: Option<&str>) -> Packets {
        let (socket, unnamed) = (socket.into(), unnamed.map(str::to_owned));
        Packets::new(socket, Dialect::Statsd, unnamed)
    }

    #[test]
    fn each_sender_is_named_whatever_other_sockets_received() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let unix = UnixDatagram::bind(&path).unwrap();
        let clients = ["named.sock", "a-longer-name.sock"]
            .map(|name| UnixDatagram::bind(folder.path().join(name)).unwrap());
        let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (v4_at, v4_client) =
            (v4.local_addr().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        // Not each machine has IPv6.
        let v6 = UdpSocket::bind("[::1]:0").ok();
        let mut sockets = vec![packets(unix, Some("/s.sock")), packets(v4, None)];
        let mut expected = vec!["/s.sock".to_owned(), v4_client.local_addr().unwrap().to_string()];
        let v6 = v6.map(|v6| {
            let at = v6.local_addr().unwrap();
            sockets.push(packets(v6, None));
            let client = UdpSocket::bind("[::1]:0").unwrap();
            expected.push(client.local_addr().unwrap().to_string());
            (client, at)
        });
        let mut buffers = Buffers::new();
        let mut senders: Vec<_> = sockets.iter().map(Packets::senders).collect();
        for round in 0..2 {
            for client in &clients {
                client.send_to(b"bad", &path).unwrap();
            }
            v4_client.send_to(b"bad", v4_at).unwrap();
            if let Some((client, at)) = &v6 {
                client.send_to(b"bad", at).unwrap();
            }
            for ((socket, senders), expected) in sockets.iter().zip(&mut senders).zip(&expected) {
                let shared = Shared::new(10);
                socket.receive(&mut buffers, senders, || shared.lock()).unwrap();
                let sample = &shared.lock().counts.rejected["fields"].sample;
                assert_eq!(*sample, format!("{expected}: bad"), "round {round}");
            }
        }
    }
}
