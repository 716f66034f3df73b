//! Revoked keys: filtering of received messages, and disconnection of receivers.

use super::allowed::Allowed;
use super::key_store::KeyStore;
use crate::ports::Ports;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::wire::Endpoint;

/// The metadata property of a message in which libzmq stores the key of its sender.
const USER: &str = "User-Id";

/// Time for which an endpoint stays closed, so that libzmq's thread can end the connections.
const CLOSED_FOR: Duration = Duration::from_millis(20);

/// Minimum time between two log lines about an endpoint that cannot be opened again.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Filters messages by the keys of their senders. Without encryption it accepts every message.
#[derive(Debug, Default)]
pub(crate) struct RevocationFilter {
    key_store: Option<Arc<KeyStore>>,
    revision: u64,
    revocations: u64,
    /// The current list, once a key was removed from a list. Until then, every connected peer is
    /// allowed.
    judged_by: Option<Arc<Allowed>>,
}

impl RevocationFilter {
    pub(crate) fn new(key_store: Option<Arc<KeyStore>>) -> Self {
        Self { key_store, ..Self::default() }
    }

    /// Reads the current list, and returns whether keys were removed since the last call. If so, the
    /// peers of sockets that send must be disconnected. Call this before messages are filtered or
    /// passed on.
    pub(crate) fn look(&mut self) -> bool {
        let Some(key_store) =
            self.key_store.as_ref().filter(|key_store| key_store.revision() != self.revision)
        else {
            return false;
        };
        // Read before the list, so that a change in between is noticed by the next call.
        self.revision = key_store.revision();
        let (allowed, revocations) = key_store.allowed();
        if revocations > 0 {
            self.judged_by = Some(allowed);
        }
        std::mem::replace(&mut self.revocations, revocations) != revocations
    }

    /// Counts a request that was dropped because the key of its sender was revoked.
    pub(crate) fn count_request(&self) {
        if let Some(key_store) = &self.key_store {
            key_store.count_request();
        }
    }

    /// Whether the key of a message's sender is still allowed.
    pub(crate) fn admits(&self, first_frame: &mut zmq::Message) -> bool {
        let Some(allowed) = &self.judged_by else { return true };
        first_frame.gets(USER).is_some_and(|key| allowed.contains(key))
    }
}

/// An endpoint that can be closed to disconnect all peers, and opened again for those that are allowed.
#[derive(Debug)]
pub(crate) struct Listener {
    ports: Ports,
    endpoint: Endpoint,
    closed: Option<Instant>,
    logged: Option<Instant>,
}

impl Listener {
    /// Interval of the attempts to open a closed endpoint.
    pub(crate) const PATIENCE: Duration = Duration::from_millis(5);

    pub(crate) const fn new(ports: Ports, endpoint: Endpoint) -> Self {
        Self { ports, endpoint, closed: None, logged: None }
    }

    /// The addresses of all endpoints.
    pub(crate) const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Ends all connections of the socket. Messages that are queued for them are lost.
    pub(crate) fn close(&mut self, socket: &zmq::Socket) {
        self.ports.close(socket, self.endpoint);
        self.closed = Some(Instant::now());
        let why = "keys were taken off the list; clients that are still allowed reconnect by \
                   themselves";
        tracing::info!(event = "connections_cut", endpoint = ?self.endpoint, why);
    }

    /// Whether the endpoint is closed. Nothing may be sent then, and [`open`](Self::open) must be called
    /// until it is open.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Opens the endpoint again if it is closed and all connections have ended. Returns whether it did.
    pub(crate) fn open(&mut self, socket: &zmq::Socket) -> bool {
        if self.closed.is_none_or(|closed| closed.elapsed() < CLOSED_FOR) {
            return false;
        }
        // The port may not be free yet.
        if let Err(error) = self.ports.listen(socket, self.endpoint) {
            let patient = self.logged.or(self.closed);
            if patient.is_some_and(|since| since.elapsed() >= LOG_EVERY) {
                self.logged = Some(Instant::now());
                tracing::error!(event = "listener_stays_closed", endpoint = ?self.endpoint, %error);
            }
            return false;
        }
        (self.closed, self.logged) = (None, None);
        true
    }
}
