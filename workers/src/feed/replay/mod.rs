//! The journal of a broker: fetches the batches after the worker's cursor, and moves the cursor.
//!
//! While the queue is full, fetches of one byte keep the name, and their answers are ignored.

mod answers;
mod buffer;
mod link;
mod probe;

use super::broker::NOT_HEARD;
use super::presence::{Change, Presence};
use super::{
    Broker, End, Event, Feed, Guarantee, Health, LiveFeed, Offsets, OpenError, Wait, resolve,
};
use crate::backoff::{Backoff, Pace};
use crate::levels::Levels;
use crate::progress::{Checkpoint, millis};
use crate::thread::OwnedThread;
use buffer::{ReplayBuffer, position};
use link::Link;
use probe::Probe;
use std::collections::VecDeque;
use std::task::Poll;
use std::time::{Duration, Instant};
use zibrato::daemon::LogLimit;
use zibrato::wire::{Commit, Fetch, Position, PublisherId, Reader, ReplayRequest};

/// Approximate maximum size of a fetch result, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Maximum time that the broker waits for batches.
const LONGEST_POLL: Duration = Duration::from_secs(1);

/// Minimum time that the broker waits for batches after the time at which a window should have ended; and
/// how long before that time a fetch is sent that is answered then.
const SHORTEST_POLL: Duration = Duration::from_millis(5);

/// Pause after a small fetch result, so that the next one is larger.
const PAUSE: Duration = Duration::from_millis(100);

/// Interval of keep-alive fetches. A reader that sends nothing for five seconds loses its name.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Time to release the name.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Pauses after a refusal or a malformed answer.
const REFUSED_PACE: Pace = Pace::new(Duration::from_millis(500), Duration::from_secs(10));

/// A reader of a journal.
pub(crate) struct ReplayFeed {
    link: Link,
    /// Present until the first answer.
    probe: Option<Probe>,
    /// The endpoint on which the broker publishes, which is the port that the user gave.
    publishing: Broker,
    levels: Levels,
    presence: Presence,
    resolving: Option<OwnedThread>,
    fetch: Fetch,
    flush: Duration,
    buffer: ReplayBuffer,
    /// Events to return before those of the buffer.
    events: VecDeque<Event<'static>>,
    /// The last offset in the journal.
    end: u64,
    /// Whether the fetch in progress only keeps the name.
    keeping: bool,
    /// Whether the connection has ended.
    ended: bool,
    next_fetch: Instant,
    /// The number of the current window, and when it ends by the broker's clock. A fetch that is
    /// answered then ends the window without delay.
    window_ends: Option<(u64, Instant)>,
    /// All batches that the broker received before this time were fetched, as the last answer said.
    complete_until_ms: Option<u64>,
    /// The position of the cursor.
    committed: Option<Position>,
    /// Why the last commit failed.
    commit_failed: Option<String>,
    /// The pauses after refusals.
    backoff: Backoff,
    malformed: LogLimit,
    /// Why the broker refuses requests, if it does.
    refused: Option<String>,
    /// The time since which another reader has the name.
    owned: Option<Instant>,
    closing: bool,
    released: bool,
}

impl ReplayFeed {
    /// Begins to read as `name`. `publishing` is the endpoint on which the broker publishes; its
    /// journal is on the next port.
    pub(crate) fn open(
        publishing: Broker,
        name: String,
        levels: Levels,
        flush: Duration,
    ) -> Result<Self, OpenError> {
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
        Ok(Self {
            link,
            probe: Some(probe),
            publishing,
            levels,
            presence: Presence::new(now),
            resolving: None,
            fetch,
            flush,
            buffer: ReplayBuffer::default(),
            events: VecDeque::new(),
            end: 0,
            keeping: false,
            ended: false,
            next_fetch: now,
            window_ends: None,
            complete_until_ms: None,
            committed: None,
            commit_failed: None,
            backoff: Backoff::new(REFUSED_PACE),
            malformed: LogLimit::default(),
            refused: None,
            owned: None,
            closing: false,
            released: false,
        })
    }

    /// Handles answers, sends the requests that are due, and waits for an answer if there is
    /// nothing to return.
    fn turn(&mut self, wait: &Wait<'_>, hold: bool) {
        self.answers();
        let now = Instant::now();
        if self.events.is_empty() && self.probe.as_mut().is_some_and(|probe| probe.gives_up(now)) {
            let endpoint = self.link.endpoint();
            self.no_journal(format!(
                "the broker publishes, but its journal port {endpoint} does not answer"
            ));
        }
        self.ask(now, hold || !self.buffer.is_empty());
        self.look(now);
        if self.events.is_empty() && (hold || self.buffer.is_empty()) {
            self.wait(wait, hold);
            self.answers();
        }
    }

    /// Fetches more batches. While the queue is full, fetches one byte from time to time, so that
    /// the broker does not consider this reader dead.
    fn ask(&mut self, now: Instant, hold: bool) {
        if self.link.fetching() {
            return;
        }
        self.keeping = hold;
        let due = if hold { self.link.quiet(now) >= KEEP_ALIVE } else { now >= self.next_fetch };
        if !due {
            return;
        }
        self.fetch.after = self.buffer.position();
        let mut fetch = self.fetch.clone();
        if let Some((_, ends)) = self.window_ends {
            let left = ends.saturating_duration_since(now);
            let left = if left.is_zero() { SHORTEST_POLL } else { left };
            // Rounded up, because an answer before the end is in vain.
            fetch.wait_ms = fetch.wait_ms.min(left.as_micros().div_ceil(1000) as u64);
        }
        if hold {
            (fetch.wait_ms, fetch.max_bytes) = (0, 1);
        }
        // The first answer says whether the broker accepts the name, so it should come immediately.
        if self.probe.is_some() {
            fetch.wait_ms = 0;
        }
        self.link.ask(&ReplayRequest::Fetch(fetch));
    }

    /// Checks timeouts and the connection, and repeats requests without an answer.
    fn look(&mut self, now: Instant) {
        let is_past = |due: Option<Instant>| due.is_some_and(|due| now >= due);
        if is_past(self.link.commit_overdue()) {
            self.fail_commit("the broker did not answer");
        }
        if is_past(self.link.fetch_overdue()) {
            tracing::debug!(event = "unanswered", endpoint = self.link.endpoint());
            self.link.reopen();
            self.next_fetch = now;
        }
        if std::mem::take(&mut self.ended) && self.presence.ended(now) {
            tracing::debug!(event = "connection_ended", endpoint = self.link.endpoint());
            // Requests on that connection are never answered.
            self.link.reopen();
            self.next_fetch = now + PAUSE;
        }
        let change = self.presence.passed(now);
        self.log(change);
    }

    fn log(&mut self, change: Option<Change>) {
        let (host, port) = (&*self.publishing.host, self.publishing.tcp_port());
        let journal_port = self.publishing.replay().and_then(|journal| journal.tcp_port());
        match change {
            None => return,
            Some(Change::Connected) => {
                tracing::info!(event = "broker_connected", host, port, journal_port);
            }
            Some(Change::Lost) => tracing::warn!(event = "broker_lost", host, port, journal_port),
            Some(Change::Waiting) => {
                tracing::warn!(event = "waiting_for_broker", host, port, journal_port);
            }
        }
        self.resolving = match change {
            Some(Change::Connected) => None,
            _ => resolve::explain(self.publishing.clone()),
        };
    }

    /// Waits for an answer, or until a request is due.
    fn wait(&mut self, wait: &Wait<'_>, hold: bool) {
        let fetch = (!self.link.fetching() && !hold).then_some(self.next_fetch);
        let overdue = [self.link.fetch_overdue(), self.link.commit_overdue()];
        let due = overdue.into_iter().flatten().chain(fetch).min();
        let items = self.link.poll_items().into_iter();
        let items = items.chain(self.probe.as_ref().map(Probe::poll_item)).collect();
        wait.poll(items, due.unwrap_or(wait.until()));
        self.ended |= self.link.ended();
    }

    /// Ends this feed because there is no journal, and continues with the live stream.
    fn no_journal(&mut self, why: String) {
        let what = "measurements published while the worker or its backend is down are LOST; enable \
                    the journal of the broker, or confirm with --live";
        tracing::error!(event = "no_journal", why, what);
        let end = match LiveFeed::connect(self.publishing.clone(), &self.levels) {
            Ok(feed) => End::Replaced(Box::new(feed), why),
            Err(error) => End::Failed(format!("cannot create a subscription socket: {error}")),
        };
        self.events.push_back(Event::End(end));
    }

    /// Records that the commit in progress, if there is one, has failed.
    fn fail_commit(&mut self, why: &str) {
        if self.link.committing() {
            self.link.forget_commit();
            self.commit_failed = Some(why.to_owned());
        }
    }

    /// Whether a position is after the cursor. Positions in a previous journal are not valid in the
    /// next one.
    fn is_further(&self, place: Position) -> bool {
        let same = |other: Option<Position>| other.filter(|other| other.journal == place.journal);
        let further = |committed: Position| place.offset > committed.offset;
        same(self.buffer.position()).is_some() && same(self.committed).is_none_or(further)
    }
}

impl Feed for ReplayFeed {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn next(&mut self, wait: &Wait<'_>) -> Event<'_> {
        if self.events.is_empty() && self.buffer.is_empty() {
            self.turn(wait, false);
        }
        match self.events.pop_front() {
            Some(event) => event,
            None => self.buffer.next(),
        }
    }

    fn hold(&mut self, wait: &Wait<'_>) -> Event<'_> {
        self.turn(wait, true);
        self.events.pop_front().unwrap_or(Event::Idle)
    }

    fn commit(&mut self, at: &Checkpoint) -> Poll<Result<(), String>> {
        let Some(at) = position(at).filter(|at| self.is_further(*at)) else {
            return Poll::Ready(Ok(()));
        };
        if let Some(why) = self.commit_failed.take() {
            return Poll::Ready(Err(why));
        }
        if !self.link.committing() {
            let commit = Commit { reader: self.fetch.reader.clone(), at };
            self.link.ask(&ReplayRequest::Commit(commit));
        }
        Poll::Pending
    }

    fn health(&self) -> Health<'_> {
        match &self.refused {
            _ if !self.presence.is_present() => Health::Disconnected(NOT_HEARD),
            Some(why) => Health::Refused(why),
            None => Health::Connected,
        }
    }

    fn offsets(&self) -> Offsets {
        let committed = self.committed.map(|at| at.offset);
        let read = self.buffer.position().map_or(0, |at| at.offset);
        Offsets { committed, read, end: self.end }
    }

    fn close(&mut self) {
        self.closing = true;
        self.link.ask(&ReplayRequest::Release(self.fetch.reader.clone()));
        let until = Instant::now() + RELEASE_TIMEOUT;
        while !self.released && self.presence.is_present() && Instant::now() < until {
            Wait::new(until, [None; 2]).poll(self.link.poll_items().into(), until);
            self.ended |= self.link.ended();
            self.answers();
        }
    }
}
