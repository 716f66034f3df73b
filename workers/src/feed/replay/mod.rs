//! The thread `zb-feed` on a journal: fetches what is behind the worker's place, folds it into
//! windows that are the same every time, and commits the place once they are delivered.
//!
//! ```text
//! fetch ─▶ shelf ─▶ queue ─▶ zb-deliver ─▶ backend
//!            one answer       bounded         │
//! commit ◀── place behind what is delivered ◀─┘
//! ```
//!
//! When the queue is full nothing is fetched: the journal holds the rest.

mod answers;
mod commit;
mod link;
mod probe;
mod shelf;
mod stop;

use super::presence::{Change, Presence};
use super::{Broker, OpenError, Outlet, resolve};
use crate::backoff::{Backoff, Pace};
use crate::fold::ReplayFolder;
use crate::levels::Levels;
use crate::progress::{Progress, millis};
use crate::status::Status;
use crate::thread::OwnedThread;
use commit::Commits;
use link::Link;
use probe::Probe;
use shelf::Shelf;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::daemon::{LogLimit, Stop};
use zibrato::wire::{Fetch, PublisherId, Reader, ReplayRequest};

/// About how many bytes one answer may have.
const MAX_BYTES: u64 = 1 << 20;

/// How long the broker may wait for something to hand out.
const LONGEST_POLL: Duration = Duration::from_secs(1);

/// How long to wait after an answer that was small, so that the next one is worth it.
const PAUSE: Duration = Duration::from_millis(100);

/// The broker takes a reader that it has not heard for five seconds for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// How long to wait when the broker has refused, or has answered what is no answer.
const REFUSED_PACE: Pace =
    Pace { first: Duration::from_millis(500), longest: Duration::from_secs(10) };

/// What a reader of a journal has to know.
pub(crate) struct ReplaySettings {
    /// Where the broker publishes; its journal is on the next port.
    pub(crate) broker: Broker,
    pub(crate) name: String,
    pub(crate) levels: Levels,
    pub(crate) flush: Duration,
    pub(crate) max_series: usize,
}

/// Why the reader ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReplayEnd {
    /// There is no journal to read; what is published live is all there is.
    NoJournal {
        /// A sentence.
        why: String,
    },
    /// Another process reads under the same name.
    Owned {
        /// The broker's sentence.
        why: String,
    },
    /// It was asked to stop.
    Stopped,
}

/// Reads a journal.
pub(crate) struct ReplayFeed {
    link: Link,
    /// Until the first answer.
    probe: Option<Probe>,
    /// Where the broker publishes, which is the port that was given.
    publishing: Broker,
    presence: Presence,
    resolving: Option<OwnedThread>,
    fetch: Fetch,
    flush: Duration,
    shelf: Shelf,
    outlet: Outlet,
    progress: Arc<Progress>,
    status: Arc<Status>,
    /// How many windows were put into the queue.
    put: u64,
    /// What is fetched keeps the name, and is not looked at.
    keeping: bool,
    /// The connection has ended.
    ended: bool,
    next_fetch: Instant,
    commits: Commits,
    /// The pauses after refusals.
    backoff: Backoff,
    strange: LogLimit,
    gone: LogLimit,
    owned: Option<Instant>,
    released: bool,
}

impl ReplayFeed {
    pub(crate) fn open(
        settings: ReplaySettings,
        outlet: Outlet,
        progress: Arc<Progress>,
        status: Arc<Status>,
    ) -> Result<Self, OpenError> {
        let ReplaySettings { broker: publishing, name, levels, flush, max_series } = settings;
        let link = Link::open(&publishing.replay().ok_or(zmq::Error::EINVAL)?)?;
        let probe = Probe::open(link.context(), &publishing)?;
        let reader = Reader { name, session: PublisherId::random().to_string() };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let fetch = Fetch {
            reader,
            about: format!("{host}, process {}", std::process::id()),
            levels: levels.names(),
            after: None,
            wait_ms: millis(flush.min(LONGEST_POLL)),
            max_bytes: MAX_BYTES,
        };
        let now = Instant::now();
        progress.read_on(|reading| reading.replaying = true);
        Ok(Self {
            link,
            probe: Some(probe),
            publishing,
            presence: Presence::new(now),
            resolving: None,
            fetch,
            flush,
            shelf: Shelf::new(ReplayFolder::new(flush, max_series)),
            outlet,
            progress,
            status,
            put: 0,
            keeping: false,
            ended: false,
            next_fetch: now,
            commits: Commits::new(now),
            backoff: Backoff::new(REFUSED_PACE),
            strange: LogLimit::default(),
            gone: LogLimit::default(),
            owned: None,
            released: false,
        })
    }

    /// Reads until `stop` is raised and what had ended is delivered and committed, or until there
    /// is nothing to read. Gives the outlet back.
    pub(crate) fn run(mut self, stop: &Stop) -> (ReplayEnd, Outlet) {
        let end = loop {
            if stop.raised() {
                self.finish();
                break ReplayEnd::Stopped;
            }
            self.status.feed_is_alive();
            if let Some(end) = self.turn() {
                break end;
            }
            self.wait(Some(stop));
        };
        match &end {
            ReplayEnd::NoJournal { .. } => {
                self.progress.read_on(|reading| reading.replaying = false);
                if let Some(rest) = self.shelf.rest() {
                    self.outlet.put(rest, None);
                }
            }
            // Whoever reads under the name delivers them.
            ReplayEnd::Owned { .. } => self.outlet.abandon(),
            ReplayEnd::Stopped => {}
        }
        self.count();
        (end, self.outlet)
    }

    /// Takes what has come, folds what there is room for, and asks for what is due.
    fn turn(&mut self) -> Option<ReplayEnd> {
        let end = self.answers();
        self.fold();
        let now = Instant::now();
        if end.is_none() && self.probe.as_mut().is_some_and(|probe| probe.gives_up(now)) {
            let why = format!(
                "the broker publishes, but its journal port {} does not answer",
                self.link.endpoint()
            );
            return Some(ReplayEnd::NoJournal { why });
        }
        self.commit(now);
        self.ask(now);
        self.look(now);
        end
    }

    /// Folds what there is room for.
    fn fold(&mut self) {
        while self.outlet.has_room() {
            let Some((window, through)) = self.shelf.window() else { break };
            self.put += 1;
            self.progress.begin(window.start_ms());
            self.outlet.put(window, Some(through));
        }
        let idle = self.is_idle();
        self.progress.read_on(|reading| reading.idle = idle);
        self.count();
    }

    fn count(&mut self) {
        let connected = self.presence.is_present();
        self.outlet.count(self.shelf.take_counts(), connected);
    }

    /// Whether everything that was read is delivered.
    fn is_idle(&self) -> bool {
        self.shelf.is_bare() && self.progress.delivered().windows == self.put
    }

    /// Asks for more when there is room for it; when there is none, asks for something all the
    /// same before the broker takes this reader for dead.
    fn ask(&mut self, now: Instant) {
        if self.link.fetching() {
            return;
        }
        self.keeping = !(self.shelf.is_empty() && self.outlet.has_room());
        let due =
            if self.keeping { self.link.quiet(now) >= KEEP_ALIVE } else { now >= self.next_fetch };
        if !due {
            return;
        }
        self.fetch.after = self.shelf.position();
        let mut fetch = self.fetch.clone();
        if self.keeping {
            (fetch.wait_ms, fetch.max_bytes) = (0, 1);
        }
        self.link.ask(&ReplayRequest::Fetch(fetch));
    }

    /// Looks at the clock and at the connection: who does not answer is asked again.
    fn look(&mut self, now: Instant) {
        let is_past = |due: Option<Instant>| due.is_some_and(|due| now >= due);
        if is_past(self.link.commit_overdue()) {
            self.commit_failed("the broker did not answer", now);
        }
        if is_past(self.link.fetch_overdue()) {
            tracing::debug!(event = "unanswered", endpoint = self.link.endpoint());
            self.link.reopen();
            self.next_fetch = now;
        }
        if std::mem::take(&mut self.ended) && self.presence.ended(now) {
            tracing::debug!(event = "connection_ended", endpoint = self.link.endpoint());
            // What was asked on it is never answered.
            self.link.reopen();
            self.next_fetch = now + PAUSE;
        }
        let change = self.presence.passed(now);
        self.tell(change);
    }

    fn tell(&mut self, change: Option<Change>) {
        let endpoint = self.link.endpoint();
        match change {
            None => return,
            Some(Change::Connected) => tracing::info!(event = "broker_connected", endpoint),
            Some(Change::Lost) => tracing::warn!(event = "broker_lost", endpoint),
            Some(Change::Waiting) => tracing::warn!(event = "waiting_for_broker", endpoint),
        }
        self.resolving = match change {
            Some(Change::Connected) => None,
            _ => resolve::explain(self.publishing.clone()),
        };
    }

    /// Waits for an answer, for room, for a stop, or until something is due.
    fn wait(&mut self, stop: Option<&Stop>) {
        let now = Instant::now();
        let fetch = (!self.link.fetching() && !self.keeping).then_some(self.next_fetch);
        let overdue = [self.link.fetch_overdue(), self.link.commit_overdue()];
        let due = overdue.into_iter().flatten().chain(fetch).min();
        let left = due.map_or(LONGEST_POLL, |due| due.saturating_duration_since(now));
        let left = if stop.is_some() { left.min(LONGEST_POLL) } else { left.min(PAUSE) };
        let woken = zmq::PollItem::from_fd(self.progress.descriptor(), zmq::POLLIN);
        let mut items = vec![woken];
        items.extend(self.link.poll_items());
        items.extend(stop.map(|stop| zmq::PollItem::from_fd(stop.as_raw_fd(), zmq::POLLIN)));
        items.extend(self.probe.as_ref().map(Probe::poll_item));
        // Rounded up, so that a wait for part of a millisecond does not become a spin.
        let millis = left.as_micros().div_ceil(1000) as i64;
        if let Err(why) = zmq::poll(&mut items, millis) {
            // An interrupted wait; whoever waits looks again.
            tracing::trace!(event = "poll_interrupted", %why);
        }
        drop(items);
        self.ended |= self.link.ended();
        self.progress.clear();
    }
}
