//! Counts connections of a socket as they begin and end, with libzmq's monitor.

use crate::counters::PeerCounters;
use zibrato::monitored::stop_monitor;
use zmq::DONTWAIT;

/// The events that are counted.
const EVENTS: [zmq::SocketEvent; 4] = [
    zmq::SocketEvent::ACCEPTED,
    zmq::SocketEvent::DISCONNECTED,
    zmq::SocketEvent::HANDSHAKE_FAILED_NO_DETAIL,
    zmq::SocketEvent::HANDSHAKE_FAILED_PROTOCOL,
];

/// The value of the last event if the peer uses another mechanism.
const MECHANISM_MISMATCH: u32 = 0x1100_0002;

/// The value of the last event if the peer has a wrong key for the broker.
const CRYPTOGRAPHIC: u32 = 0x1100_0001;

/// Maximum number of queued events. Beyond it libzmq blocks, with all its sockets, so the queue is
/// much longer than the number of events per second.
const MAX_WAITING: i32 = 100_000;

/// The monitor of one socket.
pub(crate) struct Monitor {
    events: zmq::Socket,
}

impl Monitor {
    /// Starts to monitor `socket`; `name` must be unique in the context.
    pub(crate) fn watch(
        context: &zmq::Context,
        socket: &zmq::Socket,
        name: &str,
    ) -> zmq::Result<Self> {
        let endpoint = format!("inproc://monitor-{name}");
        let wanted = EVENTS.iter().fold(0, |all, event| all | i32::from(event.to_raw()));
        socket.monitor(&endpoint, wanted)?;
        let events = context.socket(zmq::PAIR)?;
        events.set_linger(0)?;
        events.set_rcvhwm(MAX_WAITING)?;
        events.connect(&endpoint)?;
        Ok(Self { events })
    }

    /// Counts the queued events.
    pub(crate) fn count(&self, peers: &mut PeerCounters) {
        for _ in 0..MAX_WAITING {
            // Usually there is nothing more to read.
            let Ok(event) = self.events.recv_msg(DONTWAIT) else { return };
            let mut more = event.get_more();
            while more && let Ok(frame) = self.events.recv_msg(DONTWAIT) {
                more = frame.get_more();
            }
            let number = event.first_chunk().map(|number| u16::from_ne_bytes(*number));
            if number == Some(zmq::SocketEvent::ACCEPTED.to_raw()) {
                peers.connects += 1;
            } else if number == Some(zmq::SocketEvent::DISCONNECTED.to_raw()) {
                peers.disconnects += 1;
            } else if number == Some(zmq::SocketEvent::HANDSHAKE_FAILED_NO_DETAIL.to_raw()) {
                peers.broken_off += 1;
            } else if number == Some(zmq::SocketEvent::HANDSHAKE_FAILED_PROTOCOL.to_raw()) {
                let why = event.get(2..).and_then(|rest| rest.first_chunk());
                match why.map(|why| u32::from_ne_bytes(*why)) {
                    Some(MECHANISM_MISMATCH) => peers.refused_mechanism += 1,
                    Some(CRYPTOGRAPHIC) => peers.refused_server_key += 1,
                    _ => peers.refused_protocol += 1,
                }
            }
        }
    }

    /// Stops monitoring `socket`, which must be the monitored one.
    pub(crate) fn stop(self, socket: &mut zmq::Socket, peers: &mut PeerCounters) {
        self.count(peers);
        if let Err(error) = stop_monitor(socket) {
            tracing::debug!(event = "monitor", %error);
        }
        self.count(peers);
    }
}
