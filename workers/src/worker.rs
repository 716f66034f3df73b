//! A running worker: two threads, a queue between them, and the counters.

mod builder;
mod threads;

pub(crate) use builder::name_for;
pub use builder::{StartError, WorkerBuilder};

use crate::backoff::Pace;
use crate::counters::{Counters, Ledger};
use crate::feed::{Broker, FeedKind};
use crate::idle_gauges::IdleGauges;
use crate::levels::Levels;
use crate::progress::Progress;
use crate::queue::Queue;
use crate::status::Status;
use crate::thread::{Ended, OwnedThread};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::clock::unix_ms;
use zibrato::daemon::Stop;

/// Maximum length of a wait.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Maximum time to deliver the rest when a worker is dropped.
const DROP_DEADLINE: Duration = Duration::from_millis(500);

/// Time for the feed alone: to aggregate what has arrived, or to commit and release its name.
const FEED_DEADLINE: Duration = Duration::from_secs(3);

/// A worker within a program: it reads, aggregates windows, and delivers them to a
/// [`Backend`](crate::Backend).
///
/// Dropping it stops it, with half a second to deliver the rest; [`stop`](Self::stop) reports what
/// became of everything.
///
/// ```
/// use std::time::Duration;
/// use zibrato::window::Window;
/// use zibrato_workers::{Backend, Payload, SendError, Worker};
///
/// struct Console;
///
/// impl Backend for Console {
///     fn payloads(&mut self, window: Window) -> Vec<Payload> {
///         let lines = window.into_series().into_iter().map(|series| format!("{series:?}\n"));
///         lines.map(|line| Payload::new(line.into_bytes(), 1)).collect()
///     }
///
///     fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
///         print!("{}", String::from_utf8_lossy(&payload.body));
///         Ok(())
///     }
/// }
///
/// let worker = Worker::builder().flush(Duration::from_secs(1)).start(Console)?;
/// let report = worker.stop(Duration::from_secs(1));
/// assert_eq!(report.series_lost, 0);
/// # Ok::<(), zibrato_workers::StartError>(())
/// ```
#[derive(Debug)]
#[must_use = "a worker that is dropped stops"]
pub struct Worker {
    stop: Stop,
    queue: Arc<Queue>,
    ledger: Arc<Ledger>,
    progress: Arc<Progress>,
    status: Arc<Status>,
    flush: Duration,
    feed: OwnedThread,
    deliver: OwnedThread,
    stopped: bool,
}

/// The result of a stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Series that the backend has accepted since the worker started.
    pub series_delivered: u64,
    /// Series that were not delivered, but are in the journal for the next start.
    pub series_kept: u64,
    /// Series that were not delivered and are not kept: rejected, dropped from the queue, or out of
    /// time.
    pub series_lost: u64,
    /// The part of `series_lost` that the backend rejected. They are in dead letters, if those are
    /// kept.
    pub series_rejected: u64,
    /// Windows that were delivered completely.
    pub windows_delivered: u64,
    /// Windows that were not delivered, but are in the journal for the next start.
    pub windows_kept: u64,
    /// Windows that were not delivered and are not kept.
    pub windows_lost: u64,
    /// Whether a thread of the worker panicked.
    pub panicked: bool,
    /// Why the worker could not continue, if it could not: another process reads under its name.
    pub failure: Option<String>,
}

impl StopReport {
    /// The report of two workers together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            series_delivered: self.series_delivered + other.series_delivered,
            series_kept: self.series_kept + other.series_kept,
            series_lost: self.series_lost + other.series_lost,
            series_rejected: self.series_rejected + other.series_rejected,
            windows_delivered: self.windows_delivered + other.windows_delivered,
            windows_kept: self.windows_kept + other.windows_kept,
            windows_lost: self.windows_lost + other.windows_lost,
            panicked: self.panicked || other.panicked,
            failure: self.failure.or(other.failure),
        }
    }
}

impl Worker {
    /// A builder whose defaults subscribe to `info` at the broker on this machine and end a window
    /// every minute.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder {
            broker: Broker::new("127.0.0.1", 5551),
            name: "zibrato-worker".to_owned(),
            program: "zibrato-worker".to_owned(),
            feed: FeedKind::Live,
            levels: Levels::default(),
            flush: Duration::from_secs(60),
            max_series: 1_000_000,
            max_windows: None,
            idle_gauges: IdleGauges::default(),
            pace: Pace::default(),
            catch_up: 60,
            dead_letters: None,
            destination: None,
        }
    }

    /// The worker's counters so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.ledger.read()
    }

    /// What prevents delivery, as a sentence; `None` if nothing does. Examples: the broker does not
    /// answer or rejects requests, or the backend has accepted nothing for longer than a window.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        self.view().unready()
    }

    /// The observable state of the worker.
    pub(crate) fn view(&self) -> View {
        View {
            ledger: Arc::clone(&self.ledger),
            progress: Arc::clone(&self.progress),
            status: Arc::clone(&self.status),
            queue: Arc::clone(&self.queue),
            flush: self.flush,
        }
    }

    /// Stops within `deadline`, even if the backend hangs.
    ///
    /// A worker on the live stream aggregates what has already arrived, and flushes and delivers
    /// all windows. A worker on the journal delivers and commits the windows that have ended; the
    /// open window, and those for which there is no time, stay in the journal.
    pub fn stop(mut self, deadline: Duration) -> StopReport {
        self.finish(deadline)
    }

    /// Begins to stop, so that several workers stop at the same time. [`stop`](Self::stop) must
    /// follow.
    pub(crate) fn begin_stop(&self, deadline: Duration) -> Instant {
        let now = Instant::now();
        let deadline = now.checked_add(deadline).unwrap_or(now + LONGEST);
        self.status.stops();
        self.queue.stop_by(deadline);
        self.stop.raise();
        deadline
    }

    fn finish(&mut self, deadline: Duration) -> StopReport {
        self.stopped = true;
        let deadline = self.begin_stop(deadline);
        let feed = self.feed.join_by(deadline + FEED_DEADLINE);
        let deliver = self.deliver.join_by(deadline);
        self.queue.abandon();
        let counters = self.ledger.close(self.progress.reading().replaying);
        let (series, windows) = (counters.series_lost, counters.windows_lost);
        if let Some(series) = counters.lost.get("no_time") {
            tracing::error!(
                event = "lost",
                series,
                windows,
                why = "no time was left to deliver them"
            );
        }
        StopReport {
            series_delivered: counters.series_delivered,
            series_kept: counters.series_kept,
            series_lost: series + counters.series_dropped + counters.series_rejected,
            series_rejected: counters.series_rejected,
            windows_delivered: counters.windows_delivered,
            windows_kept: counters.windows_kept,
            windows_lost: windows,
            panicked: feed == Ended::Panicked || deliver == Ended::Panicked,
            failure: self.status.failure(),
        }
    }
}

/// The observable state of a worker.
#[derive(Debug, Clone)]
pub(crate) struct View {
    ledger: Arc<Ledger>,
    progress: Arc<Progress>,
    status: Arc<Status>,
    queue: Arc<Queue>,
    flush: Duration,
}

impl View {
    pub(crate) fn counters(&self) -> Counters {
        self.ledger.read()
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Number of windows queued for the backend.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether the broker has answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.ledger.read().broker_connected
    }

    /// Why the worker cannot continue, if it cannot.
    pub(crate) fn failure(&self) -> Option<String> {
        self.status.failure()
    }

    /// How far delivery is behind.
    pub(crate) fn behind(&self) -> Duration {
        Duration::from_millis(self.progress.behind_ms(unix_ms()))
    }

    pub(crate) fn unready(&self) -> Option<String> {
        self.status.unready(self.flush)
    }

    pub(crate) fn stuck(&self) -> Option<&'static str> {
        self.status.stuck()
    }

    pub(crate) fn live_because(&self) -> Option<String> {
        self.status.live_because()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.stopped {
            self.finish(DROP_DEADLINE);
        }
    }
}

#[cfg(test)]
mod tests;
