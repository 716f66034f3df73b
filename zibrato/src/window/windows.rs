//! The open windows of a worker: finds the window of a message, and the windows that are due.

use super::Window;
use std::collections::BTreeMap;
use std::time::Duration;

/// Grace period after the end of a window, for messages that the broker received before the end.
/// They take a moment to arrive, and clocks of two machines differ slightly.
const GRACE_MS: u64 = 250;

/// Windows that are aligned to the wall clock. Each is open until shortly after its end.
///
/// The time at which the *broker* received a message determines its window. If that window is
/// already flushed, the message is added to the oldest open one, so that no window is flushed
/// twice. A message from the far future (a wrong clock) is added to the current window.
///
/// ```
/// use std::time::Duration;
/// use zibrato::window::Windows;
/// let mut windows = Windows::new(Duration::from_secs(60), 1_000_000);
/// assert_eq!(windows.at(119_000, 119_100).start_ms(), 60_000);
/// assert!(windows.due(119_900).is_empty());
/// assert_eq!(windows.due(120_250)[0].start_ms(), 60_000);
/// ```
#[derive(Debug)]
pub struct Windows {
    length_ms: u64,
    max_series: usize,
    keep_readings: bool,
    keep_seconds: bool,
    open: BTreeMap<u64, Window>,
    /// Windows that start before this time are flushed.
    gone_until_ms: u64,
    late: u64,
}

impl Windows {
    /// No windows yet. `length` is rounded to milliseconds, and is at least one.
    #[must_use]
    pub fn new(length: Duration, max_series: usize) -> Self {
        let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1);
        let open = BTreeMap::new();
        Self {
            length_ms,
            max_series,
            keep_readings: false,
            keep_seconds: false,
            open,
            gone_until_ms: 0,
            late: 0,
        }
    }

    /// Whether windows keep readings; see [`Window::keep_readings`]. Defaults to `false`.
    #[must_use]
    pub const fn keep_readings(mut self, keep: bool) -> Self {
        self.keep_readings = keep;
        self
    }

    /// Whether windows keep the readings of gauges apart by their second; see
    /// [`Window::keep_gauge_seconds`]. Defaults to `false`.
    #[must_use]
    pub const fn keep_gauge_seconds(mut self, keep: bool) -> Self {
        self.keep_seconds = keep;
        self
    }

    /// The window for a message that the broker received at `received_ms`. `now_ms` is the current
    /// time; both are Unix milliseconds.
    pub fn at(&mut self, received_ms: u64, now_ms: u64) -> &mut Window {
        let current = self.start_of(now_ms);
        if self.gone_until_ms > current.saturating_add(self.length_ms) {
            // The clock was set back. Waiting until it catches up would keep everything.
            self.gone_until_ms = current;
        }
        let mut start = self.start_of(received_ms);
        if start > current.saturating_add(self.length_ms) {
            start = current;
        }
        if start < self.gone_until_ms {
            self.late += 1;
            start = self.gone_until_ms;
        }
        let (length_ms, max_series) = (self.length_ms, self.max_series);
        let (readings, seconds) = (self.keep_readings, self.keep_seconds);
        let new = || {
            let window = Window::new(start, length_ms, max_series).keep_readings(readings);
            window.keep_gauge_seconds(seconds)
        };
        self.open.entry(start).or_insert_with(new)
    }

    /// Removes and returns the windows that ended at least a quarter of a second before `now_ms`,
    /// the oldest first, and those in the future, because the clock was set back.
    pub fn due(&mut self, now_ms: u64) -> Vec<Window> {
        let ended = now_ms.saturating_sub(GRACE_MS);
        let open_from = self.start_of(ended);
        let mut later = self.open.split_off(&open_from);
        let after_next = self.start_of(now_ms).saturating_add(self.length_ms).saturating_add(1);
        let ahead = later.split_off(&after_next);
        let due = std::mem::replace(&mut self.open, later);
        self.gone_until_ms = self.gone_until_ms.max(open_from);
        due.into_values().chain(ahead.into_values()).collect()
    }

    /// Removes and returns all windows, for the last flush.
    pub fn drain(&mut self) -> Vec<Window> {
        std::mem::take(&mut self.open).into_values().collect()
    }

    /// The next time at which [`due`](Self::due) can return a window, if there is none at `now_ms`:
    /// the end of the current window plus the grace period, in Unix milliseconds.
    #[must_use]
    pub const fn next_due_ms(&self, now_ms: u64) -> u64 {
        let open_from = self.start_of(now_ms.saturating_sub(GRACE_MS));
        open_from.saturating_add(self.length_ms).saturating_add(GRACE_MS)
    }

    /// Number of series in the open windows.
    #[must_use]
    pub fn series(&self) -> usize {
        self.open.values().map(Window::len).sum()
    }

    /// Number of messages that arrived after their window was flushed.
    #[must_use]
    pub const fn late(&self) -> u64 {
        self.late
    }

    const fn start_of(&self, at_ms: u64) -> u64 {
        at_ms - at_ms % self.length_ms
    }
}
