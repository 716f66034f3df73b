//! Turns messages from the broker into windows: told apart, taken once, folded.
//!
//! Pure: frames and times are arguments.

mod dedupe;
mod replay;

pub(crate) use replay::{Ended, ReplayFolder};

use dedupe::Dedupe;
use std::collections::BTreeMap;
use std::time::Duration;
use zibrato::window::{Window, Windows};
use zibrato::wire::{BatchId, BatchReader, EntryError, FrameError, Message, Stamp, message};

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

/// A batch, told apart from everything else.
struct Batch<'a> {
    level: &'a str,
    id: BatchId,
    stamp: Option<Stamp>,
    body: BatchReader<'a>,
}

/// Reads the frames of a batch. What is none is refused and counted.
fn read<'a>(frames: &[&'a [u8]], counts: &mut FoldCounts) -> Option<Batch<'a>> {
    let (level, id, stamp, body) = match message(frames) {
        Ok(Message::Batch { level, id, stamp, body }) => (level, id, stamp, body),
        Ok(_) => {
            counts.refuse("frames", 1, "a message of one frame is not a batch");
            return None;
        }
        Err(error @ FrameError::Version { .. }) => {
            counts.refuse("version", 1, error);
            return None;
        }
        Err(error) => {
            counts.refuse("frames", 1, error);
            return None;
        }
    };
    let read = BatchReader::new(body).map_err(|error| counts.refuse("body", 1, error));
    read.ok().map(|body| Batch { level, id, stamp, body })
}

/// Folds a batch into its window.
fn fold(window: &mut Window, batch: &BatchReader<'_>, counts: &mut FoldCounts) {
    let (before, collapsed) = (window.folded(), window.collapsed());
    window.fold_batch(batch, |error| {
        let times = match error {
            EntryError::Malformed { lost } => u64::from(lost),
            _ => 1,
        };
        counts.refuse("entry", times, error);
    });
    counts.batches += 1;
    counts.entries += window.folded() - before;
    let collapsed = window.collapsed() - collapsed;
    if collapsed > 0 {
        let why = "a timer has a range too wide for its buckets; its shortest readings were merged \
                   into longer ones";
        counts.refuse("wide", collapsed, why);
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
        let counts = &mut self.counts;
        let Some(Batch { level, id, stamp, body }) = read(frames, counts) else { return };
        if !self.taken.is_new(id.publisher, level, id.sequence) {
            counts.duplicates += 1;
            return;
        }
        let received_ms = stamp.map_or(now_ms, |stamp| stamp.received_ms);
        let late = self.windows.late();
        fold(self.windows.at(received_ms, now_ms), &body, counts);
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
