//! From an instrumented program through broker and worker into Carbon's files.

use std::time::Duration;
use zibrato::Zibrato;
use zibrato::clock::unix_ms;
use zibrato_tests::{Broker, Carbon, DEADLINE, Running, Signal, wait_until};

#[test]
fn measurements_are_in_carbon_with_their_values_and_times() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let mut worker = worker(&broker, &carbon);
    let z = publisher(&broker);

    let begun = unix_ms() / 1000;
    for round in 1..=20_u32 {
        z.count("info", "logins", round);
        z.time("info", "db.query", Duration::from_millis(10) * round);
        z.set_gauge("info", "queue.depth", f64::from(round) + 0.5);
    }
    let stats = z.flush(DEADLINE);
    assert_eq!((stats.recorded, stats.delivered, stats.pending), (60, 60, 0));
    wait_until(DEADLINE, "the counts to be in Carbon", || carbon.sum("web-1.logins") == 210.0);
    wait_until(DEADLINE, "the timings to be in Carbon", || {
        carbon.sum("web-1.db.query.count") == 20.0
    });
    let ended = unix_ms() / 1000;

    assert!((carbon.sum("web-1.db.query.sum") - 2.1).abs() < 1e-9);
    let least = |metric| carbon.fetch(metric).into_iter().map(|(_, v)| v).fold(f64::MAX, f64::min);
    let most = |metric| carbon.fetch(metric).into_iter().map(|(_, v)| v).fold(0.0, f64::max);
    assert_eq!((least("web-1.db.query.min"), most("web-1.db.query.max")), (0.01, 0.2));
    let depth = carbon.fetch("web-1.queue.depth");
    assert_eq!(depth.last().map(|(_, value)| *value), Some(20.5));
    for metric in carbon.metrics() {
        let points = carbon.fetch(&metric);
        assert!(points.iter().all(|(at, _)| (begun..=ended).contains(at)), "{metric}: {points:?}");
    }
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn every_window_is_delivered_after_an_outage_of_carbon() {
    let (mut carbon, broker) = (Carbon::start(), Broker::start());
    let mut worker = worker(&broker, &carbon);
    let z = publisher(&broker);

    z.count("info", "logins", 1);
    wait_until(DEADLINE, "the first count", || carbon.sum("web-1.logins") == 1.0);
    carbon.stop();
    z.count("info", "logins", 10);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    worker.says(&["event=\"retry\""]);
    z.count("info", "logins", 100);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    carbon.restart();
    wait_until(DEADLINE, "all counts", || carbon.sum("web-1.logins") == 111.0);
}

#[test]
fn an_outage_of_the_broker_loses_no_count() {
    let (carbon, mut broker) = (Carbon::start(), Broker::start());
    let mut worker = worker(&broker, &carbon);
    let z = publisher(&broker);

    z.count("info", "logins", 1);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    assert_eq!(broker.stop(Signal::QUIT).code(), Some(0));
    for _ in 0..1_000 {
        z.count("info", "logins", 10);
    }
    assert_eq!(z.stats().pending, 1_000);
    broker.restart();
    // The worker reconnects by itself. The publisher delivers its waiting batch only afterwards.
    wait_until(DEADLINE, "the publisher to deliver", || z.stats().pending == 0);
    wait_until(DEADLINE, "all counts", || carbon.sum("web-1.logins") == 10_001.0);
    assert_eq!(worker.stop(Signal::INT).code(), Some(0));
}

fn worker(broker: &Broker, carbon: &Carbon) -> Running {
    let address = format!("127.0.0.1:{}", carbon.port());
    broker.worker("zibrato-carbon", &["--flush", "1", "--carbon", &address])
}

fn publisher(broker: &Broker) -> Zibrato {
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    builder.interval(Duration::from_millis(100)).build().unwrap()
}
