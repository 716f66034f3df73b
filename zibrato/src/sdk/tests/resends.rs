//! Batches that are not acknowledged, and dead connections.

use super::{Acknowledges, Broker, SOON, finish};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn an_unacknowledged_batch_is_sent_again_and_counted_once() {
    let mut broker = Broker::new(Acknowledges::OnlyRepeats);
    let z = broker.builder().build().unwrap();
    z.count("info", "n", 3);
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, broker.sum("info", "n", "not_specified")), (1, 3.0));
}

#[test]
fn a_broker_that_lags_is_not_flooded_with_repeats() {
    let mut broker = Broker::new(Acknowledges::NothingYet);
    let begun = Instant::now();
    let z = broker.builder().build().unwrap();
    z.count("info", "n", 1);
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| z.flush(SOON));
        broker.serve_until(|_| begun.elapsed() >= Duration::from_secs(1));
        // After 0.1 s, after another 0.2 s, after another 0.4 s …
        let least = Duration::from_millis(100) * (2_u32.pow(broker.messages - 1) - 1);
        assert!(least <= begun.elapsed(), "{} in {:?}", broker.messages, begun.elapsed());
        broker.acknowledges = Acknowledges::Everything;
        broker.serve_until(|_| flush.is_finished());
    });
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, broker.sum("info", "n", "not_specified")), (1, 1.0));
}

#[test]
fn what_no_broker_acknowledges_is_kept_until_one_does() {
    let mut broker = Broker::new(Acknowledges::Nothing);
    let z = broker.builder().build().unwrap();
    z.count("info", "n", 1);
    broker.serve_until(|broker| broker.sum("info", "n", "not_specified") == 1.0);
    z.count("info", "n", 1);
    // Longer than it takes until a silent broker counts as disconnected.
    let begun = Instant::now();
    broker.serve_until(|_| {
        begun.elapsed() > crate::sdk::collection::ledger::SILENCE + Duration::from_secs(1)
    });
    let stats = z.stats();
    assert_eq!((stats.delivered, stats.unconfirmed, stats.pending), (0, 0, 2));
    assert!(!stats.connected);
    broker.acknowledges = Acknowledges::Everything;
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, stats.unconfirmed, stats.pending), (2, 0, 0));
    assert_eq!(broker.sum("info", "n", "not_specified"), 2.0);
}

#[test]
fn a_start_into_a_connection_that_is_dead_costs_nothing() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let (port, control_port) = broker.ports();
    let ((port, push_dead), (control_port, control_dead)) =
        (go_between(port), go_between(control_port));
    for dead in [push_dead, control_dead] {
        dead.store(true, Ordering::Relaxed);
    }
    let z = broker.builder().port(port).control_port(control_port).build().unwrap();
    z.count("info", "n", 1);
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, stats.unconfirmed), (1, 0));
}

#[test]
fn a_connection_that_went_dead_without_a_word_is_made_anew() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let (_, control_port) = broker.ports();
    let (between, dead) = go_between(control_port);
    let z = broker.builder().control_port(between).build().unwrap();
    z.count("info", "n", 1);
    broker.serve_until(|_| z.stats().delivered == 1);
    dead.store(true, Ordering::Relaxed);
    z.count("info", "n", 1);
    broker.serve_until(|_| z.stats().delivered == 2);
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, broker.sum("info", "n", "not_specified")), (2, 2.0));
}

/// A port that forwards to another port. When the returned flag is true, the first connection
/// through it is dead: it stays open, but nothing passes.
fn go_between(to: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, dead) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
    let first_is_dead = Arc::clone(&dead);
    let accept = move || {
        for (n, near) in listener.incoming().map(Result::unwrap).enumerate() {
            let far = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let ways = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
            for (mut from, mut to) in ways {
                let dead = (n == 0).then(|| Arc::clone(&first_is_dead));
                let pass = move || {
                    let mut bytes = [0; 4096];
                    while let Ok(read @ 1..) = from.read(&mut bytes) {
                        let dead = dead.as_ref().is_some_and(|dead| dead.load(Ordering::Relaxed));
                        if !dead && to.write_all(&bytes[..read]).is_err() {
                            break;
                        }
                    }
                };
                std::thread::Builder::new().spawn(pass).unwrap();
            }
        }
    };
    std::thread::Builder::new().spawn(accept).unwrap();
    (port, dead)
}
