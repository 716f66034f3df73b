//! Starts the two threads of a worker on the selected feed.

use super::{StartError, Worker, WorkerBuilder};
use crate::backend::Backend;
use crate::dead_letters::DeadLetters;
use crate::deliver::{Delivery, DeliverySettings, Shared};
use crate::feed::{
    Feed, FeedKind, FeedLoop, FeedSettings, LiveFeed, MAX_WINDOWS, Outlet, ReplayFeed,
};
use crate::fold::Keep;
use crate::progress::Progress;
use crate::queue::queue;
use crate::status::Status;
use crate::thread::OwnedThread;
use std::sync::Arc;
use tracing::Span;
use zibrato::daemon::Stop;
use zibrato::resources::Resources;

/// Resources of a worker: sockets, the connection of a backend and the HTTP pages; its own threads,
/// those of libzmq, and one that resolves names; memory.
const NEEDS: Resources = Resources {
    descriptors: 24,
    threads: 8,
    memory: 128 << 20,
    address_space: Resources::address_space_of(8, 256 << 20),
};

impl WorkerBuilder {
    /// Checks whether the system has the resources of this number of workers.
    pub(crate) fn probe(workers: usize) -> Result<(), StartError> {
        NEEDS.times(workers).probe().map_err(StartError::Shortage)
    }

    /// Starts the worker on the selected feed. It stops when `stop` is raised, and raises it if one
    /// of its threads ends before.
    pub(crate) fn start_with<B: Backend>(
        self,
        backend: B,
        stop: Stop,
    ) -> Result<Worker, StartError> {
        self.check()?;
        Self::probe(1)?;
        let (broker, levels) = (self.broker.clone(), self.levels.clone());
        let feed: Box<dyn Feed> = match self.feed {
            FeedKind::Live => Box::new(LiveFeed::connect(broker, &levels)?),
            FeedKind::Replay => {
                Box::new(ReplayFeed::open(broker, self.name.clone(), levels, self.flush)?)
            }
        };
        self.start_threads(feed, backend, stop)
    }

    /// Starts the two threads of a worker on any feed.
    pub(super) fn start_threads<B: Backend>(
        self,
        feed: Box<dyn Feed>,
        backend: B,
        stop: Stop,
    ) -> Result<Worker, StartError> {
        let (inlet, queue) = queue(self.max_windows.unwrap_or(MAX_WINDOWS));
        let shared = Shared {
            queue,
            ledger: Arc::default(),
            progress: Arc::new(Progress::new().map_err(StartError::System)?),
            status: Arc::new(Status::new()),
        };
        let Shared { queue, ledger, progress, status } = shared.clone();
        let Self { flush, max_series, max_windows, idle_gauges, .. } = self;
        let outlet = Outlet::new(inlet, Arc::clone(&ledger));
        let keep = Keep {
            readings: backend.keeps_readings(),
            gauge_seconds: backend.keeps_gauge_seconds(),
        };
        let levels = self.levels;
        let settings = FeedSettings { flush, max_series, max_windows, idle_gauges, keep, levels };
        let feed =
            FeedLoop::new(feed, settings, outlet, Arc::clone(&progress), Arc::clone(&status));
        let (name, pace, catch_up) = (self.name, self.pace, self.catch_up);
        let dead_letters = self
            .dead_letters
            .map(|(folder, most)| DeadLetters::new(folder, most, self.program, &name));
        let settings = DeliverySettings { name, pace, catch_up, dead_letters };
        let delivery = Delivery::new(backend, settings, shared);
        // Log lines of several destinations name theirs.
        let span = self
            .destination
            .map_or_else(Span::none, |destination| tracing::info_span!("to", destination));
        let feed_span = span.clone();
        let (ended, done) = (stop.clone(), Arc::clone(&progress));
        let at_end = move || {
            done.end();
            ended.raise();
        };
        let deliver =
            OwnedThread::spawn("zb-deliver", move || span.in_scope(|| delivery.run()), at_end)
                .map_err(StartError::System)?;
        // When the feed has ended, even by a panic, its end of the queue is closed.
        let (asked, ended) = (stop.clone(), stop.clone());
        let at_end = move || ended.raise();
        let feed =
            OwnedThread::spawn("zb-feed", move || feed_span.in_scope(|| feed.run(&asked)), at_end)
                .map_err(StartError::System)?;
        let stopped = false;
        Ok(Worker { stop, queue, ledger, progress, status, flush, feed, deliver, stopped })
    }
}
