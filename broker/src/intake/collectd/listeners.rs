//! The UDP sockets that CollectD sends to.

use crate::intake::udp::Udp;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// A host and a port, as `HOST:PORT`. The host is looked up when it is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(String);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        match parts.and_then(|(_, port)| port.parse::<u16>().ok()) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err("expected HOST:PORT, such as 127.0.0.1:25826".to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Binds a socket. If the host is a multicast group, it joins the group.
pub(super) fn bind(address: &Address) -> io::Result<Udp> {
    let mut addresses = address.0.to_socket_addrs()?;
    let address = addresses.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
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
    use super::{Address, bind};
    use rustix::io::Errno;

    fn address(text: &str) -> Result<Address, String> {
        text.parse()
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["127.0.0.1:25826", "[::1]:0", "localhost:1", "[ff18::efc0:4a42]:25826"] {
            assert_eq!(address(good).unwrap().to_string(), good);
        }
        for bad in ["", "127.0.0.1", ":25826", "a:b", "a:65536", "25826"] {
            assert!(address(bad).unwrap_err().contains("HOST:PORT"), "{bad}");
        }
    }

    #[test]
    fn a_second_socket_of_an_address_is_an_error() {
        let socket = bind(&address("127.0.0.1:0").unwrap()).unwrap().socket;
        let taken = address(&socket.local_addr().unwrap().to_string()).unwrap();
        assert_eq!(bind(&taken).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_multicast_group_is_joined() {
        let socket = match bind(&address("239.192.74.66:0").unwrap()) {
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
