//! Wakes a thread that waits on descriptors, as often as need be.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Readable from when it is rung until it is cleared.
#[derive(Debug)]
pub(crate) struct Bell {
    event: OwnedFd,
}

impl Bell {
    /// A bell that has not been rung.
    ///
    /// # Errors
    /// When the process may open no more descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { event: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)? })
    }

    /// Wakes whoever waits, now or next.
    pub(crate) fn ring(&self) {
        // It fails only when the bell has been rung very often, and then it is readable already.
        rustix::io::write(&self.event, &1_u64.to_ne_bytes()).ok();
    }

    /// Is silent again.
    pub(crate) fn clear(&self) {
        // It fails when the bell has not been rung.
        rustix::io::read(&self.event, &mut [0; 8]).ok();
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::Bell;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_bell_rings_until_it_is_cleared() {
        let bell = Bell::new().unwrap();
        let rings = || {
            let mut items = [zmq::PollItem::from_fd(bell.as_raw_fd(), zmq::POLLIN)];
            zmq::poll(&mut items, 0).unwrap() == 1
        };
        assert!(!rings());
        bell.clear();
        bell.ring();
        bell.ring();
        assert!(rings() && rings());
        bell.clear();
        assert!(!rings());
    }
}
