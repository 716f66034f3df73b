//! Finds out whether a server reads what is written, without writing a point.

use super::{Connection, ConnectionError, LISTEN};
use crate::carbon::address::{Address, Protocol};
use crate::carbon::secure::Hindrance;
use std::time::Duration;

/// What is written to a receiver of lines: blanks without an end of line, which it discards at the
/// end of the connection. A receiver of pickles reads a length that is too long, and closes. So does
/// a TLS server, which reads the five bytes of a head.
const BLANKS: &[u8] = b"                ";

/// The beginning of a frame that is never completed, so a receiver of pickles discards it. It is
/// longer than a line may be, so a receiver of lines closes.
static UNFINISHED_FRAME: [u8; 20_000] = {
    let mut frame = [b' '; 20_000];
    [frame[0], frame[1], frame[2], frame[3]] = 65_536_u32.to_be_bytes();
    frame
};

/// Time for the server to close the connection over these bytes.
const ANSWER: Duration = Duration::from_millis(500);

impl Connection {
    /// Connects, writes no point, and says what works.
    pub(in crate::carbon) fn reach(&mut self) -> Result<Vec<String>, ConnectionError> {
        self.connect()?;
        if self.look(LISTEN) || self.stream.is_none() {
            return Err(self.refusal(ConnectionError::Closes));
        }
        let protocol = self.address().protocol();
        let (bytes, what) = match protocol {
            Protocol::Pickle | Protocol::PickleTls => (&UNFINISHED_FRAME[..], "pickles"),
            _ => (BLANKS, "lines"),
        };
        let timeout = self.dial.timeout();
        let written = self.stream.as_mut().map(|stream| stream.write(bytes, timeout));
        if let Some(Err(why)) = &written {
            self.hindrance = Hindrance::find(why).cloned();
        }
        let is_refused = !matches!(written, Some(Ok(()))) || self.look(ANSWER);
        if is_refused || self.stream.is_none() {
            return Err(self.refusal(|address| ConnectionError::Misread(address, what)));
        }
        self.stream = None;
        let tls = if protocol.is_tls() { " with TLS and a valid certificate" } else { "" };
        Ok(vec![format!("accepts connections{tls}, and reads {what}")])
    }

    /// Why the server has ended the connection: what it has said, such as that it requires a client
    /// certificate, or that it expects TLS, or otherwise `unknown`.
    fn refusal(&mut self, unknown: impl FnOnce(Address) -> ConnectionError) -> ConnectionError {
        let address = self.address().clone();
        match self.hindrance.take() {
            Some(said) => ConnectionError::Hindered(address, said),
            None if self.dial.misses_tls() => {
                ConnectionError::Hindered(address, Hindrance::needs_tls())
            }
            None => unknown(address),
        }
    }
}
