//! Where windows leave the feed: the queue, the counters, and the log.

use crate::counters::Ledger;
use crate::fold::FoldCounts;
use crate::progress::Checkpoint;
use crate::queue::{Inlet, Waiting};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::window::{OVERFLOW_NAME, Window};

/// The shortest time between two log lines about what was refused.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Queues windows, and counts them and everything else.
pub(crate) struct Outlet {
    inlet: Inlet,
    ledger: Arc<Ledger>,
    complaints: Complaints,
}

impl Outlet {
    pub(crate) fn new(inlet: Inlet, ledger: Arc<Ledger>) -> Self {
        Self { inlet, ledger, complaints: Complaints::default() }
    }

    /// Queues a window. When it is delivered, so is everything before `through`.
    pub(crate) fn put(&self, window: Window, through: Option<Checkpoint>) {
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
        let dropped = self.inlet.push(Waiting { window, through });
        tracing::debug!(
            event = "flush",
            stamp,
            series,
            entries,
            waiting = self.inlet.queue().len()
        );
        let Some(Waiting { window: dropped, through }) = dropped else { return };
        if through.is_some() && self.inlet.queue().is_abandoned() {
            // The feed hands it out again.
            return;
        }
        let (stamp, series) = (dropped.stamp(), dropped.len() as u64);
        self.ledger.write(|c| {
            c.series_dropped += series;
            c.windows_lost += 1;
        });
        tracing::error!(event = "window_dropped", stamp, series, why = "queue full");
    }

    /// Counts what was folded and refused.
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

    /// Whether a window can be queued without another being dropped.
    pub(crate) fn has_room(&self) -> bool {
        self.inlet.has_room()
    }

    /// Sets how many windows may wait. When one more comes, the oldest is dropped.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.inlet.set_most(most);
    }

    /// Whether there is time left before the worker has to have stopped.
    pub(crate) fn in_time(&self) -> bool {
        self.inlet.queue().deadline().is_none_or(|deadline| Instant::now() < deadline)
    }

    /// Drops the windows that wait, because another reader delivers them.
    pub(crate) fn abandon(&self) {
        self.inlet.queue().abandon();
    }

    /// The counters.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// No further window will come.
    pub(crate) fn close(&mut self) {
        self.complaints.log();
        self.inlet.close();
    }
}

/// What was refused and is still to be logged: at once, but not repeatedly.
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
