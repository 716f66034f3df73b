//! A socket for packets, many of which are received with one system call.

use crate::intake::statsd::grammar::Dialect;
use crate::intake::statsd::shared::Received;
use crate::intake::udp::kernel_drops;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
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
pub(super) struct Buffers {
    bytes: Vec<u8>,
    headers: MultiHeaders<SockaddrStorage>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BATCH * STRIDE], headers: MultiHeaders::preallocate(BATCH, None) }
    }
}

/// A UDP socket, or a Unix socket for datagrams.
#[derive(Debug)]
pub(crate) struct Packets {
    pub(crate) socket: OwnedFd,
    pub(crate) dialect: Dialect,
    /// Who sends, if the socket has no addresses.
    pub(crate) unnamed: Option<String>,
    /// Packets that the kernel has dropped so far.
    pub(crate) drops: u32,
}

impl Packets {
    /// Receives what has arrived, at most one batch. Returns whether there may be more.
    pub(super) fn receive<'r>(
        &self,
        buffers: &mut Buffers,
        received: impl FnOnce() -> MutexGuard<'r, Received>,
    ) -> io::Result<bool> {
        let Buffers { bytes, headers } = buffers;
        let mut chunks = bytes.chunks_exact_mut(STRIDE);
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
            let sender: &dyn Display = match (&self.unnamed, &packet.address) {
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
        let Some(drops) = kernel_drops(&self.socket) else { return 0 };
        let new = drops.wrapping_sub(self.drops);
        self.drops = drops;
        new
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
