//! A server that forks: each worker measures under its own identity.

use super::{Stage, requests};
use std::collections::BTreeSet;
use zibrato_tests::{Ports, Received, Running, Signal};

const WORKERS: usize = 3;

/// The connections that were accepted, and those that were answered, of all workers.
fn sums(received: &Received) -> (f64, f64) {
    let counts = received.counts();
    let sum = |name: &str| {
        let of_name = counts.iter().filter(|(series, _)| series.starts_with(name));
        of_name.map(|(_, count)| count).sum()
    };
    (sum("info prefork.requests "), sum("info prefork.answer "))
}

#[test]
fn a_worker_finishes_and_measures_its_request_before_it_ends() {
    let (mut stage, ports) = (Stage::set(), Ports::take());
    let port = ports.at(0);
    let mut command = stage.recipe("prefork-server");
    let mut server = Running::start(command.arg(format!("127.0.0.1:{port}")));
    server.listens(port);
    let stream = requests::connect(port);
    stage.waits_for("the connection to be accepted", |received| sums(received).0 == 2.0);
    server.signal(Signal::TERM);
    assert_eq!(requests::request(stream, "/"), (200, "ok\n".to_owned()));
    assert_eq!(server.ended().code(), Some(0));
    let received = stage.received();
    assert_eq!(received.counts()["info prefork.answer outcome=ok"], 2.0);
}

#[test]
fn each_worker_measures_under_its_own_identity() {
    let (stage, ports) = (Stage::set(), Ports::take());
    let port = ports.at(0);
    let mut command = stage.recipe("prefork-server");
    let mut server = Running::start(command.arg(format!("127.0.0.1:{port}")));
    server.listens(port);
    // A worker that has accepted a connection waits for its request, so the last request is answered
    // by the last worker. Connections are accepted in the order in which they were made.
    let mut waiting: Vec<_> = (0..WORKERS).map(|_| requests::connect(port)).collect();
    while let Some(stream) = waiting.pop() {
        assert_eq!(requests::request(stream, "/"), (200, "ok\n".to_owned()));
    }
    requests::send(port, &[("/", "", 200, 60)]);
    assert_eq!(server.stop(Signal::TERM).code(), Some(0));

    let received = stage.received();
    // `listens` has connected once.
    let connections = (1 + WORKERS + 60) as f64;
    assert_eq!(sums(&received), (connections, connections));
    let of_workers = (0..WORKERS).map(|worker| {
        let publishers = &received.publishers[&format!("info prefork.requests worker={worker}")];
        assert_eq!(publishers.len(), 1);
        publishers.first().unwrap()
    });
    assert_eq!(of_workers.collect::<BTreeSet<_>>().len(), WORKERS);
}
