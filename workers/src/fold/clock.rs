//! Folds what is published live: windows end by this machine's clock, and what comes twice counts
//! once.

use super::batch::{Batch, FoldCounts};
use std::time::Duration;
use zibrato::window::{Dedup, Novelty, Window, Windows};

/// Folds batches into the windows in which the broker received them, or, without a stamp, into the
/// window of the moment.
#[derive(Debug)]
pub(crate) struct ClockFolder {
    windows: Windows,
    dedup: Dedup,
    pub(super) counts: FoldCounts,
}

impl ClockFolder {
    pub(crate) fn new(flush: Duration, max_series: usize) -> Self {
        let windows = Windows::new(flush, max_series);
        Self { windows, dedup: Dedup::new(Dedup::MAX_PAIRS), counts: FoldCounts::default() }
    }

    /// Folds one message, received here at `now_ms`. Anything but a batch is refused and counted.
    pub(crate) fn take(&mut self, frames: &[&[u8]], now_ms: u64) {
        let counts = &mut self.counts;
        let Some(Batch { level, id, stamp, body }) = counts.read(frames) else { return };
        if self.dedup.insert(id.publisher, level, id.sequence) != Novelty::New {
            counts.duplicates += 1;
            return;
        }
        let received_ms = stamp.map_or(now_ms, |stamp| stamp.received_ms);
        let late = self.windows.late();
        counts.fold(self.windows.at(received_ms, now_ms), &body);
        counts.late += self.windows.late() - late;
    }

    /// Takes the windows that have ended by `now_ms` and are not empty.
    pub(crate) fn due(&mut self, now_ms: u64) -> Vec<Window> {
        not_empty(self.windows.due(now_ms))
    }

    /// Takes all windows that are not empty.
    pub(crate) fn drain(&mut self) -> Vec<Window> {
        not_empty(self.windows.drain())
    }

    /// When the next window ends, in unix milliseconds.
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
