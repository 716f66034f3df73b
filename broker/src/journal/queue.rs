//! Between the router and the journal's thread: batches on their way to the disk, and back.

use super::log::Log;
use super::writer::Entry;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zibrato::wire::{BatchId, PublisherId, Stamp};
use zmq::Message;

/// What an item takes besides its frames.
const ITEM_BYTES: usize = 256;

/// How long a pause is when there is not much time left.
const MOMENT: Duration = Duration::from_millis(20);

/// A batch that has been taken.
pub(crate) struct Taken {
    pub(crate) level: Box<str>,
    pub(crate) id: BatchId,
    pub(crate) stamp: Stamp,
    /// Whether it is published as lines too, for those who want them.
    pub(crate) as_lines: bool,
    pub(crate) topic: Message,
    pub(crate) id_frame: Message,
    pub(crate) body: Message,
}

/// What goes to the journal, and comes back when everything up to it is safe.
#[expect(clippy::large_enum_variant, reason = "nearly all are batches")]
pub(crate) enum Item {
    /// A batch, to be published and acknowledged then.
    Batch(Taken),
    /// One that was taken before, to be acknowledged again then.
    Again {
        /// Whose.
        publisher: PublisherId,
        /// Of which level.
        level: Box<str>,
        /// The highest sequence taken.
        highest: u64,
    },
}

impl Item {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Batch(taken) => ITEM_BYTES + taken.level.len() + taken.body.len(),
            Self::Again { level, .. } => ITEM_BYTES + level.len(),
        }
    }

    /// What is to be written.
    pub(crate) fn entry(&self) -> Option<Entry<'_>> {
        let Self::Batch(taken) = self else { return None };
        let Stamp { offset, received_ms } = taken.stamp;
        let Taken { level, id, body, .. } = taken;
        Some(Entry { offset, received_ms, level, id: *id, body })
    }
}

/// The queue. It takes whatever it is given; the router asks beforehand whether there is room.
#[derive(Debug)]
pub(crate) struct Queue {
    forth: Mutex<Forth>,
    wake: Condvar,
    back: Mutex<Vec<Item>>,
    /// Whose bell is rung when something has come back.
    log: Arc<Log>,
    /// Of everything on its way, in either direction.
    bytes: AtomicUsize,
    max_bytes: usize,
}

#[derive(Default)]
struct Forth {
    items: VecDeque<Item>,
    bytes: usize,
    close_by: Option<Instant>,
}

impl std::fmt::Debug for Forth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forth").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Item").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

/// What there is for the journal's thread.
pub(crate) enum Next {
    /// These, oldest first; none when the time was over first.
    Items(Vec<Item>),
    /// Nothing, and nothing will come.
    Closed,
}

impl Queue {
    /// A queue that has room while less than this is on its way.
    pub(crate) fn new(max_bytes: usize, log: Arc<Log>) -> Self {
        Self {
            forth: Mutex::default(),
            wake: Condvar::new(),
            back: Mutex::default(),
            log,
            bytes: AtomicUsize::new(0),
            max_bytes,
        }
    }

    fn forth(&self) -> MutexGuard<'_, Forth> {
        // Each change is a few plain assignments, so a panic elsewhere leaves nothing half done.
        self.forth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn back(&self) -> MutexGuard<'_, Vec<Item>> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for another batch.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < self.max_bytes
    }

    /// Bytes on their way.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Gives something to the journal's thread.
    pub(crate) fn push(&self, item: Item) {
        let bytes = item.bytes();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut forth = self.forth();
        forth.bytes += bytes;
        forth.items.push_back(item);
        drop(forth);
        self.wake.notify_one();
    }

    /// Nothing more will come, and what is there should be safe by then.
    pub(crate) fn close(&self, by: Instant) {
        self.forth().close_by.get_or_insert(by);
        self.wake.notify_one();
    }

    /// When everything should be over, once the queue is closed.
    pub(crate) fn close_by(&self) -> Option<Instant> {
        self.forth().close_by
    }

    /// Waits until `not_before`, or until as much is there as one write should have; then, until
    /// `not_after`, for something to be there at all.
    pub(crate) fn take(&self, group: usize, not_before: Instant, not_after: Instant) -> Next {
        let mut forth = self.forth();
        loop {
            let now = Instant::now();
            let is_ripe = forth.bytes >= group || now >= not_before || forth.close_by.is_some();
            if !forth.items.is_empty() && is_ripe {
                return Next::Items(forth.take_group(group));
            }
            if forth.items.is_empty() && forth.close_by.is_some() {
                return Next::Closed;
            }
            let until = if forth.items.is_empty() { not_after } else { not_before };
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return Next::Items(Vec::new());
            }
            let waited = self.wake.wait_timeout(forth, left);
            forth = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits so long, but not beyond the closing of the queue; then only a moment.
    pub(crate) fn pause(&self, most: Duration) {
        let forth = self.forth();
        let most = if forth.close_by.is_some() { MOMENT } else { most };
        let was_open = forth.close_by.is_none();
        let goes_on = |forth: &mut Forth| forth.close_by.is_none() == was_open;
        drop(self.wake.wait_timeout_while(forth, most, goes_on));
    }

    /// Gives back what is safe.
    pub(crate) fn give_back(&self, items: Vec<Item>) {
        self.back().extend(items);
        self.log.router.wake();
    }

    /// Takes what has come back.
    pub(crate) fn take_back(&self) -> Vec<Item> {
        let items = std::mem::take(&mut *self.back());
        let bytes = items.iter().map(Item::bytes).sum();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        items
    }
}

impl Forth {
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
        items
    }
}
