//! Folds batches in their order into windows that are the same every time.
//!
//! All times are the broker's. Which window a batch belongs to and where a window ends depends on the
//! batches and their stamps alone, and not on how they are cut into answers, nor on where the feed
//! started after the end of a window.

use super::batch::{Batch, FoldCounts};
use std::time::Duration;
use zibrato::window::Window;

/// A stamp further back than this means that the broker's clock was absurd before, and is now set
/// right: its window is a new one.
const LONGEST_LATE_MS: u64 = 6 * 3_600_000;

/// One window is open at a time, since stamps ascend.
#[derive(Debug)]
pub(crate) struct StampFolder {
    length_ms: u64,
    max_series: usize,
    open: Option<Window>,
    /// End of the last window that has ended.
    ended_ms: u64,
    pub(super) counts: FoldCounts,
}

impl StampFolder {
    pub(crate) fn new(flush: Duration, max_series: usize) -> Self {
        let length_ms = u64::try_from(flush.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { length_ms, max_series, open: None, ended_ms: 0, counts: FoldCounts::default() }
    }

    /// Folds the next batch, and gives the window that ended before it.
    pub(crate) fn take(&mut self, frames: &[&[u8]]) -> Option<Window> {
        let Batch { stamp, body, .. } = self.counts.read(frames)?;
        let Some(stamp) = stamp else {
            self.counts.refuse("frames", 1, "a batch that may be delivered again has a stamp");
            return None;
        };
        let start_ms = self.start_of(stamp.received_ms);
        let ended = match &self.open {
            Some(open) if open.start_ms() == start_ms => None,
            Some(_) | None => self.end(),
        };
        let (length_ms, max_series) = (self.length_ms, self.max_series);
        let window = self.open.get_or_insert_with(|| Window::new(start_ms, length_ms, max_series));
        self.counts.fold(window, &body);
        ended
    }

    /// No batch stamped before `until_ms` is still to come: gives the window that has ended by that.
    pub(crate) fn complete(&mut self, until_ms: u64) -> Option<Window> {
        let open = self.open.as_ref()?;
        if open.end_ms() <= until_ms { self.end() } else { None }
    }

    /// Ends the open window, whatever may still belong to it.
    pub(crate) fn end(&mut self) -> Option<Window> {
        let window = self.open.take()?;
        self.ended_ms = window.end_ms();
        Some(window).filter(|window| !window.is_empty())
    }

    /// Start of the window that a batch belongs to. A broker whose clock was set back while it was
    /// away may receive batches in a window that has ended; they belong to the next one, so that what
    /// was delivered is not overwritten.
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
