//! The sockets to the broker, and the batches in flight.
//!
//! One batch per level is in flight until the broker acknowledges it. Without an acknowledgement it
//! is sent again, unchanged, and the broker drops it if it already has it.

use super::error::BuildError;
use crate::clock;
use crate::curve::Curve;
use crate::measurement::Level;
use crate::resources::{self, Resources};
use crate::sdk::cells::lock;
use crate::sdk::collection::demand::Demand;
use crate::sdk::collection::ledger::{Ledger, SILENCE};
use crate::wire::{
    ACK_PREFIX, Ack, BatchId, LEVELS_TOPIC, PublisherId, WantedLevels, ack_topic, batch_topic,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often the sockets are reconnected while the broker is silent, and how often the socket for
/// batches is reconnected while it accepts none. A connection may exist only at this end, and
/// libzmq does not retry a connection that the broker refused.
const RECONNECT: Duration = Duration::from_secs(5);

/// When an unacknowledged batch is sent again.
#[derive(Clone, Copy)]
pub(crate) struct Resend {
    /// The time after it was first sent. It doubles each time.
    pub(crate) after: Duration,
    /// The maximum time.
    pub(crate) at_most: Duration,
}

/// The send queue of the PUSH socket, in messages; each level has at most one in flight.
const HIGH_WATER_MARK: i32 = 1000;

/// The two sockets of a link.
const SOCKETS: usize = 2;

/// The settings of a link.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) endpoints: [String; SOCKETS],
    pub(crate) curve: Option<Curve>,
    /// The context of the application; `None` means a separate one.
    pub(crate) context: Option<zmq::Context>,
}

impl Dial {
    /// Opens a link, if the system has the resources.
    pub(crate) fn open(&self) -> Result<Link, BuildError> {
        let context = match &self.context {
            Some(context) => {
                // libzmq may not have started the context yet.
                Resources::of_context(SOCKETS).probe()?;
                context.clone()
            }
            None => resources::new_context(SOCKETS)?,
        };
        Link::open(&context, self.endpoints.clone(), self.curve.as_ref()).map_err(|source| {
            let [endpoint, _] = self.endpoints.clone();
            BuildError::Endpoint { endpoint, source }
        })
    }
}

pub(crate) struct Link {
    push: zmq::Socket,
    control: zmq::Socket,
    /// The endpoints of the two sockets.
    endpoints: [String; SOCKETS],
    /// When they were last connected.
    reconnected: Instant,
    /// When `push` last accepted a batch, or was connected.
    had_room: Instant,
    /// The identity of the sender of batches.
    pub(crate) publisher: PublisherId,
    topics: BTreeMap<Level, Topic>,
    /// When the last message of the broker arrived.
    last_received: Option<Instant>,
    /// Whether that was recently.
    connected: bool,
    demand: Demand,
}

#[derive(Default)]
struct Topic {
    sequence: u64,
    /// The batches that wait. The first one is in flight if `sent` is set.
    waiting: VecDeque<Outgoing>,
    sent: Option<Sent>,
}

/// When the batch in flight was sent.
#[derive(Clone, Copy)]
struct Sent {
    last: Instant,
    /// How often it was sent again since the broker came back or acknowledged a batch that was sent
    /// later.
    repeats: u32,
}

impl Sent {
    /// Whether to send it again now. The time doubles with each repetition: the batch is probably
    /// queued at a slow broker, and would be queued there many times.
    fn is_due_again(self, now: Instant, resend: Resend) -> bool {
        let wait = resend.after.saturating_mul(1 << self.repeats.min(16)).min(resend.at_most);
        now.duration_since(self.last) >= wait
    }
}

struct Outgoing {
    id: BatchId,
    body: Vec<u8>,
    readings: u64,
    since: Instant,
}

impl Link {
    fn open(
        context: &zmq::Context,
        endpoints: [String; SOCKETS],
        curve: Option<&Curve>,
    ) -> zmq::Result<Self> {
        let publisher = identity();
        let push = context.socket(zmq::PUSH)?;
        push.set_immediate(true)?;
        push.set_sndhwm(HIGH_WATER_MARK)?;
        push.set_linger(0)?;
        let control = context.socket(zmq::SUB)?;
        control.set_linger(0)?;
        control.set_maxmsgsize(crate::wire::MAX_FRAME_BYTES as i64)?;
        control.set_subscribe(LEVELS_TOPIC.as_bytes())?;
        control.set_subscribe(ack_topic(publisher).as_bytes())?;
        for (socket, endpoint) in [&push, &control].into_iter().zip(&endpoints) {
            socket.set_reconnect_ivl(100)?;
            socket.set_reconnect_ivl_max(2_000)?;
            socket.set_ipv6(endpoint.contains('['))?;
            if let Some(curve) = curve {
                curve.secure(socket)?;
            }
            socket.connect(endpoint)?;
        }
        let reconnected = Instant::now();
        let (topics, last_received, connected) = (BTreeMap::new(), None, false);
        let demand = Demand::default();
        Ok(Self {
            push,
            control,
            endpoints,
            reconnected,
            had_room: reconnected,
            publisher,
            topics,
            last_received,
            connected,
            demand,
        })
    }

    /// Reconnects both sockets. If the machine of the broker has failed, its connections are not
    /// closed, and a socket that only receives would never notice.
    fn reconnect(&mut self, now: Instant) {
        (self.reconnected, self.had_room) = (now, now);
        for (socket, endpoint) in [&self.push, &self.control].into_iter().zip(&self.endpoints) {
            reconnect(socket, endpoint);
        }
    }

    /// Reconnects the socket for batches if it has not accepted any for a while although messages
    /// arrive. The broker may have refused this connection and accepted the other one. A full queue
    /// looks the same; the batches in it are lost with the connection, and sent again.
    fn keep_room(&mut self, now: Instant) {
        if self.push.get_events().is_ok_and(|events| events.contains(zmq::POLLOUT)) {
            self.had_room = now;
        } else if now.duration_since(self.had_room) >= RECONNECT {
            self.had_room = now;
            let [endpoint, _] = &self.endpoints;
            reconnect(&self.push, endpoint);
        }
    }

    /// Waits until a message arrives, until a waiting batch can be sent, or for `timeout`.
    ///
    /// # Errors
    /// If the application has terminated the context, which waits until the sockets are closed.
    pub(crate) fn wait(&self, timeout: Duration) -> zmq::Result<()> {
        let unsent = self.topics.values().any(|t| t.sent.is_none() && !t.waiting.is_empty());
        let mut items =
            [self.control.as_poll_item(zmq::POLLIN), self.push.as_poll_item(zmq::POLLOUT)];
        let listen = if unsent { 2 } else { 1 };
        // Rounded up, so that the loop does not spin during the last millisecond.
        let millis = timeout.as_micros().div_ceil(1000);
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        match zmq::poll(&mut items[..listen], millis) {
            Err(zmq::Error::ETERM) => Err(zmq::Error::ETERM),
            // Any other error is an interrupted wait; the caller's loop continues.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whether no batch of this level is waiting or in flight.
    pub(crate) fn is_idle(&self, level: &Level) -> bool {
        self.topics.get(level).is_none_or(|topic| topic.waiting.is_empty())
    }

    /// The levels that have batches waiting or in flight.
    pub(crate) fn busy(&self) -> BTreeSet<Level> {
        let busy = self.topics.iter().filter(|(_, topic)| !topic.waiting.is_empty());
        busy.map(|(level, _)| level.clone()).collect()
    }

    /// Whether no batch is waiting or in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.values().all(|topic| topic.waiting.is_empty())
    }

    /// Queues a batch behind those of its level.
    pub(crate) fn push(&mut self, level: &Level, body: Vec<u8>, readings: u64) {
        let topic = self.topics.entry(level.clone()).or_default();
        topic.sequence += 1;
        let id = BatchId { publisher: self.publisher, sequence: topic.sequence };
        topic.waiting.push_back(Outgoing { id, body, readings, since: Instant::now() });
    }

    /// Processes the messages of the broker, and settles acknowledged batches.
    pub(crate) fn receive(&mut self, now: Instant, ledger: &Mutex<Ledger>) {
        // Limited, so that a flood of messages cannot keep the sender from sending.
        for _ in 0..1000 {
            let Ok(frames) = self.control.recv_multipart(zmq::DONTWAIT) else { break };
            let [topic, body] = &frames[..] else { continue };
            if topic.starts_with(ACK_PREFIX.as_bytes()) {
                if let Ok(ack) = Ack::decode(body) {
                    self.last_received = Some(now);
                    self.settle(&ack, ledger);
                }
            } else if let Ok(wanted) = WantedLevels::decode(body) {
                self.last_received = Some(now);
                self.demand.receive(wanted, now);
            }
        }
        let connected = self.last_received.is_some_and(|last| now.duration_since(last) < SILENCE);
        match (std::mem::replace(&mut self.connected, connected), connected) {
            (true, false) => self.reconnect(now),
            (false, true) => {
                self.had_room = now;
                self.demand.come_back(now);
                let sent = self.topics.values_mut().flat_map(|topic| &mut topic.sent);
                sent.for_each(|sent| sent.repeats = 0);
            }
            (false, false) if now - self.reconnected >= RECONNECT => self.reconnect(now),
            (true, true) => self.keep_room(now),
            (false, false) => {}
        }
        let waiting = self.topics.values().filter_map(|topic| topic.waiting.front());
        let waiting_since = waiting.map(|batch| batch.since).min();
        let mut ledger = lock(ledger);
        (ledger.last_received, ledger.waiting_since) = (self.last_received, waiting_since);
    }

    /// Whether the broker has sent something recently.
    pub(crate) const fn is_connected(&self) -> bool {
        self.connected
    }

    /// When the last message of the broker arrived.
    pub(crate) const fn last_received(&self) -> Option<Instant> {
        self.last_received
    }

    /// The wanted levels, if the broker is connected; `None` while it is silent.
    pub(crate) fn demand(&mut self, now: Instant) -> Option<Option<WantedLevels>> {
        self.connected.then(|| self.demand.wanted(now))
    }

    /// Whether the broker is connected and lists the level as wanted.
    pub(crate) fn is_named(&self, level: &Level) -> bool {
        self.connected && self.demand.names(level)
    }

    fn settle(&mut self, ack: &Ack, ledger: &Mutex<Ledger>) {
        let mut latest = None;
        for (level, taken) in &ack.sequences {
            let Some(topic) = self.topics.get_mut(level.as_str()) else { continue };
            while let Some(first) = topic.waiting.front().filter(|b| b.id.sequence <= *taken) {
                lock(ledger).delivered += first.readings;
                topic.waiting.pop_front();
                latest = latest.max(topic.sent.take().map(|sent| sent.last));
            }
        }
        // The broker processes batches in order. One that was sent earlier is probably lost, and
        // not queued there.
        for sent in self.topics.values_mut().filter_map(|topic| topic.sent.as_mut()) {
            if Some(sent.last) < latest {
                sent.repeats = 0;
            }
        }
    }

    /// Sends the first batch of each level if it is not in flight or is due again.
    pub(crate) fn pump(&mut self, now: Instant, resend: Resend) {
        for (level, topic) in &mut self.topics {
            if topic.sent.is_some_and(|sent| !sent.is_due_again(now, resend)) {
                continue;
            }
            let Some(batch) = topic.waiting.front() else { continue };
            let head = batch_topic(level.as_str());
            let frames = [head.as_bytes(), &batch.id.encode(), &batch.body];
            // Fails while there is no broker, or while it is too slow.
            if self.push.send_multipart(frames, zmq::DONTWAIT).is_ok() {
                topic.sent = Some(match topic.sent {
                    Some(sent) => Sent { last: now, repeats: sent.repeats + 1 },
                    None => Sent { last: now, repeats: 0 },
                });
            }
        }
    }

    /// Closes the sockets and settles all remaining batches.
    pub(crate) fn close(self, linger: Duration, ledger: &Mutex<Ledger>) {
        let (mut ledger, mut unconfirmed) = (lock(ledger), false);
        for topic in self.topics.values() {
            for (place, batch) in topic.waiting.iter().enumerate() {
                if place == 0 && topic.sent.is_some() {
                    ledger.unconfirmed += batch.readings;
                    unconfirmed = true;
                } else {
                    ledger.expired += batch.readings;
                }
            }
        }
        ledger.waiting_since = None;
        if unconfirmed {
            let millis = i32::try_from(linger.as_millis()).unwrap_or(i32::MAX);
            // If this fails, the last batch may be lost; it is counted as unconfirmed anyway.
            self.push.set_linger(millis).ok();
        }
    }
}

fn reconnect(socket: &zmq::Socket, endpoint: &str) {
    // Connecting happens in the background. It succeeded at the start, so it succeeds now.
    socket.disconnect(endpoint).ok();
    socket.connect(endpoint).ok();
}

/// A new identity. It includes the time, because a forked child inherits the seeds of random
/// numbers, and process ids are reused.
fn identity() -> PublisherId {
    let PublisherId(mut id) = PublisherId::random();
    for (byte, time) in id.iter_mut().zip(clock::unix_ms().to_be_bytes()) {
        *byte ^= time;
    }
    PublisherId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_later_ones_overtook_is_due_again_soon() {
        let endpoints = ["inproc://push", "inproc://control"].map(str::to_owned);
        let mut link = Link::open(&zmq::Context::new(), endpoints, None).unwrap();
        let (ledger, now) = (Mutex::default(), Instant::now());
        let before = now.checked_sub(Duration::from_secs(3)).unwrap();
        for (level, last, repeats) in
            [("early", before, 4), ("info", now, 0), ("late", now + Duration::from_secs(1), 4)]
        {
            let level = Level::new(level).unwrap();
            link.push(&level, Vec::new(), 1);
            link.topics.get_mut(&level).unwrap().sent = Some(Sent { last, repeats });
        }
        link.settle(&Ack { sequences: [("info".to_owned(), 1)].into() }, &ledger);
        let repeats = |level| link.topics[&Level::new(level).unwrap()].sent.map(|s| s.repeats);
        assert_eq!(["early", "info", "late"].map(repeats), [Some(0), None, Some(4)]);
    }
}
