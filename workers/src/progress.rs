//! The progress of a worker, shared by its threads and by observers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zibrato::daemon::Waker;

/// Windows that are delivered within this time settle together.
pub(crate) const SETTLE_STEP: Duration = Duration::from_secs(1);

/// Maximum number of groups of windows that are delivered but not settled.
const MAX_UNSETTLED: usize = 1_000;

/// A position in a [`Feed`](crate::Feed), as bytes that only the feed understands.
///
/// A feed that starts at a checkpoint returns everything after it, and nothing before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint(Arc<[u8]>);

impl Checkpoint {
    /// A checkpoint of these bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The progress of a [`Feed`](crate::Feed), in its own offsets, for the metrics of a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "feeds outside this crate create it")]
pub struct Offsets {
    /// The position at which the feed would continue after a restart, if it is known.
    pub committed: Option<u64>,
    /// The last offset that was read.
    pub read: u64,
    /// The last offset that exists.
    pub end: u64,
}

/// The delivery records progress here; the feed commits it.
#[derive(Debug)]
pub(crate) struct Progress {
    state: Mutex<State>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct State {
    delivered: Delivered,
    /// Windows that were delivered but that the receiver may still lose, oldest first.
    unsettled: VecDeque<Unsettled>,
    settled: Settled,
    ended: bool,
    reading: Reading,
    /// A time of the broker's clock, and when it was read.
    clock: Option<(u64, Instant)>,
}

/// The windows that were delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Number of windows.
    pub(crate) windows: u64,
    /// The end of the last window, in Unix milliseconds. Before there is one, the start of the
    /// first window; 0 before that.
    pub(crate) until_ms: u64,
}

/// The windows that were delivered and that the receiver can no longer lose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Number of windows.
    pub(crate) windows: u64,
    /// Everything before this position is settled; `None` before the first window.
    pub(crate) through: Option<Checkpoint>,
    /// Whether all delivered windows are settled.
    pub(crate) all: bool,
}

/// A group of windows that were delivered at about the same time.
#[derive(Debug, Clone)]
struct Unsettled {
    /// When the first and the last of these windows were delivered.
    since: Instant,
    until: Instant,
    windows: u64,
    through: Option<Checkpoint>,
}

/// What the feed has read and committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Whether the feed returns uncommitted batches again.
    pub(crate) replaying: bool,
    pub(crate) offsets: Offsets,
    /// Whether everything that was read is delivered.
    pub(crate) idle: bool,
}

impl Progress {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { state: Mutex::default(), waker: Waker::new()? })
    }

    /// Records that a window that ended at `end_ms` (Unix milliseconds) is delivered, and with it
    /// everything before `through`. It is not settled yet: see [`settle`](Self::settle).
    pub(crate) fn deliver(&self, through: Option<Checkpoint>, end_ms: u64, now: Instant) {
        let mut state = self.state();
        let windows = state.delivered.windows + 1;
        state.delivered = Delivered { windows, until_ms: end_ms };
        // Windows delivered at about the same time form one group, to bound the number of groups.
        let near = |last: &&mut Unsettled| now.saturating_duration_since(last.since) < SETTLE_STEP;
        match state.unsettled.back_mut().filter(near) {
            Some(last) => {
                (last.until, last.windows) = (now, windows);
                last.through = through.or_else(|| last.through.take());
            }
            None => {
                let fresh = Unsettled { since: now, until: now, windows, through };
                state.unsettled.push_back(fresh);
            }
        }
        if state.unsettled.len() > MAX_UNSETTLED {
            // It settles with the next group.
            state.unsettled.pop_front();
        }
        drop(state);
        self.waker.wake();
    }

    /// Settles everything that was delivered before `unsettled`, or everything if that is `None`.
    /// Returns whether all is settled.
    pub(crate) fn settle(&self, unsettled: Option<Instant>) -> bool {
        let mut state = self.state();
        let is_settled = |first: &mut Unsettled| unsettled.is_none_or(|since| first.until < since);
        let before = state.unsettled.len();
        while let Some(first) = state.unsettled.pop_front_if(is_settled) {
            state.settled.windows = first.windows;
            state.settled.through = first.through.or_else(|| state.settled.through.take());
        }
        let left = state.unsettled.len();
        drop(state);
        if left < before {
            self.waker.wake();
        }
        left == 0
    }

    /// Some unsettled data is delivered again, in parts: all of it settles together with data that
    /// is delivered `now`.
    pub(crate) fn postpone(&self, now: Instant) {
        let mut state = self.state();
        if let Some(mut last) = state.unsettled.pop_back() {
            (last.since, last.until) = (now, now);
            state.unsettled.clear();
            state.unsettled.push_back(last);
        }
    }

    /// Records that the first window to deliver starts at `start_ms` (Unix milliseconds).
    pub(crate) fn begin(&self, start_ms: u64) {
        let mut state = self.state();
        if state.delivered.until_ms == 0 {
            state.delivered.until_ms = start_ms;
        }
    }

    /// How far delivery is behind the broker's clock, in milliseconds; 0 if there is nothing to
    /// deliver. `local_ms` is the time of this machine.
    pub(crate) fn behind_ms(&self, local_ms: u64) -> u64 {
        let (reading, until_ms) = (self.reading(), self.delivered().until_ms);
        let behind = self.broker_ms(local_ms).saturating_sub(until_ms);
        if reading.idle || until_ms == 0 { 0 } else { behind }
    }

    /// The delivered windows.
    pub(crate) fn delivered(&self) -> Delivered {
        self.state().delivered
    }

    /// The settled windows.
    pub(crate) fn settled(&self) -> Settled {
        let state = self.state();
        Settled { all: state.unsettled.is_empty(), ..state.settled.clone() }
    }

    /// Records that the delivery has ended: nothing further will be delivered.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.waker.wake();
    }

    pub(crate) fn ended(&self) -> bool {
        self.state().ended
    }

    /// Wakes the feed, because there may be space for a window.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Clears the waker. Later changes wake the feed again.
    pub(crate) fn clear(&self) {
        self.waker.clear();
    }

    /// Readable when the feed has been woken.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }

    pub(crate) fn set_reading(&self, reading: Reading) {
        self.state().reading = reading;
    }

    pub(crate) fn reading(&self) -> Reading {
        self.state().reading
    }

    /// Sets the broker's clock, in Unix milliseconds.
    pub(crate) fn set_clock(&self, now_ms: u64) {
        self.state().clock = Some((now_ms, Instant::now()));
    }

    /// The time of the broker's clock, in Unix milliseconds; `local_ms` while it is unknown.
    pub(crate) fn broker_ms(&self, local_ms: u64) -> u64 {
        let clock = self.state().clock;
        clock.map_or(local_ms, |(ms, at)| ms.saturating_add(millis(at.elapsed())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a few assignments, so a panic leaves consistent data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, MAX_UNSETTLED, Progress, SETTLE_STEP};
    use std::os::fd::AsRawFd;
    use std::time::{Duration, Instant};

    #[test]
    fn a_delivery_wakes_the_feed_until_the_waker_is_cleared() {
        let progress = Progress::new().unwrap();
        let woken = || {
            let fd = progress.descriptor().as_raw_fd();
            let mut items = [zmq::PollItem::from_fd(fd, zmq::POLLIN)];
            zmq::poll(&mut items, 0).unwrap() == 1
        };
        assert!(!woken());
        let through = Checkpoint::new([7]);
        progress.deliver(Some(through.clone()), 60_000, Instant::now());
        for _ in 0..100_000 {
            progress.wake();
        }
        assert!(woken());
        progress.clear();
        assert!(!woken());
        progress.deliver(None, 120_000, Instant::now());
        assert!(progress.settle(None));
        let settled = progress.settled();
        assert_eq!((progress.delivered().windows, settled.through), (2, Some(through)));
    }

    #[test]
    fn the_local_clock_is_used_until_the_brokers_is_known() {
        let progress = Progress::new().unwrap();
        assert_eq!(progress.broker_ms(5), 5);
        progress.set_clock(1_000_000);
        assert!((1_000_000..1_060_000).contains(&progress.broker_ms(5)));
    }

    #[test]
    fn delivered_windows_settle_in_order_and_not_early() {
        let progress = Progress::new().unwrap();
        let begun = Instant::now();
        let at = |offset: u64| Checkpoint::new(offset.to_be_bytes());
        assert!(progress.settled().all && progress.settled().through.is_none());
        for second in 0..5_000 {
            progress.deliver(Some(at(second)), 60_000, begun + Duration::from_secs(second));
        }
        let kept = progress.state().unsettled.len();
        assert!(kept <= MAX_UNSETTLED, "{kept} are kept");
        assert!(!progress.settle(Some(begun)));
        assert_eq!(progress.settled().through, None);
        // A window that was delivered at exactly that time may be the unsettled one.
        assert!(!progress.settle(Some(begun + Duration::from_secs(4_990))));
        assert_eq!(progress.settled().through, Some(at(4_989)));
        progress.postpone(begun + Duration::from_secs(6_000));
        assert!(!progress.settle(Some(begun + Duration::from_secs(5_999))));
        assert_eq!(progress.settled().through, Some(at(4_989)));
        assert!(progress.settle(None));
        let settled = progress.settled();
        assert_eq!((settled.all, settled.windows), (true, 5_000));
        assert_eq!(settled.through, Some(at(4_999)));
    }

    #[test]
    fn windows_of_about_the_same_time_settle_together() {
        let (progress, begun) = (Progress::new().unwrap(), Instant::now());
        for _ in 0..1_000 {
            progress.deliver(None, 60_000, begun);
        }
        assert_eq!(progress.state().unsettled.len(), 1);
        progress.deliver(None, 60_000, begun + SETTLE_STEP);
        assert_eq!(progress.state().unsettled.len(), 2);
    }
}
