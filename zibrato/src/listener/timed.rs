//! A connection with one deadline for everything, however slowly the peer answers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A stream that fails with [`io::ErrorKind::TimedOut`] or [`io::ErrorKind::WouldBlock`] once its
/// time is over.
#[derive(Debug)]
pub struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Timed {
    /// Connects. Connecting and all later operations together take at most `within`.
    ///
    /// # Errors
    /// That of the system, also when the time is over.
    pub fn connect(address: SocketAddr, within: Duration) -> io::Result<Self> {
        let until = Instant::now() + within;
        let stream = TcpStream::connect_timeout(&address, within)?;
        Ok(Self { stream, until })
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(into)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
