//! Listens for the broker's heartbeat, to distinguish a broker without a replay port from one that
//! is down.

use crate::feed::Broker;
use std::time::{Duration, Instant};
use zibrato::wire::LEVELS_TOPIC;

/// A broker that publishes for this time but does not answer on its replay port has no journal.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A subscription to the heartbeat that each broker sends every second.
pub(super) struct Probe {
    socket: zmq::Socket,
    heard: Option<Instant>,
}

impl Probe {
    pub(super) fn open(context: &zmq::Context, broker: &Broker) -> Result<Self, zmq::Error> {
        let endpoint = broker.endpoint().ok_or(zmq::Error::EINVAL)?;
        let socket = context.socket(zmq::SUB)?;
        socket.set_linger(0)?;
        socket.set_rcvhwm(10)?;
        socket.set_reconnect_ivl(100)?;
        socket.set_reconnect_ivl_max(400)?;
        socket.set_subscribe(LEVELS_TOPIC.as_bytes())?;
        broker.connect(&socket, &endpoint)?;
        Ok(Self { socket, heard: None })
    }

    /// Whether the broker has published for so long that it should have answered.
    pub(super) fn gives_up(&mut self, now: Instant) -> bool {
        while self.socket.recv_multipart(zmq::DONTWAIT).is_ok() {
            self.heard.get_or_insert(now);
        }
        self.heard.is_some_and(|heard| now.saturating_duration_since(heard) >= PROBE_TIMEOUT)
    }

    pub(super) fn poll_item(&self) -> zmq::PollItem<'_> {
        self.socket.as_poll_item(zmq::POLLIN)
    }
}
