//! Gauges: readings of threads, gauges that keep every reading, and calls in flight.

use super::{Acknowledges, Broker, at, installations_end_while_threads_record, place};
use crate::sdk::cells::shared;
use crate::sdk::{Shape, Site, gauge, in_flight, time};
use crate::testing;
use crate::wire::{BatchReader, Value};
use crate::{Builder, Gauge, Zibrato};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

/// An instrument that sends only at a flush, and ends without waiting.
fn rarely(broker: &Broker) -> Builder {
    broker.builder().interval(Duration::from_secs(3600)).flush_deadline(Duration::ZERO)
}

/// Flushes, and calls `look` with the entries of the next batch.
fn flushed(z: &Zibrato, broker: &mut Broker, mut look: impl FnMut(&str, Value<'_>)) {
    let before = broker.bodies.len();
    z.flush(Duration::ZERO);
    broker.serve_until(|broker| broker.bodies.len() > before);
    let batch = BatchReader::new(&broker.bodies[before]).unwrap();
    batch.entries().map(Result::unwrap).for_each(|entry| look(entry.name, entry.value));
}

#[test]
fn what_threads_read_is_folded_into_one_gauge() {
    static DEPTH: Site = Site::new(Shape::Gauge, at("depth"));
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).install().unwrap();
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for thread in 0..4 {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                (0..1000).for_each(|n| gauge(&DEPTH, thread * 1000 + n));
            });
        }
    });
    gauge(&DEPTH, -7.5);
    gauge(&DEPTH, f64::NAN);
    flushed(&guard.handle(), &mut broker, |name, value| {
        let Value::Gauge(gauge) = value else { panic!("{value:?}") };
        assert_eq!((name, gauge.count, gauge.min, gauge.max), ("depth", 4001, -7.5, 3999.0));
        assert_eq!((gauge.last, gauge.sum), (-7.5, 7_998_000.0 - 7.5));
        let age = crate::clock::unix_ms().abs_diff(gauge.at_ms);
        assert!(age < 10_000, "{age} ms");
    });
    assert_eq!((guard.handle().stats().recorded, guard.handle().stats().total_lost()), (4002, 1));
}

/// All readings of the batches so far.
fn folded(broker: &Broker) -> Gauge {
    let mut all = Gauge::idle(0.0, 0);
    for body in &broker.bodies {
        for entry in BatchReader::new(body).unwrap().entries().map(Result::unwrap) {
            let Value::Gauge(gauge) = entry.value else { panic!("{entry:?}") };
            all.merge(&gauge);
        }
    }
    all
}

#[test]
fn a_gauge_that_64_threads_set_has_all_their_readings() {
    static WIDE: Site = Site::new(Shape::Gauge, at("wide"));
    const THREADS: u64 = 64;
    const EACH: u64 = 2000;
    const READINGS: u64 = THREADS * EACH;
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = broker.builder().install().unwrap();
    let barrier = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                (0..EACH).for_each(|n| gauge(&WIDE, thread * EACH + n));
            });
        }
        // The sender takes readings while the threads set the gauge.
        broker.serve_until(|broker| folded(broker).count == READINGS);
    });
    gauge(&WIDE, -1);
    broker.serve_until(|broker| folded(broker).count > READINGS);
    let all = folded(&broker);
    assert_eq!((all.count, all.min, all.max), (READINGS + 1, -1.0, (READINGS - 1) as f64));
    assert_eq!((all.last, all.sum), (-1.0, (READINGS * (READINGS - 1) / 2) as f64 - 1.0));
    drop(guard);
}

/// The values of idle gauges in the batches from this one on, and the number of readings.
fn repeated(broker: &Broker, from: usize) -> (Vec<f64>, u64) {
    let (mut idle, mut readings) = (Vec::new(), 0);
    for body in &broker.bodies[from..] {
        for entry in BatchReader::new(body).unwrap().entries().map(Result::unwrap) {
            match entry.value {
                Value::Gauge(gauge) if gauge.is_idle() => idle.push(gauge.last),
                Value::Gauge(gauge) => readings += gauge.count,
                Value::GaugeReadings(kept) => readings += kept.count() as u64,
                other => panic!("{other:?}"),
            }
        }
    }
    (idle, readings)
}

#[test]
fn a_gauge_is_repeated_while_nobody_sets_it() {
    static IDLE: Site = Site::new(Shape::Gauge, at("idle"));
    static EACH: Site = Site::new(Shape::Each, at("idle.each"));
    static RUNNING: Site = Site::new(Shape::InFlight, at("idle.in_flight"));
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let often = |broker: &Broker| broker.builder().repeat_gauges(Duration::from_millis(20));
    let guard = often(&broker).install().unwrap();
    gauge(&IDLE, 7);
    gauge(&EACH, 8);
    drop(in_flight(&RUNNING));
    guard.handle().gauge("info", "idle.named").set(9);
    let has_all = |broker: &Broker| {
        let idle = repeated(broker, 0).0;
        let times = |value| idle.iter().filter(|idle| **idle == value).count();
        [0.0, 7.0, 8.0, 9.0].map(times).iter().all(|times| *times >= 3)
    };
    broker.serve_until(has_all);
    // The call was in flight, and then it was not.
    assert_eq!(repeated(&broker, 0).1, 5);
    gauge(&IDLE, 5);
    broker.serve_until(|broker| repeated(broker, 0).0.contains(&5.0));
    let stats = guard.handle().stats();
    assert!(stats.balances() && stats.recorded == 6, "{stats:?}");
    drop(guard);
    // The next installation knows nothing of them.
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = often(&broker).install().unwrap();
    guard.handle().gauge("info", "idle.later").set(1);
    let times = |broker: &Broker| repeated(broker, 0).0.len();
    broker.serve_until(|broker| times(broker) >= 3);
    assert!(repeated(&broker, 0).0.iter().all(|idle| *idle == 1.0));
    drop(guard);
}

#[test]
fn a_flush_repeats_nothing() {
    static IDLE: Site = Site::new(Shape::Gauge, at("idle.flush"));
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).repeat_gauges(Duration::from_millis(1)).install().unwrap();
    for value in [3, 4] {
        gauge(&IDLE, value);
        flushed(&guard.handle(), &mut broker, |name, value| {
            assert!(name == "idle.flush" && matches!(value, Value::Gauge(g) if g.count == 1));
        });
    }
}

#[test]
fn a_burst_of_calls_is_seen_after_its_end() {
    static BURST: Site = Site::new(Shape::InFlight, at("burst"));
    const CALLS: usize = 50;
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).install().unwrap();
    let all_run = Barrier::new(CALLS);
    thread::scope(|scope| {
        for _ in 0..CALLS {
            scope.spawn(|| {
                let _running = in_flight(&BURST);
                all_run.wait();
            });
        }
    });
    flushed(&guard.handle(), &mut broker, |_, value| {
        let Value::Gauge(gauge) = value else { panic!("{value:?}") };
        assert_eq!((gauge.last, gauge.max, gauge.count), (0.0, CALLS as f64, 2));
    });
    let stats = guard.handle().stats();
    assert!(stats.balances(), "{stats:?}");
}

#[test]
fn installations_end_with_every_reading_while_threads_set_a_gauge() {
    static BUSY: Site = Site::new(Shape::Gauge, at("busy"));
    installations_end_while_threads_record(
        || gauge(&BUSY, 1),
        |value| {
            let Value::Gauge(gauge) = value else { panic!("{value:?}") };
            assert_eq!((gauge.last, gauge.min, gauge.max), (1.0, 1.0, 1.0));
            assert_eq!(gauge.sum, gauge.count as f64);
            gauge.count
        },
    );
}

#[test]
fn every_reading_is_kept_up_to_a_limit_and_none_is_lost() {
    static EACH: Site = Site::new(Shape::Each, at("each"));
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).install().unwrap();
    (0..shared::MAX_KEPT + 5).for_each(|n| gauge(&EACH, n));
    let (mut kept, mut folded) = (Vec::new(), 0);
    flushed(&guard.handle(), &mut broker, |_, value| match value {
        Value::GaugeReadings(readings) => kept.extend(readings.map(|(_, value)| value)),
        Value::Gauge(gauge) => folded += gauge.count,
        other => panic!("{other:?}"),
    });
    assert_eq!(kept, (0..shared::MAX_KEPT).map(|n| n as f64).collect::<Vec<_>>());
    assert_eq!(folded, 5);
}

#[test]
fn what_is_running_goes_up_and_comes_down() {
    static RUNNING: Site = Site::new(Shape::InFlight, at("running"));
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).install().unwrap();
    let first = in_flight(&RUNNING);
    let second = thread::scope(|scope| scope.spawn(|| in_flight(&RUNNING)).join().unwrap());
    flushed(&guard.handle(), &mut broker, |_, value| {
        let Value::Gauge(gauge) = value else { panic!("{value:?}") };
        assert_eq!((gauge.last, gauge.count), (2.0, 1));
    });
    drop(first);
    drop(guard);
    drop(second);
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).install().unwrap();
    let _third = in_flight(&RUNNING);
    flushed(&guard.handle(), &mut broker, |_, value| {
        let Value::Gauge(gauge) = value else { panic!("{value:?}") };
        assert_eq!(gauge.last, 1.0);
    });
}

#[test]
fn a_capture_sees_what_is_running() {
    static RUNNING: Site = Site::new(Shape::InFlight, at("captured"));
    let capture = testing::capture();
    let first = in_flight(&RUNNING);
    drop(in_flight(&RUNNING));
    drop(first);
    assert_eq!(capture.gauge("info", "captured"), [1.0, 2.0, 1.0, 0.0]);
}

#[test]
fn a_capture_does_not_see_what_is_running_in_another() {
    static RUNNING: Site = Site::new(Shape::InFlight, at("captured.twice"));
    let capture = testing::capture();
    let running = in_flight(&RUNNING);
    let elsewhere = || {
        let capture = testing::capture();
        drop(in_flight(&RUNNING));
        capture.gauge("info", "captured.twice")
    };
    let seen = thread::scope(|scope| scope.spawn(elsewhere).join().unwrap());
    assert_eq!(seen, [1.0, 0.0]);
    drop(running);
    assert_eq!(capture.gauge("info", "captured.twice"), [1.0, 0.0]);
}

#[test]
fn a_sampled_timer_counts_every_call() {
    static SAMPLED: Site = Site::new(Shape::Sampled(10), at("sampled"));
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).install().unwrap();
    (0..1234).for_each(|_| drop(time(&SAMPLED)));
    assert_eq!(guard.handle().stats().recorded, 1234);
    flushed(&guard.handle(), &mut broker, |_, value| {
        let count = match value {
            Value::Timer(summary) => {
                let buckets: u64 = summary.buckets().map(|(_, count)| count).sum();
                assert_eq!(buckets, summary.count);
                summary.count
            }
            Value::TimerReadings(readings) => readings.count() as u64,
            other => panic!("{other:?}"),
        };
        assert_eq!(count, 1234);
    });
}

#[test]
fn a_sampled_timer_counts_calls_that_end_while_it_is_not_known_who_wants_them() {
    static SAMPLED: Site = Site::new(Shape::Sampled(10), at("sampled.meanwhile"));
    let _place = place();
    let broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).install().unwrap();
    let capture_elsewhere =
        || thread::scope(|scope| scope.spawn(|| drop(testing::capture())).join().unwrap());
    for _ in 0..20 {
        drop(time(&SAMPLED));
        let timer = time(&SAMPLED);
        // From here on call sites ask again, whether or not there is a capture elsewhere.
        capture_elsewhere();
        drop(timer);
    }
    let (begin, end) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _capture = testing::capture();
            begin.wait();
            end.wait();
        });
        begin.wait();
        (0..20).for_each(|_| drop(time(&SAMPLED)));
        end.wait();
    });
    assert_eq!(guard.handle().stats().recorded, 60);
}

#[test]
fn beyond_the_memory_for_cells_threads_share_one() {
    static SHARED: Site = Site::new(Shape::Counter, at("shared"));
    static SHARED_TIME: Site = Site::new(Shape::Timer, at("shared.time"));
    let _place = place();
    let broker = Broker::new(Acknowledges::Nothing);
    let builder = rarely(&broker).max_memory(0);
    let guard = builder.install().unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                (0..1000).for_each(|_| {
                    crate::__private::count(&SHARED, 1);
                    drop(time(&SHARED_TIME));
                });
            });
        }
    });
    assert_eq!(guard.handle().stats().recorded, 16_000);
    drop(broker.builder().build().unwrap());
}
