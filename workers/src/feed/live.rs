//! The live stream of a broker: what it publishes while the worker listens.

use super::monitor::Monitor;
use super::presence::{Change, Presence};
use super::{Feed, MAX_FRAMES, OpenError, resolve};
use crate::levels::Levels;
use crate::thread::OwnedThread;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use zibrato::curve::Curve;
use zibrato::daemon::Stop;
use zibrato::resources::new_context;
use zibrato::wire::{Endpoint, LEVELS_TOPIC, MAX_FRAME_BYTES};

/// How many messages wait in the socket, at most. Beyond them the broker drops and counts.
const MAX_WAITING: i32 = 10_000;

/// How often a broker that is not there is connected to anew. Once libzmq has been refused it does
/// not try again by itself, and the broker may be set up otherwise later: it lets the key in, or no
/// longer encrypts.
const KNOCK_AGAIN: Duration = Duration::from_secs(5);

/// One of the endpoints of a broker, and how it is talked to there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) curve: Option<Curve>,
    pub(crate) endpoint: Endpoint,
}

impl Broker {
    /// Where a broker publishes.
    pub(crate) fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, curve: None, endpoint: Endpoint::Subscribers }
    }

    /// Where the same broker hands its journal out: the next port. `None` when there is no next one.
    pub(crate) fn replay(&self) -> Option<Self> {
        let (port, endpoint) = (self.port.checked_add(1)?, Endpoint::Replay);
        Some(Self { port, endpoint, ..self.clone() })
    }

    /// The host without the brackets that an IPv6 address may have.
    pub(crate) fn bare_host(&self) -> &str {
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        bare.unwrap_or(&self.host)
    }

    /// Where to connect to. `None` when the host is neither a name nor an address nor a folder, or
    /// the port is 0.
    pub(crate) fn endpoint(&self) -> Option<String> {
        if let Some(file) = self.endpoint.ipc_endpoint(&self.host) {
            return Some(file);
        }
        let bare = self.bare_host();
        let (address, _zone) = bare.split_once('%').unwrap_or((bare, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if self.port == 0 {
            None
        } else if address.parse::<Ipv6Addr>().is_ok() {
            Some(format!("tcp://[{bare}]:{}", self.port))
        } else if !bare.is_empty() && bare.chars().all(is_name) {
            Some(format!("tcp://{bare}:{}", self.port))
        } else {
            None
        }
    }

    /// Begins to talk to the broker through a new socket.
    pub(crate) fn connect(&self, socket: &zmq::Socket, endpoint: &str) -> zmq::Result<()> {
        // With IPv6 switched on a name is looked up as IPv6 only, where `localhost` is often not
        // what the broker binds.
        socket.set_ipv6(endpoint.contains('['))?;
        if let Some(curve) = &self.curve {
            curve.secure(socket)?;
        }
        socket.connect(endpoint)
    }
}

/// A subscription to some levels of a broker, which need not be there yet.
pub(crate) struct LiveFeed {
    socket: zmq::Socket,
    monitor: Monitor,
    broker: Broker,
    endpoint: String,
    presence: Presence,
    /// When the connection was last begun anew.
    knocked: Instant,
    /// Whether it is to be begun anew once nothing is left to read.
    stale: bool,
    frames: Vec<zmq::Message>,
    resolving: Option<OwnedThread>,
}

impl LiveFeed {
    /// Subscribes. Connects, and connects again, in the background.
    pub(crate) fn connect(broker: Broker, levels: &Levels) -> Result<Self, OpenError> {
        let endpoint = broker.endpoint().ok_or(zmq::Error::EINVAL)?;
        let context = new_context(2)?;
        let socket = context.socket(zmq::SUB)?;
        let monitor = Monitor::of(&context, &socket)?;
        socket.set_linger(0)?;
        socket.set_rcvhwm(MAX_WAITING)?;
        socket.set_maxmsgsize(MAX_FRAME_BYTES as i64)?;
        socket.set_reconnect_ivl(100)?;
        // A broker that starts waits a second for its subscribers before it hands anything on.
        socket.set_reconnect_ivl_max(400)?;
        for topic in levels.topics() {
            socket.set_subscribe(topic.as_bytes())?;
        }
        socket.set_subscribe(LEVELS_TOPIC.as_bytes())?;
        broker.connect(&socket, &endpoint)?;
        let knocked = Instant::now();
        let (presence, frames) = (Presence::new(knocked), Vec::new());
        let (stale, resolving) = (false, None);
        Ok(Self { socket, monitor, broker, endpoint, presence, knocked, stale, frames, resolving })
    }

    fn tell(&mut self, change: Option<Change>) {
        let endpoint = &*self.endpoint;
        match change {
            None => return,
            Some(Change::Connected) => tracing::info!(event = "broker_connected", endpoint),
            Some(Change::Lost) => {
                tracing::warn!(event = "broker_lost", endpoint);
                self.stale = true;
            }
            Some(Change::Waiting) => tracing::warn!(event = "waiting_for_broker", endpoint),
        }
        if change == Some(Change::Connected) {
            self.resolving = None;
        } else {
            self.resolving = resolve::explain(self.broker.clone());
        }
    }

    /// Begins the connection anew. A broker whose machine is gone says no goodbye, and TCP's
    /// keep-alive is not to be had from every libzmq; the one that is compiled in ignores it.
    ///
    /// To be called only when nothing is left to read. A poll takes the first frame of a message out
    /// of the connection; without the connection libzmq does not find the second and aborts.
    fn reconnect(&mut self) {
        (self.knocked, self.stale) = (Instant::now(), false);
        let again = self.socket.disconnect(&self.endpoint);
        if let Err(why) = again.and_then(|()| self.socket.connect(&self.endpoint)) {
            tracing::warn!(event = "reconnect", endpoint = self.endpoint, %why);
        }
    }

    /// Receives the frames of one message.
    fn receive(&mut self) -> Result<(), zmq::Error> {
        self.frames.clear();
        loop {
            let mut frame = zmq::Message::new();
            match self.socket.recv(&mut frame, zmq::DONTWAIT) {
                Ok(()) => (),
                Err(zmq::Error::EINTR) => continue,
                Err(error) => return Err(error),
            }
            let more = frame.get_more();
            if self.frames.len() < MAX_FRAMES {
                self.frames.push(frame);
            }
            if !more {
                return Ok(());
            }
        }
    }
}

impl Feed for LiveFeed {
    fn wait(&mut self, timeout: Duration, stop: Option<&Stop>) {
        // Rounded up, so that a wait for part of a millisecond does not become a spin.
        let millis = timeout.as_micros().div_ceil(1000) as i64;
        let mut items = vec![self.socket.as_poll_item(zmq::POLLIN), self.monitor.poll_item()];
        items.extend(stop.map(|stop| zmq::PollItem::from_fd(stop.as_raw_fd(), zmq::POLLIN)));
        if let Err(why) = zmq::poll(&mut items, millis) {
            // An interrupted wait; whoever waits looks again.
            tracing::trace!(event = "poll_interrupted", %why);
        }
        let now = Instant::now();
        if self.monitor.ended() && self.presence.ended(now) {
            tracing::debug!(event = "connection_ended", endpoint = self.endpoint);
        }
        let change = self.presence.passed(now);
        self.tell(change);
        if !self.connected() && self.knocked.elapsed() >= KNOCK_AGAIN {
            self.stale = true;
        }
    }

    fn next(&mut self) -> Option<&[zmq::Message]> {
        // An error says that nothing is there.
        if self.receive().is_err() {
            if self.stale {
                self.reconnect();
            }
            return None;
        }
        let change = self.presence.heard(Instant::now());
        self.tell(change);
        Some(&self.frames)
    }

    fn connected(&self) -> bool {
        self.presence.is_present()
    }
}

#[cfg(test)]
mod tests {
    use super::{Broker, Change, Feed, KNOCK_AGAIN, LiveFeed};
    use crate::levels::Levels;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    fn endpoint(host: &str) -> Option<String> {
        Broker::new(host, 5551).endpoint()
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        for (host, expected) in [
            ("127.0.0.1", "tcp://127.0.0.1:5551"),
            ("broker_1.example.com", "tcp://broker_1.example.com:5551"),
            ("::1", "tcp://[::1]:5551"),
            ("[::1]", "tcp://[::1]:5551"),
            ("fe80::1%eth0", "tcp://[fe80::1%eth0]:5551"),
            ("ipc:///run/zibrato", "ipc:///run/zibrato/subscribers.sock"),
        ] {
            assert_eq!(endpoint(host).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_broker_that_is_lost_is_connected_to_anew() {
        let publisher = zmq::Context::new().socket(zmq::XPUB).unwrap();
        publisher.set_rcvtimeo(10_000).unwrap();
        // Each subscription is told, also one that somebody has already.
        publisher.set_xpub_verbose(true).unwrap();
        publisher.bind("tcp://127.0.0.1:*").unwrap();
        let bound = publisher.get_last_endpoint().unwrap().unwrap();
        let port = bound.rsplit_once(':').unwrap().1.parse().unwrap();
        let broker = Broker::new("127.0.0.1", port);
        let mut feed = LiveFeed::connect(broker, &Levels::default()).unwrap();
        let heard = |what: &[u8]| while publisher.recv_bytes(0).unwrap() != what {};
        heard(b"\x01zb1|info|");
        feed.tell(Some(Change::Lost));
        assert!(feed.next().is_none());
        heard(b"\x01zb1|info|");
        // What has come before is read before that.
        publisher.send_multipart(["zb!levels", "more"], 0).unwrap();
        let deadline = Instant::now() + KNOCK_AGAIN * 6;
        while !feed.socket.get_events().unwrap().contains(zmq::POLLIN) {
            assert!(Instant::now() < deadline, "nothing comes");
            feed.wait(Duration::from_millis(50), None);
        }
        feed.tell(Some(Change::Lost));
        assert_eq!(feed.next().unwrap().len(), 2);
        assert!(feed.next().is_none());
        heard(b"\x01zb1|info|");
    }

    #[test]
    fn a_broker_that_refused_is_connected_to_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let broker = Broker::new("127.0.0.1", listener.local_addr().unwrap().port());
        let mut feed = LiveFeed::connect(broker, &Levels::default()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut accept = || {
            let deadline = Instant::now() + KNOCK_AGAIN * 6;
            loop {
                if let Ok((connection, _)) = listener.accept() {
                    connection.set_nonblocking(false).unwrap();
                    return connection;
                }
                assert!(Instant::now() < deadline, "it does not come back");
                feed.wait(Duration::from_millis(50), None);
                assert!(feed.next().is_none());
            }
        };
        // What a server says first that wants a user and a password: libzmq ends the connection,
        // and does not try again.
        let mut greeting = [0; 64];
        (greeting[0], greeting[9], greeting[10], greeting[32]) = (0xff, 0x7f, 3, 1);
        greeting[12..17].copy_from_slice(b"PLAIN");
        for _ in 0..2 {
            let mut refused = accept();
            refused.write_all(&greeting).unwrap();
            refused.read_to_end(&mut Vec::new()).ok();
        }
        accept();
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in ["", "a b", "tcp://a", "a:5551", "[a]x", "*", "a/b", "a;b", "\n"] {
            assert_eq!(endpoint(host), None, "{host:?}");
        }
        assert_eq!(Broker::new("a", 0).endpoint(), None);
    }
}
