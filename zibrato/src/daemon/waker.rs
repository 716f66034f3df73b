//! Wakes a thread that waits for descriptors, any number of times.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A descriptor that is readable from a call of `wake` until it is cleared.
///
/// ```
/// use std::time::Duration;
/// use zibrato::daemon::Waker;
/// let waker = Waker::new()?;
/// assert!(!waker.wait(Duration::ZERO));
/// waker.wake();
/// assert!(waker.wait(Duration::ZERO) && waker.clear());
/// assert!(!waker.clear());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Waker {
    readable: UnixStream,
    writable: UnixStream,
}

impl Waker {
    /// A waker that has not been woken.
    ///
    /// # Errors
    /// If the process cannot open more descriptors.
    pub fn new() -> io::Result<Self> {
        let (readable, writable) = UnixStream::pair()?;
        readable.set_nonblocking(true)?;
        // `wake` never blocks, because a signal handler may call it.
        writable.set_nonblocking(true)?;
        Ok(Self { readable, writable })
    }

    /// Wakes the thread that waits, or the next one that will.
    pub fn wake(&self) {
        // A full socket is already readable, which is enough.
        (&self.writable).write_all(&[0]).ok();
    }

    /// Clears it, and returns whether it was woken.
    pub fn clear(&self) -> bool {
        let (mut any, mut bytes) = (false, [0; 64]);
        while (&self.readable).read(&mut bytes).is_ok_and(|count| count > 0) {
            any = true;
        }
        any
    }

    /// Waits at most `timeout`, and returns whether it is readable. A signal ends the wait early.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let timespec = Timespec::try_from(timeout).unwrap_or_default();
        let mut readable = [PollFd::new(&self.readable, PollFlags::IN)];
        poll(&mut readable, Some(&timespec)).is_ok_and(|ready| ready > 0)
    }

    /// The end of the socket to which a signal handler writes.
    pub(super) fn writer(&self) -> io::Result<UnixStream> {
        self.writable.try_clone()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> RawFd {
        self.readable.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::Waker;
    use std::os::fd::AsRawFd;

    #[test]
    fn it_is_readable_until_it_is_cleared() {
        let waker = Waker::new().unwrap();
        let woken = || {
            let mut items = [zmq::PollItem::from_fd(waker.as_raw_fd(), zmq::POLLIN)];
            zmq::poll(&mut items, 0).unwrap() == 1
        };
        assert!(!woken() && !waker.clear());
        (0..100_000).for_each(|_| waker.wake());
        assert!(woken() && woken());
        assert!(waker.clear() && !woken());
    }
}
