//! A fake publishing port of a broker: real batches on a real socket.

use std::time::{Duration, Instant};
use zibrato::clock::unix_ms;
use zibrato::wire::{
    BatchId, BatchWriter, LEVELS_TOPIC, PublisherId, Stamp, WantedLevels, batch_topic,
};

/// Maximum time that a test waits.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Publishes for a test.
pub(crate) struct Publisher {
    socket: zmq::Socket,
    port: u16,
    sequence: u64,
}

impl Publisher {
    /// Binds a free port.
    pub(crate) fn bind() -> Self {
        Self::bind_to("tcp://127.0.0.1:*")
    }

    /// Binds a port that was used before.
    pub(crate) fn bind_again(port: u16) -> Self {
        Self::bind_to(&format!("tcp://127.0.0.1:{port}"))
    }

    fn bind_to(endpoint: &str) -> Self {
        let socket = zmq::Context::new().socket(zmq::XPUB).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(LONG.as_millis() as i32).unwrap();
        let begun = Instant::now();
        while let Err(why) = socket.bind(endpoint) {
            assert!(begun.elapsed() < LONG, "{why}");
            std::thread::yield_now();
        }
        let bound = socket.get_last_endpoint().unwrap().unwrap();
        let port = bound.rsplit_once(':').unwrap().1.parse().unwrap();
        Self { socket, port, sequence: 0 }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits for `subscriptions` subscriptions, and returns their topics, sorted.
    pub(crate) fn subscribed(&self, subscriptions: usize) -> Vec<String> {
        let mut topics: Vec<_> = (0..subscriptions)
            .map(|_| {
                let message = self.socket.recv_bytes(0).expect("a subscription in time");
                assert_eq!(message[0], 1, "a subscription");
                String::from_utf8(message[1..].to_vec()).unwrap()
            })
            .collect();
        topics.sort();
        topics
    }

    /// The topics of the subscriptions that have arrived.
    pub(crate) fn subscribed_now(&self) -> Option<Vec<String>> {
        let mut topics = Vec::new();
        while let Ok(message) = self.socket.recv_bytes(zmq::DONTWAIT) {
            if let Some((1, topic)) = message.split_first() {
                topics.push(String::from_utf8(topic.to_vec()).unwrap());
            }
        }
        (!topics.is_empty()).then_some(topics)
    }

    pub(crate) fn frames(&self, frames: &[&[u8]]) {
        self.socket.send_multipart(frames, 0).unwrap();
    }

    /// Publishes one counter of `level`, received now.
    pub(crate) fn count(&mut self, level: &str, name: &str, sum: f64) {
        let mut batch = BatchWriter::new("web-1", unix_ms(), 1000);
        batch.counter(name, &[], sum);
        self.sequence += 1;
        self.batch(level, self.sequence, batch.finish());
    }

    pub(crate) fn batch(&self, level: &str, sequence: u64, body: Vec<u8>) {
        let id = BatchId { publisher: PublisherId([9; 16]), sequence };
        let stamp = Stamp { offset: sequence, received_ms: unix_ms() };
        self.frames(&[batch_topic(level).as_bytes(), &id.encode(), &stamp.encode(), &body]);
    }

    /// Publishes the wanted levels, as a broker does every second.
    pub(crate) fn heartbeat(&self) {
        self.frames(&[LEVELS_TOPIC.as_bytes(), &WantedLevels::default().encode()]);
    }
}

/// Waits until `done` returns a value.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(begun.elapsed() < LONG, "timeout: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
