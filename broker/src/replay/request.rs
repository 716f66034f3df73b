//! Requests: as they are received, and while they wait.

use super::owners::Origin;
use super::refusal::refusal;
use crate::curve::RevocationFilter;
use crate::libzmq::connections::Connection;
use std::os::fd::RawFd;
use std::time::Instant;
use zibrato::wire::{Reader as Who, Refusal, Refused, ReplayRequest};
use zmq::DONTWAIT;

/// The sender of a request.
#[derive(Debug)]
pub(super) struct Asker {
    /// The frames before the request, which must also precede the answer. The first one is libzmq's
    /// id of the connection.
    pub(super) envelope: Vec<Vec<u8>>,
    pub(super) address: String,
    /// The descriptor of its connection, if libzmq reports it.
    pub(super) descriptor: Option<RawFd>,
    connection: Option<Connection>,
}

impl Asker {
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { address: &self.address, connection: self.connection }
    }

    /// Whether its connection has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.connection.is_some_and(|connection| !connection.is_open())
    }

    pub(super) fn identity(&self) -> &[u8] {
        self.envelope.first().map_or(&[], |identity| identity)
    }
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) asker: Asker,
    pub(super) request: ReplayRequest,
    /// When the request is answered even if there are no batches.
    pub(super) until: Instant,
    /// Once its time is over: the watermark with which it is answered, for which the router has been
    /// asked, in Unix milliseconds.
    pub(super) awaits_ms: Option<u64>,
    /// The time since which the request has waited for room for its answer, if it does.
    pub(super) put_off: Option<Instant>,
}

impl Waiting {
    /// A request that waits until there is room.
    pub(super) fn put_off(asker: Asker, request: ReplayRequest) -> Self {
        let now = Instant::now();
        Self { asker, request, until: now, awaits_ms: None, put_off: Some(now) }
    }

    pub(super) const fn reader(&self) -> Option<&Who> {
        let ReplayRequest::Fetch(fetch) = &self.request else { return None };
        Some(&fetch.reader)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.put_off.is_some() || self.until <= now
    }
}

/// Receives the next request whose sender has an allowed key.
///
/// # Errors
/// The error of ZeroMQ.
pub(super) fn receive(
    socket: &zmq::Socket,
    filter: &RevocationFilter,
) -> zmq::Result<Option<(Asker, Result<ReplayRequest, Refused>)>> {
    let mut frames = Vec::new();
    let (mut address, mut descriptor) = (String::new(), None);
    loop {
        let mut message = match socket.recv_msg(DONTWAIT) {
            Ok(message) => message,
            Err(zmq::Error::EAGAIN) => return Ok(None),
            Err(zmq::Error::EINTR) => continue,
            Err(error) => return Err(error),
        };
        let more = message.get_more();
        if let Some(from) = message.gets("Peer-Address") {
            from.clone_into(&mut address);
        }
        // The descriptor of the connection. The deprecated option ZMQ_SRCFD reads the same
        // property.
        if let Some(from) = message.gets("__fd") {
            descriptor = from.parse().ok();
        }
        // A valid request has at most four frames, so a fifth is enough to detect an invalid one.
        if frames.len() < 5 {
            frames.push(message.to_vec());
        }
        if !more && filter.admits(&mut message) {
            break;
        }
        if !more {
            filter.count_request();
            frames.clear();
        }
    }
    // A REQ socket sends an empty frame before its request, and expects it before the answer.
    let envelope = if frames.len() == 4 && frames[1].is_empty() { 2 } else { 1 };
    let request = frames.split_off(envelope.min(frames.len()));
    let request = match &request[..] {
        [topic, body] => ReplayRequest::decode(topic, body).map_err(|error| error.to_string()),
        other => Err(format!("a request has two frames, not {}", other.len())),
    };
    let request = request.map_err(|text| refusal(Refusal::Malformed, &text));
    let connection = descriptor.and_then(Connection::of);
    Ok(Some((Asker { envelope: frames, address, descriptor, connection }, request)))
}
