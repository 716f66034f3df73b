//! The settings of the ZeroMQ socket at each endpoint.

use zibrato::wire::{Endpoint, MAX_REQUEST_BYTES};

/// Maximum size of a message from a subscriber, in bytes. A topic is short.
const MAX_TOPIC_BYTES: i64 = 512;

/// Maximum number of answers queued for one reader.
const MAX_ANSWERS: i32 = 4;

/// Maximum number of requests queued from one reader. A reader sends the next request when it has
/// its answer. Requests stay in the queue when the reader has disconnected.
const MAX_REQUESTS: i32 = 16;

/// The ZAP domain of sockets. A socket with a domain rejects peers with ZMTP 1 or 2, which libzmq
/// used before 4.0. If a socket that sends is closed while such a peer is about to send its
/// identity, libzmq aborts the process. Without keys, all other peers are accepted.
pub(crate) const ZAP_DOMAIN: &str = "zibrato";

/// The ZeroMQ socket at an endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketSpec {
    /// The name of the socket in metrics.
    pub(crate) name: &'static str,
    pub(crate) endpoint: Endpoint,
    pub(crate) kind: zmq::SocketType,
    /// Maximum size of a frame, in bytes. `None` for that of the configuration.
    pub(crate) max_bytes: Option<i64>,
    /// Sets further options, in addition to those of every socket.
    pub(crate) set_options: fn(&zmq::Socket) -> zmq::Result<()>,
}

/// The socket that publishes batches, lines and control messages.
pub(crate) const SUBSCRIBERS: SocketSpec = SocketSpec {
    name: "publish",
    endpoint: Endpoint::Subscribers,
    kind: zmq::XPUB,
    max_bytes: Some(MAX_TOPIC_BYTES),
    set_options: |socket| socket.set_zap_domain(ZAP_DOMAIN),
};

/// The socket on which the journal is read.
pub(crate) const REPLAY: SocketSpec = SocketSpec {
    name: "replay",
    endpoint: Endpoint::Replay,
    kind: zmq::ROUTER,
    max_bytes: Some(MAX_REQUEST_BYTES as i64),
    set_options: |socket| {
        socket.set_zap_domain(ZAP_DOMAIN)?;
        socket.set_sndhwm(MAX_ANSWERS)?;
        socket.set_rcvhwm(MAX_REQUESTS)?;
        // With this option, sending to a reader that does not read its answers fails.
        socket.set_router_mandatory(true)
    },
};
