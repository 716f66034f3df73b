//! A running worker: two threads, a queue between them, and the books.

use crate::backend::Backend;
use crate::backoff::Pace;
use crate::counters::{Counters, Ledger};
use crate::deliver::Delivery;
use crate::feed::{Broker, Feed, FeedLoop, LiveFeed};
use crate::fold::Folder;
use crate::levels::Levels;
use crate::queue::Queue;
use crate::thread::{Ended, OwnedThread};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::curve::Curve;
use zibrato::daemon::Stop;

/// The shortest window.
const SHORTEST_FLUSH: Duration = Duration::from_millis(100);

/// The longest window.
const LONGEST_FLUSH: Duration = Duration::from_secs(24 * 3600);

/// How long a worker that is dropped may take to deliver the rest.
const DROP_DEADLINE: Duration = Duration::from_millis(500);

/// How long the feed may take to fold what has arrived; it takes a second at most by itself.
const FEED_DEADLINE: Duration = Duration::from_secs(3);

/// A worker within a program: it subscribes, folds windows, and delivers them to a [`Backend`].
///
/// Dropping it stops it, with half a second for the rest; [`stop`](Self::stop) says what became of
/// everything.
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
    feed: OwnedThread,
    deliver: OwnedThread,
    stopped: bool,
}

/// Says what a [`Worker`] shall do; made by [`Worker::builder`].
#[derive(Debug, Clone)]
pub struct WorkerBuilder {
    broker: Broker,
    levels: Levels,
    flush: Duration,
    max_series: usize,
    max_windows: usize,
    pace: Pace,
}

/// What had become of everything when the worker stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Series that the backend has taken, since the worker started.
    pub series_delivered: u64,
    /// Series that it has not: rejected, dropped from the queue, or out of time.
    pub series_lost: u64,
    /// Windows that were delivered in full.
    pub windows_delivered: u64,
    /// Windows that were not.
    pub windows_lost: u64,
    /// Whether a thread of the worker had panicked.
    pub panicked: bool,
}

impl Worker {
    /// A worker that subscribes to `info` at the broker on this machine and flushes every minute,
    /// unless told otherwise.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder {
            broker: Broker { host: "127.0.0.1".to_owned(), port: 5551, curve: None },
            levels: Levels::default(),
            flush: Duration::from_secs(60),
            max_series: 1_000_000,
            max_windows: 60,
            pace: Pace::default(),
        }
    }

    /// The worker's own numbers, up to now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.ledger.read()
    }

    /// Stops: folds what has already arrived, flushes all windows, and delivers until all is done
    /// or `deadline` has passed. A backend that hangs cannot hold it up for longer.
    pub fn stop(mut self, deadline: Duration) -> StopReport {
        self.finish(deadline)
    }

    fn finish(&mut self, deadline: Duration) -> StopReport {
        self.stopped = true;
        let begun = Instant::now();
        let deadline = begun.checked_add(deadline).unwrap_or(begun + LONGEST_FLUSH);
        self.queue.stop_by(deadline);
        self.stop.raise();
        let feed = self.feed.join_by(deadline.max(begun + FEED_DEADLINE));
        let deliver = self.deliver.join_by(deadline);
        self.queue.abandon();
        let counters = self.ledger.close();
        let (series, windows) = (counters.series_lost, counters.windows_lost);
        if series > 0 {
            tracing::error!(event = "lost", series, windows, why = "no time left to deliver");
        }
        StopReport {
            series_delivered: counters.series_delivered,
            series_lost: series + counters.series_dropped + counters.series_rejected,
            windows_delivered: counters.windows_delivered,
            windows_lost: windows,
            panicked: feed == Ended::Panicked || deliver == Ended::Panicked,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.stopped {
            self.finish(DROP_DEADLINE);
        }
    }
}

impl WorkerBuilder {
    /// The broker's host: a name, an address, or `ipc://` and the folder in which a broker of this
    /// machine listens; then the port does not matter. Defaults to `127.0.0.1`.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.broker.host = host.into();
        self
    }

    /// The port on which the broker publishes. Defaults to 5551.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.broker.port = port;
        self
    }

    /// Encrypts, and talks to no broker but the one with this key, which has to know the worker's
    /// public key. Defaults to no encryption.
    #[must_use]
    pub fn curve(mut self, curve: Curve) -> Self {
        self.broker.curve = Some(curve);
        self
    }

    /// Which levels to deliver. Defaults to `info`.
    #[must_use]
    pub fn levels(mut self, levels: Levels) -> Self {
        self.levels = levels;
        self
    }

    /// How long a window is: a tenth of a second to a day. Defaults to a minute.
    #[must_use]
    pub const fn flush(mut self, flush: Duration) -> Self {
        self.flush = flush;
        self
    }

    /// How many series a window may hold; beyond them new names fold into `_overflow`. Defaults to
    /// 1,000,000.
    #[must_use]
    pub const fn max_series(mut self, max_series: usize) -> Self {
        self.max_series = max_series;
        self
    }

    /// How many windows may wait for the backend, at least one; when there are more the oldest is
    /// dropped and counted. Defaults to 60.
    #[must_use]
    pub const fn max_windows(mut self, max_windows: usize) -> Self {
        self.max_windows = max_windows;
        self
    }

    /// How long to wait before a payload is tried again: a random time below `first`, then below
    /// twice that and so on, up to `longest`. Defaults to half a second and a minute.
    #[must_use]
    pub const fn retry_between(mut self, first: Duration, longest: Duration) -> Self {
        self.pace = Pace { first, longest };
        self
    }

    /// Starts the worker. The broker need not be there yet.
    ///
    /// # Errors
    /// [`StartError`] when something in the builder cannot be, or the system gives no more
    /// threads or sockets.
    pub fn start<B: Backend>(self, backend: B) -> Result<Worker, StartError> {
        self.start_with(backend, Stop::new().map_err(StartError::System)?)
    }

    /// Starts the worker; it stops when `stop` is raised, and raises it when one of its threads
    /// ends before that.
    pub(crate) fn start_with<B: Backend>(
        self,
        backend: B,
        stop: Stop,
    ) -> Result<Worker, StartError> {
        self.check()?;
        let feed = LiveFeed::connect(self.broker.clone(), &self.levels)
            .map_err(|source| StartError::Socket { source })?;
        self.start_feed(feed, backend, stop)
    }

    /// Whether the worker could start, as far as one can tell without starting it.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if !(SHORTEST_FLUSH..=LONGEST_FLUSH).contains(&self.flush) {
            return Err(StartError::Flush { flush: self.flush });
        }
        if self.broker.endpoint().is_none() {
            let Broker { host, port, .. } = self.broker.clone();
            return Err(StartError::Address { host, port });
        }
        Ok(())
    }

    /// Starts the worker on any feed.
    pub(crate) fn start_feed<B: Backend, F: Feed>(
        self,
        feed: F,
        backend: B,
        stop: Stop,
    ) -> Result<Worker, StartError> {
        let queue = Arc::new(Queue::new(self.max_windows));
        let ledger = Arc::new(Ledger::default());
        let delivery = Delivery::new(backend, Arc::clone(&queue), Arc::clone(&ledger), self.pace);
        let ended = stop.clone();
        let deliver =
            OwnedThread::spawn("zb-deliver", move || delivery.run(), move || ended.raise())
                .map_err(StartError::System)?;
        let folder = Folder::new(self.flush, self.max_series);
        let feed_loop = FeedLoop::new(feed, folder, Arc::clone(&queue), Arc::clone(&ledger));
        let (asked, ended) = (stop.clone(), (stop.clone(), Arc::clone(&queue)));
        let at_end = move || {
            // Without a feed there is nothing more to deliver, also when it has panicked.
            ended.1.close();
            ended.0.raise();
        };
        let feed = OwnedThread::spawn("zb-feed", move || feed_loop.run(&asked), at_end)
            .inspect_err(|_| queue.close())
            .map_err(StartError::System)?;
        Ok(Worker { stop, queue, ledger, feed, deliver, stopped: false })
    }
}

/// Why a worker could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The host or the port cannot be one.
    #[error(
        "`{host}` with port {port} is no address; a host is a name or an address, without port, or \
         ipc:// and a broker's folder"
    )]
    Address {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The window is shorter than a tenth of a second or longer than a day.
    #[error("a flush of {flush:?} cannot be; take a tenth of a second to a day")]
    Flush {
        /// What was asked for.
        flush: Duration,
    },
    /// The subscription could not be made.
    #[error("no subscription socket could be made")]
    Socket {
        /// What libzmq said.
        source: zmq::Error,
    },
    /// The system gave no thread or no descriptor.
    #[error("the system gives no more threads or descriptors")]
    System(#[source] io::Error),
}

#[cfg(test)]
mod tests;
