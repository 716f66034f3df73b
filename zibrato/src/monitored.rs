//! A ZeroMQ socket whose connection events can be read.
//!
//! libzmq sends events to a PAIR socket, from its I/O thread. If nobody can receive one, because the
//! PAIR socket is closed, the I/O thread waits forever, and with it all sockets of the context. A
//! closed socket still has events while its messages are sent or its connection ends. So monitoring
//! must stop before the PAIR socket is closed.

use std::ffi::{c_char, c_int, c_void};
use std::fmt;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use zmq::{Context, PollItem, Socket, SocketEvent, SocketType};

// The `zmq` crate links libzmq, which has had this since 4.0.
#[expect(unsafe_code, reason = "a declaration of a C function")]
unsafe extern "C" {
    fn zmq_socket_monitor(socket: *mut c_void, address: *const c_char, events: c_int) -> c_int;
}

/// A socket and its monitor.
pub struct MonitoredSocket {
    socket: Socket,
    events: Socket,
}

impl MonitoredSocket {
    /// Creates a socket that reports these events.
    ///
    /// # Errors
    /// The error of libzmq, usually that no descriptor is left.
    pub fn new(context: &Context, kind: SocketType, wanted: &[SocketEvent]) -> zmq::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let endpoint = format!("inproc://zb-events-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (socket, events) = (context.socket(kind)?, context.socket(zmq::PAIR)?);
        events.set_linger(0)?;
        socket.monitor(&endpoint, wanted.iter().map(|event| i32::from(event.to_raw())).sum())?;
        let monitored = Self { socket, events };
        monitored.events.connect(&endpoint)?;
        Ok(monitored)
    }

    /// The number of the next event that has occurred.
    #[must_use]
    pub fn next_event(&self) -> Option<u16> {
        self.receive(zmq::DONTWAIT).ok()
    }

    /// Waits for the next event at most this long, in milliseconds.
    ///
    /// # Errors
    /// `EAGAIN` if none has occurred.
    pub fn wait_for_event(&self, millis: i32) -> zmq::Result<u16> {
        self.events.set_rcvtimeo(millis)?;
        self.receive(0)
    }

    /// Discards the events that have occurred. Returns whether there was one.
    pub fn discard_events(&self) -> bool {
        std::iter::from_fn(|| self.next_event()).count() > 0
    }

    /// For waiting for an event.
    #[must_use]
    pub fn event_item(&self) -> PollItem<'_> {
        self.events.as_poll_item(zmq::POLLIN)
    }

    /// The first frame of an event is its number, then its value; the second one is the address.
    fn receive(&self, flags: i32) -> zmq::Result<u16> {
        let frames = self.events.recv_multipart(flags)?;
        let number = frames.first().and_then(|frame| frame.first_chunk());
        Ok(number.map(|number| u16::from_ne_bytes(*number)).unwrap_or_default())
    }
}

impl Deref for MonitoredSocket {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl Drop for MonitoredSocket {
    fn drop(&mut self) {
        // The I/O thread may wait for room.
        self.discard_events();
        // This fails only if the context is being terminated; then there are no more events.
        stop_monitor(&mut self.socket).ok();
    }
}

impl fmt::Debug for MonitoredSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitoredSocket").finish_non_exhaustive()
    }
}

/// Stops monitoring a socket. Call this before the PAIR socket that receives the events is closed.
///
/// # Errors
/// `ETERM` if the context is being terminated.
#[expect(unsafe_code, reason = "a call into C")]
pub fn stop_monitor(socket: &mut Socket) -> zmq::Result<()> {
    // SAFETY: the socket is open because it is borrowed; a null address means to stop.
    let code = unsafe { zmq_socket_monitor(socket.as_mut_ptr(), ptr::null(), 0) };
    // The `zmq` crate does not export `zmq_errno`.
    if code == 0 { Ok(()) } else { Err(zmq::Error::ETERM) }
}

#[cfg(test)]
mod tests {
    use super::MonitoredSocket;
    use zmq::{Context, Socket, SocketEvent};

    const DISCONNECTED: [SocketEvent; 1] = [SocketEvent::DISCONNECTED];

    /// In its own context, so that dropping it ends its connections.
    fn bound() -> (Socket, String) {
        let socket = Context::new().socket(zmq::ROUTER).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(10_000).unwrap();
        socket.set_rcvhwm(1).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        (socket, endpoint)
    }

    fn connected(context: &Context, endpoint: &str) -> MonitoredSocket {
        let socket = MonitoredSocket::new(context, zmq::DEALER, &DISCONNECTED).unwrap();
        socket.set_linger(60_000).unwrap();
        socket.connect(endpoint).unwrap();
        socket.send("hello", 0).unwrap();
        socket
    }

    #[test]
    fn the_end_of_a_connection_is_reported_immediately() {
        let context = Context::new();
        let (bound, endpoint) = bound();
        let socket = connected(&context, &endpoint);
        bound.recv_multipart(0).unwrap();
        assert!(!socket.discard_events());
        drop(bound);
        let disconnected = SocketEvent::DISCONNECTED.to_raw();
        assert_eq!(zmq::poll(&mut [socket.event_item()], 10_000), Ok(1));
        assert_eq!(socket.wait_for_event(10_000), Ok(disconnected));
        assert_eq!(socket.next_event(), None);
    }

    #[test]
    fn a_connection_that_ends_after_its_socket_was_closed_stops_no_other_socket() {
        let context = Context::new();
        let (busy, endpoint) = bound();
        let socket = connected(&context, &endpoint);
        busy.recv_multipart(0).unwrap();
        // Its peer reads nothing more, so the closed socket still has messages to send.
        for _ in 0..16 {
            socket.send(vec![0; 1 << 20], 0).unwrap();
        }
        drop(socket);
        drop(busy);
        let (other, endpoint) = bound();
        let socket = connected(&context, &endpoint);
        assert_eq!(other.recv_multipart(0).map(|frames| frames.len()), Ok(2));
        socket.set_linger(0).unwrap();
        drop(socket);
        // The closed socket tries to reconnect for a minute.
        std::mem::forget(context);
    }
}
