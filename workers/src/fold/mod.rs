//! Aggregates batches into windows.
//!
//! Pure: frames and times are arguments.

mod batch;
mod clock;
mod keep;
mod stamps;

pub(crate) use batch::FoldCounts;
use clock::ClockFolder;
pub(crate) use keep::Keep;

use crate::idle_gauges::IdleGauges;
use stamps::StampFolder;
use std::time::Duration;
use zibrato::window::Window;

/// Aggregates batches, and returns windows that have ended.
#[derive(Debug)]
pub(crate) enum Folder {
    /// Windows end by this machine's clock.
    Clock(ClockFolder),
    /// Windows end by the stamps of the batches, so they are the same every time.
    Stamps(StampFolder),
}

impl Folder {
    pub(crate) fn by_clock(flush: Duration, max_series: usize, idle: IdleGauges) -> Self {
        Self::Clock(ClockFolder::new(flush, max_series, idle))
    }

    pub(crate) fn by_stamps(flush: Duration, max_series: usize, idle: IdleGauges) -> Self {
        Self::Stamps(StampFolder::new(flush, max_series, idle))
    }

    /// What windows keep beyond their sums. Defaults to nothing.
    pub(crate) fn keep(self, keep: Keep) -> Self {
        match self {
            Self::Clock(folder) => Self::Clock(folder.keep(keep)),
            Self::Stamps(folder) => Self::Stamps(folder.keep(keep)),
        }
    }

    /// Adds one message, which arrived at `now_ms`. Returns the window that ended before it.
    /// Anything but a batch is rejected and counted.
    pub(crate) fn take(&mut self, frames: &[&[u8]], now_ms: u64) -> Option<Window> {
        match self {
            Self::Clock(folder) => {
                folder.take(frames, now_ms);
                None
            }
            Self::Stamps(folder) => folder.take(frames),
        }
    }

    /// All batches with a stamp before `until_ms` were added. Returns the window that ended before
    /// that time.
    pub(crate) fn complete(&mut self, until_ms: u64) -> Option<Window> {
        match self {
            Self::Clock(_) => None,
            Self::Stamps(folder) => folder.complete(until_ms),
        }
    }

    /// Removes and returns the windows that have ended by this machine's clock.
    pub(crate) fn due(&mut self, now_ms: u64) -> Vec<Window> {
        match self {
            Self::Clock(folder) => folder.due(now_ms),
            Self::Stamps(_) => Vec::new(),
        }
    }

    /// The end of the next window by this machine's clock, in Unix milliseconds.
    pub(crate) const fn next_due_ms(&self, now_ms: u64) -> Option<u64> {
        match self {
            Self::Clock(folder) => Some(folder.next_due_ms(now_ms)),
            Self::Stamps(_) => None,
        }
    }

    /// Removes and returns all windows, even if they have not ended.
    pub(crate) fn drain(&mut self) -> Vec<Window> {
        match self {
            Self::Clock(folder) => folder.drain(),
            Self::Stamps(folder) => folder.end().into_iter().collect(),
        }
    }

    /// Whether a window is open.
    pub(crate) const fn is_open(&self) -> bool {
        match self {
            Self::Clock(_) => true,
            Self::Stamps(folder) => folder.is_open(),
        }
    }

    /// The counts since the last call.
    pub(crate) fn take_counts(&mut self) -> FoldCounts {
        let (Self::Clock(ClockFolder { counts, .. }) | Self::Stamps(StampFolder { counts, .. })) =
            self;
        std::mem::take(counts)
    }
}
