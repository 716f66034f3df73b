//! A stop loses nothing that was accepted, and no peer can delay it.

use crate::harness::{ANNA, Bench, DEADLINE, Seen, batch};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zibrato::wire::PublisherId;
use zibrato_broker::{Config, End, Statsd};

#[test]
fn what_was_sent_before_the_stop_arrives() {
    let bench = Bench::start();
    let subscriber = bench.subscribe(&["zb1|info|", "zb!ack|"]);
    let push = bench.push();
    const COUNT: u64 = 2_000;
    for sequence in 1..=COUNT {
        push.send_multipart(batch("info", ANNA, sequence), 0).unwrap();
        push.send("info|c|line|1|1700000000|s", 0).unwrap();
    }
    // It has begun, but is not done yet.
    bench.until("it has begun", || bench.broker.counters().batches() > 0);
    let report = bench.broker.stop(DEADLINE);
    assert_eq!(report.end, End::Clean);
    assert_eq!((report.counters.batches(), report.counters.lines()), (COUNT, COUNT));
    let (mut batches, mut lines, mut acknowledged) = (BTreeSet::new(), 0.0, 0);
    while batches.len() < COUNT as usize || lines < COUNT as f64 || acknowledged < COUNT {
        match subscriber.next().expect("all arrives") {
            Seen::Batch { id, .. } if id.publisher == ANNA => {
                assert!(batches.insert(id.sequence), "twice");
            }
            Seen::Ack(_, ack) => acknowledged = ack.sequences["info"],
            folded => lines += folded.counters().iter().map(|(_, more)| more).sum::<f64>(),
        }
    }
    assert_eq!(lines, COUNT as f64);
}

#[test]
fn everything_acknowledged_was_published_though_the_publisher_never_ceases() {
    // Enough space for messages that the reader has not read yet.
    let bench = Bench::with(Config::new().high_water(1_000_000));
    let subscriber = bench.subscribe(&["zb1|info|"]);
    let acks = bench.subscribe(&["zb!ack|"]);
    let push = bench.push();
    push.set_sndtimeo(10).unwrap();
    push.set_linger(0).unwrap();
    let enough = Arc::new(AtomicBool::new(false));
    let stop_pushing = Arc::clone(&enough);
    let publisher = std::thread::Builder::new()
        .spawn(move || {
            let mut sequence = 0;
            while !stop_pushing.load(Ordering::Relaxed) {
                // Fails once the broker is gone.
                if push.send_multipart(batch("info", ANNA, sequence + 1), 0).is_ok() {
                    sequence += 1;
                }
            }
            sequence
        })
        .unwrap();
    // Reads continuously, so that nothing is lost because of a full queue.
    let reader = std::thread::Builder::new()
        .spawn(move || {
            subscriber.socket.set_rcvtimeo(2_000).unwrap();
            let mut seen = BTreeSet::new();
            while let Some(Seen::Batch { id, .. }) = subscriber.next() {
                seen.insert(id.sequence);
            }
            seen
        })
        .unwrap();
    let mut acknowledged = 0;
    while acknowledged < 100 {
        let Some(Seen::Ack(_, ack)) = acks.next() else { panic!("no acknowledgement") };
        acknowledged = ack.sequences["info"];
    }
    let begun = Instant::now();
    let report = bench.broker.stop(DEADLINE);
    assert_eq!(report.end, End::Clean);
    assert!(begun.elapsed() < DEADLINE / 2, "held up for {:?}", begun.elapsed());
    enough.store(true, Ordering::Relaxed);
    let sent = publisher.join().unwrap();
    acks.socket.set_rcvtimeo(500).unwrap();
    while let Some(Seen::Ack(_, ack)) = acks.next() {
        acknowledged = ack.sequences["info"];
    }
    let seen = reader.join().unwrap();
    assert!(acknowledged <= sent, "{acknowledged} of {sent}");
    assert_eq!(*report.counters.subscriber_drops, BTreeMap::new());
    assert!(seen.range(1..=acknowledged).count() as u64 == acknowledged, "{acknowledged}");
    assert_eq!(report.counters.batches(), acknowledged, "all that was taken is acknowledged");
}

#[test]
fn a_subscriber_that_does_not_read_holds_the_stop_up_no_longer_than_agreed() {
    let bench = Bench::with(Config::new().linger(Duration::from_millis(1_500)));
    let slow = bench.subscribe(&["zb1|info|"]);
    slow.socket.set_rcvhwm(1).unwrap();
    let push = bench.push();
    for sequence in 1..=400 {
        let mut frames = batch("info", PublisherId([3; 16]), sequence);
        frames[2] = vec![0; 100_000];
        push.send_multipart(frames, 0).unwrap();
    }
    bench.until("all are taken", || bench.broker.counters().batches() == 400);
    let begun = Instant::now();
    assert_eq!(bench.broker.stop(DEADLINE).end, End::Clean);
    assert!(begun.elapsed() < DEADLINE / 2, "held up for {:?}", begun.elapsed());
}

#[test]
fn gauges_that_cannot_be_saved_are_an_error_of_the_stop() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("state");
    std::fs::create_dir(&folder).unwrap();
    let statsd = Statsd::new().listen("127.0.0.1:0").unwrap().gauges(folder.join("gauges.json"));
    let bench = Bench::with(Config::new().intake(statsd));
    std::fs::remove_dir(&folder).unwrap();
    let report = bench.broker.stop(DEADLINE);
    assert_eq!(report.end, End::IntakeFailed);
    assert_eq!(report.counters.intake("statsd").unwrap().failures, 1);
}

#[test]
fn ports_are_free_again_after_the_stop() {
    let bench = Bench::start();
    let port = bench.broker.port();
    let _peers = (bench.push(), bench.legacy(), bench.subscribe(&["info|"]));
    assert_eq!(bench.broker.stop(DEADLINE).end, End::Clean);
    let again = zibrato_broker::Broker::start(Config::new().port(port)).unwrap();
    assert_eq!(again.port(), port);
}

#[test]
fn a_stop_that_may_take_for_ever_is_none_the_less_a_stop() {
    for config in [Config::new().linger(Duration::MAX), Config::new().settle(Duration::MAX)] {
        let bench = Bench::with(config);
        let _subscriber = bench.subscribe(&["zb1|info|"]);
        assert_eq!(bench.broker.stop(Duration::MAX).end, End::Clean);
    }
}
