//! Turns messages from the broker into windows: told apart, taken once, folded.
//!
//! Pure: frames and times are arguments.

mod dedupe;

use dedupe::Dedupe;
use std::collections::BTreeMap;
use std::time::Duration;
use zibrato::window::{Window, Windows};
use zibrato::wire::{BatchReader, FrameError, Message, message};

/// How many pairs of publisher and level are remembered.
const MAX_REMEMBERED: usize = 100_000;

/// What the topics of control messages begin with; they carry nothing to fold.
const CONTROL_PREFIX: &[u8] = b"zb!";

/// Folds messages, whatever they may be.
#[derive(Debug)]
pub(crate) struct Folder {
    windows: Windows,
    taken: Dedupe,
    counts: FoldCounts,
}

/// What was folded and what was refused, since somebody last asked.
#[derive(Debug, Default)]
pub(crate) struct FoldCounts {
    pub(crate) batches: u64,
    pub(crate) duplicates: u64,
    pub(crate) entries: u64,
    pub(crate) late: u64,
    /// By reason: how many, and what was wrong with the first of them.
    pub(crate) refused: BTreeMap<&'static str, (u64, String)>,
}

impl FoldCounts {
    fn refuse(&mut self, reason: &'static str, times: u64, why: impl ToString) {
        let refused = self.refused.entry(reason).or_insert_with(|| (0, why.to_string()));
        refused.0 += times;
    }
}

impl Folder {
    pub(crate) fn new(flush: Duration, max_series: usize) -> Self {
        let windows = Windows::new(flush, max_series);
        Self { windows, taken: Dedupe::new(MAX_REMEMBERED), counts: FoldCounts::default() }
    }

    /// Folds one message in, which was seen at `now_ms`. What is no batch is refused and counted.
    pub(crate) fn take(&mut self, frames: &[&[u8]], now_ms: u64) {
        if frames.first().is_some_and(|topic| topic.starts_with(CONTROL_PREFIX)) {
            return;
        }
        let (level, id, stamp, body) = match message(frames) {
            Ok(Message::Batch { level, id, stamp, body }) => (level, id, stamp, body),
            Ok(_) => return self.counts.refuse("frames", 1, "a message of one frame is no batch"),
            Err(error @ FrameError::Version { .. }) => {
                return self.counts.refuse("version", 1, error);
            }
            Err(error) => return self.counts.refuse("frames", 1, error),
        };
        let batch = match BatchReader::new(body) {
            Ok(batch) => batch,
            Err(error) => return self.counts.refuse("body", 1, error),
        };
        if !self.taken.is_new(id.publisher, level, id.sequence) {
            self.counts.duplicates += 1;
            return;
        }
        let received_ms = stamp.map_or(now_ms, |stamp| stamp.received_ms);
        let late = self.windows.late();
        let window = self.windows.at(received_ms, now_ms);
        let folded = window.folded();
        let counts = &mut self.counts;
        window.fold_batch(&batch, |error| {
            let times = match error {
                zibrato::wire::EntryError::Malformed { lost } => u64::from(lost),
                _ => 1,
            };
            counts.refuse("entry", times, error);
        });
        counts.batches += 1;
        counts.entries += window.folded() - folded;
        counts.late += self.windows.late() - late;
    }

    /// Takes the windows that have ended by `now_ms` with something in them.
    pub(crate) fn due(&mut self, now_ms: u64) -> Vec<Window> {
        not_empty(self.windows.due(now_ms))
    }

    /// Takes all windows with something in them.
    pub(crate) fn drain(&mut self) -> Vec<Window> {
        not_empty(self.windows.drain())
    }

    /// When the next window ends, in unix milliseconds.
    pub(crate) const fn next_due_ms(&self, now_ms: u64) -> u64 {
        self.windows.next_due_ms(now_ms)
    }

    /// What was counted since the last call.
    pub(crate) fn take_counts(&mut self) -> FoldCounts {
        std::mem::take(&mut self.counts)
    }
}

fn not_empty(mut windows: Vec<Window>) -> Vec<Window> {
    windows.retain(|window| !window.is_empty());
    windows
}

#[cfg(test)]
mod tests;
