//! Separate connections: find the payload over which the peer resets the connection.

use super::Connection;
use crate::backend::Payload;
use crate::carbon::failure::ConnectionError;
use crate::carbon::secure::Hindrance;
use crate::carbon::stream::{Peer, is_break};
use std::time::{Duration, Instant};

/// Maximum time to wait for a reset, if resets arrive later.
const LISTEN_LONGEST: Duration = Duration::from_millis(1600);

impl Connection {
    /// Tries each payload that may still be lost on a separate connection, and removes those over
    /// which it is reset. After the timeout it stops, and the next call continues.
    pub(super) fn search(&mut self) -> Result<(), ConnectionError> {
        if self.unexplained && self.written.untried(self.listen_for).is_none() {
            // No payload caused a reset, although there was one: the peer resets later than
            // expected.
            self.listen_for = (self.listen_for * 2).min(LISTEN_LONGEST);
        }
        let begun = Instant::now();
        while let Some(place) = self.written.untried(self.listen_for) {
            if begun.elapsed() >= self.dial.timeout() {
                return Err(ConnectionError::Searching(self.address().clone()));
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
    pub(super) fn stand_alone(&mut self, payload: &Payload) -> Result<(), ConnectionError> {
        if self.is_reset_over(&payload.body)? {
            self.refuse();
            return Err(ConnectionError::Refused(self.address().clone()));
        }
        Ok(())
    }

    fn refuse(&mut self) {
        self.trouble = Some(Instant::now());
        (self.unexplained, self.window_is_whole) = (false, false);
    }

    /// Writes a payload to a separate connection. Returns whether a reachable peer resets it.
    fn is_reset_over(&mut self, lines: &[u8]) -> Result<bool, ConnectionError> {
        let body = self.wire.of(lines)?.into_owned();
        let (address, timeout) = (self.address().clone(), self.dial.timeout());
        let failed = |why| ConnectionError::Connect(address.clone(), why);
        let mut alone = self.dial.connect().map_err(failed)?;
        let begun = Instant::now();
        let why = match alone.write(&body, timeout) {
            Ok(()) => match alone.listen(self.listen_for) {
                Peer::Broken(why) => why,
                Peer::Closed | Peer::Open => return Ok(false),
            },
            Err(why) if is_break(&why) => why,
            Err(why) => return Err(ConnectionError::Write(address, why)),
        };
        if let Some(hindrance) = Hindrance::find(&why) {
            return Err(ConnectionError::Hindered(address, hindrance.clone()));
        }
        // A peer that is going down resets connections too, which no payload causes.
        if self.is_well(self.listen_for.max(begun.elapsed() * 3)) {
            return Ok(true);
        }
        Err(ConnectionError::Reset(address))
    }

    /// Whether the peer accepts a connection and keeps it open for this time if nothing is written.
    pub(super) fn is_well(&mut self, listen_for: Duration) -> bool {
        let stream = self.dial.connect();
        stream.is_ok_and(|mut stream| matches!(stream.listen(listen_for), Peer::Open))
    }
}
