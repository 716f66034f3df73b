//! UDP sockets, and the packets for which they had no room.

use super::IntakeContext;
use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, sockopt_impl};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Size of a socket's receive buffer that is asked for, in bytes. The kernel grants at most
/// `net.core.rmem_max`.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Pause after an error, because it may last. It ends early if the broker stops.
const PAUSE: Duration = Duration::from_millis(100);

/// The field of [`MemoryInfo`] that counts packets for which the socket had no room.
const DROPS: usize = 8;

sockopt_impl!(
    /// What the kernel knows about the memory of a socket.
    MemoryInfo, GetOnly, libc::SOL_SOCKET, libc::SO_MEMINFO, [u32; 9]
);

/// Number of packets that the kernel has dropped so far, because they came faster than they were
/// received. It wraps. `None` if the kernel does not tell.
pub(super) fn kernel_drops(socket: &impl AsFd) -> Option<u32> {
    getsockopt(socket, MemoryInfo).ok().map(|info| info[DROPS])
}

/// A UDP socket that does not block.
#[derive(Debug)]
pub(super) struct Udp {
    pub(super) socket: UdpSocket,
    /// Packets that the kernel has dropped, as far as they are counted.
    drops: u32,
}

impl Udp {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        // A smaller buffer loses packets in bursts, but is no reason not to start.
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES).ok();
        Ok(Self { socket, drops: 0 })
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
        let Some(drops) = kernel_drops(&self.socket) else { return };
        let new = drops.wrapping_sub(self.drops);
        self.drops = drops;
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
    use super::Udp;
    use crate::intake::{IntakeContext, Link};
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
