//! Reports when a connection has ended. libzmq notices this because the system closes the
//! connections of a process that ends for any reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// The connection events of one socket.
pub(super) struct Monitor {
    events: zmq::Socket,
}

impl Monitor {
    /// Begins to monitor a socket. Call this before it connects, so that no event is missed.
    pub(super) fn of(context: &zmq::Context, socket: &zmq::Socket) -> zmq::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let endpoint = format!("inproc://zb-ended-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        socket.monitor(&endpoint, i32::from(zmq::SocketEvent::DISCONNECTED.to_raw()))?;
        let events = context.socket(zmq::PAIR)?;
        events.set_linger(0)?;
        events.connect(&endpoint)?;
        Ok(Self { events })
    }

    /// Whether a connection has ended since the last call.
    pub(super) fn ended(&self) -> bool {
        let mut ended = false;
        while self.events.recv_multipart(zmq::DONTWAIT).is_ok() {
            ended = true;
        }
        ended
    }

    pub(super) fn poll_item(&self) -> zmq::PollItem<'_> {
        self.events.as_poll_item(zmq::POLLIN)
    }
}

#[cfg(test)]
mod tests {
    use super::Monitor;

    #[test]
    fn the_end_of_a_connection_is_reported_immediately() {
        let context = zmq::Context::new();
        let bound = zmq::Context::new().socket(zmq::ROUTER).unwrap();
        bound.bind("tcp://127.0.0.1:*").unwrap();
        bound.set_rcvtimeo(10_000).unwrap();
        let endpoint = bound.get_last_endpoint().unwrap().unwrap();
        let socket = context.socket(zmq::DEALER).unwrap();
        let monitor = Monitor::of(&context, &socket).unwrap();
        socket.connect(&endpoint).unwrap();
        socket.send("hello", 0).unwrap();
        bound.recv_multipart(0).unwrap();
        assert!(!monitor.ended());
        drop(bound);
        assert_eq!(zmq::poll(&mut [monitor.poll_item()], 10_000), Ok(1));
        assert!(monitor.ended() && !monitor.ended());
    }
}
