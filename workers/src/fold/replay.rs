//! Folds what a journal hands out, in its order, into windows that are the same every time.
//!
//! Pure: frames and times are arguments, and all times are the broker's. Which window a batch
//! belongs to and where a window ends depends on the batches and their stamps alone, however they
//! are cut into answers, and wherever the reader begins anew after a window's end.

use super::{Batch, FoldCounts, fold, read};
use std::time::Duration;
use zibrato::window::Window;

/// Further back than this a broker's clock has given up a time that was absurd, and all windows are
/// new ones.
const LONGEST_LATE_MS: u64 = 6 * 3_600_000;

/// Folds the batches of a journal. One window is open at a time: the broker's stamps ascend.
#[derive(Debug)]
pub(crate) struct ReplayFolder {
    length_ms: u64,
    max_series: usize,
    open: Option<Window>,
    /// When the last window that has ended did so.
    ended_ms: u64,
    counts: FoldCounts,
}

/// A window that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) window: Window,
    /// Everything up to this offset is in this window or in those before it, and nothing of it in
    /// those to come.
    pub(crate) through: u64,
}

impl ReplayFolder {
    pub(crate) fn new(flush: Duration, max_series: usize) -> Self {
        let length_ms = u64::try_from(flush.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { length_ms, max_series, open: None, ended_ms: 0, counts: FoldCounts::default() }
    }

    /// Folds the next batch in, and gives the window that ended before it. What is no batch is
    /// refused and counted.
    pub(crate) fn take(&mut self, frames: &[&[u8]]) -> Option<Ended> {
        let Batch { stamp, body, .. } = read(frames, &mut self.counts)?;
        let Some(stamp) = stamp else {
            self.counts.refuse("frames", 1, "a batch from a journal has a stamp");
            return None;
        };
        let start_ms = self.start_of(stamp.received_ms);
        let ended = match &self.open {
            Some(open) if open.start_ms() == start_ms => None,
            Some(_) | None => self.end(stamp.offset.saturating_sub(1)),
        };
        let (length_ms, max_series) = (self.length_ms, self.max_series);
        let window = self.open.get_or_insert_with(|| Window::new(start_ms, length_ms, max_series));
        fold(window, &body, &mut self.counts);
        ended
    }

    /// Nothing that was received before `until_ms` will come any more; all up to the offset
    /// `through` has come. Gives the window that has ended by that.
    pub(crate) fn complete(&mut self, until_ms: u64, through: u64) -> Option<Ended> {
        let open = self.open.as_ref()?;
        if open.end_ms() <= until_ms { self.end(through) } else { None }
    }

    /// Ends the open window, whatever may still belong to it.
    pub(crate) fn end(&mut self, through: u64) -> Option<Ended> {
        let window = self.open.take()?;
        self.ended_ms = window.end_ms();
        Some(Ended { window, through })
    }

    /// When the window begins that a batch belongs to. A broker whose clock was set back while it was
    /// away may receive batches in a window that has ended; they belong to the next one, so that what
    /// was delivered is not written over.
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

    /// What was counted since the last call.
    pub(crate) fn take_counts(&mut self) -> FoldCounts {
        std::mem::take(&mut self.counts)
    }
}

#[cfg(test)]
mod tests;
