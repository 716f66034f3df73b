//! The HTTP pages report the state of the broker.

use crate::harness::{ANNA, Bench, DEADLINE, batch};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;
use zibrato_broker::{Broker, Config, End, StartError};

pub(crate) fn get(bench: &Bench, path: &str) -> String {
    get_from(bench.broker.http_addr().unwrap(), path)
}

pub(crate) fn get_from(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: broker\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn bench() -> Bench {
    Bench::with(Config::new().http(Some("127.0.0.1:0".parse().unwrap())))
}

#[test]
fn health_readiness_and_hints_are_served() {
    let bench = bench();
    assert!(get(&bench, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(&bench, "/readyz").starts_with("HTTP/1.1 200"));
    let hint = get(&bench, "/");
    assert!(hint.starts_with("HTTP/1.1 404") && hint.contains("/metrics"), "{hint}");
}

#[test]
fn metrics_follow_what_happens() {
    let bench = bench();
    let _lines = bench.subscribe(&["info|", "zb1|"]);
    bench.push().send("info|c|n|1|1|s\nbad", 0).unwrap();
    bench.until("it is counted", || {
        let counters = bench.broker.counters();
        counters.dropped.total() == 1 && counters.peers[2].open() == 1
    });
    let page = get(&bench, "/metrics");
    for sample in [
        "zibrato_broker_lines_total{intake=\"zmq\"} 1",
        "zibrato_broker_dropped_total{reason=\"fields\"} 1",
        "zibrato_broker_wanted_level{level=\"*\"} 1",
        "zibrato_broker_wanted_level{level=\"info\"} 1",
        "zibrato_broker_published_total{form=\"line\"} 1",
        "zibrato_broker_peers{socket=\"publish\"} 1",
    ] {
        assert!(page.lines().any(|line| line == sample), "{sample}\n{page}");
    }
}

#[test]
fn a_broker_that_stops_is_alive_and_not_ready() {
    let http = Some("127.0.0.1:0".parse().unwrap());
    let bench = Bench::with(Config::new().http(http).linger(DEADLINE));
    // Somebody who does not read keeps it from ending at once.
    let slow = bench.subscribe(&["zb1|info|"]);
    let push = bench.push();
    for sequence in 1..=400 {
        let mut frames = batch("info", ANNA, sequence);
        frames[2] = vec![0; 100_000];
        push.send_multipart(frames, 0).unwrap();
    }
    bench.until("all are taken", || bench.broker.counters().batches() == 400);
    let address = bench.broker.http_addr().unwrap();
    let Bench { broker, context: _context } = bench;
    let stopping = std::thread::Builder::new().spawn(move || broker.stop(DEADLINE)).unwrap();
    let begun = Instant::now();
    while !get_from(address, "/readyz").starts_with("HTTP/1.1 503") {
        assert!(begun.elapsed() < DEADLINE, "ready to the end");
    }
    assert!(get_from(address, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get_from(address, "/readyz").contains("stopping"));
    drop(slow);
    assert_eq!(stopping.join().unwrap().end, End::Clean);
}

#[test]
fn ports_that_are_taken_are_named() {
    let bench = bench();
    let taken = Broker::start(Config::new().port(bench.broker.port()));
    let Err(error @ StartError::PortInUse { .. }) = taken else { panic!("{taken:?}") };
    assert!(error.to_string().contains(&format!("port {}", bench.broker.port())), "{error}");
    let taken = Broker::start(Config::new().port(0).http(bench.broker.http_addr()));
    let Err(error @ StartError::Http(_)) = taken else { panic!("{taken:?}") };
    assert!(error.to_string().contains("--http off"), "{error}");
}

#[test]
fn the_publishing_port_is_named_when_only_that_is_taken() {
    let bench = bench();
    // The broker's publishing port is the other one's base port.
    let before = bench.broker.port().checked_sub(1).unwrap();
    let taken = Broker::start(Config::new().port(before));
    // Whoever holds `before`, the error names a port that is really taken.
    let Err(error @ StartError::PortInUse { port, .. }) = taken else { panic!("{taken:?}") };
    assert!([before, before + 1].contains(&port), "{port}");
    let place = format!("port {port} (the one after --port {before}) on 127.0.0.1 is in use");
    assert!(port == before || error.to_string().starts_with(&place), "{error}");
}
