//! The counters of a worker: everything that it received, and the outcome of each series.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The counters of a worker since its start.
///
/// Every drop is counted: `series_flushed` is the sum of `series_delivered`, `series_dropped`,
/// `series_kept`, `series_left_out`, `series_lost`, `series_rejected` and the series that are
/// queued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Batches that were aggregated.
    pub batches: u64,
    /// Whether the broker has sent something recently.
    pub broker_connected: bool,
    /// Commits that the broker refused or did not answer. They are retried.
    pub commits_failed: u64,
    /// How often the broker had deleted the worker's cursor, because the worker was stopped for longer
    /// than batches are kept.
    pub cursors_forgotten: u64,
    /// Payloads that the backend rejected, kept in dead-letter files.
    pub dead_letters: u64,
    /// Batches that were skipped as duplicates.
    pub duplicates: u64,
    /// Entries that were aggregated.
    pub entries: u64,
    /// Batches of any level that were deleted from the journal or damaged before they were read.
    pub gone: u64,
    /// Batches that arrived after their window was closed. They were added to the next one.
    pub late: u64,
    /// Lost series, by reason: `dead_letters_disk`, `dead_letters_full`, `no_time`.
    pub lost: BTreeMap<&'static str, u64>,
    /// Points that the backend omitted, by reason, such as `too_old`: the receiver would not accept
    /// them. A series all of whose points were omitted counts in `series_left_out`.
    pub omitted: BTreeMap<&'static str, u64>,
    /// Entries that were added to `_overflow`, because a window had reached its maximum number of
    /// series.
    pub overflowed: u64,
    /// Payloads that were sent again although the backend may have accepted them before, because
    /// its answer was lost.
    pub payloads_repeated: u64,
    /// Rejected payloads that were sent in parts to find the bad series.
    pub payloads_split: u64,
    /// Messages and entries that were rejected, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Attempts that failed and are retried.
    pub retries: u64,
    /// Series that the backend has accepted.
    pub series_delivered: u64,
    /// Series dropped with their window, because too many windows were queued.
    pub series_dropped: u64,
    /// Series in windows that ended.
    pub series_flushed: u64,
    /// Series that were not delivered when the worker stopped, but are in the journal.
    pub series_kept: u64,
    /// Series for which the backend created no payload.
    pub series_left_out: u64,
    /// Total number of lost series; see `lost`.
    pub series_lost: u64,
    /// Series that the backend rejected; see `dead_letters`.
    pub series_rejected: u64,
    /// Windows that are committed at the broker and will not be read again.
    pub windows_committed: u64,
    /// Windows that were delivered completely.
    pub windows_delivered: u64,
    /// Windows that ended and were not empty.
    pub windows_flushed: u64,
    /// Windows that were not delivered when the worker stopped, but are in the journal.
    pub windows_kept: u64,
    /// Windows of which a series was dropped, rejected or lost.
    pub windows_lost: u64,
}

impl Counters {
    /// Series that are queued for the backend.
    #[must_use]
    pub const fn series_waiting(&self) -> u64 {
        let done = self.series_delivered + self.series_dropped + self.series_left_out;
        let gone = self.series_kept + self.series_lost + self.series_rejected;
        self.series_flushed.saturating_sub(done + gone)
    }

    /// Windows that are queued for the backend.
    #[must_use]
    pub const fn windows_waiting(&self) -> u64 {
        let done = self.windows_delivered + self.windows_kept + self.windows_lost;
        self.windows_flushed.saturating_sub(done)
    }

    /// Counts lost series.
    pub(crate) fn lose(&mut self, reason: &'static str, series: u64) {
        if series > 0 {
            *self.lost.entry(reason).or_default() += series;
            self.series_lost += series;
        }
    }
}

/// The counters, shared by the worker's threads until the worker has stopped.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    counters: Counters,
    closed: bool,
}

impl Ledger {
    /// The current values.
    pub(crate) fn read(&self) -> Counters {
        self.book().counters.clone()
    }

    /// Changes the counters, unless they are closed.
    pub(crate) fn write(&self, entry: impl FnOnce(&mut Counters)) {
        let mut book = self.book();
        if !book.closed {
            entry(&mut book.counters);
        }
    }

    /// Closes the counters: queued series are lost, or kept if a journal holds them. Nothing
    /// changes afterwards, even if a backend is still sending.
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
        // Each change is a few additions, so a panic between them leaves valid numbers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;

    #[test]
    fn queued_series_are_lost_when_the_counters_are_closed() {
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
    fn queued_series_are_kept_when_a_journal_holds_them() {
        let ledger = Ledger::default();
        ledger.write(|c| (c.series_flushed, c.windows_flushed) = (10, 3));
        let closed = ledger.close(true);
        assert_eq!((closed.series_kept, closed.windows_kept, closed.series_lost), (10, 3, 0));
        assert_eq!((closed.series_waiting(), closed.windows_waiting()), (0, 0));
    }
}
