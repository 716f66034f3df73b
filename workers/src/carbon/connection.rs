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

use super::address::Address;
use super::kept::{SETTLES, Written};
use super::pickle::{self, InvalidLine};
use super::stream::{self, Peer, is_break};
use crate::backend::Payload;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use zibrato::daemon::LogLimit;

/// Number of resets, each within half a minute of the previous one, after which the connection
/// becomes wary.
const BREAKS: u32 = 3;

/// Time to wait for a reset after a payload, and its maximum, if resets arrive later.
pub(super) const LISTEN: Duration = Duration::from_millis(50);
const LISTEN_LONGEST: Duration = Duration::from_millis(1600);

/// A connection that is opened when it is needed, and again after it breaks.
#[derive(Debug)]
pub(super) struct Connection {
    address: Address,
    encoding: Encoding,
    timeout: Duration,
    stream: Option<TcpStream>,
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
    /// Time to wait for a reset.
    listen_for: Duration,
    /// Payloads that were written, but turned out to be rejected.
    refused: VecDeque<Payload>,
    limits: Limits,
}

/// How the lines of a payload are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Lines,
    /// As pickles of at most this number of points.
    Pickle(usize),
}

impl Encoding {
    fn of(self, lines: &[u8]) -> Result<Cow<'_, [u8]>, ConnectionError> {
        Ok(match self {
            Self::Lines => lines.into(),
            Self::Pickle(batch) => pickle::frames(lines, batch)?.into(),
        })
    }
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

/// Why a payload was not written, or may be lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("cannot connect to {0}")]
    Connect(Address, #[source] io::Error),
    #[error("{0} resets the connection over this payload alone")]
    Refused(Address),
    #[error("{0} reset the connection before all data was read")]
    Reset(Address),
    #[error("{0} resets connections; recent payloads are sent one by one to find the cause")]
    Searching(Address),
    #[error("the connection to {0} broke")]
    Write(Address, #[source] io::Error),
    #[error("a line has more than the {1} bytes that {0} reads of a datagram; deliver over TCP")]
    TooLong(Address, usize),
    #[error("a payload cannot be written as a pickle")]
    Invalid(#[from] InvalidLine),
}

impl Connection {
    pub(super) fn new(address: Address, encoding: Encoding, timeout: Duration) -> Self {
        Self {
            address,
            encoding,
            timeout,
            stream: None,
            opened: Instant::now(),
            written: Written::default(),
            suspect: false,
            breaks: 0,
            wary: false,
            trouble: None,
            window_is_whole: true,
            unexplained: false,
            listen_for: LISTEN,
            refused: VecDeque::new(),
            limits: Limits::default(),
        }
    }

    pub(super) const fn set_pickle_batch(&mut self, points: usize) {
        if let Encoding::Pickle(batch) = &mut self.encoding {
            *batch = points;
        }
    }

    pub(super) const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
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
        if was_reset { Err(ConnectionError::Reset(self.address.clone())) } else { Ok(()) }
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
        let Self { address, breaks, .. } = self;
        let seconds = SETTLES.as_secs();
        (*breaks > 1).then(|| {
            format!(
                "{address} has reset the connection {breaks} times and has not kept it open for \
                 {seconds} s since; until it does, nothing that was written is committed"
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
            None => Err(ConnectionError::Reset(self.address.clone())),
        }
    }

    /// Tries each payload that may still be lost on a separate connection, and removes those over
    /// which it is reset. After the timeout it stops, and the next call continues.
    fn search(&mut self) -> Result<(), ConnectionError> {
        if self.unexplained && self.written.untried(self.listen_for).is_none() {
            // No payload caused a reset, although there was one: the peer resets later than
            // expected.
            self.listen_for = (self.listen_for * 2).min(LISTEN_LONGEST);
        }
        let begun = Instant::now();
        while let Some(place) = self.written.untried(self.listen_for) {
            if begun.elapsed() >= self.timeout {
                return Err(ConnectionError::Searching(self.address.clone()));
            }
            let Some(body) = self.written.body(place) else { break };
            if self.is_reset_over(&body)? {
                self.refuse();
                self.refused.extend(self.written.take(place));
            } else {
                self.written.passes(place, self.listen_for);
            }
        }
        Ok(())
    }

    /// Whether a payload may be written: not if the peer resets a separate connection over it.
    fn stand_alone(&mut self, payload: &Payload) -> Result<(), ConnectionError> {
        if self.is_reset_over(&payload.body)? {
            self.refuse();
            return Err(ConnectionError::Refused(self.address.clone()));
        }
        Ok(())
    }

    fn refuse(&mut self) {
        self.trouble = Some(Instant::now());
        (self.unexplained, self.window_is_whole) = (false, false);
    }

    /// Writes a payload to a separate connection. Returns whether a reachable peer resets it.
    fn is_reset_over(&self, lines: &[u8]) -> Result<bool, ConnectionError> {
        let body = self.encoding.of(lines)?;
        let failed = |why| ConnectionError::Connect(self.address.clone(), why);
        let mut alone = stream::connect(&self.address, self.timeout).map_err(failed)?;
        let begun = Instant::now();
        match stream::write(&mut alone, &body, self.timeout) {
            Ok(()) => match stream::listen(&mut alone, self.listen_for) {
                Peer::Broken(_) => {}
                Peer::Closed | Peer::Open => return Ok(false),
            },
            Err(why) if is_break(&why) => {}
            Err(why) => return Err(ConnectionError::Write(self.address.clone(), why)),
        }
        // A peer that is going down resets connections too, which no payload causes.
        if self.is_well(self.listen_for.max(begun.elapsed() * 3)) {
            return Ok(true);
        }
        Err(ConnectionError::Reset(self.address.clone()))
    }

    /// Whether the peer accepts a connection and keeps it open for this time if nothing is written.
    fn is_well(&self, listen_for: Duration) -> bool {
        let stream = stream::connect(&self.address, self.timeout);
        stream.is_ok_and(|mut stream| matches!(stream::listen(&mut stream, listen_for), Peer::Open))
    }

    /// Finds out whether the peer has closed the connection, or closes it within `listen_for`, and
    /// whether that certainly caused a loss.
    fn look(&mut self, listen_for: Duration) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        match stream::listen(stream, listen_for) {
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

    /// The connection was reset.
    fn broken(&mut self, why: &io::Error) {
        tracing::debug!(event = "connection_broken", address = %self.address, %why);
        self.breaks = self.breaks.saturating_add(1);
        (self.trouble, self.window_is_whole) = (Some(Instant::now()), false);
        self.unexplained = true;
        self.written.was_reset();
        self.disconnected(true);
        self.wary = self.wary || (self.breaks >= BREAKS && self.is_well(self.listen_for));
    }

    fn disconnected(&mut self, lost: bool) {
        let (now, address, breaks) = (Instant::now(), &self.address, self.breaks);
        if lost && breaks > 1 {
            if let Some(left_out) = self.limits.repeated.admit(now) {
                let what = "recent payloads are written again, and committed once the connection \
                            stays open";
                tracing::warn!(event = "disconnected", %address, lost, breaks, left_out, what);
            }
        } else if let Some(left_out) = self.limits.disconnected.admit(now) {
            tracing::info!(event = "disconnected", %address, lost, left_out);
        }
        (self.stream, self.suspect) = (None, true);
    }

    fn connect(&mut self) -> Result<(), ConnectionError> {
        let stream = stream::connect(&self.address, self.timeout)
            .map_err(|why| ConnectionError::Connect(self.address.clone(), why))?;
        (self.stream, self.opened) = (Some(stream), Instant::now());
        if let Some(left_out) = self.limits.connected.admit(self.opened) {
            tracing::info!(event = "connected", address = %self.address, left_out);
        }
        Ok(())
    }

    /// Writes all of these lines, within the timeout.
    fn write_now(&mut self, lines: &[u8]) -> Result<(), ConnectionError> {
        let bytes = self.encoding.of(lines)?;
        let result = match &mut self.stream {
            Some(stream) => stream::write(stream, &bytes, self.timeout),
            None => Err(ErrorKind::NotConnected.into()),
        };
        result.map_err(|why| {
            if is_break(&why) {
                self.broken(&why);
                return ConnectionError::Reset(self.address.clone());
            }
            // The rest of the payload would be read as the end of a truncated line.
            (self.stream, self.suspect) = (None, true);
            ConnectionError::Write(self.address.clone(), why)
        })
    }
}
