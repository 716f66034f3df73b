//! What a worker counts: everything that came in, and what became of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A worker's own numbers, since it started.
///
/// Nothing is dropped uncounted: `series_flushed` is the sum of `series_delivered`,
/// `series_dropped`, `series_kept`, `series_left_out`, `series_lost`, `series_rejected` and those
/// still waiting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Batches that were folded.
    pub batches: u64,
    /// Whether the broker has been heard of lately.
    pub broker_connected: bool,
    /// Commits that the broker refused or did not answer; they are tried again.
    pub commits_failed: u64,
    /// How often the broker had forgotten the worker's place in the journal, because the worker was
    /// away for longer than batches are kept.
    pub cursors_forgotten: u64,
    /// Payloads that the backend refused for good and that are kept in dead-letter files.
    pub dead_letters: u64,
    /// Batches that had come before, and were left alone this time.
    pub duplicates: u64,
    /// Entries that were folded.
    pub entries: u64,
    /// Batches, of whatever level, that the journal should have handed out and had not any more.
    pub gone: u64,
    /// Batches whose window was gone when they came; they went into the next one.
    pub late: u64,
    /// Series that are lost, by reason: `dead_letters_disk`, `dead_letters_full`, `no_time`.
    pub lost: BTreeMap<&'static str, u64>,
    /// Entries that went to `_overflow`, because a window had its most series.
    pub overflowed: u64,
    /// Payloads that were sent again although the backend may have taken them before, because its
    /// answer did not come.
    pub payloads_repeated: u64,
    /// Payloads that the backend refused, and that were sent in parts to find the bad series.
    pub payloads_split: u64,
    /// Messages and entries that were refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Tries that the backend answered by "again".
    pub retries: u64,
    /// Series that the backend has taken.
    pub series_delivered: u64,
    /// Series dropped with their window, because too many windows were waiting.
    pub series_dropped: u64,
    /// Series that were in the windows that ended.
    pub series_flushed: u64,
    /// Series that were not delivered when the worker stopped, and that the journal holds.
    pub series_kept: u64,
    /// Series for which the backend made no payload.
    pub series_left_out: u64,
    /// Series that are lost, in sum; see `lost`.
    pub series_lost: u64,
    /// Series that the backend refused for good; see `dead_letters`.
    pub series_rejected: u64,
    /// Windows that the broker knows to be done, so that nobody will read them again.
    pub windows_committed: u64,
    /// Windows that were delivered in full.
    pub windows_delivered: u64,
    /// Windows that ended with something in them.
    pub windows_flushed: u64,
    /// Windows that were not delivered when the worker stopped, and that the journal holds.
    pub windows_kept: u64,
    /// Windows of which something was dropped, rejected or lost.
    pub windows_lost: u64,
}

impl Counters {
    /// Series that are still on their way to the backend.
    #[must_use]
    pub const fn series_waiting(&self) -> u64 {
        let done = self.series_delivered + self.series_dropped + self.series_left_out;
        let gone = self.series_kept + self.series_lost + self.series_rejected;
        self.series_flushed.saturating_sub(done + gone)
    }

    /// Windows that are still on their way to the backend.
    #[must_use]
    pub const fn windows_waiting(&self) -> u64 {
        let done = self.windows_delivered + self.windows_kept + self.windows_lost;
        self.windows_flushed.saturating_sub(done)
    }

    /// Enters series that are lost.
    pub(crate) fn lose(&mut self, reason: &'static str, series: u64) {
        if series > 0 {
            *self.lost.entry(reason).or_default() += series;
            self.series_lost += series;
        }
    }
}

/// The numbers, shared by the worker's threads, until the worker has stopped.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    counters: Counters,
    closed: bool,
}

impl Ledger {
    /// What has been counted up to now.
    pub(crate) fn read(&self) -> Counters {
        self.book().counters.clone()
    }

    /// Counts something, unless the books are closed.
    pub(crate) fn write(&self, entry: impl FnOnce(&mut Counters)) {
        let mut book = self.book();
        if !book.closed {
            entry(&mut book.counters);
        }
    }

    /// Closes the books: what still waits is lost, or kept if a journal holds it, and nothing
    /// changes any more, whatever a backend that is still at it may say.
    pub(crate) fn close(&self, held: bool) -> Counters {
        let mut book = self.book();
        if !book.closed {
            book.closed = true;
            let counters = &mut book.counters;
            let (series, windows) = (counters.series_waiting(), counters.windows_waiting());
            if held {
                counters.series_kept += series;
                counters.windows_kept += windows;
            } else {
                counters.lose("no_time", series);
                counters.windows_lost += windows;
            }
        }
        book.counters.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Each entry is a few additions; a panic between them leaves numbers, not nonsense.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;

    #[test]
    fn what_waits_when_the_books_are_closed_is_lost() {
        let ledger = Ledger::default();
        ledger.write(|c| {
            (c.series_flushed, c.series_delivered, c.series_rejected) = (10, 4, 1);
            (c.windows_flushed, c.windows_delivered) = (3, 1);
        });
        let closed = ledger.close(false);
        assert_eq!((closed.series_lost, closed.windows_lost), (5, 2));
        assert_eq!(closed.lost["no_time"], 5);
        ledger.write(|c| c.series_delivered += 5);
        assert_eq!(ledger.close(false), closed);
        assert_eq!(ledger.read(), closed);
    }

    #[test]
    fn what_waits_when_the_books_are_closed_is_kept_if_a_journal_holds_it() {
        let ledger = Ledger::default();
        ledger.write(|c| (c.series_flushed, c.windows_flushed) = (10, 3));
        let closed = ledger.close(true);
        assert_eq!((closed.series_kept, closed.windows_kept, closed.series_lost), (10, 3, 0));
        assert_eq!((closed.series_waiting(), closed.windows_waiting()), (0, 0));
    }
}
