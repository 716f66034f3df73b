//! Annotations: from call sites and handles to the broker, and the account of them.

use super::{Acknowledges, Broker, at, finish, installations_end_while_threads_record, place};
use crate::sdk::points::annotations::MAX_WAITING;
use crate::sdk::points::draft::{annotates, draft};
use crate::sdk::{Shape, Site};
use crate::wire::{BatchReader, Value};
use crate::{Annotation, Loss, Zibrato};
use std::time::Duration;

fn titled(title: &str) -> Annotation {
    Annotation::new("deploys", title, 5).unwrap()
}

/// The titles of the annotations in these batches, with their sources.
fn titles(bodies: &[Vec<u8>]) -> Vec<String> {
    let mut all = Vec::new();
    for batch in bodies.iter().map(|body| BatchReader::new(body).unwrap()) {
        for entry in batch.entries().map(Result::unwrap) {
            if let Value::Annotation(annotation) = entry.value {
                all.push(format!("{} {}", batch.source(), annotation.title()));
            }
        }
    }
    all
}

#[test]
fn annotations_arrive_in_order_beside_counters() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().source("web-1").build().unwrap();
    z.annotate("info", titled("a"));
    z.count("info", "n", 1);
    z.with_source("web-2").unwrap().annotate("info", titled("b"));
    z.annotate("info", titled("c"));
    let stats = finish(z, &mut broker);
    assert_eq!((stats.recorded, stats.delivered, stats.total_lost()), (4, 4, 0), "{stats:?}");
    let mut titles = titles(&broker.bodies);
    titles.sort();
    assert_eq!(titles, ["web-1 a", "web-1 c", "web-2 b"]);
}

#[test]
fn annotations_wait_for_the_broker_and_what_does_not_fit_is_counted() {
    let mut broker = Broker::new(Acknowledges::Nothing);
    let z = broker.builder().interval(Duration::from_secs(3600)).build().unwrap();
    (0..MAX_WAITING + 7).for_each(|n| z.annotate("info", titled(&n.to_string())));
    z.annotate("in|fo", titled("x"));
    let waiting = z.stats();
    assert!(waiting.balances(), "{waiting:?}");
    assert_eq!(waiting.pending, MAX_WAITING as u64);
    assert_eq!(waiting.lost[&Loss::TooManyAnnotations], 7);
    assert_eq!(waiting.lost[&Loss::Name], 1);
    broker.acknowledges = Acknowledges::Everything;
    let stats = finish(z, &mut broker);
    assert!(stats.balances(), "{stats:?}");
    assert_eq!((stats.delivered, stats.pending), (MAX_WAITING as u64, 0));
    let expected: Vec<_> = (0..MAX_WAITING).map(|n| format!("not_specified {n}")).collect();
    assert_eq!(titles(&broker.bodies), expected);
}

#[test]
fn annotations_of_a_level_with_a_batch_in_flight_are_in_the_next_one() {
    let mut broker = Broker::new(Acknowledges::NothingYet);
    let z = broker.builder().build().unwrap();
    z.annotate("info", titled("first"));
    broker.serve_until(|broker| !broker.bodies.is_empty());
    z.annotate("info", titled("second"));
    z.annotate("warn", titled("other"));
    broker.serve_until(|broker| broker.bodies.len() > 1);
    assert_eq!(titles(&broker.bodies), ["not_specified first", "not_specified other"]);
    assert_eq!(z.stats().pending, 3);
    broker.acknowledges = Acknowledges::Everything;
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, stats.recorded), (3, 3), "{stats:?}");
    assert_eq!(titles(&broker.bodies).len(), 3);
}

#[test]
fn annotations_that_are_not_sent_in_time_are_accounted_for() {
    let _place = place();
    let broker = Broker::new(Acknowledges::Nothing);
    let guard = broker.builder().flush_deadline(Duration::ZERO).install().unwrap();
    let handle = guard.handle();
    handle.annotate("info", titled("a"));
    let stats = guard.shutdown();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!((stats.recorded, stats.delivered, stats.pending), (1, 0, 0), "{stats:?}");
    handle.annotate("info", titled("b"));
    assert_eq!(handle.stats().recorded, 1, "measuring has ended");
}

#[test]
fn installations_end_while_threads_annotate() {
    static SITE: Site = Site::new(Shape::Counter, at("deploys"));
    installations_end_while_threads_record(
        || {
            // Without a pause, more annotations than may wait would be made in an interval.
            let has_room = |z: Zibrato| z.stats().pending < MAX_WAITING as u64 / 2;
            if annotates(&SITE) && crate::installed().is_some_and(has_room) {
                draft(&SITE, format_args!("live"), None, None, &[]).record();
            }
        },
        |value| {
            assert!(matches!(value, Value::Annotation(_)), "{value:?}");
            1
        },
    );
}
