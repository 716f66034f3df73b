//! The thread that owns the replay port.

use super::fetch::FetchResult;
use super::handler::{FetchHandler, Now, Outcome};
use super::refusal::no_journal;
use super::request::{Asker, Waiting, receive};
use crate::curve::{Listener, RevocationFilter};
use crate::libzmq::outstanding::Outstanding;
use crate::shared::Shared;
use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::Stop;
use zibrato::wire::{ReplayAnswer, ReplayRequest};
use zmq::Message;

/// Maximum number of requests that are handled before cursors are saved, once for all of them.
const ROUND: usize = 100;

/// Interval of the checks for readers that are gone.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Maximum number of waiting requests.
const MAX_WAITING: usize = 1_000;

/// Time for which the requests of a connection are ignored after an answer could not be sent,
/// because earlier answers were not read or the connection had ended.
const STALLED_FOR: Duration = Duration::from_secs(10);

/// Maximum number of connections that are remembered as stalled.
const MAX_STALLED: usize = 10_000;

/// Maximum size of an answer while memory is short, in bytes. A single batch may exceed it.
const LITTLE: u64 = 64 << 10;

/// Interval of the checks whether there is room for more answers, while requests wait for that.
const SOON: Duration = Duration::from_millis(10);

/// Maximum time to wait for a current watermark before an answer without batches. It is late if batches
/// are being written.
const TO_ADVANCE: Duration = Duration::from_millis(2);

/// Maximum time that a request waits for room before it gets an empty answer.
const PUT_OFF_FOR: Duration = Duration::from_secs(2);

/// The state of the thread.
pub(crate) struct ReplayThread {
    socket: zmq::Socket,
    /// `None` without a journal.
    handler: Option<FetchHandler>,
    waiting: Vec<Waiting>,
    /// Connections to which an answer could not be sent, and the times of the failures.
    stalled: HashMap<Vec<u8>, Instant>,
    filter: RevocationFilter,
    listener: Listener,
    outstanding: Outstanding,
    stop: Stop,
    shared: Arc<Shared>,
    // Dropped last, because that waits until all sockets are closed.
    _context: zmq::Context,
}

impl ReplayThread {
    /// Takes over the ROUTER socket.
    pub(crate) fn new(
        (context, socket): (zmq::Context, zmq::Socket),
        handler: Option<FetchHandler>,
        (filter, listener): (RevocationFilter, Listener),
        (stop, shared): (Stop, Arc<Shared>),
    ) -> Self {
        let waiting = Vec::new();
        let stalled = HashMap::new();
        let outstanding = Outstanding::new(listener.ports().clone());
        Self {
            socket,
            handler,
            waiting,
            stalled,
            filter,
            listener,
            outstanding,
            stop,
            shared,
            _context: context,
        }
    }

    /// Runs until the thread is asked to stop.
    ///
    /// # Errors
    /// A ZeroMQ error after which the thread cannot continue.
    pub(crate) fn run(mut self) -> zmq::Result<()> {
        let mut look_after = Instant::now();
        loop {
            if Instant::now() >= look_after {
                look_after = Instant::now() + LOOK_AFTER;
                self.look_after();
            }
            let (stop, more, asked) = self.wait(look_after)?;
            if stop {
                self.look_after();
                return Ok(());
            }
            if self.keep_out() {
                continue;
            }
            if more && let Some(handler) = &self.handler {
                handler.log().more.clear();
            }
            let now = Instant::now();
            let is_due = |waiting: &Waiting| more || waiting.is_due(now);
            let due = self.waiting.extract_if(.., |waiting| is_due(waiting)).collect::<Vec<_>>();
            for waiting in due {
                self.try_again(waiting)?;
            }
            if asked {
                self.take_requests()?;
            }
        }
    }

    /// Disconnects all readers if keys were removed from the list; they repeat their requests. Returns
    /// whether the endpoint is closed; nothing may be sent until it is open again.
    fn keep_out(&mut self) -> bool {
        if self.filter.look() {
            self.listener.close(&self.socket);
            self.waiting.clear();
        }
        self.listener.open(&self.socket);
        self.listener.is_closed()
    }

    /// Waits for a request to stop, for more batches in the journal, or for a request of a reader.
    fn wait(&self, until: Instant) -> zmq::Result<(bool, bool, bool)> {
        let first = self.waiting.iter().map(|waiting| waiting.until).min();
        let until = first.map_or(until, |first| first.min(until));
        let mut left = until.saturating_duration_since(Instant::now());
        let waits_for_more = self.waiting.iter().any(|waiting| waiting.put_off.is_none());
        if self.waiting.iter().any(|waiting| waiting.put_off.is_some()) {
            left = SOON;
        }
        if self.listener.is_closed() {
            left = left.min(Listener::PATIENCE);
        }
        let millis = i64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(1000);
        let more =
            self.handler.as_ref().map_or(self.stop.as_raw_fd(), |d| d.log().more.as_raw_fd());
        let mut items = [
            zmq::PollItem::from_fd(self.stop.as_raw_fd(), zmq::POLLIN),
            self.socket.as_poll_item(zmq::POLLIN),
            zmq::PollItem::from_fd(more, zmq::POLLIN),
        ];
        // Without requests that wait for batches, new batches need not wake the thread.
        let looked_at = match (self.listener.is_closed(), waits_for_more) {
            (true, _) => &mut items[..1],
            (false, false) => &mut items[..2],
            (false, true) => &mut items[..],
        };
        match zmq::poll(looked_at, millis) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        let [stop, asked, more] = items.map(|item| item.is_readable());
        Ok((stop, more, asked))
    }

    /// Handles requests, and saves cursors once for all of them.
    fn take_requests(&mut self) -> zmq::Result<()> {
        let mut when_saved = Vec::new();
        for _ in 0..ROUND {
            let Some((asker, request)) = receive(&self.socket, &self.filter)? else { break };
            if self.is_stalled(&asker) {
                continue;
            }
            let answer = match request {
                Err(refused) => Outcome::Answer(ReplayAnswer::Refused(refused)),
                Ok(mut request) => {
                    if let ReplayRequest::Fetch(fetch) = &mut request {
                        if asker.is_gone() {
                            continue;
                        }
                        // 0 would give an empty answer, which is for requests that waited too long.
                        let most = if self.shared.is_short() { LITTLE } else { u64::MAX };
                        fetch.max_bytes = fetch.max_bytes.clamp(1, most);
                        if self.holds_up(&asker) {
                            self.put_off(Waiting::put_off(asker, request));
                            continue;
                        }
                    }
                    if let ReplayRequest::Release(who) = &request {
                        // A waiting request of the reader would claim the name again.
                        self.waiting.retain(|waiting| waiting.reader() != Some(who));
                    }
                    let outcome = match &mut self.handler {
                        None => Outcome::Answer(no_journal()),
                        Some(handler) => handler.take(&request, asker.origin(), now()),
                    };
                    if let Outcome::Wait(until) = outcome {
                        let (awaits_ms, put_off) = (None, None);
                        self.keep(Waiting { asker, request, until, awaits_ms, put_off })?;
                        continue;
                    }
                    outcome
                }
            };
            match answer {
                Outcome::WhenSaved(answer) => when_saved.push((asker, answer)),
                Outcome::Answer(answer) => self.answer(&asker, &answer)?,
                Outcome::Batches(result) => self.hand_out(&asker, result)?,
                Outcome::Wait(_) => {}
            }
        }
        if when_saved.is_empty() {
            return Ok(());
        }
        let saved = self.handler.as_mut().map_or(Ok(()), |handler| handler.save(Instant::now()));
        for (asker, answer) in when_saved {
            let answer = match &saved {
                Ok(()) => answer,
                Err(refused) => ReplayAnswer::Refused(refused.clone()),
            };
            self.answer(&asker, &answer)?;
        }
        Ok(())
    }

    /// Keeps a request until there are batches. It replaces an earlier request of the same reader.
    fn keep(&mut self, waiting: Waiting) -> zmq::Result<()> {
        self.waiting
            .retain(|old| old.reader().map(|r| &r.name) != waiting.reader().map(|r| &r.name));
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(waiting);
            return Ok(());
        }
        self.at_once(waiting)
    }

    /// Whether a reader gets no batches now, because it has not read its last answer, or because too much
    /// is outstanding in all.
    fn holds_up(&mut self, asker: &Asker) -> bool {
        let mut cuts = 0;
        let is_too_much = self.outstanding.is_too_much(asker.identity(), &mut cuts);
        self.shared.count_cuts(cuts);
        is_too_much || self.outstanding.is_busy(asker.identity())
    }

    /// Keeps a request until there is room for its answer. Each connection can have one such
    /// request. Its contents have not been checked yet, not even the name. If too many requests
    /// wait, it is dropped, and the reader repeats it.
    fn put_off(&mut self, waiting: Waiting) {
        let is_same = |old: &Waiting| {
            old.put_off.is_some() && old.asker.identity() == waiting.asker.identity()
        };
        self.waiting.retain(|old| !is_same(old));
        // Half of the places are reserved for readers that have read a large answer before.
        let is_proven = self.outstanding.is_proven(waiting.asker.identity());
        if self.waiting.len() < if is_proven { MAX_WAITING } else { MAX_WAITING / 2 } {
            self.waiting.push(waiting);
        }
    }

    fn try_again(&mut self, mut waiting: Waiting) -> zmq::Result<()> {
        // Reading for a reader that was disconnected would delay the others.
        if waiting.asker.is_gone() {
            return Ok(());
        }
        if self.holds_up(&waiting.asker) {
            let since = *waiting.put_off.get_or_insert_with(Instant::now);
            if since.elapsed() < PUT_OFF_FOR {
                self.waiting.push(waiting);
                return Ok(());
            }
            if self.outstanding.is_busy(waiting.asker.identity()) {
                // The reader repeats its request when it has read its answer.
                return Ok(());
            }
            if let ReplayRequest::Fetch(fetch) = &mut waiting.request {
                fetch.max_bytes = 0;
            }
            return self.at_once(waiting);
        }
        waiting.put_off = None;
        let Some(handler) = &mut self.handler else { return Ok(()) };
        let now = now();
        let (log, is_due) = (handler.log(), waiting.until <= now.at);
        match waiting.awaits_ms {
            Some(until_ms) if is_due || log.watermark_ms() >= until_ms => {
                return self.at_once(waiting);
            }
            None if is_due => {
                waiting.awaits_ms = Some(now.ms);
                waiting.until = now.at + TO_ADVANCE;
                log.ask_for_watermark();
            }
            Some(_) | None => {}
        }
        match handler.take(&waiting.request, waiting.asker.origin(), now) {
            // The request keeps its original deadline.
            Outcome::Wait(until) => {
                waiting.until = waiting.until.min(until);
                self.waiting.push(waiting);
                Ok(())
            }
            Outcome::Batches(result) => self.hand_out(&waiting.asker, result),
            Outcome::Answer(answer) | Outcome::WhenSaved(answer) => {
                self.answer(&waiting.asker, &answer)
            }
        }
    }

    /// Answers a request that must not wait any longer.
    fn at_once(&mut self, mut waiting: Waiting) -> zmq::Result<()> {
        let Some(handler) = &mut self.handler else { return Ok(()) };
        if let ReplayRequest::Fetch(fetch) = &mut waiting.request {
            fetch.wait_ms = 0;
        }
        match handler.take(&waiting.request, waiting.asker.origin(), now()) {
            Outcome::Batches(result) => self.hand_out(&waiting.asker, result),
            Outcome::Answer(answer) | Outcome::WhenSaved(answer) => {
                self.answer(&waiting.asker, &answer)
            }
            Outcome::Wait(_) => Ok(()),
        }
    }

    /// Whether the requests of a connection are ignored, because an answer to it could not be sent.
    /// Reading batches for it would delay other readers.
    fn is_stalled(&mut self, asker: &Asker) -> bool {
        let identity = asker.identity();
        let is_stalled =
            self.stalled.get(identity).is_some_and(|since| since.elapsed() < STALLED_FOR);
        if !is_stalled {
            self.stalled.remove(identity);
        }
        is_stalled
    }

    fn hand_out(&mut self, asker: &Asker, result: FetchResult) -> zmq::Result<()> {
        let is_sent = self.send(asker, &ReplayAnswer::Batches(result.head), result.frames)?;
        if let (true, Some(reader), Some(handler)) = (is_sent, result.tells, &mut self.handler) {
            handler.has_told(&reader);
        }
        Ok(())
    }

    fn answer(&mut self, asker: &Asker, answer: &ReplayAnswer) -> zmq::Result<()> {
        self.send(asker, answer, Vec::new()).map(drop)
    }

    /// Sends an answer, and returns whether it was sent. If the reader does not read its answers,
    /// the answer is dropped, and the reader repeats its request.
    fn send(
        &mut self,
        asker: &Asker,
        answer: &ReplayAnswer,
        batches: Vec<Message>,
    ) -> zmq::Result<bool> {
        // libzmq checks only from time to time whether a reader has read. Reading the socket's
        // events makes it check now. Otherwise the queue of a fast reader would seem full.
        self.socket.get_events()?;
        let envelope = asker.envelope.iter().map(|frame| Message::from(&frame[..]));
        let head = answer.encode().map(Message::from);
        let frames = envelope.chain(head).chain(batches).collect();
        let reader = (asker.identity(), asker.descriptor);
        match self.outstanding.send(&mut self.socket, reader, frames) {
            Ok(()) => Ok(true),
            // Requests that the reader sent before it disconnected may still be in the queue.
            Err(zmq::Error::EAGAIN | zmq::Error::EHOSTUNREACH) => {
                if self.stalled.len() >= MAX_STALLED {
                    self.stalled.clear();
                }
                self.stalled.insert(asker.identity().to_owned(), Instant::now());
                Ok(false)
            }
            Err(zmq::Error::EINTR) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn look_after(&mut self) {
        self.outstanding.forget();
        let Some(handler) = &mut self.handler else { return };
        handler.look_after(now());
        self.shared.tell_readers(handler.list(now()), handler.health());
    }
}

fn now() -> Now {
    Now { at: Instant::now(), ms: clock::unix_ms() }
}
