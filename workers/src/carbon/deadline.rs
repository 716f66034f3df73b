//! A TCP stream with one deadline for all operations, however slow the peer is.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Reads and writes until a point in time; later operations fail with [`ErrorKind::TimedOut`]. The
/// stream must be in blocking mode.
#[derive(Debug)]
pub(super) struct Deadline<'a> {
    tcp: &'a TcpStream,
    until: Instant,
}

impl<'a> Deadline<'a> {
    pub(super) const fn new(tcp: &'a TcpStream, until: Instant) -> Self {
        Self { tcp, until }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

/// `WouldBlock` is the error of a socket's timeout.
fn timed_out(why: io::Error) -> io::Error {
    if why.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { why }
}

impl Read for Deadline<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(self.left()?)?;
        self.tcp.read(into).map_err(timed_out)
    }
}

impl Write for Deadline<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(self.left()?)?;
        self.tcp.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
