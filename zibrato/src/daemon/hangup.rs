//! A token that HUP raises: reload what can be reloaded.

use super::waker::Waker;
use signal_hook::consts::SIGHUP;
use signal_hook::low_level::pipe;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Becomes readable with each HUP, until it is cleared.
#[derive(Debug)]
pub struct Hangup(Waker);

impl Hangup {
    /// A token that HUP raises, instead of ending the process.
    ///
    /// # Errors
    /// If the process cannot open more descriptors, or cannot handle signals.
    pub fn on_signal() -> io::Result<Self> {
        let waker = Waker::new()?;
        pipe::register(SIGHUP, waker.writer()?)?;
        Ok(Self(waker))
    }

    /// Whether HUP was received since the last call. Several count as one.
    #[must_use]
    pub fn take(&self) -> bool {
        self.0.clear()
    }

    /// Waits at most `timeout` for HUP, and returns whether it was received.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        self.0.wait(timeout) && self.take()
    }
}

impl AsFd for Hangup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Hangup {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::Hangup;
    use signal_hook::consts::SIGHUP;
    use std::time::Duration;

    #[test]
    fn several_signals_count_as_one() {
        let hangup = Hangup::on_signal().unwrap();
        assert!(!hangup.take());
        for _ in 0..1_000 {
            signal_hook::low_level::raise(SIGHUP).unwrap();
        }
        assert!(hangup.wait(Duration::from_secs(10)));
        assert!(!hangup.take());
    }
}
