//! Binds the four sockets to the ports of a host, to a folder, or to both.

use crate::config::{Config, Exposure};
use crate::curve::{KeyStore, ZapThread, secure};
use crate::intake::{SOCKETS, Unprotected};
use crate::ipc::Folder;
use crate::ports::{MAX_BASE_PORT, Ports};
use crate::sockets::{REPLAY, SUBSCRIBERS, SocketSpec};
use crate::start_error::StartError;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use zibrato::resources::new_context;

/// The host name that disables TCP.
pub(crate) const NO_TCP: &str = "off";

/// Number of attempts to find a free base port.
const ATTEMPTS: usize = 100;

/// Maximum number of sockets of a context, without those of intakes that have a thread: the sockets
/// of the endpoints, both sides of their monitors, and those for key checks.
const MAX_SOCKETS: usize = 16;

/// Seconds of silence after which the system sends a keep-alive probe.
const KEEPALIVE_IDLE: i32 = 60;

/// Timeout of the handshake, in milliseconds. With libzmq's default of 30 s, ten thousand silent
/// peers would slow libzmq down, because it walks the list of these peers whenever a connection
/// ends.
const HANDSHAKE_MS: i32 = 5_000;

/// The sockets of the router.
pub(crate) struct Sockets {
    pub(crate) context: zmq::Context,
    pub(crate) publish: zmq::Socket,
    /// The sockets of the ZeroMQ intakes, in the order of their table.
    pub(crate) intakes: Vec<zmq::Socket>,
    pub(crate) ports: Ports,
    /// The allowed keys and the thread that checks them, if the broker encrypts. The thread must
    /// end before the context is dropped.
    pub(crate) key_store: Option<(Arc<KeyStore>, ZapThread)>,
}

impl Config {
    /// Checks everything that can be checked without listening.
    ///
    /// # Errors
    /// As [`Broker::start`](crate::Broker::start).
    pub fn check(&self) -> Result<(), StartError> {
        self.address()?;
        self.check_intakes()?;
        self.key_store().map(drop)
    }

    fn check_intakes(&self) -> Result<(), StartError> {
        self.exposed_intakes().next().map_or(Ok(()), Err)
    }

    /// The addresses of intakes that other machines can reach, unless that is allowed. Keys do not
    /// protect them.
    pub(crate) fn exposed_intakes(&self) -> impl Iterator<Item = StartError> + '_ {
        let intakes = self.intakes.iter().filter(|_| self.exposure == Exposure::Loopback);
        let exposed = intakes.flat_map(|intake| intake.unprotected());
        exposed.filter(Unprotected::is_exposed).map(StartError::ExposedIntake)
    }

    pub(crate) fn address(&self) -> Result<Option<IpAddr>, StartError> {
        if self.port > MAX_BASE_PORT {
            return Err(StartError::PortRange { port: self.port });
        }
        if let Some((folder, _)) = &self.ipc {
            Folder::check(folder)?;
        }
        let http = self.http.map(|http| http.ip());
        let tcp = if self.host == NO_TCP { None } else { Some(resolve(&self.host)?) };
        if tcp.is_none() && self.ipc.is_none() {
            return Err(StartError::Nowhere);
        }
        // Keys protect the sockets, but not the pages.
        let unprotected = tcp.filter(|_| self.curve.is_none()).into_iter().chain(http);
        let exposed = { unprotected }.find(|address| !address.is_loopback());
        match (self.exposure, exposed) {
            (Exposure::Loopback, Some(address)) if tcp == Some(address) && self.curve.is_none() => {
                Err(StartError::Exposed { address })
            }
            (Exposure::Loopback, Some(address)) => Err(StartError::ExposedPages { address }),
            _ => Ok(tcp),
        }
    }

    pub(crate) fn key_store(&self) -> Result<Option<KeyStore>, StartError> {
        let Some((key, allowed)) = &self.curve else { return Ok(None) };
        Ok(Some(KeyStore::open(key.clone(), allowed.clone())?))
    }

    /// Opens and binds the router's sockets, and the one for replay.
    pub(crate) fn bind(&self) -> Result<(Sockets, zmq::Socket), StartError> {
        let address = self.address()?;
        self.check_intakes()?;
        let key_store = self.key_store()?.map(Arc::new);
        let folder = self.ipc.as_ref().map(|(folder, mode)| Folder::take(folder, *mode));
        let folder = folder.transpose()?.map(Arc::new);
        let at = |base| {
            self.bind_at(Ports { address, base, folder: folder.clone() }, key_store.as_ref())
        };
        let Some(address) = address.filter(|_| self.port == 0) else { return at(self.port) };
        for _ in 0..ATTEMPTS {
            let free = TcpListener::bind((address, 0)).and_then(|probe| probe.local_addr());
            let base = free.map_err(|source| StartError::NoAddress { address, source })?.port();
            if base > MAX_BASE_PORT {
                continue;
            }
            match at(base) {
                Err(StartError::PortInUse { .. }) => {}
                bound => return bound,
            }
        }
        Err(StartError::NoFreePorts { address })
    }

    fn bind_at(
        &self,
        ports: Ports,
        key_store: Option<&Arc<KeyStore>>,
    ) -> Result<(Sockets, zmq::Socket), StartError> {
        let sockets = MAX_SOCKETS + 2 * self.intakes.len();
        let context = new_context(sockets).map_err(StartError::Shortage)?;
        // Started before the first connection, so that it checks all of them.
        let zap = key_store
            .map(|key_store| ZapThread::start(&context, Arc::clone(key_store)))
            .transpose()?;
        let key_store = key_store.map(Arc::clone);
        let open = |spec: &SocketSpec| self.open(&context, spec, &ports, key_store.as_deref());
        // The port for publishers is bound first, so that an error names the lowest port that is in
        // use.
        let (first, others) = SOCKETS.split_at(1);
        let mut intakes = first.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let publish = open(&SUBSCRIBERS)?;
        for spec in others {
            intakes.push(open(spec)?);
        }
        let replay = open(&REPLAY)?;
        let key_store = key_store.zip(zap);
        Ok((Sockets { context, publish, intakes, ports, key_store }, replay))
    }

    /// Opens a socket that listens at an endpoint, with the options of all sockets.
    fn open(
        &self,
        context: &zmq::Context,
        spec: &SocketSpec,
        ports: &Ports,
        key_store: Option<&KeyStore>,
    ) -> Result<zmq::Socket, StartError> {
        let mut socket = context.socket(spec.kind).map_err(StartError::Socket)?;
        let max_frame = i64::try_from(self.max_frame).unwrap_or(i64::MAX);
        self.set_up(&socket, ports, spec.max_bytes.unwrap_or(max_frame))
            .and_then(|()| (spec.set_options)(&socket))
            .map_err(StartError::Socket)?;
        if let Some(key_store) = key_store {
            secure(&mut socket, key_store.key()).map_err(StartError::Socket)?;
        }
        ports.listen(&socket, spec.endpoint)?;
        Ok(socket)
    }

    fn set_up(&self, socket: &zmq::Socket, ports: &Ports, max_bytes: i64) -> zmq::Result<()> {
        let high_water = i32::try_from(self.high_water).unwrap_or(i32::MAX).max(1);
        socket.set_sndhwm(high_water)?;
        socket.set_rcvhwm(high_water)?;
        socket.set_maxmsgsize(max_bytes)?;
        socket.set_linger(0)?;
        socket.set_handshake_ivl(HANDSHAKE_MS)?;
        socket.set_ipv6(ports.address.is_some_and(|address| address.is_ipv6()))?;
        // Without keep-alive, the queue of a machine that fails would be kept for ever. (ZMTP
        // heartbeats would detect it too, but made libzmq crash with slow subscribers. The libzmq
        // that the `zmq` crate compiles ignores this option. With that libzmq, the system ends the
        // connection after a quarter of an hour without TCP acknowledgements.)
        socket.set_tcp_keepalive(1)?;
        socket.set_tcp_keepalive_idle(KEEPALIVE_IDLE)
    }
}

/// The first IPv4 address of a host, or its first address if it has none. `*` means every address.
fn resolve(host: &str) -> Result<IpAddr, StartError> {
    if host == "*" {
        return Ok(Ipv4Addr::UNSPECIFIED.into());
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bare.and_then(|bare| bare.parse::<Ipv6Addr>().ok()) {
        return Ok(address.into());
    }
    let unknown = |source| StartError::UnknownHost { host: host.to_owned(), source };
    let all: Vec<_> = (host, 0).to_socket_addrs().map_err(unknown)?.collect();
    let first = all.iter().find(|address| address.is_ipv4()).or(all.first());
    first.map(SocketAddr::ip).ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use crate::config::Config;
    use crate::intake::collectd::Collectd;
    use crate::intake::statsd::Statsd;
    use crate::ports::MAX_BASE_PORT;
    use crate::start_error::StartError;

    #[test]
    fn names_and_addresses_are_resolved() {
        for (host, address) in [
            ("localhost", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("*", "0.0.0.0"),
        ] {
            assert_eq!(resolve(host).unwrap().to_string(), address, "{host}");
        }
        for host in ["", "no such host", "ipc:///tmp/x", "host.invalid."] {
            assert!(matches!(resolve(host), Err(StartError::UnknownHost { .. })), "{host:?}");
        }
    }

    #[test]
    fn only_loopback_is_bound_unless_agreed_to() {
        for host in ["0.0.0.0", "*", "::", "10.0.0.1"] {
            let config = Config::new().host(host);
            assert!(matches!(config.check(), Err(StartError::Exposed { .. })), "{host}");
            config.insecure().check().unwrap();
        }
        let config = Config::new().http(Some("0.0.0.0:5580".parse().unwrap()));
        assert!(matches!(config.check(), Err(StartError::ExposedPages { .. })));
        for host in ["127.0.0.1", "127.9.9.9", "::1", "localhost"] {
            Config::new().host(host).check().unwrap();
        }
    }

    #[test]
    fn an_intake_without_protection_listens_on_loopback_unless_agreed_to() {
        let collectd = |at| Config::new().intake(Collectd::new().listen(at).unwrap());
        let statsd = |at| Config::new().intake(Statsd::new().listen(at).unwrap());
        for (exposed, flag) in [
            (collectd("0.0.0.0:0"), "--collectd 0.0.0.0:0 "),
            (collectd("239.192.74.66:0"), "--collectd 239.192.74.66:0 "),
            (statsd("dogstatsd://[::]:0"), "--statsd [::]:0 "),
            (
                Config::new().intake(Statsd::new().admin("10.0.0.1:0").unwrap()),
                "--statsd-admin 10.0.0.1:0 ",
            ),
        ] {
            let error = exposed.check().unwrap_err();
            assert!(matches!(error, StartError::ExposedIntake(_)), "{error}");
            let error = exposed.bind().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with(flag) && error.contains("--insecure"), "{error}");
            exposed.insecure().check().unwrap();
        }
        for config in [
            collectd("127.0.0.1:0"),
            statsd("localhost:0"),
            Config::new().intake(Collectd::new().listen("0.0.0.0:0").unwrap().require_signatures()),
        ] {
            config.check().unwrap();
        }
    }

    #[test]
    fn ports_that_leave_no_room_are_refused() {
        Config::new().port(MAX_BASE_PORT).check().unwrap();
        for port in [MAX_BASE_PORT + 1, u16::MAX] {
            let error = Config::new().port(port).check().unwrap_err();
            assert!(matches!(error, StartError::PortRange { .. }), "{error}");
        }
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        // An address of TEST-NET-1, which no machine has.
        let bound = Config::new().host("192.0.2.1").insecure().port(0).bind();
        let error = bound.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("192.0.2.1 is not an address of this machine"), "{error}");
    }
}
