//! The thread `zb-feed`: messages in, windows out.
//!
//! [`FeedLoop`] does so by the clock; where its messages come from is a [`Feed`], such as the live
//! stream. [`ReplayFeed`](replay::ReplayFeed) reads a journal, and goes by the broker's stamps.

mod check;
mod identify;
mod live;
mod monitor;
mod outlet;
mod presence;
mod replay;
mod resolve;

pub(crate) use check::check_broker;
pub(crate) use live::{Broker, LiveFeed};
pub(crate) use outlet::Outlet;
pub(crate) use replay::{ReplayEnd, ReplayFeed, ReplaySettings};

use crate::fold::Folder;
use crate::status::Status;
use std::time::{Duration, Instant};
use zibrato::clock::unix_ms;
use zibrato::daemon::Stop;
use zibrato::resources::ShortageError;
use zibrato::window::Window;

/// The longest wait, so that a clock that is set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How many messages are folded between two looks at the clock.
const AT_A_TIME: usize = 1000;

/// How many frames of a message are looked at; no good one has as many.
const MAX_FRAMES: usize = 5;

/// After a stop, silence for so long means that all has arrived.
const QUIET: Duration = Duration::from_millis(100);

/// After a stop, what arrives later than this is not waited for.
const LONGEST_DRAIN: Duration = Duration::from_secs(1);

/// Why a feed cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The system has too little of something.
    #[error(transparent)]
    Shortage(#[from] ShortageError),
    /// The socket cannot be made or connected.
    #[error(transparent)]
    Socket(#[from] zmq::Error),
}

/// A way into a worker.
pub(crate) trait Feed: Send + 'static {
    /// Waits for a message, but no longer than `timeout`, nor, if `stop` is given, beyond its
    /// being raised.
    fn wait(&mut self, timeout: Duration, stop: Option<&Stop>);

    /// The next message, if there is one: its frames, or the first [`MAX_FRAMES`] of them.
    fn next(&mut self) -> Option<&[zmq::Message]>;

    /// Whether the other side is there.
    fn connected(&self) -> bool;
}

/// Folds what a feed gives, and queues each window when it ends.
pub(crate) struct FeedLoop<F> {
    feed: F,
    folder: Folder,
    outlet: Outlet,
}

impl<F: Feed> FeedLoop<F> {
    pub(crate) const fn new(feed: F, folder: Folder, outlet: Outlet) -> Self {
        Self { feed, folder, outlet }
    }

    /// Runs until `stop` is raised, and then until all that has arrived is folded and queued.
    pub(crate) fn run(mut self, stop: &Stop, status: &Status) {
        while !stop.raised() {
            status.feed_is_alive();
            let now_ms = unix_ms();
            let left = self.folder.next_due_ms(now_ms).saturating_sub(now_ms);
            self.feed.wait(Duration::from_millis(left).min(LONGEST_WAIT), Some(stop));
            self.fold();
            let due = self.folder.due(unix_ms());
            self.flush(due);
        }
        self.drain();
        let rest = self.folder.drain();
        self.flush(rest);
        self.outlet.close();
    }

    /// Folds what is there, and says whether there was anything.
    fn fold(&mut self) -> bool {
        let mut any = false;
        for _ in 0..AT_A_TIME {
            let Some(frames) = self.feed.next() else { break };
            let mut parts = [&[][..]; MAX_FRAMES];
            for (part, frame) in parts.iter_mut().zip(frames) {
                *part = frame;
            }
            let count = frames.len().min(MAX_FRAMES);
            self.folder.take(&parts[..count], unix_ms());
            any = true;
        }
        self.outlet.count(self.folder.take_counts(), self.feed.connected());
        any
    }

    /// Folds what is still arriving, until it is quiet.
    fn drain(&mut self) {
        let begun = Instant::now();
        let mut last = begun;
        loop {
            if self.fold() {
                last = Instant::now();
            }
            let due = self.folder.due(unix_ms());
            self.flush(due);
            let quiet = last.elapsed();
            if quiet >= QUIET || begun.elapsed() >= LONGEST_DRAIN || !self.outlet.in_time() {
                return;
            }
            self.feed.wait(QUIET.saturating_sub(quiet), None);
        }
    }

    fn flush(&mut self, windows: Vec<Window>) {
        for window in windows {
            self.outlet.put(window, None);
        }
    }
}
