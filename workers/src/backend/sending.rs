//! Sending a window while it is encoded, and the host that it is sent to.

use super::SendError;
use std::fmt;
use std::ops::ControlFlow;

/// See [`Backend::send_together`](super::Backend::send_together).
pub type Answered<'a> = &'a mut (dyn FnMut(usize, Result<(), SendError>) -> ControlFlow<()> + Send);

/// How a backend sends payloads of a window while it encodes the next ones. See
/// [`Backend::payloads_sent`](super::Backend::payloads_sent).
pub struct Sending<'a> {
    pub(crate) key: &'a (dyn Fn(usize, &[u8]) -> String + Sync),
    /// Takes the results, like that of [`Backend::send_together`](super::Backend::send_together).
    pub answered: Answered<'a>,
}

impl Sending<'_> {
    /// The [key](super::Payload::key) of the payload with this index and body. It must be set before the payload
    /// is sent.
    #[must_use]
    pub fn key(&self, index: usize, body: &[u8]) -> String {
        (self.key)(index, body)
    }
}

impl fmt::Debug for Sending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

/// The host and port that a backend connects to, and the flag that names them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The flag or variable that names the host, such as `--carbon`.
    pub flag: String,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether a TCP connection can be made to it.
    pub connects: bool,
}

impl Target {
    /// A target to which a TCP connection can be made.
    #[must_use]
    pub fn new(flag: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        Self { flag: flag.into(), host: host.into(), port, connects: true }
    }

    /// The same without a TCP connection, such as for datagrams: its host is resolved, and nothing
    /// more.
    #[must_use]
    pub fn without_connection(mut self) -> Self {
        self.connects = false;
        self
    }
}
