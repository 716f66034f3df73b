//! The UDP sockets that CollectD sends to.

use crate::intake::udp::Udp;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Binds a socket. If the host is a multicast group, it joins the group.
pub(super) fn bind(address: SocketAddr) -> io::Result<Udp> {
    let udp = Udp::bind(address)?;
    let socket = &udp.socket;
    match address.ip() {
        IpAddr::V4(group) if group.is_multicast() => {
            socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
        }
        IpAddr::V6(group) if group.is_multicast() => {
            let interface = match address {
                SocketAddr::V6(address) => address.scope_id(),
                SocketAddr::V4(_) => 0,
            };
            socket.join_multicast_v6(&group, interface)?;
        }
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Ok(udp)
}

#[cfg(test)]
mod tests {
    use super::bind;
    use rustix::io::Errno;

    #[test]
    fn a_second_socket_of_an_address_is_an_error() {
        let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap().socket;
        assert_eq!(
            bind(socket.local_addr().unwrap()).unwrap_err().kind(),
            std::io::ErrorKind::AddrInUse
        );
    }

    #[test]
    fn a_multicast_group_is_joined() {
        let socket = match bind("239.192.74.66:0".parse().unwrap()) {
            Ok(udp) => udp.socket,
            // A machine without a network has no interface to join on.
            Err(error) => {
                return assert_eq!(Errno::from_io_error(&error), Some(Errno::NODEV));
            }
        };
        let group = socket.local_addr().unwrap();
        assert!(group.ip().is_multicast());
        let mut datagram = [0; 2];
        std::net::UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"x", group).unwrap();
        let begun = std::time::Instant::now();
        while socket.recv(&mut datagram).is_err() {
            assert!(begun.elapsed() < std::time::Duration::from_secs(20), "nothing arrived");
            std::thread::yield_now();
        }
    }
}
