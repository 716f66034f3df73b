//! The thread that owns the replay port.

use super::desk::{Desk, Now, Outcome};
use super::fetch::Haul;
use super::refusal::no_journal;
use super::unsent::Unsent;
use crate::curve::{Doorway, Guard};
use crate::shared::Shared;
use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::Stop;
use zibrato::wire::{Reader as Who, Refusal, Refused, ReplayAnswer, ReplayRequest};
use zmq::{DONTWAIT, Message};

/// The most requests that are taken before something is written for all of them.
const ROUND: usize = 100;

/// How often is looked after readers that are gone.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// The most requests that wait for batches at a time.
const MAX_WAITING: usize = 1_000;

/// How long somebody is not answered that did not read the answers before, or was gone.
const DEAF_FOR: Duration = Duration::from_secs(10);

/// The most connections of which that is remembered.
const MAX_DEAF: usize = 10_000;

/// As much an answer has at most while memory is short, but for one batch.
const LITTLE: u64 = 64 << 10;

/// How soon it is looked again whether readers have taken enough for others to be answered.
const SOON: Duration = Duration::from_millis(10);

/// Everything the thread needs.
pub(crate) struct ReplayThread {
    socket: zmq::Socket,
    /// None without a journal.
    desk: Option<Desk>,
    waiting: Vec<Waiting>,
    /// Who does not read its answers, and since when.
    deaf: HashMap<Vec<u8>, Instant>,
    guard: Guard,
    door: Doorway,
    unsent: Unsent,
    stop: Stop,
    shared: Arc<Shared>,
    // Last, because it ends only when all sockets are closed.
    _context: zmq::Context,
}

/// Who asked: the frames before a request, which stand before its answer.
type Envelope = Vec<Vec<u8>>;

/// A request that waits for batches.
struct Waiting {
    envelope: Envelope,
    request: ReplayRequest,
    address: String,
    until: Instant,
}

impl Waiting {
    const fn reader(&self) -> Option<&Who> {
        let ReplayRequest::Fetch(fetch) = &self.request else { return None };
        Some(&fetch.reader)
    }
}

impl ReplayThread {
    /// Takes the ROUTER socket over.
    pub(crate) fn new(
        (context, socket): (zmq::Context, zmq::Socket),
        desk: Option<Desk>,
        (guard, door): (Guard, Doorway),
        (stop, shared): (Stop, Arc<Shared>),
    ) -> Self {
        let waiting = Vec::new();
        let deaf = HashMap::new();
        let unsent = Unsent::new(door.ports().clone());
        Self { socket, desk, waiting, deaf, guard, door, unsent, stop, shared, _context: context }
    }

    /// Runs until somebody asks to stop.
    ///
    /// # Errors
    /// When ZeroMQ fails in a way that cannot be gone on from.
    pub(crate) fn run(mut self) -> zmq::Result<()> {
        let mut look_after = Instant::now();
        loop {
            if Instant::now() >= look_after {
                look_after = Instant::now() + LOOK_AFTER;
                self.look_after();
            }
            let is_held_up = !self.waiting.is_empty() && self.unsent.is_too_much();
            let until = if is_held_up { Instant::now() + SOON } else { look_after };
            let (stop, more, asked) = self.wait(until, is_held_up)?;
            if stop {
                self.look_after();
                return Ok(());
            }
            if self.keep_out() {
                continue;
            }
            if more && let Some(desk) = &self.desk {
                desk.log().more.clear();
            }
            let now = Instant::now();
            let is_due = |waiting: &Waiting| more || is_held_up || waiting.until <= now;
            let due = self.waiting.extract_if(.., |waiting| is_due(waiting)).collect::<Vec<_>>();
            for waiting in due {
                self.try_again(waiting)?;
            }
            if asked {
                self.take_requests()?;
            }
        }
    }

    /// Cuts readers off when keys were taken off the list, and says whether nothing may be done until
    /// all of them are. They ask again.
    fn keep_out(&mut self) -> bool {
        if self.guard.look() {
            self.door.close(&self.socket);
            self.waiting.clear();
        }
        self.door.open(&self.socket);
        self.door.is_closed()
    }

    /// Waits for something to do: the end, more in the journal, or a request.
    fn wait(&self, until: Instant, is_held_up: bool) -> zmq::Result<(bool, bool, bool)> {
        let first = self.waiting.iter().map(|waiting| waiting.until).min();
        let first = first.filter(|_| !is_held_up);
        let until = first.map_or(until, |first| first.min(until));
        let mut left = until.saturating_duration_since(Instant::now());
        if self.door.is_closed() {
            left = left.min(Doorway::PATIENCE);
        }
        let millis = i64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(1000);
        let more = self.desk.as_ref().map_or(self.stop.as_raw_fd(), |d| d.log().more.as_raw_fd());
        let mut items = [
            zmq::PollItem::from_fd(self.stop.as_raw_fd(), zmq::POLLIN),
            self.socket.as_poll_item(zmq::POLLIN),
            zmq::PollItem::from_fd(more, zmq::POLLIN),
        ];
        // When nobody waits for batches, or gets any, it does not matter that there are more.
        let looked_at = match (self.door.is_closed(), self.waiting.is_empty() || is_held_up) {
            (true, _) => &mut items[..1],
            (false, true) => &mut items[..2],
            (false, false) => &mut items[..],
        };
        match zmq::poll(looked_at, millis) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        let [stop, asked, more] = items.map(|item| item.is_readable());
        Ok((stop, more, asked))
    }

    /// Takes what was asked, and writes once for all of it.
    fn take_requests(&mut self) -> zmq::Result<()> {
        let mut when_saved = Vec::new();
        for _ in 0..ROUND {
            let Some((envelope, request, address)) = self.receive()? else { break };
            if self.is_deaf(&envelope) {
                continue;
            }
            let answer = match request {
                Err(refused) => Outcome::Answer(ReplayAnswer::Refused(refused)),
                Ok(mut request) => {
                    if let ReplayRequest::Fetch(fetch) = &mut request
                        && self.shared.is_short()
                    {
                        fetch.max_bytes = fetch.max_bytes.min(LITTLE);
                    }
                    if let ReplayRequest::Release(who) = &request {
                        // What it still waits for would take the name again.
                        self.waiting.retain(|waiting| waiting.reader() != Some(who));
                    }
                    if let ReplayRequest::Fetch(_) = request
                        && self.unsent.is_too_much()
                    {
                        self.put_off(Waiting { envelope, request, address, until: Instant::now() });
                        continue;
                    }
                    let outcome = match &mut self.desk {
                        None => Outcome::Answer(no_journal()),
                        Some(desk) => desk.take(&request, &address, now()),
                    };
                    if let Outcome::Wait(until) = outcome {
                        self.keep(Waiting { envelope, request, address, until })?;
                        continue;
                    }
                    outcome
                }
            };
            match answer {
                Outcome::WhenSaved(answer) => when_saved.push((envelope, answer)),
                Outcome::Answer(answer) => self.answer(&envelope, &answer, Vec::new())?,
                Outcome::Batches(haul) => self.hand_out(&envelope, haul)?,
                Outcome::Wait(_) => {}
            }
        }
        if when_saved.is_empty() {
            return Ok(());
        }
        let saved = self.desk.as_mut().map_or(Ok(()), Desk::save);
        for (envelope, answer) in when_saved {
            let answer = match &saved {
                Ok(()) => answer,
                Err(refused) => ReplayAnswer::Refused(refused.clone()),
            };
            self.answer(&envelope, &answer, Vec::new())?;
        }
        Ok(())
    }

    /// Keeps a request until there are batches. A reader waits once: what it asked before is void.
    fn keep(&mut self, waiting: Waiting) -> zmq::Result<()> {
        self.waiting
            .retain(|old| old.reader().map(|r| &r.name) != waiting.reader().map(|r| &r.name));
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(waiting);
            return Ok(());
        }
        self.at_once(waiting)
    }

    /// Keeps a request of which nothing has been looked at yet, not even whose the name is. Of too
    /// many, it is forgotten: the reader asks again.
    fn put_off(&mut self, waiting: Waiting) {
        self.waiting.retain(|old| old.reader() != waiting.reader());
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(waiting);
        }
    }

    fn try_again(&mut self, mut waiting: Waiting) -> zmq::Result<()> {
        if self.unsent.is_too_much() {
            self.waiting.push(waiting);
            return Ok(());
        }
        let Some(desk) = &mut self.desk else { return Ok(()) };
        let now = now();
        let is_over = waiting.until <= now.at;
        if is_over {
            return self.at_once(waiting);
        }
        match desk.take(&waiting.request, &waiting.address, now) {
            // It has waited already: the end of it stays where it was.
            Outcome::Wait(until) => {
                waiting.until = waiting.until.min(until);
                self.waiting.push(waiting);
                Ok(())
            }
            Outcome::Batches(haul) => self.hand_out(&waiting.envelope, haul),
            Outcome::Answer(answer) | Outcome::WhenSaved(answer) => {
                self.answer(&waiting.envelope, &answer, Vec::new())
            }
        }
    }

    /// Answers a request that waits no longer.
    fn at_once(&mut self, mut waiting: Waiting) -> zmq::Result<()> {
        let Some(desk) = &mut self.desk else { return Ok(()) };
        if let ReplayRequest::Fetch(fetch) = &mut waiting.request {
            fetch.wait_ms = 0;
        }
        match desk.take(&waiting.request, &waiting.address, now()) {
            Outcome::Batches(haul) => self.hand_out(&waiting.envelope, haul),
            Outcome::Answer(answer) | Outcome::WhenSaved(answer) => {
                self.answer(&waiting.envelope, &answer, Vec::new())
            }
            Outcome::Wait(_) => Ok(()),
        }
    }

    /// Whether somebody asks on and on and reads no answers. For such nothing is looked up: it would
    /// be in the way of those that read.
    fn is_deaf(&mut self, envelope: &Envelope) -> bool {
        let Some(identity) = envelope.first() else { return false };
        let is_deaf = self.deaf.get(identity).is_some_and(|since| since.elapsed() < DEAF_FOR);
        if !is_deaf {
            self.deaf.remove(identity);
        }
        is_deaf
    }

    fn hand_out(&mut self, envelope: &Envelope, haul: Haul) -> zmq::Result<()> {
        self.answer(envelope, &ReplayAnswer::Batches(haul.head), haul.frames)
    }

    /// Sends an answer. One that nobody reads is dropped: the reader asks again.
    fn answer(
        &mut self,
        envelope: &Envelope,
        answer: &ReplayAnswer,
        batches: Vec<Message>,
    ) -> zmq::Result<()> {
        // libzmq hears only now and then that a reader has read; asked for events, it does so now.
        // Otherwise the queue of a quick reader would seem full.
        self.socket.get_events()?;
        let identity = envelope.first().cloned().unwrap_or_default();
        let envelope = envelope.iter().map(|frame| Message::from(&frame[..]));
        let head = answer.encode().map(Message::from);
        match self.unsent.send(&mut self.socket, envelope.chain(head), batches) {
            Ok(()) => Ok(()),
            // What it asked before it went may still be there to be taken.
            Err(zmq::Error::EAGAIN | zmq::Error::EHOSTUNREACH) => {
                if self.deaf.len() >= MAX_DEAF {
                    self.deaf.clear();
                }
                self.deaf.insert(identity, Instant::now());
                Ok(())
            }
            Err(zmq::Error::EINTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next request, if there is one.
    #[expect(clippy::type_complexity, reason = "three things that are taken apart at once")]
    fn receive(&self) -> zmq::Result<Option<(Envelope, Result<ReplayRequest, Refused>, String)>> {
        let mut frames = Vec::new();
        let mut address = String::new();
        loop {
            let mut message = match self.socket.recv_msg(DONTWAIT) {
                Ok(message) => message,
                Err(zmq::Error::EAGAIN) => return Ok(None),
                Err(zmq::Error::EINTR) => continue,
                Err(error) => return Err(error),
            };
            let more = message.get_more();
            if let Some(from) = message.gets("Peer-Address") {
                from.clone_into(&mut address);
            }
            // One more than any request has is enough to see that it is none.
            if frames.len() < 5 {
                frames.push(message.to_vec());
            }
            if !more && self.guard.admits(&mut message) {
                break;
            }
            if !more {
                self.guard.count_request();
                frames.clear();
            }
        }
        // A REQ socket puts an empty frame before its request, and wants it before the answer.
        let envelope = if frames.len() == 4 && frames[1].is_empty() { 2 } else { 1 };
        let request = frames.split_off(envelope.min(frames.len()));
        let request = match &request[..] {
            [topic, body] => ReplayRequest::decode(topic, body).map_err(|error| error.to_string()),
            other => Err(format!("a request has two frames, and not {}", other.len())),
        };
        let request = request.map_err(|text| Refused { why: Refusal::Malformed, text });
        Ok(Some((frames, request, address)))
    }

    fn look_after(&mut self) {
        let Some(desk) = &mut self.desk else { return };
        desk.look_after(now());
        self.shared.tell_cursors(desk.list(now()));
    }
}

fn now() -> Now {
    Now { at: Instant::now(), ms: clock::unix_ms() }
}
