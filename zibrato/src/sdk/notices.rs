//! Notices: what the SDK reports in the log of the application.
//!
//! A notice is only queued, so any thread may give one, also within a measurement. A thread of its
//! own (`sending/logging.rs`) passes the notices to the application's logger, which may block, take
//! locks, use descriptors and measure. Without feature `log`, there are no notices.

use crate::sdk::cells::per_process::PerProcess;
use crate::sdk::cells::{busy, lock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Maximum number of notices that wait. Further ones are dropped and counted.
const ROOM: usize = 64;

/// Interval in which a waiting thread checks whether it should end, if nothing wakes it.
const AT_LATEST: Duration = Duration::from_secs(60);

/// The notices of this process that were not logged yet.
static QUEUE: PerProcess<Queue> = PerProcess::new(Queue::new());

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Info,
    Warning,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) severity: Severity,
    pub(crate) text: String,
    /// Number of notices that were dropped before this one.
    pub(crate) dropped: u64,
}

/// Gives a notice the first time, and never again in this process.
///
/// ```ignore
/// static OVERFLOW: Once = Once::new();
/// OVERFLOW.warn(|| format!("{name}: more than {max} series"));
/// ```
#[derive(Debug, Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    pub(crate) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Queues a warning, unless there already was one. Neither blocks nor calls code of the
    /// application: `text` must not, either. It costs one load after the first time.
    #[inline]
    pub(crate) fn warn(&self, text: impl FnOnce() -> String) {
        if !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed) {
            give(Severity::Warning, text);
        }
    }
}

/// Queues a notice. Neither blocks nor calls code of the application: `text` must not, either.
#[cold]
pub(crate) fn give(severity: Severity, text: impl FnOnce() -> String) {
    if cfg!(feature = "log") {
        busy(|| queue().put(Notice { severity, text: text(), dropped: 0 }));
    }
}

/// Waits for the next notice of this process. `None` after [`end`], if there are no more.
pub(crate) fn next(over: &AtomicBool) -> Option<Notice> {
    queue().next(over)
}

/// Makes [`next`] return `None` for the thread that waits with `over`, after the last notice.
pub(crate) fn end(over: &AtomicBool) {
    queue().end(over);
}

fn queue() -> &'static Queue {
    QUEUE.get(|_| Queue::new())
}

#[derive(Debug)]
struct Queue {
    queued: Mutex<Queued>,
    changed: Condvar,
}

/// A ring of a fixed size. Nothing is allocated or freed while it is locked, because an allocator
/// that measures may give a notice, too.
#[derive(Debug)]
struct Queued {
    ring: [Option<Notice>; ROOM],
    first: usize,
    count: usize,
    dropped: u64,
}

impl Queue {
    const fn new() -> Self {
        let queued = Queued { ring: [const { None }; ROOM], first: 0, count: 0, dropped: 0 };
        Self { queued: Mutex::new(queued), changed: Condvar::new() }
    }

    fn put(&self, notice: Notice) {
        let rejected = lock(&self.queued).put(notice);
        self.changed.notify_all();
        // Freed when the lock is released.
        drop(rejected);
    }

    fn next(&self, over: &AtomicBool) -> Option<Notice> {
        let mut queued = lock(&self.queued);
        loop {
            if let Some(notice) = queued.take() {
                return Some(notice);
            }
            if over.load(Ordering::SeqCst) {
                return None;
            }
            let waited = self.changed.wait_timeout(queued, AT_LATEST);
            queued = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn end(&self, over: &AtomicBool) {
        {
            // Locked, so that the thread does not begin to wait between its check and the call below.
            let _queued = lock(&self.queued);
            over.store(true, Ordering::SeqCst);
        }
        self.changed.notify_all();
    }
}

impl Queued {
    /// Returns the notice if there is no room for it.
    fn put(&mut self, notice: Notice) -> Option<Notice> {
        if self.count == ROOM {
            self.dropped += 1;
            return Some(notice);
        }
        let place = (self.first + self.count) % ROOM;
        self.count += 1;
        self.ring.get_mut(place)?.replace(notice)
    }

    fn take(&mut self) -> Option<Notice> {
        let mut notice = self.ring.get_mut(self.first)?.take()?;
        self.first = (self.first + 1) % ROOM;
        self.count -= 1;
        notice.dropped = std::mem::take(&mut self.dropped);
        Some(notice)
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_LATEST, Notice, Queue, ROOM, Severity};
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;

    fn notice(text: usize) -> Notice {
        Notice { severity: Severity::Warning, text: text.to_string(), dropped: 0 }
    }

    #[test]
    fn notices_come_in_order_and_the_dropped_ones_are_counted() {
        let (queue, over) = (Queue::new(), AtomicBool::new(true));
        assert_eq!(queue.next(&over), None);
        (0..10).for_each(|text| queue.put(notice(text)));
        (0..10).for_each(|text| assert_eq!(queue.next(&over), Some(notice(text))));
        (0..ROOM + 3).for_each(|text| queue.put(notice(text)));
        assert_eq!(queue.next(&over), Some(Notice { dropped: 3, ..notice(0) }));
        queue.put(notice(99));
        (1..ROOM).for_each(|text| assert_eq!(queue.next(&over), Some(notice(text))));
        assert_eq!(queue.next(&over), Some(notice(99)));
        assert_eq!(queue.next(&over), None);
    }

    #[test]
    fn a_waiting_thread_is_woken_by_a_notice_and_by_the_end() {
        let (queue, over) = (Queue::new(), AtomicBool::new(false));
        let (got, gets) = mpsc::sync_channel(2);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..2).for_each(|_| got.send(queue.next(&over)).unwrap()));
            queue.put(notice(1));
            // If it is not woken, it waits longer.
            let soon = AT_LATEST / 2;
            assert_eq!(gets.recv_timeout(soon), Ok(Some(notice(1))));
            queue.end(&over);
            assert_eq!(gets.recv_timeout(soon), Ok(None));
        });
    }
}
