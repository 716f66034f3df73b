//! The live stream of a broker: the messages that it publishes while the worker is subscribed.

use super::broker::{Broker, NOT_HEARD};
use super::presence::{Change, Presence};
use super::{Event, Feed, Guarantee, Health, OpenError, Wait, resolve};
use crate::levels::Levels;
use crate::progress::Checkpoint;
use crate::thread::OwnedThread;
use std::time::{Duration, Instant};
use zibrato::monitored::MonitoredSocket;
use zibrato::resources::new_context;
use zibrato::wire::{LEVELS_TOPIC, MAX_FRAME_BYTES};

/// Maximum number of messages queued in the socket. Beyond it the broker drops and counts messages.
const MAX_WAITING: i32 = 10_000;

/// Number of frames of a message that are kept. A batch has fewer, so a longer message is rejected
/// anyway.
const MAX_FRAMES: usize = 5;

/// Prefix of the topics of control messages.
const CONTROL_PREFIX: &[u8] = b"zb!";

/// Interval of attempts to reconnect to a silent broker. libzmq does not reconnect after a refusal,
/// and the configuration of the broker may have changed since.
const RECONNECT_AFTER: Duration = Duration::from_secs(5);

/// A subscription to levels of a broker. The broker may start later.
pub(crate) struct LiveFeed {
    socket: MonitoredSocket,
    broker: Broker,
    endpoint: String,
    presence: Presence,
    /// Time of the last connection attempt.
    connected: Instant,
    /// Whether to reconnect once all received messages have been read.
    stale: bool,
    frames: Vec<zmq::Message>,
    resolving: Option<OwnedThread>,
}

impl LiveFeed {
    /// Subscribes. The connection is established, and restored, in the background.
    pub(crate) fn connect(broker: Broker, levels: &Levels) -> Result<Self, OpenError> {
        let endpoint = broker.endpoint().ok_or(zmq::Error::EINVAL)?;
        let context = new_context(2)?;
        let socket = MonitoredSocket::new(&context, zmq::SUB, &[zmq::SocketEvent::DISCONNECTED])?;
        socket.set_linger(0)?;
        socket.set_rcvhwm(MAX_WAITING)?;
        socket.set_maxmsgsize(MAX_FRAME_BYTES as i64)?;
        socket.set_reconnect_ivl(100)?;
        // A broker waits a second after its start before it publishes, so that subscribers can
        // reconnect.
        socket.set_reconnect_ivl_max(400)?;
        for topic in levels.topics() {
            socket.set_subscribe(topic.as_bytes())?;
        }
        socket.set_subscribe(LEVELS_TOPIC.as_bytes())?;
        broker.connect(&socket, &endpoint)?;
        let connected = Instant::now();
        let (presence, frames) = (Presence::new(connected), Vec::new());
        let (stale, resolving) = (false, None);
        Ok(Self { socket, broker, endpoint, presence, connected, stale, frames, resolving })
    }

    fn log(&mut self, change: Option<Change>) {
        let (host, port) = (&*self.broker.host, self.broker.tcp_port());
        match change {
            None => return,
            Some(Change::Connected) => tracing::info!(event = "broker_connected", host, port),
            Some(Change::Lost) => {
                tracing::warn!(event = "broker_lost", host, port);
                self.stale = true;
            }
            Some(Change::Waiting) => tracing::warn!(event = "waiting_for_broker", host, port),
        }
        if change == Some(Change::Connected) {
            self.resolving = None;
        } else {
            self.resolving = resolve::explain(self.broker.clone());
        }
    }

    /// Reconnects. A broker whose machine has failed does not close the connection, and not every
    /// libzmq has TCP keep-alive: the one that the `zmq` crate compiles ignores the option.
    ///
    /// Call this only when no message is left to read. A poll removes the first frame of a message
    /// from the connection. If the connection is then closed, libzmq cannot find the second frame
    /// and aborts.
    fn reconnect(&mut self) {
        (self.connected, self.stale) = (Instant::now(), false);
        let again = self.socket.disconnect(&self.endpoint);
        if let Err(why) = again.and_then(|()| self.socket.connect(&self.endpoint)) {
            tracing::warn!(event = "reconnect", endpoint = self.endpoint, %why);
        }
    }

    /// Receives a message, and returns whether there was one.
    fn receive(&mut self) -> bool {
        if self.receive_frames().is_ok() {
            let change = self.presence.heard(Instant::now());
            self.log(change);
            return true;
        }
        // An error means that no message is available.
        if self.stale {
            self.reconnect();
        }
        false
    }

    /// Receives the frames of one message.
    fn receive_frames(&mut self) -> Result<(), zmq::Error> {
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

    /// Waits for a message, and checks whether the connection has ended.
    fn wait(&mut self, wait: &Wait<'_>) {
        let items = vec![self.socket.as_poll_item(zmq::POLLIN), self.socket.event_item()];
        wait.poll(items, wait.until());
        let now = Instant::now();
        if self.socket.discard_events() && self.presence.ended(now) {
            tracing::debug!(event = "connection_ended", endpoint = self.endpoint);
        }
        let change = self.presence.passed(now);
        self.log(change);
        if !self.presence.is_present() && self.connected.elapsed() >= RECONNECT_AFTER {
            self.stale = true;
        }
    }
}

impl Feed for LiveFeed {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtMostOnce
    }

    fn next(&mut self, wait: &Wait<'_>) -> Event<'_> {
        if !self.receive() {
            self.wait(wait);
            if !self.receive() {
                return Event::Idle;
            }
        }
        let frames: Vec<&[u8]> = self.frames.iter().map(|frame| &**frame).collect();
        if frames[0].starts_with(CONTROL_PREFIX) {
            return Event::Idle;
        }
        Event::Batch { frames, at: Checkpoint::default() }
    }

    fn health(&self) -> Health<'_> {
        if self.presence.is_present() { Health::Connected } else { Health::Disconnected(NOT_HEARD) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Broker, Change, Event, Feed, LiveFeed, RECONNECT_AFTER, Wait};
    use crate::levels::Levels;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    fn wait(millis: u64) -> Wait<'static> {
        Wait::new(Instant::now() + Duration::from_millis(millis), [None; 2])
    }

    #[test]
    fn the_feed_reconnects_to_a_lost_broker() {
        let publisher = zmq::Context::new().socket(zmq::XPUB).unwrap();
        publisher.set_rcvtimeo(10_000).unwrap();
        // Each subscription is forwarded, even if another subscriber already has it.
        publisher.set_xpub_verbose(true).unwrap();
        publisher.bind("tcp://127.0.0.1:*").unwrap();
        let bound = publisher.get_last_endpoint().unwrap().unwrap();
        let port = bound.rsplit_once(':').unwrap().1.parse().unwrap();
        let broker = Broker::new("127.0.0.1", port);
        let mut feed = LiveFeed::connect(broker, &Levels::default()).unwrap();
        let heard = |what: &[u8]| while publisher.recv_bytes(0).unwrap() != what {};
        heard(b"\x01zb1|info|");
        feed.log(Some(Change::Lost));
        assert!(matches!(feed.next(&wait(0)), Event::Idle));
        heard(b"\x01zb1|info|");
        // Messages that arrived earlier are read first; control messages are not batches.
        let deadline = Instant::now() + RECONNECT_AFTER * 6;
        for topic in ["zb!levels", "zb1|info|"] {
            publisher.send_multipart([topic, "more"], 0).unwrap();
            while !feed.socket.get_events().unwrap().contains(zmq::POLLIN) {
                assert!(Instant::now() < deadline, "no message arrived");
                feed.wait(&wait(50));
            }
            feed.log(Some(Change::Lost));
            match feed.next(&wait(0)) {
                Event::Batch { frames, .. } => assert_eq!((topic, frames.len()), ("zb1|info|", 2)),
                _ => assert_eq!(topic, "zb!levels"),
            }
        }
        assert!(matches!(feed.next(&wait(0)), Event::Idle));
        heard(b"\x01zb1|info|");
    }

    #[test]
    fn the_feed_reconnects_after_a_refused_handshake() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let broker = Broker::new("127.0.0.1", listener.local_addr().unwrap().port());
        let mut feed = LiveFeed::connect(broker, &Levels::default()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut accept = || {
            let deadline = Instant::now() + RECONNECT_AFTER * 6;
            loop {
                if let Ok((connection, _)) = listener.accept() {
                    connection.set_nonblocking(false).unwrap();
                    return connection;
                }
                assert!(Instant::now() < deadline, "the feed did not reconnect");
                assert!(matches!(feed.next(&wait(50)), Event::Idle));
            }
        };
        // The greeting of a server that requires a user and a password: libzmq ends the connection
        // and does not reconnect.
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
}
