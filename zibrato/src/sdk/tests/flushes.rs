//! Flushes: each ends when the broker has acknowledged everything that was recorded before it.

use super::{Acknowledges, Broker, SOON, finish};
use std::time::{Duration, Instant};

#[test]
fn a_flush_does_not_wait_for_those_that_others_ask_for_later() {
    let mut broker = Broker::new(Acknowledges::NothingYet);
    // Nothing is sent except by a flush.
    let z = broker.builder().interval(Duration::from_secs(3600)).build().unwrap();
    z.count("info", "n", 1);
    std::thread::scope(|scope| {
        let begun = Instant::now();
        let flush = scope.spawn(|| z.flush(SOON));
        broker.serve_until(|broker| broker.messages == 1);
        z.count("info", "n", 1);
        assert_eq!(z.flush(Duration::from_millis(50)).pending, 2);
        // The first batch is acknowledged now, and no later one.
        broker.acknowledges = Acknowledges::OnlyRepeats;
        broker.serve_until(|broker| broker.messages > 1);
        assert!(flush.join().unwrap().delivered > 0);
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    });
    broker.acknowledges = Acknowledges::Everything;
    assert_eq!(finish(z, &mut broker).delivered, 2);
}

#[test]
fn flushes_come_one_after_the_other() {
    let mut broker = Broker::new(Acknowledges::Everything);
    // Nothing is sent except by a flush.
    let z = broker.builder().interval(Duration::from_secs(3600)).build().unwrap();
    std::thread::scope(|scope| {
        let flush = || {
            (0..20).for_each(|_| {
                z.count("info", "n", 1);
                z.flush(SOON);
            });
        };
        let flushes = [flush; 4].map(|flush| scope.spawn(flush));
        broker.serve_until(|_| flushes.iter().all(|flush| flush.is_finished()));
    });
    assert_eq!(z.stats().delivered, 80);
}

#[test]
fn a_flush_does_not_wait_long_for_a_batch_that_went_out_often() {
    let mut broker = Broker::new(Acknowledges::NothingYet);
    let z = broker.builder().build().unwrap();
    z.count("info", "n", 1);
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| z.flush(SOON));
        // After 0.1 s, 0.2 s, 0.4 s, and from then on every 0.8 s: the seventh comes after 3.1 s, and
        // would after 6.3 s if the wait still doubled.
        let begun = Instant::now();
        broker.serve_until(|broker| broker.messages == 7);
        assert!(begun.elapsed() < Duration::from_millis(6_200), "{:?}", begun.elapsed());
        broker.acknowledges = Acknowledges::Everything;
        broker.serve_until(|_| flush.is_finished());
    });
    assert_eq!(finish(z, &mut broker).delivered, 1);
}
