//! A token that asks threads to stop, raised by TERM, INT and QUIT or by the program itself.
//!
//! It is a descriptor, so that a thread can wait for it together with sockets. Once raised, it
//! stays readable, for all threads.

use super::signals::hangup_is_ignored;
use super::waker::Waker;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::low_level::pipe;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longer waits are split.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Tells threads to stop. Clones are the same token.
#[derive(Clone)]
pub struct Stop {
    inner: Arc<Inner>,
}

struct Inner {
    waker: Waker,
    raised: AtomicBool,
}

impl Stop {
    /// A token that only [`raise`](Self::raise) raises.
    ///
    /// # Errors
    /// If the process cannot open more descriptors.
    pub fn new() -> io::Result<Self> {
        let (waker, raised) = (Waker::new()?, AtomicBool::new(false));
        Ok(Self { inner: Arc::new(Inner { waker, raised }) })
    }

    /// A token that TERM, INT and QUIT raise as well.
    ///
    /// # Errors
    /// If the process cannot open more descriptors, or cannot handle signals.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::new()?;
        for signal in [SIGTERM, SIGINT, SIGQUIT] {
            pipe::register(signal, stop.inner.waker.writer()?)?;
        }
        Ok(stop)
    }

    /// Lets HUP raise it too, unless the process was started with HUP ignored, as by `nohup`. For
    /// programs that have nothing to reload.
    ///
    /// # Errors
    /// If the process cannot open more descriptors, or cannot handle signals.
    pub fn on_hangup(self) -> io::Result<Self> {
        if !hangup_is_ignored() {
            pipe::register(SIGHUP, self.inner.waker.writer()?)?;
        }
        Ok(self)
    }

    /// Raises the token. It stays raised.
    pub fn raise(&self) {
        if !self.inner.raised.swap(true, Ordering::SeqCst) {
            self.inner.waker.wake();
        }
    }

    /// Whether the token is raised.
    #[must_use]
    pub fn raised(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits at most `timeout` until the token is raised, and returns whether it is.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let begun = Instant::now();
        loop {
            if self.inner.raised.load(Ordering::Relaxed) {
                return true;
            }
            let left = timeout.saturating_sub(begun.elapsed());
            // After an interrupted wait the loop checks again.
            if self.inner.waker.wait(left.min(LONGEST_WAIT)) {
                self.inner.raised.store(true, Ordering::Relaxed);
            } else if begun.elapsed() >= timeout {
                return false;
            }
        }
    }
}

/// Raises a token when it is dropped, so that a thread reports its end even if it panics.
#[derive(Debug)]
#[must_use = "it raises the token when it is dropped"]
pub struct NotifyOnDrop(Stop);

impl NotifyOnDrop {
    /// Raises `stop` when it is dropped.
    pub const fn new(stop: Stop) -> Self {
        Self(stop)
    }
}

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.waker.as_fd()
    }
}

impl AsRawFd for Stop {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.waker.as_raw_fd()
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("raised", &self.inner.raised).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Stop;
    use std::time::Duration;

    #[test]
    fn a_raised_token_stays_raised_for_all_its_clones() {
        let stop = Stop::new().unwrap();
        let clone = stop.clone();
        assert!(!clone.wait(Duration::from_millis(1)));
        stop.raise();
        stop.raise();
        assert!(clone.raised() && stop.raised());
        assert!(clone.wait(Duration::MAX));
    }

    #[test]
    fn a_signal_raises_it() {
        let stop = Stop::on_signals().unwrap();
        signal_hook::low_level::raise(signal_hook::consts::SIGQUIT).unwrap();
        assert!(stop.wait(Duration::from_secs(10)));
    }
}
