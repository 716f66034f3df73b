//! Wanted levels: which levels the instrument measures for the lists of the broker.

use super::{Acknowledges, Broker, SOON, finish};
use crate::sdk::collection::demand::GRACE;
use crate::wire::WantedLevels;
use std::time::{Duration, Instant};

#[test]
fn hostile_control_messages_are_ignored() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().build().unwrap();
    z.count("info", "n", 1);
    broker.serve_until(|broker| broker.sum("info", "n", "not_specified") == 1.0);
    for frames in [&["zb!levels"][..], &["zb!levels", "\u{91}x"], &["zb!levels", "a", "b"]] {
        broker.publish.send_multipart(frames, 0).unwrap();
    }
    z.count("info", "n", 1);
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, broker.sum("info", "n", "not_specified")), (2, 2.0));
}

#[test]
fn a_level_is_measured_while_somebody_wants_it() {
    let broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().flush_deadline(Duration::ZERO).build().unwrap();
    let counter = z.counter("debug", "n");
    let say = |levels: &[&str]| {
        let levels = levels.iter().map(|level| level.parse().unwrap()).collect();
        let body = WantedLevels { levels, ..WantedLevels::default() }.encode();
        broker.publish.send_multipart(["zb!levels".as_bytes(), &body], 0).unwrap();
    };
    let recorded = || {
        let before = z.stats().recorded;
        counter.increment(1);
        z.count("debug", "by name", 1);
        z.stats().recorded - before
    };
    let until = |wanted: u64, levels: &[&str]| {
        let begun = Instant::now();
        while recorded() != wanted {
            assert!(begun.elapsed() < SOON + GRACE, "{wanted} of {levels:?}");
            say(levels);
            std::thread::sleep(Duration::from_millis(10));
        }
        begun.elapsed()
    };
    assert_eq!(recorded(), 2, "nothing is known yet");
    until(0, &["info"]);
    assert!(until(2, &["info", "debug"]) < GRACE);
    until(0, &["info"]);
}

#[test]
fn whoever_wants_to_know_is_told_what_became_of_all_readings() {
    for heeds_demand in [true, false] {
        let mut broker = Broker::new(Acknowledges::Everything);
        let z = broker.builder().demand(heeds_demand).build().unwrap();
        let body = WantedLevels { all: true, ..WantedLevels::default() }.encode();
        let begun = Instant::now();
        while broker.sum("zibrato", "zibrato.sdk.delivered", "not_specified") < 1.0 {
            // And not only after the grace time, in which everything is measured.
            assert!(begun.elapsed() < GRACE, "{heeds_demand} {:?}", broker.sums);
            broker.publish.send_multipart(["zb!levels".as_bytes(), &body], 0).unwrap();
            z.count("info", "n", 1);
            let messages = broker.messages;
            broker.serve_until(|broker| broker.messages > messages);
        }
        let stats = finish(z, &mut broker);
        assert_eq!(stats.recorded, stats.delivered);
        assert_eq!(broker.sum("info", "n", "not_specified"), stats.recorded as f64);
    }
}
