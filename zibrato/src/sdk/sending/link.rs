//! The sockets to the broker, and the batches that are on their way.
//!
//! One batch per level is in flight until the broker acknowledges it. Without an acknowledgement it
//! is sent again, unchanged, and the broker drops what it already took.

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

/// How often the sockets are connected again while the broker is silent, and the one for batches
/// while it takes none. A connection can be open at this end alone, and libzmq gives up one that the
/// broker refused.
const RECONNECT: Duration = Duration::from_secs(5);

/// When an unacknowledged batch is sent again.
#[derive(Clone, Copy)]
pub(crate) struct Resend {
    /// After it went out for the first time; after that twice as late each time.
    pub(crate) after: Duration,
    /// How long it takes at most.
    pub(crate) at_most: Duration,
}

/// The send queue of the PUSH socket, in messages; each level has at most one in flight.
const HIGH_WATER_MARK: i32 = 1000;

/// The two sockets of a link.
const SOCKETS: usize = 2;

/// What a link is opened with.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) endpoints: [String; SOCKETS],
    pub(crate) curve: Option<Curve>,
    /// The application's; `None`: one of its own.
    pub(crate) context: Option<zmq::Context>,
}

impl Dial {
    /// Opens a link, if the system has room for it.
    pub(crate) fn open(&self) -> Result<Link, BuildError> {
        let context = match &self.context {
            Some(context) => {
                // It may be one that libzmq has yet to begin.
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
    /// Where the two connect to.
    endpoints: [String; SOCKETS],
    /// When they were last connected.
    reconnected: Instant,
    /// When `push` last had room for a batch, or was connected.
    had_room: Instant,
    /// Under which identity it sends.
    pub(crate) publisher: PublisherId,
    topics: BTreeMap<Level, Topic>,
    /// When the broker was last heard of.
    heard: Option<Instant>,
    /// Whether that was lately.
    connected: bool,
    demand: Demand,
}

#[derive(Default)]
struct Topic {
    sequence: u64,
    /// The first one is in flight if `sent` says so.
    waiting: VecDeque<Outgoing>,
    sent: Option<Sent>,
}

/// When the batch in flight went out.
#[derive(Clone, Copy)]
struct Sent {
    last: Instant,
    /// How often it was sent again since the broker came back, or took a batch that was sent later.
    repeats: u32,
}

impl Sent {
    /// Whether it is time to send it again. Each time comes later than the one before: the batch
    /// is most likely waiting at a broker that lags, and would wait there many times over.
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
        let (topics, heard, connected) = (BTreeMap::new(), None, false);
        let demand = Demand::default();
        Ok(Self {
            push,
            control,
            endpoints,
            reconnected,
            had_room: reconnected,
            publisher,
            topics,
            heard,
            connected,
            demand,
        })
    }

    /// Begins the connections anew. A broker whose machine is gone says no goodbye, and what only
    /// listens would never find out.
    fn reconnect(&mut self, now: Instant) {
        (self.reconnected, self.had_room) = (now, now);
        for (socket, endpoint) in [&self.push, &self.control].into_iter().zip(&self.endpoints) {
            reconnect(socket, endpoint);
        }
    }

    /// Connects the socket for batches again if it has had no room for a while although the broker is
    /// heard. The broker may have refused this connection and accepted the other. A full queue looks
    /// the same; the batches in it are lost with the connection, and sent again.
    fn keep_room(&mut self, now: Instant) {
        if self.push.get_events().is_ok_and(|events| events.contains(zmq::POLLOUT)) {
            self.had_room = now;
        } else if now.duration_since(self.had_room) >= RECONNECT {
            self.had_room = now;
            let [endpoint, _] = &self.endpoints;
            reconnect(&self.push, endpoint);
        }
    }

    /// Waits until there is something to hear, until something can be sent that waits to be, or for
    /// `timeout`.
    ///
    /// # Errors
    /// When the application has ended the context, which waits for the sockets to be closed.
    pub(crate) fn wait(&self, timeout: Duration) -> zmq::Result<()> {
        let unsent = self.topics.values().any(|t| t.sent.is_none() && !t.waiting.is_empty());
        let mut items =
            [self.control.as_poll_item(zmq::POLLIN), self.push.as_poll_item(zmq::POLLOUT)];
        let listen = if unsent { 2 } else { 1 };
        // Rounded up, so that the loop does not spin through the last millisecond.
        let millis = timeout.as_micros().div_ceil(1000);
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        match zmq::poll(&mut items[..listen], millis) {
            Err(zmq::Error::ETERM) => Err(zmq::Error::ETERM),
            // Any other error is an interrupted wait; the caller's loop looks again.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whether nothing of this level is on its way.
    pub(crate) fn is_idle(&self, level: &Level) -> bool {
        self.topics.get(level).is_none_or(|topic| topic.waiting.is_empty())
    }

    /// The levels of which something is on its way.
    pub(crate) fn busy(&self) -> BTreeSet<Level> {
        let busy = self.topics.iter().filter(|(_, topic)| !topic.waiting.is_empty());
        busy.map(|(level, _)| level.clone()).collect()
    }

    /// Whether nothing at all is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.values().all(|topic| topic.waiting.is_empty())
    }

    /// Takes a batch to send, behind those of its level that wait already.
    pub(crate) fn push(&mut self, level: &Level, body: Vec<u8>, readings: u64) {
        let topic = self.topics.entry(level.clone()).or_default();
        topic.sequence += 1;
        let id = BatchId { publisher: self.publisher, sequence: topic.sequence };
        topic.waiting.push_back(Outgoing { id, body, readings, since: Instant::now() });
    }

    /// Hears what the broker says, and settles what it has taken.
    pub(crate) fn hear(&mut self, now: Instant, ledger: &Mutex<Ledger>) {
        // Bounded, so that a flood of messages cannot keep the sender from sending.
        for _ in 0..1000 {
            let Ok(frames) = self.control.recv_multipart(zmq::DONTWAIT) else { break };
            let [topic, body] = &frames[..] else { continue };
            if topic.starts_with(ACK_PREFIX.as_bytes()) {
                if let Ok(ack) = Ack::decode(body) {
                    self.heard = Some(now);
                    self.settle(&ack, ledger);
                }
            } else if let Ok(wanted) = WantedLevels::decode(body) {
                self.heard = Some(now);
                self.demand.hear(wanted, now);
            }
        }
        let connected = self.heard.is_some_and(|heard| now.duration_since(heard) < SILENCE);
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
        (ledger.heard, ledger.waiting_since) = (self.heard, waiting_since);
    }

    /// Which levels somebody wants, if the broker says so; nothing while it is silent.
    pub(crate) fn demand(&mut self, now: Instant) -> Option<Option<WantedLevels>> {
        self.connected.then(|| self.demand.wanted(now))
    }

    /// Whether the broker is there and says that somebody wants the level.
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
        // The broker takes batches in order. One that was sent earlier is most likely lost, and not
        // waiting there.
        for sent in self.topics.values_mut().filter_map(|topic| topic.sent.as_mut()) {
            if Some(sent.last) < latest {
                sent.repeats = 0;
            }
        }
    }

    /// Sends the first batch of each level that is not in flight, and again those that are due again.
    pub(crate) fn pump(&mut self, now: Instant, resend: Resend) {
        for (level, topic) in &mut self.topics {
            if topic.sent.is_some_and(|sent| !sent.is_due_again(now, resend)) {
                continue;
            }
            let Some(batch) = topic.waiting.front() else { continue };
            let head = batch_topic(level.as_str());
            let frames = [head.as_bytes(), &batch.id.encode(), &batch.body];
            // Refused while there is no broker, or while it does not keep up.
            if self.push.send_multipart(frames, zmq::DONTWAIT).is_ok() {
                topic.sent = Some(match topic.sent {
                    Some(sent) => Sent { last: now, repeats: sent.repeats + 1 },
                    None => Sent { last: now, repeats: 0 },
                });
            }
        }
    }

    /// Settles everything that is still here.
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
            // Without it the last batch may be cut off, which is what it counts as.
            self.push.set_linger(millis).ok();
        }
    }
}

fn reconnect(socket: &zmq::Socket, endpoint: &str) {
    // Connecting only begins to; it was possible at the start, so it is now.
    socket.disconnect(endpoint).ok();
    socket.connect(endpoint).ok();
}

/// A new identity. A forked child inherits the seeds that random numbers are made of, and process
/// ids are used again, so the time goes in as well.
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
