//! Gauges in Carbon's files: bursts of calls in flight, and gauges that nobody sets.

use std::sync::Barrier;
use std::time::Duration;
use zibrato::clock::unix_ms;
use zibrato::{Zibrato, time_me};
use zibrato_tests::{Broker, Carbon, DEADLINE, Running, Signal, wait_until};

/// Calls that are in flight at once.
const CALLS: usize = 50;

/// A call that ends as soon as all calls of its burst are in flight, usually after less than 100 ms.
#[time_me(name = "pay", in_flight)]
fn pay(all: &Barrier) {
    all.wait();
}

#[test]
fn bursts_of_calls_that_are_shorter_than_an_interval_are_seen() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let mut worker = worker(&broker, &carbon, &["--flush", "5"]);
    let guard = Zibrato::builder().port(broker.port()).source("web-1").install().unwrap();
    for _burst in 0..3 {
        let all = Barrier::new(CALLS);
        std::thread::scope(|scope| {
            (0..CALLS).for_each(|_| drop(scope.spawn(|| pay(&all))));
        });
    }
    let most = |metric| carbon.fetch(metric).into_iter().map(|(_, v)| v).fold(0.0, f64::max);
    wait_until(DEADLINE, "the maximum to be in Carbon", || {
        most("web-1.pay.in_flight.max") == CALLS as f64
    });
    // The last number alone hides all of them.
    wait_until(DEADLINE, "all calls to be in Carbon", || {
        carbon.sum("web-1.pay.count") == (3 * CALLS) as f64
    });
    assert_eq!(most("web-1.pay.in_flight"), 0.0);
    drop(guard);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn a_gauge_that_nobody_sets_is_repeated_until_its_program_ends() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let start = |idle: &str| {
        let name = format!("idle-{idle}");
        let args = ["--flush", "1", "--name", &name, "--prefix", idle, "--idle-gauges", idle];
        worker(&broker, &carbon, &args)
    };
    let mut repeats = start("repeat");
    let (mut zeros, mut omits) = (start("zero"), start("omit"));
    let publisher = |source| {
        let builder = Zibrato::builder().port(broker.port()).source(source);
        let builder = builder.repeat_gauges(Duration::from_millis(300));
        builder.interval(Duration::from_millis(100)).build().unwrap()
    };
    let points = |metric: &str| carbon.fetch(metric);
    let values = |metric: &str| points(metric).into_iter().map(|(_, v)| v).collect::<Vec<_>>();
    let (ends, lives) = (publisher("ends"), publisher("lives"));
    ends.set_gauge("info", "depth", 7);
    lives.set_gauge("info", "depth", 1);
    wait_until(DEADLINE, "the gauge to be repeated", || points("repeat.ends.depth").len() >= 3);

    // Windows that end while the worker is away contain the gauge too.
    assert_eq!(repeats.stop(Signal::TERM).code(), Some(0));
    let (before, away_until) = (points("repeat.ends.depth").len(), unix_ms() + 2_000);
    wait_until(DEADLINE, "two windows to end", || unix_ms() > away_until);
    repeats = start("repeat");
    wait_until(DEADLINE, "the gauge to be repeated again", || {
        points("repeat.ends.depth").len() > before + 3
    });
    wait_until(DEADLINE, "zeros", || values("zero.ends.depth").len() > before + 3);

    drop(ends);
    let (ended, later) = (unix_ms() / 1000, unix_ms() / 1000 + 3);
    wait_until(DEADLINE, "windows after the end", || {
        points("repeat.lives.depth").iter().any(|(at, _)| *at > later)
    });
    let all = points("repeat.ends.depth");
    assert!(all.iter().all(|(at, value)| *value == 7.0 && *at <= ended + 1), "{all:?}");
    let times: Vec<_> = all.iter().map(|(at, _)| *at).collect();
    assert!(times.windows(2).all(|two| two[1] == two[0] + 1), "a gap in {times:?}");
    let zero = values("zero.ends.depth");
    assert!(zero[0] == 7.0 && zero[1..].iter().all(|value| *value == 0.0), "{zero:?}");
    assert_eq!(values("omit.ends.depth"), [7.0]);
    for worker in [&mut repeats, &mut zeros, &mut omits] {
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    }
}

fn worker(broker: &Broker, carbon: &Carbon, args: &[&str]) -> Running {
    let address = format!("127.0.0.1:{}", carbon.port());
    broker.worker("zibrato-carbon", &[&["--carbon", &address], args].concat())
}
