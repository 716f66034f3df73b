//! From the journal to a backend, with kills, rejections and outages: nothing is lost, and repeats
//! have the same key.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use zibrato::Zibrato;
use zibrato_tests::fake::{FakeLibrato, Reply};
use zibrato_tests::{Broker, DEADLINE, Running, Signal, program, wait_for, wait_until};

const KILLS: u64 = 4;

/// The flags of a worker for the fake, with its state in a folder.
fn flags(librato: &FakeLibrato, state: &Path) -> Vec<String> {
    let letters = state.join("letters").display().to_string();
    ["--flush", "1", "--username", FakeLibrato::USERNAME, "--apitoken", FakeLibrato::APITOKEN]
        .iter()
        .map(|flag| (*flag).to_owned())
        .chain(["--api-url".to_owned(), librato.url()])
        .chain(["--dead-letters".to_owned(), letters])
        .collect()
}

fn worker(broker: &Broker, flags: &[String]) -> Running {
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    broker.worker("zibrato-librato", &flags)
}

fn publisher(broker: &Broker) -> Zibrato {
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    builder.interval(Duration::from_millis(50)).build().unwrap()
}

/// The sum of accepted payloads, each counted once by its key. Fails if one key had two bodies.
fn taken(librato: &FakeLibrato, refused: usize) -> f64 {
    let mut bodies: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for request in librato.requests().into_iter().skip(refused) {
        let key = request.header("idempotency-key").unwrap().to_owned();
        let before = bodies.insert(key.clone(), request.body.clone());
        assert!(before.is_none_or(|before| before == request.body), "{key}");
    }
    let bodies = bodies.values().map(|body| serde_json::from_slice(body).unwrap());
    let gauges =
        bodies.flat_map(|body: serde_json::Value| body["gauges"].as_array().unwrap().clone());
    gauges
        .filter(|gauge| gauge["name"] == "logins")
        .map(|gauge| gauge["value"].as_f64().unwrap())
        .sum()
}

#[test]
fn a_worker_that_is_killed_repeatedly_loses_nothing_and_repeats_keys() {
    let (librato, broker, state) =
        (FakeLibrato::start().unwrap(), Broker::start(), tempfile::tempdir().unwrap());
    let flags = flags(&librato, state.path());
    let mut running = worker(&broker, &flags);
    let z = publisher(&broker);
    let mut made = 0;
    for kill in 1..=KILLS {
        let requests = librato.requests().len();
        wait_until(DEADLINE, "a window", || {
            z.count("info", "logins", 1);
            made += 1;
            librato.requests().len() > requests
        });
        // Each time at another moment of a window.
        std::thread::park_timeout(Duration::from_millis(kill * 170 % 1000));
        running.stop(Signal::KILL);
        running = worker(&broker, &flags);
    }
    assert_eq!(z.flush(DEADLINE).pending, 0);
    wait_until(DEADLINE, "the rest", || taken(&librato, 0) == made as f64);
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
    assert_eq!(taken(&librato, 0), made as f64);
}

#[test]
fn measurements_published_while_a_worker_is_stopped_are_delivered() {
    let (librato, mut broker, state) =
        (FakeLibrato::start().unwrap(), Broker::start(), tempfile::tempdir().unwrap());
    let mut flags = flags(&librato, state.path());
    let port = broker.worker_http_port();
    flags.extend(["--http".to_owned(), format!("127.0.0.1:{port}")]);
    let mut running = worker(&broker, &flags);
    let z = publisher(&broker);
    z.count("info", "logins", 1);
    wait_until(DEADLINE, "the first window", || taken(&librato, 0) == 1.0);
    z.count("info", "logins", 10);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    wait_until(DEADLINE, "the next window to begin", || {
        Broker::page_at(port, "/metrics").contains("\nzibrato_worker_entries_total 2\n")
    });
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
    running.says(&["event=\"kept\"", "after its next start"]);
    z.count("info", "logins", 100);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    broker.stop(Signal::KILL);
    broker.restart();
    let mut running = worker(&broker, &flags);
    z.count("info", "logins", 1_000);
    wait_until(DEADLINE, "everything", || taken(&librato, 0) == 1_111.0);
    // The broker stops again in the middle of a window, and the worker continues at its position.
    z.count("info", "logins", 10_000);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    broker.stop(Signal::KILL);
    broker.restart();
    z.count("info", "logins", 100_000);
    wait_until(DEADLINE, "everything", || taken(&librato, 0) == 111_111.0);
    wait_until(DEADLINE, "it to be committed", || {
        Broker::page_at(port, "/metrics").contains("\nzibrato_worker_lag_offsets 0\n")
    });
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
    assert_eq!(taken(&librato, 0), 111_111.0);
    // Nothing is kept, so nothing is said about it.
    assert!(!running.log().contains("event=\"kept\""), "{}", running.log());
}

#[test]
fn every_window_is_delivered_after_an_outage_of_the_backend_and_the_pages_report_it() {
    let (librato, broker, state) =
        (FakeLibrato::start().unwrap(), Broker::start(), tempfile::tempdir().unwrap());
    let mut flags = flags(&librato, state.path());
    let port = broker.worker_http_port();
    flags.extend(["--http".to_owned(), format!("127.0.0.1:{port}")]);
    let mut running = worker(&broker, &flags);
    running.listens(port);
    wait_until(DEADLINE, "a worker that is ready", || {
        Broker::page_at(port, "/readyz").contains("ready, ")
    });
    librato.answer_always(Some(Reply::status(503)));
    let z = publisher(&broker);
    let mut made = 0;
    wait_until(DEADLINE, "a worker that is not ready", || {
        z.count("info", "logins", 1);
        made += 1;
        let page = Broker::page_at(port, "/readyz");
        // The page also says what happens to undelivered windows.
        let said = ["the backend has accepted nothing for", "; the broker's journal holds the "];
        page.starts_with("HTTP/1.1 503") && said.iter().all(|part| page.contains(part))
    });
    assert!(Broker::page_at(port, "/healthz").starts_with("HTTP/1.1 200"));
    assert_eq!(z.flush(DEADLINE).pending, 0);
    librato.answer_always(None);
    wait_until(DEADLINE, "everything", || {
        let gauges = librato.gauges();
        let sums = gauges.values().flat_map(|times| times.values()).map(|total| total.sum);
        sums.sum::<f64>() == made as f64
    });
    wait_until(DEADLINE, "the metrics", || {
        let page = Broker::page_at(port, "/metrics");
        ["zibrato_worker_replaying 1", "zibrato_worker_lag_seconds 0", "zibrato_worker_ready 1"]
            .iter()
            .all(|line| page.lines().any(|one| one == *line))
    });
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn dead_letters_are_listed_sent_and_dropped() {
    let (librato, broker, state) =
        (FakeLibrato::start().unwrap(), Broker::start(), tempfile::tempdir().unwrap());
    let flags = flags(&librato, state.path());
    let mut running = worker(&broker, &flags);
    let z = publisher(&broker);
    for _ in 0..2 {
        let requests = librato.requests().len();
        librato.answer_with(Reply::status(400).body(r#"{"errors":{"request":["not today"]}}"#));
        z.count("info", "logins", 7);
        wait_until(DEADLINE, "a refusal", || librato.requests().len() > requests);
    }
    running.says(&["event=\"rejected\"", "names=\"logins (web-1)\"", "not today"]);
    running.says(&["event=\"dead_letter\""]);
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
    let deadletter = |args: &[&str]| {
        let mut command = Command::new(program("zibrato-librato"));
        Running::run(command.arg("deadletter").args(args).args(&flags))
    };
    let (status, list, _) = deadletter(&["list"]);
    assert_eq!(status.code(), Some(0));
    assert!(list.contains("  logins (web-1)\n") && list.contains("not today"), "{list}");
    assert!(list.contains("\n2 dead letters in "), "{list}");
    librato.answer_with(Reply::status(503));
    let (status, said, log) = deadletter(&["send", "--all"]);
    assert_eq!(status.code(), Some(74), "{said}{log}");
    assert!(said.contains(": accepted") && said.contains(": kept: try again: Librato"), "{said}");
    assert!(log.contains("1 of 2 were not accepted"), "{log}");
    let gauges = librato.gauges();
    let sums = gauges[&("web-1".to_owned(), "logins".to_owned())].values();
    assert_eq!(sums.map(|total| total.sum).sum::<f64>(), 7.0);
    let (status, said, _) = deadletter(&["drop", "--all"]);
    assert!(status.code() == Some(0) && said.ends_with(": dropped\n"), "{said}");
    assert!(deadletter(&["list"]).1.starts_with("no dead letters in "));
    assert_eq!(deadletter(&["send"]).0.code(), Some(64));
}

#[test]
fn a_second_worker_with_the_same_name_is_refused_and_names_the_first() {
    let (librato, broker, state) =
        (FakeLibrato::start().unwrap(), Broker::start(), tempfile::tempdir().unwrap());
    let flags = flags(&librato, state.path());
    let mut first = worker(&broker, &flags);
    first.says(&["event=\"broker_connected\""]);
    let begun = Instant::now();
    let mut second = worker(&broker, &flags);
    assert_eq!(second.ended().code(), Some(69));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let words = second.says(&["zibrato-librato: ", "--name"]);
    assert!(words.contains(&format!("process {}", first.id())), "{words}");
    assert!(first.log().contains("event=\"started\"") && !second.log().contains("started"));
    // A worker that starts right after one that was killed gets the name.
    let z = publisher(&broker);
    first.stop(Signal::KILL);
    let begun = Instant::now();
    let mut third = worker(&broker, &flags);
    z.count("info", "logins", 1);
    wait_until(DEADLINE, "a window", || !librato.gauges().is_empty());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(third.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn broker_and_worker_report_start_work_and_stop_to_systemd() {
    let state = tempfile::tempdir().unwrap();
    let librato = FakeLibrato::start().unwrap();
    let broker = Broker::start();
    let log_of = |name: &str, args: &[String]| {
        let path = state.path().join(name);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut command = Command::new(program(name));
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000").args(args);
        let mut running = Running::start(&mut command);
        let hear = |what: &str| {
            wait_for(DEADLINE, what, || {
                let mut bytes = [0; 500];
                let read = socket.recv(&mut bytes).unwrap();
                String::from_utf8_lossy(&bytes[..read]).contains(what).then_some(())
            });
        };
        for what in ["READY=1", "WATCHDOG=1", "STATUS=", "WATCHDOG=1"] {
            hear(what);
        }
        running.signal(Signal::TERM);
        hear("STOPPING=1");
        assert_eq!(running.ended().code(), Some(0));
    };
    let mut args = flags(&librato, state.path());
    args.extend(["--port".to_owned(), broker.publishing_port().to_string()]);
    log_of("zibrato-librato", &args);
    let journal = state.path().join("journal").display().to_string();
    let args = ["--port", "0", "--http", "off", "--journal", &journal, "--journal-min-free", "0"];
    log_of("zibrato-broker", &args.map(str::to_owned));
}
