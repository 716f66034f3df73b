//! A broker with publishers and subscribers around it, and waits that have a deadline.

use std::time::{Duration, Instant};
use zibrato::wire::{
    self, Ack, BatchId, BatchReader, BatchWriter, PublisherId, Value, WantedLevels, batch_topic,
};
use zibrato_broker::{Broker, Config};

/// Maximum time to wait before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A broker and the context of everything around it.
pub(crate) struct Bench {
    pub(crate) broker: Broker,
    pub(crate) context: zmq::Context,
}

impl Bench {
    pub(crate) fn start() -> Self {
        Self::with(Config::new())
    }

    pub(crate) fn with(config: Config) -> Self {
        let broker = Broker::start(config.port(0)).unwrap();
        Self { broker, context: zmq::Context::new() }
    }

    /// A PUSH socket that is connected.
    pub(crate) fn push(&self) -> zmq::Socket {
        self.connect(zmq::PUSH, self.broker.port())
    }

    /// A PUB socket, as Python Zibrato has, that the broker has subscribed at.
    pub(crate) fn legacy(&self) -> zmq::Socket {
        let publisher = self.connect(zmq::XPUB, self.broker.legacy_port());
        assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x01", "the broker wants everything");
        publisher
    }

    /// A SUB socket whose topics the broker has heard of.
    pub(crate) fn subscribe(&self, topics: &[&str]) -> Subscriber {
        let socket = self.connect(zmq::SUB, self.broker.publish_port());
        for topic in topics {
            socket.set_subscribe(topic.as_bytes()).unwrap();
        }
        // Topics are told in the order in which they are set, so the last one tells of all.
        let canary = format!("canary-{:?}|", Instant::now());
        let level = canary.trim_end_matches('|');
        socket.set_subscribe(canary.as_bytes()).unwrap();
        self.until("the canary is wanted", || {
            self.broker.wanted().levels.iter().any(|wanted| wanted.as_str() == level)
        });
        socket.set_unsubscribe(canary.as_bytes()).unwrap();
        Subscriber { socket }
    }

    pub(crate) fn connect(&self, kind: zmq::SocketType, port: u16) -> zmq::Socket {
        let socket = self.context.socket(kind).unwrap();
        // Pushed messages must be sent even if the socket is closed immediately. A subscriber would
        // wait for the broker only to cancel its topics.
        let linger = if kind == zmq::PUSH { DEADLINE.as_millis() as i32 } else { 0 };
        socket.set_linger(linger).unwrap();
        socket.set_rcvtimeo(DEADLINE.as_millis() as i32).unwrap();
        socket.set_sndtimeo(DEADLINE.as_millis() as i32).unwrap();
        socket.connect(&self.broker.endpoint(port)).unwrap();
        socket
    }

    /// Waits until the condition holds.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < DEADLINE, "never: {what}; {:?}", self.broker.counters());
            std::thread::yield_now();
        }
    }
}

/// A message as a subscriber receives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Ack(String, Ack),
    Batch { level: String, id: BatchId, offset: u64, received_ms: u64, body: Vec<u8> },
    Levels(WantedLevels),
    Line(String),
}

impl Seen {
    /// The counters of a batch by name, or nothing if it is no batch.
    pub(crate) fn counters(&self) -> Vec<(String, f64)> {
        let Self::Batch { body, .. } = self else { return Vec::new() };
        let entries = BatchReader::new(body).unwrap().entries().map(Result::unwrap);
        entries
            .filter_map(|entry| match entry.value {
                Value::Counter(sum) => Some((entry.name.to_owned(), sum)),
                _ => None,
            })
            .collect()
    }
}

pub(crate) struct Subscriber {
    pub(crate) socket: zmq::Socket,
}

impl Subscriber {
    /// The next message, or `None` when none comes in time.
    pub(crate) fn next(&self) -> Option<Seen> {
        let frames = self.socket.recv_multipart(0).ok()?;
        let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
        if let [topic, body] = frames[..] {
            let topic = std::str::from_utf8(topic).unwrap();
            return Some(if topic == wire::LEVELS_TOPIC {
                Seen::Levels(WantedLevels::decode(body).unwrap())
            } else {
                let id = topic.strip_prefix(wire::ACK_PREFIX).expect("a control topic");
                Seen::Ack(id.to_owned(), Ack::decode(body).unwrap())
            });
        }
        Some(match wire::message(&frames).unwrap() {
            wire::Message::Batch { level, id, stamp, body } => {
                let stamp = stamp.expect("a stamp");
                Seen::Batch {
                    level: level.to_owned(),
                    id,
                    offset: stamp.offset,
                    received_ms: stamp.received_ms,
                    body: body.to_vec(),
                }
            }
            wire::Message::Lines(line) => Seen::Line(String::from_utf8(line.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        })
    }

    /// The next messages.
    #[track_caller]
    pub(crate) fn take(&self, count: usize) -> Vec<Seen> {
        (0..count).map(|at| self.next().unwrap_or_else(|| panic!("no message {at}"))).collect()
    }

    /// The next lines; every message must be one.
    #[track_caller]
    pub(crate) fn lines(&self, count: usize) -> Vec<String> {
        let line = |seen| match seen {
            Seen::Line(line) => line,
            other => panic!("no line: {other:?}"),
        };
        self.take(count).into_iter().map(line).collect()
    }

    /// Whether there is nothing to read.
    pub(crate) fn is_quiet(&self) -> bool {
        self.socket.poll(zmq::POLLIN, 0).unwrap() == 0
    }
}

pub(crate) const ANNA: PublisherId = PublisherId([0xa; 16]);
pub(crate) const BERT: PublisherId = PublisherId([0xb; 16]);

/// The frames of a batch as a publisher sends it.
pub(crate) fn batch(level: &str, publisher: PublisherId, sequence: u64) -> Vec<Vec<u8>> {
    batch_with(level, publisher, sequence, |batch| batch.counter("n", &[], sequence as f64))
}

pub(crate) fn batch_with(
    level: &str,
    publisher: PublisherId,
    sequence: u64,
    fill: impl FnOnce(&mut BatchWriter),
) -> Vec<Vec<u8>> {
    let mut body = BatchWriter::new("web-1", 1_700_000_000_000, 1_000);
    fill(&mut body);
    let id = BatchId { publisher, sequence }.encode();
    vec![batch_topic(level).into_bytes(), id.to_vec(), body.finish()]
}
