//! The thread `zb-feed`: messages in, windows out, by the clock.
//!
//! Where the messages come from is a [`Feed`]: the live stream now, and whatever else can wait
//! and hand on.

mod live;
mod presence;
mod resolve;

pub(crate) use live::{Broker, LiveFeed};

use crate::counters::Ledger;
use crate::fold::Folder;
use crate::queue::Queue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::clock::unix_ms;
use zibrato::daemon::Stop;
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

/// What is refused is logged no more often than this.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

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
    queue: Arc<Queue>,
    ledger: Arc<Ledger>,
    complaints: Complaints,
}

impl<F: Feed> FeedLoop<F> {
    pub(crate) fn new(feed: F, folder: Folder, queue: Arc<Queue>, ledger: Arc<Ledger>) -> Self {
        Self { feed, folder, queue, ledger, complaints: Complaints::default() }
    }

    /// Runs until `stop` is raised, and then until all that has arrived is folded and queued.
    pub(crate) fn run(mut self, stop: &Stop) {
        while !stop.raised() {
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
        self.complaints.log();
        self.queue.close();
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
        self.count();
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
            if quiet >= QUIET || begun.elapsed() >= LONGEST_DRAIN || !self.in_time() {
                return;
            }
            self.feed.wait(QUIET.saturating_sub(quiet), None);
        }
    }

    fn in_time(&self) -> bool {
        self.queue.deadline().is_none_or(|deadline| Instant::now() < deadline)
    }

    fn flush(&mut self, windows: Vec<Window>) {
        for window in windows {
            let (stamp, series) = (window.stamp(), window.len() as u64);
            let (entries, overflowed) = (window.folded(), window.overflowed());
            if let Some((source, name)) = window.offender() {
                tracing::warn!(event = "overflow", stamp, entries = overflowed, source, name);
            }
            self.ledger.write(|c| {
                c.windows_flushed += 1;
                c.series_flushed += series;
                c.overflowed += overflowed;
            });
            let dropped = self.queue.push(window);
            tracing::debug!(event = "flush", stamp, series, entries, waiting = self.queue.len());
            if let Some(dropped) = dropped {
                let (stamp, series) = (dropped.stamp(), dropped.len() as u64);
                self.ledger.write(|c| {
                    c.series_dropped += series;
                    c.windows_lost += 1;
                });
                tracing::error!(event = "window_dropped", stamp, series, why = "queue full");
            }
        }
    }

    fn count(&mut self) {
        let counts = self.folder.take_counts();
        let connected = self.feed.connected();
        self.ledger.write(|c| {
            c.batches += counts.batches;
            c.broker_connected = connected;
            c.duplicates += counts.duplicates;
            c.entries += counts.entries;
            c.late += counts.late;
            for (reason, (times, _)) in &counts.refused {
                *c.refused.entry(reason).or_default() += times;
            }
        });
        self.complaints.add(counts.refused);
    }
}

/// What was refused and is still to be logged: at once, but not over and over.
#[derive(Debug, Default)]
struct Complaints {
    refused: BTreeMap<&'static str, (u64, String)>,
    logged: Option<Instant>,
}

impl Complaints {
    fn add(&mut self, refused: BTreeMap<&'static str, (u64, String)>) {
        for (reason, (times, why)) in refused {
            self.refused.entry(reason).or_insert_with(|| (0, why)).0 += times;
        }
        if self.logged.is_none_or(|logged| logged.elapsed() >= COMPLAIN_EVERY) {
            self.log();
        }
    }

    fn log(&mut self) {
        for (reason, (times, why)) in std::mem::take(&mut self.refused) {
            tracing::warn!(event = "refused", reason, times, why);
            self.logged = Some(Instant::now());
        }
    }
}
