//! A worker within a program: each measurement is delivered once, and everything else is counted.

use crate::publisher::{LONG, Publisher, until};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zibrato::window::{Fold, Window};
use zibrato::wire::BatchWriter;
use zibrato_workers::{Backend, Levels, Payload, SendError, StartError, Worker};

/// Records the received sums, by name.
#[derive(Clone, Default)]
struct Sums(Arc<Mutex<BTreeMap<String, f64>>>);

impl Sums {
    fn of(&self, name: &str) -> f64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

impl Backend for Sums {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let series = window.into_series().into_iter();
        let texts = series.map(|s| match s.value {
            Fold::Counter(sum) => format!("{} {sum}", s.name),
            value => panic!("{value:?} was not published"),
        });
        texts.map(|text| Payload::new(text.into_bytes(), 1)).collect()
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        let text = std::str::from_utf8(&payload.body).unwrap();
        let (name, sum) = text.split_once(' ').unwrap();
        let sum: f64 = sum.parse().unwrap();
        *self.0.lock().unwrap().entry(name.to_owned()).or_default() += sum;
        Ok(())
    }
}

fn start(port: u16, levels: &str) -> (Sums, Worker) {
    let sums = Sums::default();
    let levels: Levels = levels.parse().unwrap();
    let builder = Worker::builder().port(port).levels(levels).flush(Duration::from_millis(100));
    (sums.clone(), builder.start(sums).unwrap())
}

#[test]
fn a_level_does_not_match_longer_ones() {
    let mut publisher = Publisher::bind();
    let (sums, worker) = start(publisher.port(), "info,warn");
    assert_eq!(publisher.subscribed(3), ["zb!levels", "zb1|info|", "zb1|warn|"]);
    for level in ["information", "debug", "inf", "info", "warn"] {
        publisher.count(level, level, 1.0);
    }
    until("the window", || (sums.of("warn") == 1.0).then_some(()));
    let report = worker.stop(LONG);
    assert_eq!((report.series_delivered, report.series_lost), (2, 0));
    assert_eq!((sums.of("info"), sums.of("information")), (1.0, 0.0));
}

#[test]
fn a_star_matches_every_level() {
    let mut publisher = Publisher::bind();
    let (sums, worker) = start(publisher.port(), "*");
    assert_eq!(publisher.subscribed(2), ["zb!levels", "zb1|"]);
    for level in ["information", "info", "billing"] {
        publisher.count(level, "n", 1.0);
    }
    until("the window", || (sums.of("n") == 3.0).then_some(()));
    drop(worker);
}

#[test]
fn duplicates_are_counted_once() {
    let mut publisher = Publisher::bind();
    let (sums, worker) = start(publisher.port(), "info");
    publisher.subscribed(2);
    let mut batch = BatchWriter::new("web-1", 0, 1000);
    batch.counter("n", &[], 1.0);
    let body = batch.finish();
    for sequence in [1, 1, 2, 1, 2, 3] {
        publisher.batch("info", sequence, body.clone());
    }
    publisher.count("info", "end", 0.0);
    until("the duplicates", || (worker.counters().duplicates == 4).then_some(()));
    worker.stop(LONG);
    assert_eq!(sums.of("n"), 3.0);
}

#[test]
fn a_stop_delivers_everything_published_before() {
    let mut publisher = Publisher::bind();
    let sums = Sums::default();
    let builder = Worker::builder().port(publisher.port()).flush(Duration::from_secs(3600));
    let worker = builder.start(sums.clone()).unwrap();
    publisher.subscribed(2);
    for _ in 0..1000 {
        publisher.count("info", "n", 1.0);
    }
    let report = worker.stop(LONG);
    assert_eq!((report.series_lost, sums.of("n")), (0, 1000.0));
}

#[test]
fn the_broker_may_start_late_and_restart() {
    let port = Publisher::bind().port();
    let (sums, worker) = start(port, "info");
    let mut sum = 0.0;
    for _ in 0..2 {
        let mut publisher = Publisher::bind_again(port);
        publisher.subscribed(2);
        publisher.heartbeat();
        until("the broker", || worker.counters().broker_connected.then_some(()));
        let mut batch = BatchWriter::new("web-1", 0, 1000);
        batch.counter("n", &[], 1.0);
        sum += 1.0;
        publisher.batch("info", sum as u64, batch.finish());
        until("the window", || (sums.of("n") == sum).then_some(()));
        publisher.count("other", "n", 1.0);
    }
    drop(worker);
}

#[test]
fn invalid_messages_are_counted_and_affect_nothing_else() {
    let mut publisher = Publisher::bind();
    let (sums, worker) = start(publisher.port(), "*");
    publisher.subscribed(2);
    let topic = &b"zb1|info|"[..];
    let (id, stamp) = (&[7; 24][..], &[0xff; 16][..]);
    let hostile: [&[&[u8]]; 9] = [
        &[topic],
        &[topic, b"x"],
        &[topic, id, stamp, b"\x80", b"more"],
        &[topic; 1000],
        &[topic, id, stamp, b""],
        &[topic, id, stamp, &[0xdf; 1000]],
        &[topic, id, stamp, &[0x91; 100_000]],
        &[b"zb1|\xff\xfe|", id, stamp, b"\x80"],
        &[b"zb1||", id, stamp, b"\x80"],
    ];
    for frames in hostile {
        publisher.frames(frames);
    }
    publisher.count("info", "n", 5.0);
    until("the good one", || (sums.of("n") == 5.0).then_some(()));
    let counters = worker.counters();
    assert_eq!(counters.refused.values().sum::<u64>(), 9, "{:?}", counters.refused);
    assert_eq!((counters.refused["frames"], counters.refused["body"]), (6, 3));
    drop(worker);
}

#[test]
fn an_invalid_worker_does_not_start() {
    let builder = || Worker::builder().port(1);
    for flush in [Duration::ZERO, Duration::from_millis(99), Duration::from_secs(86_401)] {
        let refused = builder().flush(flush).start(Sums::default());
        assert!(matches!(refused, Err(StartError::Flush { .. })), "{flush:?}");
    }
    for host in ["", "a b", "tcp://127.0.0.1", "127.0.0.1:5551"] {
        let refused = builder().host(host).start(Sums::default());
        assert!(matches!(refused, Err(StartError::Address { .. })), "{host:?}");
    }
}

#[test]
fn an_unknown_host_is_retried() {
    let builder = Worker::builder().host("broker.invalid");
    let worker = builder.start(Sums::default()).unwrap();
    assert!(!worker.counters().broker_connected);
    let begun = Instant::now();
    assert_eq!(worker.stop(LONG).series_lost, 0);
    assert!(begun.elapsed() < LONG / 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn random_frames_do_not_affect_a_valid_batch(
        messages in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
            1..50,
        ),
    ) {
        let mut publisher = Publisher::bind();
        let (sums, worker) = start(publisher.port(), "*");
        publisher.subscribed(2);
        for message in &messages {
            let mut frames: Vec<&[u8]> = vec![b"zb1|info|"];
            frames.extend(message.iter().map(Vec::as_slice));
            publisher.frames(&frames);
        }
        publisher.count("info", "n", 1.0);
        until("the good one", || (sums.of("n") == 1.0).then_some(()));
        let counters = worker.counters();
        prop_assert_eq!(counters.refused.values().sum::<u64>(), messages.len() as u64);
    }
}
