//! Intervals end at points that are one interval apart, however long the work in between takes.

use super::{Acknowledges, Broker, finish};
use crate::wire::BatchReader;
use std::time::Duration;

#[test]
fn intervals_do_not_drift() {
    const INTERVAL_MS: u64 = 40;
    const BATCHES: usize = 60;
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().interval(Duration::from_millis(INTERVAL_MS)).build().unwrap();
    // There are readings in each interval, and collecting them takes a while.
    let names: Vec<_> = (0..200).map(|n| format!("n{n}")).collect();
    broker.serve_until(|broker| {
        names.iter().for_each(|name| z.count("info", name, 1));
        broker.bodies.len() >= BATCHES
    });
    finish(z, &mut broker);
    let phases = broker.bodies.iter().take(BATCHES).map(|body| {
        let batch = BatchReader::new(body).unwrap();
        (batch.start_ms() + batch.length_ms()) % INTERVAL_MS
    });
    // A busy system sometimes wakes a thread late. If each interval were longer by a millisecond,
    // their ends would be spread evenly, and 12 ms of 40 would contain 30 % of them.
    let phases: Vec<_> = phases.collect();
    let near = |phase: u64| {
        let after = |other: &&u64| (**other + INTERVAL_MS - phase) % INTERVAL_MS < 12;
        phases.iter().filter(after).count()
    };
    let most = (0..INTERVAL_MS).map(near).max().unwrap_or(0);
    assert!(most >= BATCHES * 6 / 10, "{most} of {BATCHES}: {phases:?}");
}
