//! A subscriber that does not read loses messages, which are counted, and delays no others.

use crate::harness::{ANNA, Bench, DEADLINE, batch_with};
use std::time::Instant;
use zibrato_broker::Config;

#[test]
fn a_slow_subscriber_is_counted_and_harms_nobody() {
    let bench = Bench::with(Config::new().high_water(10));
    let slow = bench.subscribe(&["zb1|info|"]);
    slow.socket.set_rcvhwm(1).unwrap();
    let fast = bench.subscribe(&["zb1|info|"]);
    let push = bench.push();
    let filler = "x".repeat(200);
    let mut sequence = 0;
    let begun = Instant::now();
    // The system's buffers must be full before the broker's queue is.
    while bench.broker.counters().subscriber_drops.is_empty() {
        assert!(begun.elapsed() < DEADLINE, "never full: {:?}", bench.broker.counters());
        sequence += 1;
        let frames = batch_with("info", ANNA, sequence, |batch| {
            for n in 0..500 {
                batch.counter(&format!("{filler}{n}"), &[], 1.0);
            }
        });
        push.send_multipart(frames, 0).unwrap();
        // The fast subscriber misses nothing.
        let seen = fast.next().expect("the fast one is served");
        assert_eq!(seen.counters().len(), 500, "batch {sequence}");
    }
    assert_eq!(bench.broker.counters().subscriber_drops.keys().collect::<Vec<_>>(), ["info"]);
    // Other levels, and other subscribers, go on.
    let other = bench.subscribe(&["warn|"]);
    push.send("warn|c|n|1|1|s", 0).unwrap();
    assert_eq!(other.lines(1), ["warn|c|n|1|1|s"]);
    drop(slow);
    bench.until("the slow one is gone", || bench.broker.counters().peers[2].open() == 2);
}
