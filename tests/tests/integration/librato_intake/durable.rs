//! What was answered with success is delivered, whatever happens to the broker and its disk.

use super::post::{Outcome, post};
use super::{Service, TOKEN, USER};
use rustix::io::Errno;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use zibrato_tests::{Carbon, DEADLINE, FailingDisk, Ports, Running, Signal, program, wait_until};

const REQUESTS: u64 = 10_000;
const THREADS: u64 = 8;
const KILLS: u64 = 5;

/// The requests of one thread.
#[derive(Debug, Default, Clone, Copy)]
struct Sent {
    succeeded: u64,
    in_doubt: u64,
}

#[test]
fn every_success_is_in_carbon_although_the_broker_is_killed() {
    let (mut carbon, mut service) = (Carbon::start(), Service::start(&[]));
    let mut worker = service.worker(&carbon);
    let answered = AtomicU64::new(0);
    let address = service.address();
    let sent: Vec<_> = std::thread::scope(|scope| {
        let (address, answered) = (&address, &answered);
        let threads: Vec<_> =
            (0..THREADS).map(|n| scope.spawn(move || send(address, n, answered))).collect();
        for kill in 1..=KILLS {
            let at = kill * REQUESTS / (KILLS + 1);
            wait_until(10 * DEADLINE, "requests", || answered.load(Ordering::Relaxed) >= at);
            service.broker.stop(Signal::KILL);
            service.broker.restart();
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let succeeded: u64 = sent.iter().map(|sent| sent.succeeded).sum();
    let in_doubt: u64 = sent.iter().map(|sent| sent.in_doubt).sum();
    println!("{REQUESTS} requests, {succeeded} succeeded, {in_doubt} without an answer");
    // The system accepts connections for a program that it is about to end.
    assert!(in_doubt <= 4 * THREADS * KILLS, "{in_doubt} requests without an answer");
    let counts = |carbon: &Carbon| -> Vec<u64> {
        let all = carbon.fetch_all();
        let sum = |metric: String| -> f64 {
            all.get(&metric).map_or(0.0, |points| points.iter().map(|(_, value)| value).sum())
        };
        let of = |n| sum(format!("killed.annotations.a{n}")) + sum(format!("killed.g{n}.count"));
        (0..THREADS).map(|n| of(n) as u64).collect()
    };
    wait_until(DEADLINE, "all that succeeded", || {
        counts(&carbon).iter().zip(&sent).all(|(count, sent)| *count >= sent.succeeded)
    });
    assert!(worker.stop(Signal::TERM).success());
    carbon.stop();
    for (count, Sent { succeeded, in_doubt }) in counts(&carbon).into_iter().zip(sent) {
        assert!(
            (succeeded..=succeeded + in_doubt).contains(&count),
            "{succeeded} {in_doubt} {count}"
        );
    }
}

/// Sends gauges and annotations in turn.
fn send(address: &str, thread: u64, answered: &AtomicU64) -> Sent {
    let gauge = format!(r#"{{"gauges":{{"g{thread}":{{"value":1}}}},"source":"killed"}}"#);
    let annotation = (format!("/v1/annotations/a{thread}"), r#"{"title":"t","source":"killed"}"#);
    let mut sent = Sent::default();
    let mut count = 0;
    while count < REQUESTS / THREADS {
        let outcome = if count % 2 == 0 {
            post(address, "/v1/metrics", &gauge)
        } else {
            post(address, &annotation.0, annotation.1)
        };
        match outcome {
            Outcome::Answered(200 | 201) => sent.succeeded += 1,
            Outcome::Answered(_) | Outcome::InDoubt => sent.in_doubt += 1,
            // The broker starts again.
            Outcome::NotSent => {
                std::thread::yield_now();
                continue;
            }
        }
        count += 1;
        answered.fetch_add(1, Ordering::Relaxed);
    }
    sent
}

#[test]
fn a_disk_that_fails_is_told_to_clients_and_they_succeed_when_it_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, ports) = (FailingDisk::new(folder.path()), Ports::take());
    let users = folder.path().join("users");
    std::fs::write(&users, format!("{USER}: {TOKEN}\n")).unwrap();
    let address = super::address(&ports);
    let mut command = Command::new(program("zibrato-broker"));
    command.args(["--port", "0", "--http", "off", "--journal-min-free", "0", "--settle", "0"]);
    command.args(["--keep-levels", "librato", "--librato", &address, "--librato-users"]);
    command.arg(&users).arg("--journal").arg(folder.path().join("journal"));
    disk.hold(&mut command);
    let mut broker = Running::start(&mut command);
    broker.says(&["listening"]);
    let ask = || post(&address, "/v1/metrics", r#"{"gauges":{"a":{"value":1}}}"#);
    assert_eq!(ask(), Outcome::Answered(200));
    disk.fail(Errno::IO);
    assert_eq!(ask(), Outcome::Answered(503));
    // Nothing more is taken, and nobody waits.
    assert_eq!(ask(), Outcome::Answered(503));
    disk.mend();
    wait_until(DEADLINE, "the disk to be used again", || ask() == Outcome::Answered(200));
    assert!(broker.stop(Signal::TERM).success());
}
