//! Starts the two threads of a worker on the feed that was asked for.

use super::{StartError, Worker, WorkerBuilder};
use crate::backend::Backend;
use crate::dead_letters::DeadLetters;
use crate::deliver::{Delivery, DeliverySettings, Shared};
use crate::feed::{
    Broker, Feed, FeedLoop, LiveFeed, Outlet, ReplayEnd, ReplayFeed, ReplaySettings,
};
use crate::fold::Folder;
use crate::levels::Levels;
use crate::progress::Progress;
use crate::queue::Queue;
use crate::status::Status;
use crate::thread::OwnedThread;
use std::sync::Arc;
use std::time::Duration;
use zibrato::daemon::Stop;
use zibrato::resources::Resources;

/// What a worker takes of the system until it works, and is to find at its start: sockets, a backend's
/// connection and the pages; its own threads, those of libzmq, and one that resolves names; memory.
const NEEDS: Resources = Resources {
    descriptors: 24,
    threads: 8,
    memory: 128 << 20,
    address_space: Resources::address_space_of(8, 256 << 20),
};

/// How many windows may wait when the journal holds the rest.
const WAITING_IN_REPLAY: usize = 4;

/// How many windows may wait before the oldest is dropped.
const WAITING_LIVE: usize = 60;

/// What is read when there is no journal.
struct Live {
    broker: Broker,
    levels: Levels,
    flush: Duration,
    max_series: usize,
    max_windows: usize,
}

impl WorkerBuilder {
    /// Whether the system has what a worker takes of it.
    pub(crate) fn probe() -> Result<(), StartError> {
        NEEDS.probe().map_err(StartError::Shortage)
    }

    /// Starts the worker; it stops when `stop` is raised, and raises it when one of its threads
    /// ends before that.
    pub(crate) fn start_with<B: Backend>(
        self,
        backend: B,
        stop: Stop,
    ) -> Result<Worker, StartError> {
        self.check()?;
        Self::probe()?;
        if !self.replay {
            let feed = LiveFeed::connect(self.broker.clone(), &self.levels)?;
            return self.start_feed(feed, backend, stop);
        }
        let shared = self.shared(WAITING_IN_REPLAY)?;
        let settings = ReplaySettings {
            broker: self.broker.clone(),
            name: self.name.clone(),
            levels: self.levels.clone(),
            flush: self.flush,
            max_series: self.max_series,
        };
        let outlet = Outlet::new(Arc::clone(&shared.queue), Arc::clone(&shared.ledger));
        let (progress, status) = (Arc::clone(&shared.progress), Arc::clone(&shared.status));
        let feed = ReplayFeed::open(settings, outlet, progress, Arc::clone(&status));
        let (feed, live) = (feed?, self.live());
        let body = move |stop: &Stop| match feed.run(stop) {
            (ReplayEnd::Stopped, _) => {}
            (ReplayEnd::Owned { why }, _) => status.fail(why),
            (ReplayEnd::NoJournal { why }, outlet) => live.run(why, outlet, &status, stop),
        };
        self.start_threads(shared, body, backend, stop)
    }

    /// Starts the worker on any feed that goes by the clock.
    pub(crate) fn start_feed<B: Backend, F: Feed>(
        self,
        feed: F,
        backend: B,
        stop: Stop,
    ) -> Result<Worker, StartError> {
        let shared = self.shared(WAITING_LIVE)?;
        let folder = Folder::new(self.flush, self.max_series);
        let outlet = Outlet::new(Arc::clone(&shared.queue), Arc::clone(&shared.ledger));
        let feed = FeedLoop::new(feed, folder, outlet);
        let status = Arc::clone(&shared.status);
        self.start_threads(shared, move |stop| feed.run(stop, &status), backend, stop)
    }

    fn shared(&self, waiting: usize) -> Result<Shared, StartError> {
        Ok(Shared {
            queue: Arc::new(Queue::new(self.max_windows.unwrap_or(waiting))),
            ledger: Arc::default(),
            progress: Arc::new(Progress::new().map_err(StartError::System)?),
            status: Arc::new(Status::new()),
        })
    }

    fn live(&self) -> Live {
        Live {
            broker: self.broker.clone(),
            levels: self.levels.clone(),
            flush: self.flush,
            max_series: self.max_series,
            max_windows: self.max_windows.unwrap_or(WAITING_LIVE),
        }
    }

    fn start_threads<B: Backend>(
        self,
        shared: Shared,
        feed: impl FnOnce(&Stop) + Send + 'static,
        backend: B,
        stop: Stop,
    ) -> Result<Worker, StartError> {
        let Shared { queue, ledger, progress, status } = shared.clone();
        let letters = self.dead_letters;
        let settings = DeliverySettings {
            name: self.name,
            pace: self.pace,
            catch_up: self.catch_up,
            dead_letters: letters
                .map(|(folder, most)| DeadLetters::new(folder, most, self.program)),
        };
        let delivery = Delivery::new(backend, settings, shared);
        let (ended, done) = (stop.clone(), Arc::clone(&progress));
        let at_end = move || {
            done.end();
            ended.raise();
        };
        let deliver = OwnedThread::spawn("zb-deliver", move || delivery.run(), at_end)
            .map_err(StartError::System)?;
        let (asked, ended) = (stop.clone(), (stop.clone(), Arc::clone(&queue)));
        let at_end = move || {
            // Without a feed there is nothing more to deliver, also when it has panicked.
            ended.1.close();
            ended.0.raise();
        };
        let feed = OwnedThread::spawn("zb-feed", move || feed(&asked), at_end)
            .inspect_err(|_| queue.close())
            .map_err(StartError::System)?;
        let (flush, stopped) = (self.flush, false);
        Ok(Worker { stop, queue, ledger, progress, status, flush, feed, deliver, stopped })
    }
}

impl Live {
    /// Reads the live stream, because there is no journal.
    fn run(self, why: String, outlet: Outlet, status: &Status, stop: &Stop) {
        let what = "what is published while the worker or its backend is away will be LOST; let the \
                    broker keep a journal, or confirm with --live";
        tracing::error!(event = "no_journal", why, what);
        status.is_live_because(why);
        outlet.set_most(self.max_windows);
        match LiveFeed::connect(self.broker, &self.levels) {
            Ok(feed) => {
                let folder = Folder::new(self.flush, self.max_series);
                FeedLoop::new(feed, folder, outlet).run(stop, status);
            }
            Err(why) => status.fail(format!("cannot create a subscription socket: {why}")),
        }
    }
}
