//! What the owner of a socket does about keys that are no longer allowed.

use super::allowed::Allowed;
use super::key_store::KeyStore;
use crate::ports::Ports;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::wire::Endpoint;

/// The name under which libzmq shows with each message whose it is.
const USER: &str = "User-Id";

/// How long an endpoint stays closed: until libzmq's own thread has ended the connections.
const CLOSED_FOR: Duration = Duration::from_millis(20);

/// Minimum time between two log lines about an endpoint that cannot be opened again.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Judges messages by the keys of those who sent them. At a broker that does not encrypt it lets
/// everything pass.
#[derive(Debug, Default)]
pub(crate) struct RevocationFilter {
    key_store: Option<Arc<KeyStore>>,
    revision: u64,
    revocations: u64,
    /// The list in force, once a key was taken off it. Before that whoever is in was let in by it.
    judged_by: Option<Arc<Allowed>>,
}

impl RevocationFilter {
    pub(crate) fn new(key_store: Option<Arc<KeyStore>>) -> Self {
        Self { key_store, ..Self::default() }
    }

    /// Takes note of the list that is in force now, and says whether keys were taken off since the
    /// last look; then whatever lets something out has to be cut. To be asked before messages are
    /// judged and before anything is handed on.
    pub(crate) fn look(&mut self) -> bool {
        let Some(key_store) =
            self.key_store.as_ref().filter(|key_store| key_store.revision() != self.revision)
        else {
            return false;
        };
        // Read before the list, so that a change in between is seen the next time.
        self.revision = key_store.revision();
        let (allowed, revocations) = key_store.allowed();
        if revocations > 0 {
            self.judged_by = Some(allowed);
        }
        std::mem::replace(&mut self.revocations, revocations) != revocations
    }

    /// Counts a request that was dropped because of its sender.
    pub(crate) fn count_request(&self) {
        if let Some(key_store) = &self.key_store {
            key_store.count_request();
        }
    }

    /// Whether a message comes from somebody who is still allowed to send.
    pub(crate) fn admits(&self, first_frame: &mut zmq::Message) -> bool {
        let Some(allowed) = &self.judged_by else { return true };
        first_frame.gets(USER).is_some_and(|key| allowed.contains(key))
    }
}

/// An endpoint that can be closed on everybody and opened again: those who are allowed come back.
#[derive(Debug)]
pub(crate) struct Listener {
    ports: Ports,
    endpoint: Endpoint,
    closed: Option<Instant>,
    logged: Option<Instant>,
}

impl Listener {
    /// How soon an endpoint that is closed has to be looked at again.
    pub(crate) const PATIENCE: Duration = Duration::from_millis(5);

    pub(crate) const fn new(ports: Ports, endpoint: Endpoint) -> Self {
        Self { ports, endpoint, closed: None, logged: None }
    }

    /// Where all endpoints are.
    pub(crate) const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Ends all connections of the socket; what waits for them is lost to them.
    pub(crate) fn close(&mut self, socket: &zmq::Socket) {
        self.ports.close(socket, self.endpoint);
        self.closed = Some(Instant::now());
        let why = "keys were taken off the list; clients that are still allowed reconnect by \
                   themselves";
        tracing::info!(event = "connections_cut", endpoint = ?self.endpoint, why);
    }

    /// Whether it is closed. Then nothing may be sent, and [`open`](Self::open) has to be called
    /// until it is open.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Opens it again if it is closed and all connections have ended, and says whether it did.
    pub(crate) fn open(&mut self, socket: &zmq::Socket) -> bool {
        if self.closed.is_none_or(|closed| closed.elapsed() < CLOSED_FOR) {
            return false;
        }
        // The system may not yet have the port back.
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
