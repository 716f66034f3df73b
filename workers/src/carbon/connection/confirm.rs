//! Waits until the peer has read what was written: the connection is closed for writing, and the peer
//! closes it after it has read everything.

use super::Connection;
use crate::carbon::failure::ConnectionError;
use crate::carbon::kept::Written;
use crate::carbon::stream::Peer;

impl Connection {
    /// Waits until the peer has read everything. Nothing is kept to be written again: on an error the
    /// caller does that. A peer that does not close within the timeout may not have read
    /// it.
    pub(in crate::carbon) fn confirm(&mut self) -> Result<(), ConnectionError> {
        let timeout = self.dial.timeout();
        let state = self.stream.as_mut().map(|stream| stream.finish(timeout));
        let was_ended = self.stream.is_none();
        let result = match state {
            // It has ended the connection before, with all that it has read.
            None if was_ended => Err(self.reset()),
            Some(Peer::Broken(why)) => {
                self.broken(&why);
                Err(self.reset())
            }
            Some(Peer::Open) => Err(ConnectionError::Unread(self.address().clone(), timeout)),
            None | Some(Peer::Closed) => Ok(()),
        };
        self.start_afresh();
        result
    }

    /// Closes the connection and keeps nothing of what was written.
    pub(in crate::carbon) fn start_afresh(&mut self) {
        (self.stream, self.suspect, self.written) = (None, false, Written::default());
    }
}
