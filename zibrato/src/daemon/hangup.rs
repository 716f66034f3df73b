//! A token that HUP raises: read again what can be read again.

use rustix::event::{PollFd, PollFlags, Timespec};
use signal_hook::consts::SIGHUP;
use signal_hook::low_level::pipe;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Becomes readable with each HUP, until it is taken.
#[derive(Debug)]
pub struct Hangup {
    readable: UnixStream,
}

impl Hangup {
    /// A token that HUP raises, in place of ending the process.
    ///
    /// # Errors
    /// When the process may open no more descriptors or handle no signals.
    pub fn on_signal() -> io::Result<Self> {
        let (readable, writable) = UnixStream::pair()?;
        readable.set_nonblocking(true)?;
        // What writes to it is a signal handler, which must never wait.
        writable.set_nonblocking(true)?;
        pipe::register(SIGHUP, writable)?;
        Ok(Self { readable })
    }

    /// Whether there was a HUP since the last time.
    #[must_use]
    pub fn take(&self) -> bool {
        let (mut any, mut bytes) = (false, [0; 64]);
        // Several are one; nothing more to read is the usual end.
        while (&self.readable).read(&mut bytes).is_ok_and(|count| count > 0) {
            any = true;
        }
        any
    }

    /// Waits at most `timeout` for a HUP, and says whether there was one.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let timespec = Timespec::try_from(timeout).unwrap_or_default();
        let mut readable = [PollFd::new(&self.readable, PollFlags::IN)];
        // An interrupted wait is a short one.
        rustix::event::poll(&mut readable, Some(&timespec)).is_ok() && self.take()
    }
}

impl AsFd for Hangup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}

impl AsRawFd for Hangup {
    fn as_raw_fd(&self) -> RawFd {
        self.readable.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::Hangup;
    use signal_hook::consts::SIGHUP;
    use std::time::Duration;

    #[test]
    fn several_are_taken_once() {
        let hangup = Hangup::on_signal().unwrap();
        assert!(!hangup.take());
        for _ in 0..1_000 {
            signal_hook::low_level::raise(SIGHUP).unwrap();
        }
        assert!(hangup.wait(Duration::from_secs(10)));
        assert!(!hangup.take());
    }
}
