//! Handles for names known at run time.

use super::{Acknowledges, Broker, finish, installations_end_while_threads_record};
use crate::wire::Value;
use crate::{Loss, testing};
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn what_handles_measure_arrives_with_what_is_measured_by_name() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().source("web-1").build().unwrap();
    let (counter, gauge, timer) =
        (z.counter("info", "n"), z.gauge("info", "depth"), z.timer("info", "took"));
    let other = z.with_source("web-2").unwrap().counter("info", "n");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (counter, timer) = (counter.clone(), timer.clone());
            scope.spawn(move || {
                (0..1000).for_each(|_| {
                    counter.increment(1);
                    drop(timer.start());
                });
            });
        }
    });
    counter.increment(0.5);
    other.increment(7);
    z.count("info", "n", 3);
    gauge.set(17);
    timer.record(Duration::from_secs(2));
    timer.start().cancel();
    let stats = finish(z, &mut broker);
    assert_eq!((stats.recorded, stats.delivered), (8005, 8005));
    assert_eq!(broker.sum("info", "n", "web-1"), 4003.5);
    assert_eq!(broker.sum("info", "n", "web-2"), 7.0);
    assert_eq!(broker.sum("info", "depth", "web-1"), 17.0);
    assert_eq!(broker.sum("info", "took", "web-1"), 4001.0);
    // Its instrument has ended.
    counter.increment(1);
    assert_eq!(broker.sum("info", "n", "web-1"), 4003.5);
}

#[test]
fn a_handle_to_what_may_not_be_counts_its_losses() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().build().unwrap();
    let counter = z.counter("in|fo", "n");
    (0..3).for_each(|_| counter.increment(1));
    let timer = z.timer(&"x".repeat(65), "took");
    timer.record(Duration::from_secs(1));
    drop(timer.start());
    z.counter("info", "n").increment(f64::NAN);
    let stats = finish(z, &mut broker);
    assert!(stats.balances(), "{stats:?}");
    assert_eq!(stats.lost, BTreeMap::from([(Loss::Name, 5), (Loss::NotFinite, 1)]));
}

#[test]
fn a_name_or_tag_that_may_not_be_is_made_legal() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().build().unwrap();
    z.counter("info", "a|b").increment(2);
    z.count("info", "", 3);
    z.counter("info", "n").with("a|tag", "line\nbreak").with("empty", "").increment(4);
    let stats = finish(z, &mut broker);
    assert_eq!((stats.recorded, stats.delivered, stats.renamed), (3, 3, 4), "{stats:?}");
    assert_eq!(broker.sum("info", "a_b", "not_specified"), 2.0);
    assert_eq!(broker.sum("info", "_empty", "not_specified"), 3.0);
    assert_eq!(broker.sum("info", "n;a_tag=line_break;empty=_empty", "not_specified"), 4.0);
}

#[test]
fn a_handle_with_a_tag_measures_another_series() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().build().unwrap();
    let orders = z.counter("info", "orders");
    orders.increment(1);
    for tenant in ["acme", "initech", "acme"] {
        orders.with("tenant", tenant).with("status", 200).increment(10);
    }
    z.gauge("info", "depth").with("queue", 'q').set(7);
    z.timer("info", "took").with("tenant", "acme").record(Duration::from_secs(2));
    let stats = finish(z, &mut broker);
    assert_eq!((stats.recorded, stats.delivered), (6, 6));
    for (series, sum) in [
        ("orders", 1.0),
        ("orders;status=200;tenant=acme", 20.0),
        ("orders;status=200;tenant=initech", 10.0),
        ("depth;queue=q", 7.0),
        ("took;tenant=acme", 1.0),
    ] {
        assert_eq!(broker.sum("info", series, "not_specified"), sum, "{series}");
    }
}

#[test]
fn names_beyond_the_limit_are_measured_together_and_the_first_is_named() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().interval(Duration::from_secs(3600)).build().unwrap();
    (0..100_010).for_each(|n| z.count("info", &format!("name.{n}"), 1));
    z.counter("info", "one.more").increment(1);
    z.counter("info", "name.0").increment(1);
    let stats = finish(z, &mut broker);
    assert_eq!((stats.recorded, stats.delivered), (100_012, 100_012));
    assert_eq!(stats.overflowing.unwrap().as_str(), "name.100000");
    assert_eq!(broker.sum("info", "_overflow", "not_specified"), 11.0);
    assert_eq!(broker.sum("info", "name.0", "not_specified"), 2.0);
}

#[test]
fn a_capture_sees_what_handles_measure() {
    let broker = Broker::new(Acknowledges::Nothing);
    let z = broker.builder().flush_deadline(Duration::ZERO).build().unwrap();
    let (counter, gauge, timer) =
        (z.counter("info", "n"), z.gauge("info", "depth"), z.timer("info", "took"));
    let capture = testing::capture();
    counter.increment(2);
    gauge.set(3);
    timer.record(Duration::from_secs(4));
    drop(timer.start());
    assert_eq!(capture.counter("info", "n"), 2.0);
    assert_eq!(capture.gauge("info", "depth"), [3.0]);
    assert_eq!(capture.timer("info", "took").len(), 2);
    assert_eq!(z.stats().recorded, 0);
}

#[test]
fn a_point_that_nobody_has_any_more_is_given_to_the_next_who_wants_one() {
    let broker = Broker::new(Acknowledges::Nothing);
    for _ in 0..3 {
        let z = broker.builder().flush_deadline(Duration::ZERO).build().unwrap();
        let counter = z.counter("info", "n");
        counter.increment(1);
        assert_eq!(z.stats().recorded, 1, "and nothing of those before");
        drop(z);
        counter.increment(1);
    }
}

#[test]
fn installations_end_with_every_reading_while_threads_count_by_name() {
    installations_end_while_threads_record(
        || {
            if let Some(z) = crate::installed() {
                z.count("info", "busy", 1);
            }
        },
        |value| {
            let Value::Counter(sum) = value else { panic!("{value:?}") };
            sum as u64
        },
    );
}
