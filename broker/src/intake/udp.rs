//! UDP sockets, and the packets for which they had no room.

use super::IntakeContext;
use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, sockopt_impl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Size of a socket's receive buffer that is asked for, in bytes. It holds the packets of about 80 ms
/// at 300,000 packets per second, for which a busy machine may not run the receiving thread.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;

/// Pause after an error, because it may last. It ends early if the broker stops.
const PAUSE: Duration = Duration::from_millis(100);

/// The field of [`MemoryInfo`] that counts packets for which the socket had no room.
const DROPS: usize = 8;

sockopt_impl!(
    /// What the kernel knows about the memory of a socket.
    MemoryInfo, GetOnly, libc::SOL_SOCKET, libc::SO_MEMINFO, [u32; 9]
);

/// The packets that the kernel has dropped because they came faster than they were received, as far
/// as they are counted.
#[derive(Debug, Default)]
pub(super) struct KernelDrops(u32);

impl KernelDrops {
    /// Number of packets of the socket since the last call. 0 if the kernel does not tell.
    pub(super) fn more(&mut self, socket: &impl AsFd) -> u32 {
        let Ok(info) = getsockopt(socket, MemoryInfo) else { return 0 };
        // The number of the kernel wraps.
        info[DROPS].wrapping_sub(std::mem::replace(&mut self.0, info[DROPS]))
    }
}

/// Binds a UDP socket that does not block. If it `shares` its port, the kernel distributes packets
/// among the sockets by their sender.
pub(super) fn bind(address: SocketAddr, shares: bool) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    if shares {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    enlarge_buffer(&socket);
    rustix::net::bind(&socket, &address)?;
    Ok(socket.into())
}

/// Asks for a large receive buffer. The kernel grants at most `net.core.rmem_max`, except to a broker
/// with `CAP_NET_ADMIN`. A smaller buffer loses packets in bursts, but is no reason not to start.
pub(super) fn enlarge_buffer(socket: impl AsFd) {
    let forced = sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_BYTES);
    forced.or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES)).ok();
}

/// A UDP socket that does not block.
#[derive(Debug)]
pub(super) struct Udp {
    pub(super) socket: UdpSocket,
    drops: KernelDrops,
}

impl Udp {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { socket: bind(address, false)?, drops: KernelDrops::default() })
    }

    /// Receives a packet, if one has arrived. Errors are counted as `receive`.
    pub(super) fn receive(
        &self,
        context: &mut IntakeContext,
        packet: &mut [u8],
    ) -> Option<(usize, SocketAddr)> {
        loop {
            match self.socket.recv_from(packet) {
                Ok(received) => return Some(received),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => {
                    context.reject("receive", error.to_string().as_bytes());
                    let _is_over = context.stop().wait(PAUSE);
                    return None;
                }
            }
        }
    }

    /// Counts the packets that the kernel has dropped as `kernel`. The socket is readable after it
    /// has dropped packets, so it is enough to call this after reading.
    pub(super) fn count_drops(&mut self, context: &mut IntakeContext) {
        let new = self.drops.more(&self.socket);
        let sample = b"the kernel had no room for packets; see net.core.rmem_max";
        context.reject_many("kernel", u64::from(new), sample);
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{RECEIVE_BUFFER_BYTES, Udp};
    use crate::intake::{IntakeContext, Link};
    use rustix::net::sockopt;
    use std::fs::File;
    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use zibrato::daemon::Stop;
    use zibrato::wire::PublisherId;

    fn context() -> IntakeContext {
        let link = Arc::new(Link::new("udp", PublisherId::random()));
        let router = zmq::Context::new().socket(zmq::PUSH).unwrap();
        IntakeContext::new("udp", "info".to_owned(), Stop::new().unwrap(), router, link)
    }

    fn rejected(context: &IntakeContext, reason: &str) -> u64 {
        context.counters.rejected.get(reason).copied().unwrap_or_default()
    }

    #[test]
    fn a_socket_has_as_large_a_buffer_as_the_kernel_grants() {
        let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
        let granted = most.trim().parse::<usize>().unwrap().min(RECEIVE_BUFFER_BYTES);
        let plain = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let is_privileged = sockopt::set_socket_recv_buffer_size_force(&plain, 1 << 16).is_ok();
        let udp = Udp::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        // The kernel doubles the size, for its own data.
        let expected = 2 * if is_privileged { RECEIVE_BUFFER_BYTES } else { granted };
        assert_eq!(sockopt::socket_recv_buffer_size(&udp.socket).unwrap(), expected);
    }

    #[test]
    fn errors_are_counted_and_a_socket_without_packets_has_none() {
        let mut context = context();
        let mut udp = Udp::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        assert_eq!(udp.receive(&mut context, &mut [0; 9]), None);
        assert_eq!(rejected(&context, "receive"), 0);
        udp.socket = UdpSocket::from(OwnedFd::from(File::open("/dev/null").unwrap()));
        assert_eq!(udp.receive(&mut context, &mut [0; 9]), None);
        assert_eq!(rejected(&context, "receive"), 1);
    }

    #[test]
    fn packets_that_the_kernel_drops_are_counted_once() {
        let mut context = context();
        let mut udp = Udp::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let (sender, packet) = (UdpSocket::bind("127.0.0.1:0").unwrap(), [0; 60_000]);
        let address = udp.socket.local_addr().unwrap();
        for _ in 0..1_000 {
            sender.send_to(&packet, address).unwrap();
        }
        let mut received = 0;
        while udp.receive(&mut context, &mut [0; 9]).is_some() {
            received += 1;
        }
        udp.count_drops(&mut context);
        udp.count_drops(&mut context);
        assert_eq!(rejected(&context, "kernel"), 1_000 - received);
        assert!(received < 1_000);
    }
}
