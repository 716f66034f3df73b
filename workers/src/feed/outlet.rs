//! Where windows leave the feed: the queue, the books, and the log.

use crate::counters::Ledger;
use crate::fold::FoldCounts;
use crate::queue::{Queue, Waiting};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::window::{OVERFLOW_NAME, Window};
use zibrato::wire::Position;

/// What is refused is logged no more often than this.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Puts windows into the queue, and enters them and everything else in the books.
pub(crate) struct Outlet {
    queue: Arc<Queue>,
    ledger: Arc<Ledger>,
    complaints: Complaints,
}

impl Outlet {
    pub(crate) fn new(queue: Arc<Queue>, ledger: Arc<Ledger>) -> Self {
        Self { queue, ledger, complaints: Complaints::default() }
    }

    /// Puts a window that has ended into the queue. When it is delivered, so is everything in the
    /// journal up to `through`.
    pub(crate) fn put(&self, window: Window, through: Option<Position>) {
        let (stamp, series) = (window.stamp(), window.len() as u64);
        let (entries, overflowed) = (window.folded(), window.overflowed());
        if let Some((source, name)) = window.offender() {
            let into = OVERFLOW_NAME;
            tracing::warn!(event = "overflow", stamp, entries = overflowed, source, name, into);
        }
        self.ledger.write(|c| {
            c.windows_flushed += 1;
            c.series_flushed += series;
            c.overflowed += overflowed;
        });
        let dropped = self.queue.push(Waiting { window, through });
        tracing::debug!(event = "flush", stamp, series, entries, waiting = self.queue.len());
        let Some(Waiting { window: dropped, through }) = dropped else { return };
        if through.is_some() && self.queue.abandoned() {
            // The journal still has it.
            return;
        }
        let (stamp, series) = (dropped.stamp(), dropped.len() as u64);
        self.ledger.write(|c| {
            c.series_dropped += series;
            c.windows_lost += 1;
        });
        tracing::error!(event = "window_dropped", stamp, series, why = "queue full");
    }

    /// Enters what was folded and refused.
    pub(crate) fn count(&mut self, counts: FoldCounts, connected: bool) {
        self.ledger.write(|c| {
            c.batches += counts.batches;
            c.broker_connected = connected;
            c.duplicates += counts.duplicates;
            c.entries += counts.entries;
            c.late += counts.late;
            for (reason, (times, _)) in &counts.refused {
                *c.refused.entry(reason).or_default() += times;
            }
        });
        self.complaints.add(counts.refused);
    }

    /// Whether a window can be put in without another having to go.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// From now on the oldest window goes when so many wait and one more comes.
    pub(crate) fn set_most(&self, most: usize) {
        self.queue.set_most(most);
    }

    /// When the worker has to have stopped, if it is being stopped.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.queue.deadline()
    }

    /// Whether there is time left.
    pub(crate) fn in_time(&self) -> bool {
        self.deadline().is_none_or(|deadline| Instant::now() < deadline)
    }

    /// Gives up on the windows that wait: somebody else delivers them.
    pub(crate) fn abandon(&self) {
        self.queue.abandon();
    }

    /// The books.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// No window will come any more.
    pub(crate) fn close(&mut self) {
        self.complaints.log();
        self.queue.close();
    }
}

/// What was refused and is still to be logged: at once, but not over and over.
#[derive(Debug, Default)]
struct Complaints {
    refused: BTreeMap<&'static str, (u64, String)>,
    logged: Option<Instant>,
}

impl Complaints {
    fn add(&mut self, refused: BTreeMap<&'static str, (u64, String)>) {
        for (reason, (times, why)) in refused {
            self.refused.entry(reason).or_insert_with(|| (0, why)).0 += times;
        }
        if self.logged.is_none_or(|logged| logged.elapsed() >= COMPLAIN_EVERY) {
            self.log();
        }
    }

    fn log(&mut self) {
        for (reason, (times, why)) in std::mem::take(&mut self.refused) {
            tracing::warn!(event = "refused", reason, times, why);
            self.logged = Some(Instant::now());
        }
    }
}
