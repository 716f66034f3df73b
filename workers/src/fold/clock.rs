//! Aggregates the live stream: windows end by this machine's clock, and repeated batches are
//! counted once.

use super::batch::{Batch, FoldCounts};
use super::keep::Keep;
use crate::idle_gauges::IdleGauges;
use std::time::Duration;
use zibrato::window::{Dedup, Novelty, Window, Windows};

/// Adds each batch to the window in which the broker received it. A batch without a stamp is added
/// to the current window.
#[derive(Debug)]
pub(crate) struct ClockFolder {
    windows: Windows,
    dedup: Dedup,
    idle: IdleGauges,
    pub(super) counts: FoldCounts,
}

impl ClockFolder {
    pub(crate) fn new(flush: Duration, max_series: usize, idle: IdleGauges) -> Self {
        let windows = Windows::new(flush, max_series);
        let dedup = Dedup::new(Dedup::MAX_PAIRS);
        Self { windows, dedup, idle, counts: FoldCounts::default() }
    }

    pub(super) fn keep(mut self, keep: Keep) -> Self {
        let windows = self.windows.keep_readings(keep.readings);
        self.windows = windows.keep_gauge_seconds(keep.gauge_seconds);
        self
    }

    /// Adds one message, which arrived at `now_ms`. Anything but a batch is rejected and counted.
    pub(crate) fn take(&mut self, frames: &[&[u8]], now_ms: u64) {
        let counts = &mut self.counts;
        let Some(Batch { level, id, stamp, body }) = counts.read(frames) else { return };
        if self.dedup.insert(id.publisher, level, id.sequence) != Novelty::New {
            counts.duplicates += 1;
            return;
        }
        let received_ms = stamp.map_or(now_ms, |stamp| stamp.received_ms);
        let late = self.windows.late();
        counts.fold(self.windows.at(received_ms, now_ms), &body, self.idle);
        counts.late += self.windows.late() - late;
    }

    /// Removes and returns the windows that ended before `now_ms` and are not empty.
    pub(crate) fn due(&mut self, now_ms: u64) -> Vec<Window> {
        not_empty(self.windows.due(now_ms))
    }

    /// Removes and returns all windows that are not empty.
    pub(crate) fn drain(&mut self) -> Vec<Window> {
        not_empty(self.windows.drain())
    }

    /// The end of the next window, in Unix milliseconds.
    pub(crate) const fn next_due_ms(&self, now_ms: u64) -> u64 {
        self.windows.next_due_ms(now_ms)
    }
}

fn not_empty(mut windows: Vec<Window>) -> Vec<Window> {
    windows.retain(|window| !window.is_empty());
    windows
}

#[cfg(test)]
mod tests;
