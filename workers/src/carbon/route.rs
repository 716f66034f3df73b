//! The way to Carbon: a connection, or datagrams.

use super::address::{Address, Protocol};
use super::connection::{Connection, Place};
use super::datagrams::Datagrams;
use super::failure::ConnectionError;
use super::key::ApiKey;
use super::secure::Tls;
use super::wire::Wire;
use crate::backend::Payload;
use std::time::{Duration, Instant};
use zibrato::daemon::Failure;

/// The default of [`Carbon::timeout`](super::Carbon::timeout).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The way to one address.
#[derive(Debug)]
pub(super) enum Route {
    Connection(Box<Connection>),
    Datagrams(Datagrams),
}

impl Route {
    pub(super) fn to(address: Address, pickle_batch: usize) -> Self {
        let wire = match address.protocol() {
            Protocol::Udp => return Self::Datagrams(Datagrams::new(address)),
            Protocol::Tcp | Protocol::Tls => Wire::lines(),
            Protocol::Pickle | Protocol::PickleTls => Wire::pickles(pickle_batch),
        };
        Self::Connection(Box::new(Connection::new(address, wire, DEFAULT_TIMEOUT)))
    }

    pub(super) const fn address(&self) -> &Address {
        match self {
            Self::Connection(connection) => connection.address(),
            Self::Datagrams(datagrams) => datagrams.address(),
        }
    }

    pub(super) const fn set_timeout(&mut self, timeout: Duration) {
        if let Self::Connection(connection) = self {
            connection.set_timeout(timeout);
        }
    }

    pub(super) const fn set_pickle_batch(&mut self, points: usize) {
        if let Self::Connection(connection) = self {
            connection.wire().set_pickle_batch(points);
        }
    }

    /// Sets whom to trust, and the client certificate, if the address uses TLS.
    pub(super) fn set_tls(&mut self, tls: &Tls) -> Result<(), Failure> {
        match self {
            Self::Connection(connection) => connection.set_tls(tls),
            Self::Datagrams(_) => Ok(()),
        }
    }

    /// Sets the key with which each name begins.
    pub(super) fn set_key(&mut self, key: ApiKey) {
        match self {
            Self::Connection(connection) => connection.wire().set_key(key),
            Self::Datagrams(datagrams) => datagrams.wire().set_key(key),
        }
    }

    /// A window begins.
    pub(super) fn window_begins(&mut self) {
        match self {
            Self::Connection(connection) => connection.window_begins(),
            Self::Datagrams(datagrams) => datagrams.window_begins(),
        }
    }

    pub(super) fn write(&mut self, payload: &Payload, place: Place) -> Result<(), ConnectionError> {
        match self {
            Self::Connection(connection) => connection.write(payload, place),
            Self::Datagrams(datagrams) => datagrams.write(&payload.body, place),
        }
    }

    /// Writes a payload, and waits until the receiver has read it. It is never written again.
    #[cfg(feature = "slack")]
    pub(super) fn write_confirmed(&mut self, payload: &Payload) -> Result<(), ConnectionError> {
        let written = self.write(payload, Place::Last);
        let Self::Connection(connection) = self else { return written };
        let confirmed = written.and_then(|()| connection.confirm());
        if confirmed.is_err() {
            connection.start_afresh();
        }
        confirmed
    }

    /// Connects without writing, and says what works.
    pub(super) fn reach(&mut self) -> Result<Vec<String>, ConnectionError> {
        match self {
            Self::Connection(connection) => connection.reach(),
            Self::Datagrams(datagrams) => datagrams.reach(),
        }
    }

    /// See [`Connection::take_refused`].
    pub(super) fn take_refused(&mut self) -> Option<Payload> {
        match self {
            Self::Connection(connection) => connection.take_refused(),
            Self::Datagrams(_) => None,
        }
    }

    /// See [`Connection::unsettled_since`]. Of a datagram nothing is known.
    pub(super) fn unsettled_since(&mut self) -> Option<Instant> {
        match self {
            Self::Connection(connection) => connection.unsettled_since(),
            Self::Datagrams(_) => None,
        }
    }

    /// See [`Connection::trouble`].
    pub(super) fn trouble(&self) -> Option<String> {
        match self {
            Self::Connection(connection) => connection.trouble(),
            Self::Datagrams(_) => None,
        }
    }
}
