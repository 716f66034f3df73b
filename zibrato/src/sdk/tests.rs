//! Tests of the instrument with real sockets: a PULL and an XPUB that act as the broker.

use super::{Metadata, Stats};
use crate::wire::{Ack, BatchReader, Message, Value, WantedLevels, ack_topic, message};
use crate::{Loss, Zibrato};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

mod annotations;
mod connections;
mod demand;
mod flushes;
mod gauges;
mod handles;
mod histograms;
mod intervals;
mod resends;

const SOON: Duration = Duration::from_secs(10);

/// Only one instrument can be installed, and tests run in parallel.
fn place() -> MutexGuard<'static, ()> {
    static PLACE: Mutex<()> = Mutex::new(());
    PLACE.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn at(name: &'static str) -> Metadata {
    Metadata { level: "info", name: Some(name), module: "", function: "", source: None, tags: &[] }
}

/// Installs an instrument twenty times, and shuts it down while threads `record` a reading of 1 in
/// one series of their own. Every reading is then delivered or counted as lost. `count` checks an
/// entry, and returns its number of readings.
fn installations_end_while_threads_record(
    record: impl Fn() + Sync,
    count: impl Fn(Value<'_>) -> u64,
) {
    /// More threads than most machines have processors for, so that threads are often interrupted
    /// during a reading.
    const THREADS: u64 = 8;
    let (_place, record) = (place(), &record);
    thread::scope(|scope| {
        // The threads run until this is dropped, also if an assertion fails.
        let running = Arc::new(());
        for _ in 0..THREADS {
            let running = Arc::downgrade(&running);
            scope.spawn(move || {
                while running.strong_count() > 0 {
                    record();
                }
            });
        }
        (0..20).for_each(|_| install_and_shut_down(THREADS, &count));
    });
}

fn install_and_shut_down(threads: u64, count: impl Fn(Value<'_>) -> u64) {
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = broker.builder().install().unwrap();
    let handle = guard.handle();
    broker.serve_until(|broker| !broker.bodies.is_empty());
    let stats = thread::scope(|scope| {
        let end = scope.spawn(|| guard.shutdown());
        broker.serve_until(|_| end.is_finished());
        end.join().unwrap()
    });
    let later = handle.stats();
    assert!(stats.balances() && later.balances(), "{stats:?} {later:?}");
    assert_eq!((stats.pending, later.pending), (0, 0), "{stats:?} {later:?}");
    // Of each thread, a reading that it had started when measuring ended may come too late.
    assert!(stats.total_lost() <= threads, "{stats:?}");
    let mut delivered = 0;
    for body in &broker.bodies {
        for entry in BatchReader::new(body).unwrap().entries().map(Result::unwrap) {
            delivered += count(entry.value);
        }
    }
    assert_eq!(delivered, stats.delivered, "{stats:?}");
}

/// The broker's two sockets.
struct Broker {
    pull: zmq::Socket,
    publish: zmq::Socket,
    sums: BTreeMap<(String, String, String), f64>,
    taken: BTreeMap<String, u64>,
    messages: u32,
    /// The bodies of new batches.
    bodies: Vec<Vec<u8>>,
    acknowledges: Acknowledges,
}

#[derive(PartialEq)]
enum Acknowledges {
    Nothing,
    /// But it sends messages.
    NothingYet,
    Everything,
    OnlyRepeats,
}

impl Broker {
    fn new(acknowledges: Acknowledges) -> Self {
        let context = zmq::Context::new();
        let open = |kind| {
            let socket = context.socket(kind).unwrap();
            socket.set_linger(0).unwrap();
            socket.bind("tcp://127.0.0.1:*").unwrap();
            socket
        };
        let (pull, publish) = (open(zmq::PULL), open(zmq::XPUB));
        let (sums, taken) = (BTreeMap::new(), BTreeMap::new());
        let (messages, bodies) = (0, Vec::new());
        Self { pull, publish, sums, taken, messages, bodies, acknowledges }
    }

    fn ports(&self) -> (u16, u16) {
        let port = |socket: &zmq::Socket| {
            let endpoint = socket.get_last_endpoint().unwrap().unwrap();
            endpoint.rsplit_once(':').unwrap().1.parse().unwrap()
        };
        (port(&self.pull), port(&self.publish))
    }

    fn builder(&self) -> crate::Builder {
        let (port, control_port) = self.ports();
        Zibrato::builder()
            .port(port)
            .control_port(control_port)
            .interval(Duration::from_millis(20))
            .flush_deadline(SOON)
    }

    /// Receives batches until `done`.
    fn serve_until(&mut self, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + SOON;
        while !done(self) {
            assert!(Instant::now() < deadline, "took {:?}", self.sums);
            if self.acknowledges != Acknowledges::Nothing {
                let alive = WantedLevels::default().encode();
                self.publish.send_multipart(["zb!levels".as_bytes(), &alive], 0).unwrap();
            }
            if self.pull.poll(zmq::POLLIN, 10).unwrap() > 0 {
                let frames = self.pull.recv_multipart(0).unwrap();
                self.take(&frames);
            }
        }
    }

    fn take(&mut self, frames: &[Vec<u8>]) {
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let Message::Batch { level, id, body, stamp: None } = message(&frames).unwrap() else {
            panic!("not a batch: {frames:?}")
        };
        self.messages += 1;
        let highest = self.taken.entry(level.to_owned()).or_default();
        let repeat = id.sequence <= *highest;
        if !repeat {
            assert_eq!(id.sequence, *highest + 1, "one after the other");
            *highest = id.sequence;
            self.bodies.push(body.to_vec());
            let batch = BatchReader::new(body).unwrap();
            for entry in batch.entries().map(Result::unwrap) {
                let sum = match entry.value {
                    Value::Annotation(_) => 1.0,
                    Value::Counter(sum) => sum,
                    Value::HistogramReadings(readings) | Value::TimerReadings(readings) => {
                        readings.count() as f64
                    }
                    Value::Histogram(summary) | Value::Timer(summary) => summary.count as f64,
                    Value::Gauge(gauge) if gauge.is_idle() => 0.0,
                    Value::Gauge(gauge) => gauge.last,
                    Value::GaugeReadings(readings) => readings.count() as f64,
                    other => panic!("{other:?}"),
                };
                let tags: String =
                    entry.tags.map(|(tag, value)| format!(";{tag}={value}")).collect();
                let name = format!("{}{tags}", entry.name);
                let key = (level.to_owned(), name, batch.source().to_owned());
                *self.sums.entry(key).or_default() += sum;
            }
        }
        let answer = match self.acknowledges {
            Acknowledges::Everything => true,
            Acknowledges::Nothing | Acknowledges::NothingYet => false,
            Acknowledges::OnlyRepeats => repeat,
        };
        if answer {
            let ack = Ack { sequences: self.taken.clone() }.encode();
            let topic = ack_topic(id.publisher);
            self.publish.send_multipart([topic.as_bytes(), &ack], 0).unwrap();
        }
    }

    fn sum(&self, level: &str, name: &str, source: &str) -> f64 {
        let key = (level.to_owned(), name.to_owned(), source.to_owned());
        self.sums.get(&key).copied().unwrap_or_default()
    }
}

/// Drops the instrument on another thread, while the broker continues.
fn finish(z: Zibrato, broker: &mut Broker) -> Stats {
    let stats = thread::scope(|scope| {
        let end = scope.spawn(move || {
            let stats = z.flush(SOON);
            drop(z);
            stats
        });
        broker.serve_until(|_| end.is_finished());
        end.join().unwrap()
    });
    assert!(stats.balances(), "{stats:?}");
    stats
}

#[test]
fn what_threads_count_arrives_exactly() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().source("a").build().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| z.count("info", "n", 1)));
        }
    });
    z.with_source("b").unwrap().count("warn", "n", 2.5);
    for ms in 1..=40 {
        z.time("info", "t", Duration::from_millis(ms));
    }
    z.set_gauge("info", "g", 7);
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, stats.pending), (40_042, 0));
    assert_eq!(broker.sum("info", "n", "a"), 40_000.0);
    assert_eq!(broker.sum("warn", "n", "b"), 2.5);
    assert_eq!(broker.sum("info", "t", "a"), 40.0);
    assert_eq!(broker.sum("info", "g", "a"), 7.0);
}

#[test]
fn without_a_broker_everything_gathers_and_the_end_keeps_its_deadline() {
    let broker = Broker::new(Acknowledges::Nothing);
    let builder = broker.builder().flush_deadline(Duration::from_millis(50));
    drop(broker);
    let z = builder.build().unwrap();
    (0..1000).for_each(|_| z.count("info", "n", 1));
    let begun = Instant::now();
    let stats = z.flush(Duration::from_millis(50));
    assert_eq!((stats.recorded, stats.pending, stats.connected), (1000, 1000, false));
    let instrument = z.clone();
    drop(z);
    drop(instrument);
    assert!(begun.elapsed() < SOON);
}

#[test]
fn a_broker_that_comes_late_gets_everything() {
    let early = Broker::new(Acknowledges::Everything);
    let (builder, (port, control_port)) = (early.builder(), early.ports());
    drop(early);
    let z = builder.build().unwrap();
    z.count("info", "n", 5);
    assert_eq!(z.flush(Duration::from_millis(30)).pending, 1);
    let mut broker = Broker::new(Acknowledges::Everything);
    for (socket, port) in [(&broker.pull, port), (&broker.publish, control_port)] {
        socket.bind(&format!("tcp://127.0.0.1:{port}")).unwrap();
    }
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, broker.sum("info", "n", "not_specified")), (1, 5.0));
}

#[test]
fn flushes_while_there_is_no_broker_do_not_pile_batches_up() {
    let early = Broker::new(Acknowledges::Everything);
    let (builder, (port, control_port)) = (early.builder(), early.ports());
    drop(early);
    let z = builder.build().unwrap();
    for n in 1..=50 {
        z.count("info", "n", 1);
        assert_eq!(z.flush(Duration::from_millis(2)).pending, n);
    }
    let mut broker = Broker::new(Acknowledges::Everything);
    for (socket, port) in [(&broker.pull, port), (&broker.publish, control_port)] {
        socket.bind(&format!("tcp://127.0.0.1:{port}")).unwrap();
    }
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, broker.sum("info", "n", "not_specified")), (50, 50.0));
    // One batch was in flight since the first flush, and one contains everything after it.
    assert_eq!(broker.taken["info"], 2);
}

#[test]
fn the_longest_time_there_is_may_be_waited() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().flush_deadline(Duration::MAX).build().unwrap();
    z.count("info", "n", 1);
    let stats = thread::scope(|scope| {
        let end = scope.spawn(move || z.flush(Duration::MAX));
        broker.serve_until(|_| end.is_finished());
        end.join().unwrap()
    });
    assert_eq!(stats.delivered, 1);
}

#[test]
fn a_count_beyond_what_an_integer_holds_does_not_wrap_around() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().build().unwrap();
    (0..3).for_each(|_| z.count("info", "n", i64::MAX));
    finish(z, &mut broker);
    assert_eq!(broker.sum("info", "n", "not_specified"), 3.0 * i64::MAX as f64);
}

#[test]
fn an_application_may_end_its_context_before_the_instrument() {
    let mut context = zmq::Context::new();
    let z = Zibrato::builder().port(1).context(context.clone()).build().unwrap();
    z.count("info", "n", 1);
    let ending = thread::Builder::new().spawn(move || context.destroy()).unwrap();
    let begun = Instant::now();
    while !ending.is_finished() {
        assert!(begun.elapsed() < SOON, "it waits for the instrument");
        thread::yield_now();
    }
    ending.join().unwrap().unwrap();
    z.count("info", "n", 1);
    let stats = z.flush(SOON);
    assert!(begun.elapsed() < SOON && stats.balances(), "{stats:?}");
    assert_eq!((stats.recorded, stats.delivered), (2, 0));
}

#[test]
fn what_cannot_go_on_the_wire_is_a_counted_loss() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().build().unwrap();
    z.count("in|fo", "n", 1);
    z.count("*", "n", 1);
    z.set_gauge("info", "n", f64::NAN);
    z.count("info", "n", f64::INFINITY);
    z.count("info", "n", u64::MAX);
    let stats = finish(z, &mut broker);
    let lost = BTreeMap::from([(Loss::Name, 2), (Loss::NotFinite, 2)]);
    assert_eq!((stats.recorded, stats.delivered, stats.lost), (5, 1, lost));
}

#[test]
fn levels_that_are_filtered_out_are_not_recorded() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().levels(["warn"]).build().unwrap();
    z.count("info", "n", 1);
    z.count("warn", "n", 1);
    let stats = finish(z, &mut broker);
    assert_eq!((stats.recorded, broker.sums.len()), (1, 1));
}

#[test]
fn settings_that_cannot_be_are_refused() {
    for (builder, part) in [
        (Zibrato::builder().host(""), "\"\" is not a host"),
        (Zibrato::builder().host("no such host"), "is not a host"),
        (Zibrato::builder().host("tcp://127.0.0.1"), "is not a host"),
        (Zibrato::builder().host("127.0.0.1:5550"), "is not a host"),
        (Zibrato::builder().port(0), "port 0"),
        (Zibrato::builder().port(65_535), "port 65535"),
        (Zibrato::builder().control_port(0), "control port 0 is out of range (1 to 65535"),
        (Zibrato::builder().source("a|b"), "`|`"),
        (Zibrato::builder().levels(["info", ""]), "is empty"),
        (Zibrato::builder().interval(Duration::ZERO), "interval 0ns"),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_host_that_does_not_exist_is_tried_again_and_again() {
    let z = Zibrato::builder().host("no-such-host.invalid").flush_deadline(Duration::ZERO);
    let z = z.build().unwrap();
    z.count("info", "n", 1);
    assert_eq!(z.stats().pending, 1);
}
