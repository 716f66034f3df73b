//! The write-ahead path: batches go to the journal first, which returns them once they are on disk. Only
//! then are they published, and acknowledged to their publishers.

use crate::journal::{Health, Item, Journal, Log};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;
use zibrato::wire::WantedLevels;

/// The journal, and what is in flight between it and the router.
#[derive(Debug)]
pub(crate) struct WriteAhead {
    journal: Journal,
    /// The time when each item in flight was received, in unix milliseconds; oldest first.
    in_flight: VecDeque<u64>,
}

/// What the journal has returned.
pub(super) struct Written {
    /// Items that are on disk, oldest first.
    pub(super) items: Vec<Item>,
    /// The levels to keep from now on, if they have changed.
    pub(super) kept: Option<WantedLevels>,
}

impl WriteAhead {
    pub(crate) const fn new(journal: Journal) -> Self {
        Self { journal, in_flight: VecDeque::new() }
    }

    /// The offset of the last batch.
    pub(super) fn end(&self) -> u64 {
        self.journal.log.end()
    }

    pub(super) fn log(&self) -> &Log {
        &self.journal.log
    }

    /// The state of the journal.
    pub(super) fn health(&self) -> Health {
        let waiting_bytes = self.journal.queue.bytes() as u64;
        Health { waiting_bytes, ..self.journal.log.health() }
    }

    /// Readable when the journal has returned something.
    pub(super) fn waker(&self) -> RawFd {
        self.journal.log.router.as_raw_fd()
    }

    /// Whether more can be accepted.
    pub(super) fn has_room(&self) -> bool {
        self.journal.queue.has_room()
    }

    /// The number of items in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Hands an item, received at `now_ms`, to the journal.
    pub(super) fn push(&mut self, item: Item, now_ms: u64) {
        self.in_flight.push_back(now_ms);
        self.journal.queue.push(item);
    }

    /// Lets the journal write at once what it has been handed.
    pub(super) fn hurry(&self) {
        self.journal.queue.hurry();
    }

    /// Takes what the journal has returned.
    pub(super) fn take_written(&mut self) -> Written {
        self.journal.log.router.clear();
        let items = self.journal.queue.take_written();
        self.in_flight.drain(..items.len().min(self.in_flight.len()));
        Written { items, kept: self.journal.log.take_kept() }
    }

    /// Advances the watermark: the time before which every received batch is in the journal.
    pub(super) fn update_watermark(&self, now_ms: u64) {
        let oldest = self.in_flight.front().copied();
        self.journal.log.set_watermark_ms(oldest.unwrap_or(now_ms), now_ms);
    }

    /// Stops the journal, and returns whether it has written everything by then.
    pub(super) fn stop(&mut self, by: Instant) -> bool {
        self.journal.stop(by)
    }
}
