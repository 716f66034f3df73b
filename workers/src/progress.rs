//! The progress of a worker that reads the journal, shared by its threads and the status pages.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zibrato::daemon::Waker;
use zibrato::wire::Position;

/// Windows that are delivered within this time settle together.
pub(crate) const SETTLE_STEP: Duration = Duration::from_secs(1);

/// Maximum number of delivery times that are tracked for unsettled windows.
const MAX_UNSETTLED: usize = 1_000;

/// Shared by the worker's threads: the delivery reports what is delivered, and the feed commits it.
#[derive(Debug)]
pub(crate) struct Progress {
    state: Mutex<State>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct State {
    delivered: Delivered,
    /// Windows that were accepted but may still be lost at the receiver, oldest first.
    unsettled: VecDeque<Unsettled>,
    settled: Settled,
    ended: bool,
    reading: Reading,
    newest: Option<(u64, Instant)>,
}

/// What has been delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Number of windows.
    pub(crate) windows: u64,
    /// Everything up to this position is delivered; `None` before the first window.
    pub(crate) through: Option<Position>,
    /// The end of the last window or, before there is one, the start of the first window, in Unix
    /// milliseconds. 0 before that.
    pub(crate) until_ms: u64,
}

/// What was delivered and can no longer be lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Number of windows.
    pub(crate) windows: u64,
    /// Everything up to this position is safe; `None` before the first window.
    pub(crate) through: Option<Position>,
    /// Whether everything that was delivered is safe.
    pub(crate) all: bool,
}

/// What had been delivered at some time.
#[derive(Debug, Clone, Copy)]
struct Unsettled {
    /// The times of its first and of its last delivery.
    since: Instant,
    until: Instant,
    windows: u64,
    through: Option<Position>,
}

/// What the feed has read and committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Whether the worker reads from a journal.
    pub(crate) replaying: bool,
    /// The offset after which the broker would start if the worker restarted, as far as is known.
    pub(crate) committed: Option<u64>,
    /// The last offset that was read.
    pub(crate) read: u64,
    /// The last offset in the journal.
    pub(crate) end: u64,
    /// Whether everything that was read is delivered.
    pub(crate) idle: bool,
}

impl Progress {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { state: Mutex::default(), waker: Waker::new()? })
    }

    /// Records that a window that ended at `end_ms` was delivered. It is not safe yet: see
    /// [`settle`](Self::settle).
    pub(crate) fn deliver(&self, through: Option<Position>, end_ms: u64, now: Instant) {
        let mut state = self.state();
        let delivered = &mut state.delivered;
        delivered.windows += 1;
        delivered.through = through.or(delivered.through);
        delivered.until_ms = end_ms;
        let Delivered { windows, through, .. } = *delivered;
        // Windows of about the same time settle with the last one, so that the list stays short.
        let near = |last: &&mut Unsettled| now.saturating_duration_since(last.since) < SETTLE_STEP;
        match state.unsettled.back_mut().filter(near) {
            Some(last) => (last.until, last.windows, last.through) = (now, windows, through),
            None => {
                let fresh = Unsettled { since: now, until: now, windows, through };
                state.unsettled.push_back(fresh);
            }
        }
        if state.unsettled.len() > MAX_UNSETTLED {
            // It settles with the next one.
            state.unsettled.pop_front();
        }
        drop(state);
        self.waker.wake();
    }

    /// Records that everything delivered before `unsettled` is safe, or everything if that is
    /// `None`. Returns whether nothing unsettled is left.
    pub(crate) fn settle(&self, unsettled: Option<Instant>) -> bool {
        let mut state = self.state();
        let is_safe = |first: &Unsettled| unsettled.is_none_or(|since| first.until < since);
        let before = state.unsettled.len();
        while let Some(first) = state.unsettled.front().copied().filter(is_safe) {
            state.unsettled.pop_front();
            (state.settled.windows, state.settled.through) = (first.windows, first.through);
        }
        let left = state.unsettled.len();
        drop(state);
        if left < before {
            self.waker.wake();
        }
        left == 0
    }

    /// Part of the unsettled data is delivered again, so all of it settles with what is delivered
    /// `now`.
    pub(crate) fn postpone(&self, now: Instant) {
        let mut state = self.state();
        if let Some(mut last) = state.unsettled.pop_back() {
            (last.since, last.until) = (now, now);
            state.unsettled.clear();
            state.unsettled.push_back(last);
        }
    }

    /// Records that the first window to deliver begins at `start_ms`.
    pub(crate) fn begin(&self, start_ms: u64) {
        let mut state = self.state();
        if state.delivered.until_ms == 0 {
            state.delivered.until_ms = start_ms;
        }
    }

    /// How far the delivery is behind the broker's clock, in milliseconds; 0 if there is nothing to
    /// deliver. `own_ms` is the time of the worker's clock.
    pub(crate) fn behind_ms(&self, own_ms: u64) -> u64 {
        let (reading, until_ms) = (self.reading(), self.delivered().until_ms);
        let behind = self.broker_ms(own_ms).saturating_sub(until_ms);
        if reading.idle || until_ms == 0 { 0 } else { behind }
    }

    /// What has been delivered so far.
    pub(crate) fn delivered(&self) -> Delivered {
        self.state().delivered
    }

    /// Which part of it is safe.
    pub(crate) fn settled(&self) -> Settled {
        let state = self.state();
        Settled { all: state.unsettled.is_empty(), ..state.settled }
    }

    /// Records that the delivery has ended.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.waker.wake();
    }

    pub(crate) fn ended(&self) -> bool {
        self.state().ended
    }

    /// Wakes the feed, because there may be room for a window.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Clears the waker; later events wake the feed again.
    pub(crate) fn clear(&self) {
        self.waker.clear();
    }

    /// Readable when the feed has been woken.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.waker.as_raw_fd()
    }

    pub(crate) fn read_on(&self, change: impl FnOnce(&mut Reading)) {
        change(&mut self.state().reading);
    }

    pub(crate) fn reading(&self) -> Reading {
        self.state().reading
    }

    /// Records the current time of the broker's clock, in Unix milliseconds.
    pub(crate) fn tell_time(&self, ms: u64) {
        self.state().newest = Some((ms, Instant::now()));
    }

    /// The time of the broker's clock, if it is known; `own_ms` otherwise.
    pub(crate) fn broker_ms(&self, own_ms: u64) -> u64 {
        let newest = self.state().newest;
        newest.map_or(own_ms, |(ms, at)| ms.saturating_add(millis(at.elapsed())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a few assignments, so a panic between them leaves valid numbers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{MAX_UNSETTLED, Progress, SETTLE_STEP};
    use std::time::{Duration, Instant};
    use zibrato::wire::Position;

    #[test]
    fn what_is_delivered_wakes_the_feed_until_it_has_looked() {
        let progress = Progress::new().unwrap();
        let woken = || {
            let fd = progress.descriptor();
            let mut items = [zmq::PollItem::from_fd(fd, zmq::POLLIN)];
            zmq::poll(&mut items, 0).unwrap() == 1
        };
        assert!(!woken());
        let through = Position { journal: 1, offset: 7 };
        progress.deliver(Some(through), 60_000, Instant::now());
        for _ in 0..100_000 {
            progress.wake();
        }
        assert!(woken());
        progress.clear();
        assert!(!woken());
        progress.deliver(None, 120_000, Instant::now());
        let delivered = progress.delivered();
        assert_eq!((delivered.windows, delivered.through), (2, Some(through)));
    }

    #[test]
    fn the_brokers_clock_is_the_own_one_until_it_has_told() {
        let progress = Progress::new().unwrap();
        assert_eq!(progress.broker_ms(5), 5);
        progress.tell_time(1_000_000);
        assert!((1_000_000..1_060_000).contains(&progress.broker_ms(5)));
    }

    #[test]
    fn what_is_delivered_is_safe_when_it_has_settled_and_not_before() {
        let progress = Progress::new().unwrap();
        let begun = Instant::now();
        let at = |offset| Position { journal: 1, offset };
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
