//! The queue between the router and the journal's thread: batches to be written, and batches that were
//! written.

use super::writer::Entry;
use crate::journal::log::Log;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zibrato::wire::{BatchId, PublisherId, Stamp};
use zmq::Message;

/// Memory of an item besides its frames, in bytes.
const ITEM_BYTES: usize = 256;

/// Maximum time between attempts once the queue is closed.
const MOMENT: Duration = Duration::from_millis(20);

/// A batch that the router has accepted.
pub(crate) struct Taken {
    pub(crate) level: Box<str>,
    pub(crate) id: BatchId,
    pub(crate) stamp: Stamp,
    /// Whether it is also published as lines, to subscribers of lines.
    pub(crate) as_lines: bool,
    pub(crate) topic: Message,
    pub(crate) id_frame: Message,
    pub(crate) body: Message,
}

/// What the router sends to the journal. An item is returned once it and all earlier items are on
/// disk.
#[expect(clippy::large_enum_variant, reason = "nearly all are batches")]
pub(crate) enum Item {
    /// A batch, which is then published and acknowledged.
    Batch(Taken),
    /// A duplicate, which is then acknowledged again.
    Again {
        /// Its publisher.
        publisher: PublisherId,
        /// Its level.
        level: Box<str>,
        /// The highest accepted sequence.
        highest: u64,
    },
}

impl Item {
    /// Its approximate memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Batch(taken) => ITEM_BYTES + taken.level.len() + taken.body.len(),
            Self::Again { level, .. } => ITEM_BYTES + level.len(),
        }
    }

    /// The batch to write to disk; `None` for a duplicate.
    pub(crate) fn entry(&self) -> Option<Entry<'_>> {
        let Self::Batch(taken) = self else { return None };
        let Stamp { offset, received_ms } = taken.stamp;
        let Taken { level, id, body, .. } = taken;
        Some(Entry { offset, received_ms, level, id: *id, body })
    }
}

/// The queue. It accepts every item, so the router must check `has_room` first.
#[derive(Debug)]
pub(crate) struct Queue {
    to_disk: Mutex<ToDisk>,
    wake: Condvar,
    written: Mutex<Vec<Item>>,
    /// The log's waker wakes the router when items are returned.
    log: Arc<Log>,
    /// The bytes of all items, in both directions.
    bytes: AtomicUsize,
    max_bytes: usize,
}

#[derive(Default)]
struct ToDisk {
    items: VecDeque<Item>,
    bytes: usize,
    /// Whether somebody waits for the items.
    is_awaited: bool,
    close_by: Option<Instant>,
}

impl std::fmt::Debug for ToDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToDisk").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Item").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

/// What the journal's thread receives.
pub(crate) enum Next {
    /// Items, oldest first; empty if the time was up before there were any.
    Items(Vec<Item>),
    /// The queue is closed and empty.
    Closed,
}

impl Queue {
    /// A queue that has room while it holds fewer than `max_bytes`.
    pub(crate) fn new(max_bytes: usize, log: Arc<Log>) -> Self {
        Self {
            to_disk: Mutex::default(),
            wake: Condvar::new(),
            written: Mutex::default(),
            log,
            bytes: AtomicUsize::new(0),
            max_bytes,
        }
    }

    fn to_disk(&self) -> MutexGuard<'_, ToDisk> {
        // Each change is a few plain assignments, so a panic leaves valid data.
        self.to_disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Vec<Item>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for another batch.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < self.max_bytes
    }

    /// Bytes in the queue.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Hands an item to the journal's thread.
    pub(crate) fn push(&self, item: Item) {
        let bytes = item.bytes();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut to_disk = self.to_disk();
        to_disk.bytes += bytes;
        to_disk.items.push_back(item);
        drop(to_disk);
        self.wake.notify_one();
    }

    /// Lets the journal's thread take what is in the queue at once.
    pub(crate) fn hurry(&self) {
        let mut to_disk = self.to_disk();
        to_disk.is_awaited = !to_disk.items.is_empty();
        drop(to_disk);
        self.wake.notify_one();
    }

    /// Closes the queue. Its items should be on disk by `by`.
    pub(crate) fn close(&self, by: Instant) {
        self.to_disk().close_by.get_or_insert(by);
        self.wake.notify_one();
    }

    /// The deadline of a closed queue.
    pub(crate) fn close_by(&self) -> Option<Instant> {
        self.to_disk().close_by
    }

    /// Waits until `not_before`, for `group` bytes, or for a [`hurry`](Self::hurry), whichever comes
    /// first; then, until `not_after`, for at least one item.
    pub(crate) fn take(&self, group: usize, not_before: Instant, not_after: Instant) -> Next {
        let mut to_disk = self.to_disk();
        loop {
            let now = Instant::now();
            let is_ready = to_disk.bytes >= group
                || now >= not_before
                || to_disk.is_awaited
                || to_disk.close_by.is_some();
            if !to_disk.items.is_empty() && is_ready {
                return Next::Items(to_disk.take_group(group));
            }
            if to_disk.items.is_empty() && to_disk.close_by.is_some() {
                return Next::Closed;
            }
            let until = if to_disk.items.is_empty() { not_after } else { not_before };
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return Next::Items(Vec::new());
            }
            let waited = self.wake.wait_timeout(to_disk, left);
            to_disk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for `most`, or until the queue is closed. Waits only a moment if it already is.
    pub(crate) fn pause(&self, most: Duration) {
        let to_disk = self.to_disk();
        let most = if to_disk.close_by.is_some() { MOMENT } else { most };
        let was_open = to_disk.close_by.is_none();
        let goes_on = |to_disk: &mut ToDisk| to_disk.close_by.is_none() == was_open;
        drop(self.wake.wait_timeout_while(to_disk, most, goes_on));
    }

    /// Returns items that are on disk to the router.
    pub(crate) fn push_written(&self, items: Vec<Item>) {
        self.written().extend(items);
        self.log.router.wake();
    }

    /// Takes the returned items.
    pub(crate) fn take_written(&self) -> Vec<Item> {
        let items = std::mem::take(&mut *self.written());
        let bytes = items.iter().map(Item::bytes).sum();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        items
    }
}

impl ToDisk {
    fn take_group(&mut self, group: usize) -> Vec<Item> {
        let mut bytes = 0;
        let fits = |item: &&Item| {
            let is_first = bytes == 0;
            bytes += item.bytes();
            is_first || bytes <= group
        };
        let count = self.items.iter().take_while(fits).count();
        let items: Vec<_> = self.items.drain(..count).collect();
        self.bytes -= items.iter().map(Item::bytes).sum::<usize>();
        self.is_awaited &= !self.items.is_empty();
        items
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, Next, Queue};
    use crate::journal::{JournalConfig, OpenedJournal};
    use std::sync::Arc;
    use std::time::{Duration, Instant};
    use zibrato::wire::PublisherId;

    #[test]
    fn items_that_somebody_waits_for_are_taken_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let opened = OpenedJournal::open(&JournalConfig::new(dir.path())).unwrap();
        let queue = Queue::new(1 << 20, Arc::clone(opened.log()));
        let again =
            || Item::Again { publisher: PublisherId([1; 16]), level: "a".into(), highest: 1 };
        let later = Instant::now() + Duration::from_secs(3_600);
        let take = || match queue.take(1 << 20, later, later) {
            Next::Items(items) => items.len(),
            Next::Closed => 0,
        };
        // There is nothing to hurry for yet.
        queue.hurry();
        assert!(!queue.to_disk().is_awaited);
        queue.push(again());
        queue.push(again());
        queue.hurry();
        assert_eq!(take(), 2);
        // Further items wait for their group.
        assert!(!queue.to_disk().is_awaited);
        queue.push(again());
        std::thread::scope(|scope| {
            let taken = scope.spawn(take);
            queue.push(again());
            queue.hurry();
            assert_eq!(taken.join().unwrap(), 2);
        });
    }
}
