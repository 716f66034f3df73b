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

mod commit;
mod link;
mod probe;
mod shelf;
mod stop;

use super::presence::{Change, Presence};
use super::{Broker, Outlet, resolve};
use crate::fold::ReplayFolder;
use crate::levels::Levels;
use crate::progress::{Progress, millis};
use crate::status::Status;
use crate::thread::OwnedThread;
use link::{Answer, AnswerError, Link};
use probe::Probe;
use shelf::Shelf;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::daemon::Stop;
use zibrato::wire::{
    Fetch, Fetched, Position, PublisherId, Reader, Refusal, Refused, ReplayAnswer, ReplayRequest,
};

/// About how many bytes one answer may have.
const MAX_BYTES: u64 = 1 << 20;

/// How long the broker may wait for something to hand out.
const LONGEST_POLL: Duration = Duration::from_secs(1);

/// How long to wait after an answer that was small, so that the next one is worth it.
const PAUSE: Duration = Duration::from_millis(100);

/// The broker takes a reader that it has not heard for five seconds for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// How long to wait when the broker has refused.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);

/// How long to try when somebody else reads under the name: a dead reader's lease is shorter.
const OWNED_PATIENCE: Duration = Duration::from_secs(15);

/// What may be wrong when somebody listens and nothing comes.
const SILENT: &str = "somebody listens there but hands out nothing; give the broker's own port + 1";

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
    broker: Broker,
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
    next_fetch: Instant,
    committed: Option<Position>,
    /// How many windows are committed when the answer comes.
    committing: u64,
    next_commit: Instant,
    owned: Option<Instant>,
    released: bool,
}

impl ReplayFeed {
    pub(crate) fn open(
        settings: ReplaySettings,
        outlet: Outlet,
        progress: Arc<Progress>,
        status: Arc<Status>,
    ) -> Result<Self, zmq::Error> {
        let ReplaySettings { broker, name, levels, flush, max_series } = settings;
        let probe = Probe::open(&broker)?;
        let broker = broker.replay().ok_or(zmq::Error::EINVAL)?;
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
            link: Link::open(&broker)?,
            probe: Some(probe),
            broker,
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
            next_fetch: now,
            committed: None,
            committing: 0,
            next_commit: now,
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
            let why =
                format!("the broker publishes, but nothing answers at {}", self.link.endpoint());
            return Some(ReplayEnd::NoJournal { why });
        }
        self.commit(now);
        self.ask(now);
        self.look(now);
        end
    }

    fn answers(&mut self) -> Option<ReplayEnd> {
        loop {
            match self.link.answer() {
                Ok(answer) => {
                    let end = self.answer(answer);
                    if end.is_some() {
                        return end;
                    }
                }
                Err(AnswerError::Nothing) => return None,
                Err(why) => {
                    tracing::warn!(event = "strange_answer", endpoint = self.link.endpoint(), %why);
                    self.link.reopen();
                    self.next_fetch = Instant::now() + REFUSED_PAUSE;
                    return None;
                }
            }
        }
    }

    fn answer(&mut self, Answer { head, batches }: Answer) -> Option<ReplayEnd> {
        let now = Instant::now();
        let change = self.presence.heard(now);
        self.tell(change);
        self.probe = None;
        if let ReplayAnswer::Refused(refused) = head {
            return self.refused(refused, now);
        }
        self.owned = None;
        self.status.feed_is_well();
        match head {
            ReplayAnswer::Batches(head) => self.batches(&head, batches, now),
            ReplayAnswer::Committed(at) => {
                self.committed = Some(at);
                self.progress.read_on(|reading| reading.committed = Some(at.offset));
                let committed = self.committing;
                self.outlet.ledger().write(|c| c.windows_committed = committed);
            }
            ReplayAnswer::Released => self.released = true,
            _ => {}
        }
        None
    }

    fn batches(&mut self, head: &Fetched, batches: Vec<zmq::Message>, now: Instant) {
        if let Some(until) = head.complete_until_ms {
            self.progress.tell_time(until);
        }
        self.progress.read_on(|reading| reading.end = head.end);
        if self.keeping {
            return;
        }
        if head.gone > 0 {
            let (batches, why) = (head.gone, "retention or damage; see the broker's log");
            tracing::error!(event = "gone", batches, why);
            self.outlet.ledger().write(|c| c.gone += batches);
        }
        self.progress.read_on(|reading| reading.read = head.next.offset);
        let more = head.complete_until_ms.is_none() && !batches.is_empty();
        let bytes: usize = batches.iter().map(|frame| frame.len()).sum();
        let pause = if more || bytes as u64 >= MAX_BYTES { Duration::ZERO } else { PAUSE };
        self.next_fetch = now + pause.min(self.flush / 4);
        self.shelf.take(head, batches);
    }

    fn refused(&mut self, Refused { why, text }: Refused, now: Instant) -> Option<ReplayEnd> {
        let text = crate::http::one_line(&text);
        match why {
            Refusal::NoJournal => return Some(ReplayEnd::NoJournal { why: text }),
            Refusal::Owned => {
                let since = *self.owned.get_or_insert(now);
                if since == now {
                    tracing::warn!(
                        event = "name_is_owned",
                        name = self.fetch.reader.name,
                        why = text
                    );
                }
                if now.duration_since(since) >= OWNED_PATIENCE {
                    return Some(ReplayEnd::Owned { why: text });
                }
            }
            _ => {
                if self.status.feed_is_ill(&text) {
                    tracing::error!(event = "journal_refuses", why = text);
                }
            }
        }
        if self.owned.is_some() {
            self.status.feed_is_ill(&text);
        }
        // It does not say which request was meant: whatever is under way is asked again.
        self.link.reopen();
        (self.next_fetch, self.next_commit) = (now + REFUSED_PAUSE, now + REFUSED_PAUSE);
        None
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

    /// Looks at the clock: who does not answer is asked again.
    fn look(&mut self, now: Instant) {
        if self.link.overdue().is_some_and(|overdue| now >= overdue) {
            tracing::debug!(event = "unanswered", endpoint = self.link.endpoint());
            self.link.reopen();
            self.next_fetch = now;
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
            _ => resolve::explain(self.broker.clone(), SILENT),
        };
    }

    /// Waits for an answer, for room, for a stop, or until something is due.
    fn wait(&self, stop: Option<&Stop>) {
        let now = Instant::now();
        let fetch = (!self.link.fetching() && !self.keeping).then_some(self.next_fetch);
        let due = fetch.into_iter().chain(self.link.overdue()).min();
        let left = due.map_or(LONGEST_POLL, |due| due.saturating_duration_since(now));
        let left = if stop.is_some() { left.min(LONGEST_POLL) } else { left.min(PAUSE) };
        let woken = zmq::PollItem::from_fd(self.progress.descriptor(), zmq::POLLIN);
        let mut items = vec![self.link.poll_item(), woken];
        items.extend(stop.map(|stop| zmq::PollItem::from_fd(stop.as_raw_fd(), zmq::POLLIN)));
        items.extend(self.probe.as_ref().map(Probe::poll_item));
        // Rounded up, so that a wait for part of a millisecond does not become a spin.
        let millis = left.as_micros().div_ceil(1000) as i64;
        if let Err(why) = zmq::poll(&mut items, millis) {
            // An interrupted wait; whoever waits looks again.
            tracing::trace!(event = "poll_interrupted", %why);
        }
        self.progress.clear();
    }
}
