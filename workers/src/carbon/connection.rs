//! The connection to Carbon: writes payloads again after it breaks, and finds the payload that
//! broke it.
//!
//! A TCP write only means that the kernel has the bytes, and Carbon confirms nothing. So recent
//! payloads are kept ([`Written`]) and written again on the next connection. Carbon keeps one value
//! per name and time, so writing twice is harmless.
//!
//! A peer that has read everything and closes sends an orderly end (FIN). A peer that closes with
//! unread bytes, or receives more bytes afterwards, sends a reset. If its machine fails, it sends
//! nothing, and the kernel gives up after the timeout. A Carbon that is killed may have read
//! everything but not stored it yet, so an orderly end may be a loss too. After an orderly end the
//! current payload is not written again immediately, because a peer that closes after each window
//! would get it for ever.
//!
//! Some peers reset the connection because of an invalid line, and do not read the lines after it.
//! If resets repeat although the peer is reachable, the connection becomes wary: each payload is
//! first written to a separate connection. A payload over which that connection is reset is
//! rejected.

mod alone;
#[cfg(feature = "slack")]
mod confirm;
mod reach;

use super::address::Address;
use super::failure::ConnectionError;
use super::kept::{SETTLES, Written};
use super::secure::{Hindrance, Tls};
use super::stream::{Dial, Peer, Stream, is_break};
use super::wire::Wire;
use crate::backend::Payload;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};
use zibrato::daemon::{Failure, LogLimit};

/// Number of resets, each within half a minute of the previous one, after which the connection
/// becomes wary.
const BREAKS: u32 = 3;

/// Time to wait for a reset after a payload.
pub(super) const LISTEN: Duration = Duration::from_millis(50);

/// A connection that ends within this time has probably ended over what was written.
const EARLY: Duration = Duration::from_secs(5);

/// A connection that is opened when it is needed, and again after it breaks.
#[derive(Debug)]
pub(super) struct Connection {
    dial: Dial,
    wire: Wire,
    stream: Option<Stream>,
    opened: Instant,
    written: Written,
    /// Whether written payloads may be lost.
    suspect: bool,
    /// Number of resets since the connection last stayed open for [`SETTLES`].
    breaks: u32,
    /// Whether each payload is first written to a separate connection.
    wary: bool,
    /// Time of the last reset or rejected payload, and whether that was in this window.
    trouble: Option<Instant>,
    window_is_whole: bool,
    /// Whether none of the payloads caused the last reset when it was written separately.
    unexplained: bool,
    /// What the last reset was about, if the peer has said it.
    hindrance: Option<Hindrance>,
    /// Whether the last connection ended because the peer acknowledged nothing.
    is_silent: bool,
    /// Time to wait for a reset.
    listen_for: Duration,
    /// Payloads that were written, but turned out to be rejected.
    refused: VecDeque<Payload>,
    limits: Limits,
}

/// Rate limits of the log lines.
#[derive(Debug, Default)]
struct Limits {
    connected: LogLimit,
    disconnected: LogLimit,
    repeated: LogLimit,
}

/// Position of a payload in its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Last,
    NotLast,
}

impl Connection {
    pub(super) fn new(address: Address, wire: Wire, timeout: Duration) -> Self {
        Self {
            dial: Dial::to(address, timeout),
            wire,
            stream: None,
            opened: Instant::now(),
            written: Written::default(),
            suspect: false,
            breaks: 0,
            wary: false,
            trouble: None,
            window_is_whole: true,
            unexplained: false,
            hindrance: None,
            is_silent: false,
            listen_for: LISTEN,
            refused: VecDeque::new(),
            limits: Limits::default(),
        }
    }

    pub(super) const fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    pub(super) const fn set_timeout(&mut self, timeout: Duration) {
        self.dial.set_timeout(timeout);
    }

    pub(super) fn set_tls(&mut self, tls: &Tls) -> Result<(), Failure> {
        self.dial.set_tls(tls)
    }

    pub(super) const fn address(&self) -> &Address {
        self.dial.address()
    }

    /// A window begins. The connection stops being wary if the previous window was written
    /// completely and there was no trouble for a while.
    pub(super) fn window_begins(&mut self) {
        let is_calm = self.trouble.is_none_or(|last| last.elapsed() >= SETTLES);
        if self.window_is_whole && is_calm {
            (self.wary, self.listen_for) = (false, LISTEN);
        }
        self.window_is_whole = true;
    }

    /// Writes a payload. Connects first if necessary, and writes payloads again that may be lost.
    pub(super) fn write(&mut self, payload: &Payload, place: Place) -> Result<(), ConnectionError> {
        // The first write after the peer has closed would succeed and be lost.
        self.look(Duration::ZERO);
        if self.stream.is_none() || self.suspect {
            self.restore()?;
        }
        if self.wary {
            self.stand_alone(payload)?;
        }
        let result = self.write_listening(payload, place);
        if let Err(ConnectionError::Reset(_)) = &result
            && self.wary
        {
            // A peer that serves one connection at a time has not read the separate connection.
            self.stand_alone(payload)?;
        }
        result?;
        let passed = if self.wary { self.listen_for } else { Duration::ZERO };
        self.written.keep(payload, passed, Instant::now());
        Ok(())
    }

    fn write_listening(&mut self, payload: &Payload, place: Place) -> Result<(), ConnectionError> {
        self.write_now(&payload.body)?;
        let was_reset = (place == Place::Last || self.wary) && self.look(self.listen_for);
        if was_reset { Err(self.reset()) } else { Ok(()) }
    }

    /// A payload that was written, but turned out to be rejected.
    pub(super) fn take_refused(&mut self) -> Option<Payload> {
        self.refused.pop_front()
    }

    /// The time at which the oldest payload was written that may still be lost.
    pub(super) fn unsettled_since(&mut self) -> Option<Instant> {
        self.look(Duration::ZERO);
        let stands = self.stream.is_some() && !self.suspect;
        self.written.unsettled_since(stands, Instant::now())
    }

    /// The problem, while resets repeat.
    pub(super) fn trouble(&self) -> Option<String> {
        let (address, breaks) = (self.address(), &self.breaks);
        let seconds = SETTLES.as_secs();
        (*breaks > 1).then(|| {
            format!(
                "{address} has reset the connection {breaks} times and has not kept it open for \
                 {seconds} s since; until it does, nothing that was written is committed; {}",
                address.protocol().question()
            )
        })
    }

    /// Connects, and writes payloads again that may be lost.
    fn restore(&mut self) -> Result<(), ConnectionError> {
        self.written.forget(Instant::now());
        if self.wary {
            self.search()?;
        }
        if self.stream.is_none() {
            self.connect()?;
        }
        let mut written = std::mem::take(&mut self.written);
        let result = written.bodies().try_for_each(|body| self.write_now(body));
        written.written_again(Instant::now(), result.is_ok());
        self.written = written;
        result?;
        self.suspect = false;
        if !self.written.is_empty() {
            self.look(self.listen_for);
        }
        match self.stream {
            Some(_) => Ok(()),
            None => Err(self.reset()),
        }
    }

    /// Finds out whether the peer has closed the connection, or closes it within `listen_for`, and
    /// whether that certainly caused a loss.
    fn look(&mut self, listen_for: Duration) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        match stream.listen(listen_for) {
            Peer::Open => {
                if self.opened.elapsed() >= SETTLES {
                    self.breaks = 0;
                }
                false
            }
            Peer::Closed => {
                self.written.ended();
                self.disconnected(false);
                false
            }
            Peer::Broken(why) => {
                self.broken(&why);
                true
            }
        }
    }

    /// The connection was reset, or the kernel gave up because the peer acknowledged nothing.
    fn broken(&mut self, why: &io::Error) {
        tracing::debug!(event = "connection_broken", address = %self.address(), %why);
        (self.trouble, self.window_is_whole) = (Some(Instant::now()), false);
        self.is_silent = why.kind() == ErrorKind::TimedOut;
        if self.is_silent {
            // No payload is the cause of that.
            self.written.was_reset();
            return self.disconnected(true);
        }
        self.breaks = self.breaks.saturating_add(1);
        self.unexplained = true;
        self.written.was_reset();
        self.disconnected(true);
        self.hindrance = Hindrance::find(why).cloned();
        if self.wary || self.hindrance.is_some() {
            return;
        }
        // Before a payload is blamed: many servers reset a connection that misses TLS.
        if self.breaks >= BREAKS - 1 && self.dial.misses_tls() {
            self.hindrance = Some(Hindrance::needs_tls());
        } else {
            self.wary = self.breaks >= BREAKS && self.is_well(self.listen_for);
        }
    }

    /// The error after a reset.
    fn reset(&mut self) -> ConnectionError {
        let address = self.address().clone();
        match self.hindrance.take() {
            Some(hindrance) => ConnectionError::Hindered(address, hindrance),
            None if self.is_silent => ConnectionError::Silent(address, self.dial.timeout()),
            None => ConnectionError::Reset(address),
        }
    }

    fn disconnected(&mut self, lost: bool) {
        let (now, address, breaks) = (Instant::now(), self.dial.address(), self.breaks);
        if lost && breaks > 1 {
            if let Some(left_out) = self.limits.repeated.admit(now) {
                let what = "recent payloads are written again, and committed once the connection \
                            stays open";
                tracing::warn!(event = "disconnected", %address, lost, breaks, left_out, what);
            }
        } else if let Some(left_out) = self.limits.disconnected.admit(now) {
            // A server that reads another protocol ends the connection over the first bytes.
            let is_early = self.opened.elapsed() < EARLY;
            let what = match self.is_silent {
                true => Some("it has acknowledged nothing; does it hang, or is the network down?"),
                false => is_early.then(|| address.protocol().question()),
            };
            tracing::info!(event = "disconnected", %address, lost, left_out, what);
        }
        (self.stream, self.suspect) = (None, true);
    }

    fn connect(&mut self) -> Result<(), ConnectionError> {
        let connected = self.dial.connect();
        let stream =
            connected.map_err(|why| ConnectionError::Connect(self.address().clone(), why))?;
        (self.stream, self.opened, self.hindrance) = (Some(stream), Instant::now(), None);
        self.is_silent = false;
        if let Some(left_out) = self.limits.connected.admit(self.opened) {
            tracing::info!(event = "connected", address = %self.address(), left_out);
        }
        Ok(())
    }

    /// Writes all of these lines, within the timeout.
    fn write_now(&mut self, lines: &[u8]) -> Result<(), ConnectionError> {
        let bytes = self.wire.of(lines)?;
        let result = match &mut self.stream {
            Some(stream) => stream.write(&bytes, self.dial.timeout()),
            None => Err(ErrorKind::NotConnected.into()),
        };
        result.map_err(|why| {
            if is_break(&why) {
                self.broken(&why);
                return self.reset();
            }
            // The rest of the payload would be read as the end of a truncated line.
            (self.stream, self.suspect) = (None, true);
            ConnectionError::Write(self.address().clone(), why)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;
    use crate::carbon::address::Address;
    use crate::carbon::wire::Wire;
    use std::io::ErrorKind;
    use std::time::Duration;

    #[test]
    fn a_peer_that_hangs_is_not_said_to_reset_connections() {
        let new = || Connection::new(Address::default(), Wire::lines(), Duration::from_secs(10));
        let mut connection = new();
        for _ in 0..5 {
            connection.broken(&ErrorKind::TimedOut.into());
        }
        let error = connection.reset().to_string();
        assert!(error.contains("acknowledged nothing for 10 s"), "{error}");
        assert!(!connection.wary && connection.trouble().is_none());
        let mut connection = new();
        connection.broken(&ErrorKind::ConnectionReset.into());
        let error = connection.reset().to_string();
        assert!(error.contains("reset the connection"), "{error}");
    }
}
