//! The output of the feed: queues windows, updates the counters, and logs.

use crate::counters::Ledger;
use crate::fold::FoldCounts;
use crate::progress::Checkpoint;
use crate::queue::{Inlet, Waiting};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::window::{OVERFLOW_NAME, Window};

/// Minimum time between two log lines about rejected messages.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Queues windows and updates the counters.
pub(crate) struct Outlet {
    inlet: Inlet,
    ledger: Arc<Ledger>,
    rejections: Rejections,
}

impl Outlet {
    pub(crate) fn new(inlet: Inlet, ledger: Arc<Ledger>) -> Self {
        Self { inlet, ledger, rejections: Rejections::default() }
    }

    /// Queues a window. Once it is delivered, everything before `through` is delivered.
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
            // The feed will return it again.
            return;
        }
        let (stamp, series) = (dropped.stamp(), dropped.len() as u64);
        self.ledger.write(|c| {
            c.series_dropped += series;
            c.windows_lost += 1;
        });
        tracing::error!(event = "window_dropped", stamp, series, why = "queue full");
    }

    /// Adds the counts of aggregated and rejected messages.
    pub(crate) fn count(&mut self, counts: FoldCounts, connected: bool) {
        self.ledger.write(|c| {
            c.batches += counts.batches;
            c.broker_connected = connected;
            c.duplicates += counts.duplicates;
            c.entries += counts.entries;
            c.late += counts.late;
            for (reason, (times, _)) in &counts.refused {
                let all = c.refused.entry(reason).or_default();
                *all = all.saturating_add(*times);
            }
        });
        self.rejections.add(counts.refused);
    }

    /// Whether a window can be queued without dropping another one.
    pub(crate) fn has_room(&self) -> bool {
        self.inlet.has_room()
    }

    /// Sets the maximum number of queued windows. If it is exceeded, the oldest one is dropped.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.inlet.set_most(most);
    }

    /// Whether the deadline for stopping has not passed yet.
    pub(crate) fn in_time(&self) -> bool {
        self.inlet.queue().deadline().is_none_or(|deadline| Instant::now() < deadline)
    }

    /// Drops the queued windows, because another reader delivers them.
    pub(crate) fn abandon(&self) {
        self.inlet.queue().abandon();
    }

    /// The counters.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Closes the queue: no further window follows.
    pub(crate) fn close(&mut self) {
        self.rejections.log();
        self.inlet.close();
    }
}

/// Rejected messages that are not logged yet. The first one is logged immediately, later ones at a
/// limited rate.
#[derive(Debug, Default)]
struct Rejections {
    refused: BTreeMap<&'static str, (u64, String)>,
    logged: Option<Instant>,
}

impl Rejections {
    fn add(&mut self, refused: BTreeMap<&'static str, (u64, String)>) {
        for (reason, (times, why)) in refused {
            let unlogged = &mut self.refused.entry(reason).or_insert_with(|| (0, why)).0;
            *unlogged = unlogged.saturating_add(times);
        }
        if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
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
