//! Aggregates batches in their order into windows that are the same every time.
//!
//! All times are the broker's. The batches and their stamps alone determine the window of a batch
//! and the end of a window. How batches are distributed over answers, and after which window the
//! feed started, makes no difference.

use super::batch::{Batch, FoldCounts};
use super::keep::Keep;
use crate::idle_gauges::IdleGauges;
use std::time::Duration;
use zibrato::window::Window;

/// If a stamp is further back than this, the broker's clock was wrong before and has been
/// corrected: the batch belongs to a new window.
const LONGEST_LATE_MS: u64 = 6 * 3_600_000;

/// One window is open at a time, because stamps are in ascending order.
#[derive(Debug)]
pub(crate) struct StampFolder {
    length_ms: u64,
    max_series: usize,
    idle: IdleGauges,
    keep: Keep,
    open: Option<Window>,
    /// The end of the last window that has ended.
    ended_ms: u64,
    pub(super) counts: FoldCounts,
}

impl StampFolder {
    pub(crate) fn new(flush: Duration, max_series: usize, idle: IdleGauges) -> Self {
        let length_ms = u64::try_from(flush.as_millis()).unwrap_or(u64::MAX).max(1);
        let counts = FoldCounts::default();
        let (keep, open) = (Keep::default(), None);
        Self { length_ms, max_series, idle, keep, open, ended_ms: 0, counts }
    }

    pub(super) const fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Adds the next batch, and returns the window that ended before it.
    pub(crate) fn take(&mut self, frames: &[&[u8]]) -> Option<Window> {
        let Batch { stamp, body, .. } = self.counts.read(frames)?;
        let Some(stamp) = stamp else {
            self.counts.refuse("frames", 1, "a batch from the journal must have a stamp");
            return None;
        };
        let start_ms = self.start_of(stamp.received_ms);
        let ended = match &self.open {
            Some(open) if open.start_ms() == start_ms => None,
            Some(_) | None => self.end(),
        };
        let (length_ms, max_series, keep) = (self.length_ms, self.max_series, self.keep);
        let new = || {
            let window = Window::new(start_ms, length_ms, max_series).keep_readings(keep.readings);
            window.keep_gauge_seconds(keep.gauge_seconds)
        };
        let window = self.open.get_or_insert_with(new);
        self.counts.fold(window, &body, self.idle);
        ended
    }

    /// All batches with a stamp before `until_ms` were added. Returns the window that ended before
    /// that time.
    pub(crate) fn complete(&mut self, until_ms: u64) -> Option<Window> {
        let open = self.open.as_ref()?;
        if open.end_ms() <= until_ms { self.end() } else { None }
    }

    /// Ends the open window, even if more batches may belong to it.
    pub(crate) fn end(&mut self) -> Option<Window> {
        let window = self.open.take()?;
        self.ended_ms = window.end_ms();
        Some(window).filter(|window| !window.is_empty())
    }

    /// The start of the window that a batch belongs to. A broker whose clock was set back while it
    /// was stopped may receive batches within a window that has ended. They belong to the next
    /// window, so that the delivered one is not overwritten.
    fn start_of(&mut self, received_ms: u64) -> u64 {
        let start_ms = received_ms - received_ms % self.length_ms;
        let late = start_ms < self.ended_ms && self.ended_ms - received_ms <= LONGEST_LATE_MS;
        self.counts.late += u64::from(late);
        if late { self.ended_ms } else { start_ms }
    }

    /// Whether a window is open.
    pub(crate) const fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests;
