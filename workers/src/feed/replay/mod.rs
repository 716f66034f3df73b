//! A broker's journal: fetches what is behind the worker's cursor, and moves the cursor.
//!
//! When the worker has no room, fetches of one byte keep the name, and are not looked at.

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

/// About how many bytes one fetch result may have.
const MAX_BYTES: u64 = 1 << 20;

/// How long the broker may wait for something to hand out.
const LONGEST_POLL: Duration = Duration::from_secs(1);

/// How long to wait after a small fetch result, so that the next one is worth it.
const PAUSE: Duration = Duration::from_millis(100);

/// A reader that the broker has not heard for five seconds loses its name.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// The time for giving up the name.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait when the broker has refused, or its answer is malformed.
const REFUSED_PACE: Pace =
    Pace { first: Duration::from_millis(500), longest: Duration::from_secs(10) };

/// A reader of a journal.
pub(crate) struct ReplayFeed {
    link: Link,
    /// Until the first answer.
    probe: Option<Probe>,
    /// Where the broker publishes, which is the port that the user gave.
    publishing: Broker,
    levels: Levels,
    presence: Presence,
    resolving: Option<OwnedThread>,
    fetch: Fetch,
    flush: Duration,
    buffer: ReplayBuffer,
    /// What to hand out before the buffer.
    events: VecDeque<Event<'static>>,
    /// The last offset in the journal.
    end: u64,
    /// The fetch that is under way only keeps the name.
    keeping: bool,
    /// The connection has ended.
    ended: bool,
    next_fetch: Instant,
    /// Where the cursor is.
    committed: Option<Position>,
    /// Why the commit that was under way failed.
    commit_failed: Option<String>,
    /// The pauses after refusals.
    backoff: Backoff,
    malformed: LogLimit,
    /// Why the broker refuses, if it does.
    refused: Option<String>,
    /// Since when another reader has the name.
    owned: Option<Instant>,
    closing: bool,
    released: bool,
}

impl ReplayFeed {
    /// Begins to read as `name`. `publishing` is where the broker publishes; its journal is on the
    /// next port.
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

    /// Takes what has come, asks for what is due, and waits for an answer if there is nothing to hand
    /// out.
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

    /// Asks for more; when the worker has no room, asks for something all the same before the broker
    /// takes this reader for dead.
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
        if hold {
            (fetch.wait_ms, fetch.max_bytes) = (0, 1);
        }
        self.link.ask(&ReplayRequest::Fetch(fetch));
    }

    /// Looks at the clock and at the connection: what is not answered is asked again.
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
            // What was asked on it is never answered.
            self.link.reopen();
            self.next_fetch = now + PAUSE;
        }
        let change = self.presence.passed(now);
        self.log(change);
    }

    fn log(&mut self, change: Option<Change>) {
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

    /// Waits for an answer, or until something is due.
    fn wait(&mut self, wait: &Wait<'_>, hold: bool) {
        let fetch = (!self.link.fetching() && !hold).then_some(self.next_fetch);
        let overdue = [self.link.fetch_overdue(), self.link.commit_overdue()];
        let due = overdue.into_iter().flatten().chain(fetch).min();
        let items = self.link.poll_items().into_iter();
        let items = items.chain(self.probe.as_ref().map(Probe::poll_item)).collect();
        wait.poll(items, due.unwrap_or(wait.until()));
        self.ended |= self.link.ended();
    }

    /// Ends this feed, because there is no journal to read: the live stream is all there is.
    fn no_journal(&mut self, why: String) {
        let what = "what is published while the worker or its backend is away will be LOST; let the \
                    broker keep a journal, or confirm with --live";
        tracing::error!(event = "no_journal", why, what);
        let end = match LiveFeed::connect(self.publishing.clone(), &self.levels) {
            Ok(feed) => End::Replaced(Box::new(feed), why),
            Err(error) => End::Failed(format!("cannot create a subscription socket: {error}")),
        };
        self.events.push_back(Event::End(end));
    }

    /// The commit that is under way, if there is one, has failed.
    fn fail_commit(&mut self, why: &str) {
        if self.link.committing() {
            self.link.forget_commit();
            self.commit_failed = Some(why.to_owned());
        }
    }

    /// Whether a place is behind the cursor. The places of a journal that is gone mean nothing to the
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
