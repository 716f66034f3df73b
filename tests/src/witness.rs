//! A subscriber that counts what it received, from which publisher, and in which life of the
//! broker.

use crate::running::must;
use crate::wait::{DEADLINE, wait_until};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use zibrato::monitored::MonitoredSocket;
use zibrato::wire::{BATCH_PREFIX, BatchReader, Message, PublisherId, Value, message};

/// Interval in which it checks whether to end, in milliseconds.
const STEP: i64 = 50;

/// Publisher and level of a batch.
pub type Stream = (PublisherId, String);

/// What was received on one connection to the broker.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// The sequences that were received of each stream, without duplicates, in order.
    pub sequences: BTreeMap<Stream, Vec<u64>>,
    /// Batches that it had received before, in this life or an earlier one.
    pub repeats: u64,
    /// The broker's offsets of all received batches: 1, 2, 3 … if none is missing.
    pub offsets: Vec<u64>,
    /// The totals by level and name: the sum of a counter, or the number of readings.
    pub totals: BTreeMap<(String, String), f64>,
    /// Messages that are not batches.
    pub strange: Vec<String>,
    /// Whether the connection has ended and everything received on it is included.
    pub over: bool,
}

/// A subscriber to every level, in a separate thread.
#[derive(Debug)]
pub struct Witness {
    lives: Arc<Mutex<Vec<Life>>>,
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Orders {
    stop: AtomicBool,
    pause: AtomicBool,
}

/// Size of the subscriber's own queue while it does not read.
#[derive(Debug, Clone, Copy)]
pub enum Room {
    /// Unlimited.
    Plenty,
    /// As small as possible: unread messages are queued at the broker.
    Little,
}

impl Witness {
    /// Subscribes at a broker's publishing port.
    ///
    /// # Panics
    /// If ZeroMQ cannot create sockets.
    #[must_use]
    #[track_caller]
    pub fn subscribe(port: u16, room: Room) -> Self {
        let context = zmq::Context::new();
        let disconnected = [zmq::SocketEvent::DISCONNECTED];
        let batches = must("a socket", MonitoredSocket::new(&context, zmq::SUB, &disconnected));
        must("a subscription", open(&batches, port, room));
        let lives = Arc::new(Mutex::new(vec![Life::default()]));
        let orders = Arc::new(Orders::default());
        let (ours, flags) = (Arc::clone(&lives), Arc::clone(&orders));
        let listen = move || {
            let mut highest = BTreeMap::new();
            while !flags.stop.load(Ordering::Relaxed) {
                if flags.pause.load(Ordering::Relaxed) {
                    std::thread::park();
                    continue;
                }
                let mut items = [batches.as_poll_item(zmq::POLLIN), batches.event_item()];
                // After an interrupted wait the loop checks again.
                zmq::poll(&mut items, STEP).ok();
                let ended = batches.next_event().is_some();
                // Messages of a connection arrive before the event of its end.
                let mut lives = lock(&ours);
                while let Ok(frames) = batches.recv_multipart(zmq::DONTWAIT) {
                    if let Some(life) = lives.last_mut() {
                        life.take(&frames, &mut highest);
                    }
                }
                if ended && let Some(life) = lives.last_mut() {
                    life.over = true;
                    lives.push(Life::default());
                }
            }
        };
        let thread = Builder::new().name("witness".to_owned()).spawn(listen);
        Self { lives, orders, thread: Some(must("a thread", thread)) }
    }

    /// What was received so far, life by life; the last one is not over.
    #[must_use]
    pub fn lives(&self) -> Vec<Life> {
        lock(&self.lives).clone()
    }

    /// Calls `look` with the last life.
    pub fn now<T>(&self, look: impl FnOnce(&Life) -> T) -> T {
        let mut lives = lock(&self.lives);
        let last = lives.pop().unwrap_or_default();
        let seen = look(&last);
        lives.push(last);
        seen
    }

    /// Reads nothing until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.orders.pause.store(true, Ordering::Relaxed);
    }

    /// Continues to read.
    pub fn resume(&self) {
        self.orders.pause.store(false, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Waits until the `number`th connection, from 1, has ended.
    ///
    /// # Panics
    /// If it has not within [`DEADLINE`].
    #[track_caller]
    pub fn outlives(&self, number: usize) {
        wait_until(DEADLINE, "the connection to end", || lock(&self.lives).len() > number);
    }

    /// The total of one series in all lives.
    #[must_use]
    pub fn total(&self, level: &str, name: &str) -> f64 {
        let key = (level.to_owned(), name.to_owned());
        lock(&self.lives).iter().filter_map(|life| life.totals.get(&key)).sum()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::Relaxed);
        self.resume();
        // If it has panicked, the test has noticed that messages are missing.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Life {
    fn take(&mut self, frames: &[Vec<u8>], highest: &mut BTreeMap<Stream, u64>) {
        let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
        let (level, id, stamp, body) = match message(&frames) {
            Ok(Message::Batch { level, id, stamp: Some(stamp), body }) => (level, id, stamp, body),
            other => return self.strange.push(format!("{other:?}")),
        };
        self.offsets.push(stamp.offset);
        let stream = (id.publisher, level.to_owned());
        let before = highest.entry(stream.clone()).or_default();
        if id.sequence <= *before {
            self.repeats += 1;
            return;
        }
        *before = id.sequence;
        self.sequences.entry(stream).or_default().push(id.sequence);
        if let Err(error) = self.add(level, body) {
            self.strange.push(error);
        }
    }

    fn add(&mut self, level: &str, body: &[u8]) -> Result<(), String> {
        for entry in BatchReader::new(body).map_err(|error| error.to_string())?.entries() {
            let entry = entry.map_err(|error| error.to_string())?;
            let more = match entry.value {
                Value::Counter(sum) => sum,
                Value::Gauge(gauge) => gauge.count as f64,
                Value::Timer(timer) => timer.count as f64,
                Value::TimerReadings(readings) => readings.count() as f64,
                other => return Err(format!("{}: {other:?}", entry.name)),
            };
            *self.totals.entry((level.to_owned(), entry.name.to_owned())).or_default() += more;
        }
        Ok(())
    }
}

fn lock(lives: &Mutex<Vec<Life>>) -> MutexGuard<'_, Vec<Life>> {
    lives.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The subscriber reconnects as soon as the broker is back.
fn open(batches: &zmq::Socket, port: u16, room: Room) -> zmq::Result<()> {
    match room {
        Room::Plenty => batches.set_rcvhwm(0)?,
        Room::Little => {
            batches.set_rcvhwm(1)?;
            batches.set_rcvbuf(4096)?;
        }
    }
    batches.set_linger(0)?;
    batches.set_reconnect_ivl(20)?;
    batches.connect(&format!("tcp://127.0.0.1:{port}"))?;
    batches.set_subscribe(BATCH_PREFIX.as_bytes())
}
