//! How the ZeroMQ socket at each endpoint is set up.

use zibrato::wire::{Endpoint, MAX_REQUEST_BYTES};

/// The most bytes of a message from a subscriber: a topic is short.
const MAX_TOPIC_BYTES: i64 = 512;

/// The most answers that wait for one reader that does not read them.
const MAX_ANSWERS: i32 = 4;

/// The most requests that wait from one reader, which sends the next when it has its answer. They stay
/// there when it is gone.
const MAX_REQUESTS: i32 = 16;

/// The ZAP domain of sockets. One that has a domain rejects peers that speak ZMTP 1 or 2, as libzmq did
/// before 4.0: if a socket that sends closes while such a peer is about to send its identity, libzmq
/// aborts the process. Without keys all others are accepted.
pub(crate) const ZAP_DOMAIN: &str = "zibrato";

/// The ZeroMQ socket at an endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketSpec {
    /// The word for it in metrics.
    pub(crate) name: &'static str,
    pub(crate) endpoint: Endpoint,
    pub(crate) kind: zmq::SocketType,
    /// The most bytes of a frame; `None` for what the configuration says.
    pub(crate) max_bytes: Option<i64>,
    /// Sets options of its own, besides those of every socket.
    pub(crate) set_options: fn(&zmq::Socket) -> zmq::Result<()>,
}

/// Where batches, lines and control messages are published.
pub(crate) const SUBSCRIBERS: SocketSpec = SocketSpec {
    name: "publish",
    endpoint: Endpoint::Subscribers,
    kind: zmq::XPUB,
    max_bytes: Some(MAX_TOPIC_BYTES),
    set_options: |socket| socket.set_zap_domain(ZAP_DOMAIN),
};

/// Where the journal is read.
pub(crate) const REPLAY: SocketSpec = SocketSpec {
    name: "replay",
    endpoint: Endpoint::Replay,
    kind: zmq::ROUTER,
    max_bytes: Some(MAX_REQUEST_BYTES as i64),
    set_options: |socket| {
        socket.set_zap_domain(ZAP_DOMAIN)?;
        socket.set_sndhwm(MAX_ANSWERS)?;
        socket.set_rcvhwm(MAX_REQUESTS)?;
        // So that a reader that does not read its answers is known.
        socket.set_router_mandatory(true)
    },
};
