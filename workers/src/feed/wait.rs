//! How long a feed may wait for its next event, and what ends the wait early.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Instant;

/// How long a [`Feed`](crate::Feed) may wait for its next event.
#[derive(Debug, Clone, Copy)]
pub struct Wait<'a> {
    until: Instant,
    wakers: [Option<BorrowedFd<'a>>; 2],
}

impl<'a> Wait<'a> {
    pub(crate) const fn new(until: Instant, wakers: [Option<BorrowedFd<'a>>; 2]) -> Self {
        Self { until, wakers }
    }

    /// The time at which the wait ends. It may be in the past; then the feed returns only available
    /// events.
    #[must_use]
    pub const fn until(&self) -> Instant {
        self.until
    }

    /// The wait also ends when one of these is readable: the worker is stopping, or has delivered
    /// something. The feed must not read from them.
    pub fn wakers(&self) -> impl Iterator<Item = BorrowedFd<'a>> {
        self.wakers.into_iter().flatten()
    }

    /// Waits. For a feed that has no descriptor of its own to wait for.
    pub fn sleep(&self) {
        self.poll(Vec::new(), self.until);
    }

    /// Waits until one of the sockets is readable, at most until `until`.
    pub(super) fn poll(&self, mut items: Vec<zmq::PollItem<'_>>, until: Instant) {
        let left = until.min(self.until).saturating_duration_since(Instant::now());
        let fds = self.wakers().map(|fd| zmq::PollItem::from_fd(fd.as_raw_fd(), zmq::POLLIN));
        items.extend(fds);
        // Rounded up, so that a wait of less than a millisecond does not become a busy loop.
        let millis = left.as_micros().div_ceil(1000) as i64;
        if let Err(why) = zmq::poll(&mut items, millis) {
            // An interrupted wait counts as a short one.
            tracing::trace!(event = "poll_interrupted", %why);
        }
    }
}
