//! Backends that reject: a bad series does not affect others, and rejected payloads are kept or
//! held.

use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zibrato::Zibrato;
use zibrato_tests::fake::{FakeLibrato, FakeSlack, Reply};
use zibrato_tests::{Broker, DEADLINE, FailingDisk, Running, Signal, program, wait_until};

fn librato_flags(librato: &FakeLibrato, letters: &Path) -> Vec<String> {
    let (url, letters) = (librato.url(), letters.display().to_string());
    ["--username", FakeLibrato::USERNAME, "--apitoken", FakeLibrato::APITOKEN]
        .into_iter()
        .chain(["--api-url", &url, "--dead-letters", &letters, "--flush", "1"])
        .map(str::to_owned)
        .collect()
}

fn worker(broker: &Broker, program: &str, flags: &[String]) -> Running {
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let mut worker = broker.worker(program, &flags);
    worker.says(&["event=\"broker_connected\""]);
    worker
}

fn publisher(broker: &Broker) -> Zibrato {
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    builder.interval(Duration::from_millis(50)).build().unwrap()
}

/// Counts series in one window: `good` valid ones, and invalid ones between them.
fn count(z: &Zibrato, good: usize, bad: &[usize]) {
    for n in 0..good {
        if bad.contains(&n) {
            z.count("info", &format!("bad.{n}"), 1);
        }
        z.count("info", &format!("n{n:03}"), 1);
    }
    assert_eq!(z.flush(DEADLINE).pending, 0);
}

/// The dead letters in a folder, as text.
fn letters(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let letters = paths.filter(|path| path.extension().is_some_and(|ending| ending == "dead"));
    letters.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

fn delivered(librato: &FakeLibrato) -> f64 {
    let gauges = librato.gauges();
    gauges.values().flat_map(|times| times.values()).map(|total| total.sum).sum()
}

#[test]
fn only_bad_series_become_dead_letters() {
    for in_part in [false, true] {
        let (librato, broker) = (FakeLibrato::start().unwrap(), Broker::start());
        let state = tempfile::tempdir().unwrap();
        librato.refuse_names_with("bad", in_part);
        let mut running =
            worker(&broker, "zibrato-librato", &librato_flags(&librato, state.path()));
        let z = publisher(&broker);
        count(&z, 350, &[0, 17, 18, 349]);
        wait_until(DEADLINE, "everything that is good", || delivered(&librato) == 350.0);
        let bodies = || -> String {
            let letters = letters(state.path());
            letters.iter().map(|letter| letter.split_once("\n\n").unwrap().1).collect()
        };
        wait_until(DEADLINE, "the letters", || bodies().matches("\"bad.").count() == 4);
        assert!(!bodies().contains("\"n0"), "{}", bodies());
        // A window may have ended in between; nothing is sent twice, and few requests are made.
        assert_eq!(delivered(&librato), 350.0);
        let requests = librato.requests();
        assert!(requests.len() <= 4 * 2 * 9 + 4, "{}", requests.len());
        let mut keys: Vec<_> =
            requests.iter().map(|request| request.header("idempotency-key").unwrap()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), requests.len(), "each part has a key of its own");
        assert_eq!(running.stop(Signal::TERM).code(), Some(0));
        running.says(&["event=\"rejected\""]);
    }
}

#[test]
fn a_backend_that_rejects_everything_costs_few_requests_and_one_letter_per_window() {
    let (librato, broker) = (FakeLibrato::start().unwrap(), Broker::start());
    let state = tempfile::tempdir().unwrap();
    librato.answer_always(Some(Reply::status(422)));
    let mut running = worker(&broker, "zibrato-librato", &librato_flags(&librato, state.path()));
    count(&publisher(&broker), 100, &[]);
    let names = || -> usize {
        letters(state.path()).iter().map(|letter| letter.matches("\"name\"").count()).sum()
    };
    wait_until(DEADLINE, "the letters", || names() == 100);
    let (requests, letters) = (librato.requests().len(), letters(state.path()).len());
    assert!(letters <= 2 && requests <= letters * 29, "{requests} for {letters}");
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn a_series_that_slack_rejects_does_not_affect_others() {
    let (slack, broker) = (FakeSlack::start().unwrap(), Broker::start());
    let state = tempfile::tempdir().unwrap();
    slack.refuse_blocks_with("*bad.3*");
    let letters_folder = state.path().display().to_string();
    let hook = slack.webhook_url();
    let flags = ["--webhook-url", &hook, "--dead-letters", &letters_folder, "--flush", "1"];
    let flags: Vec<_> = flags.iter().chain(&["--pace", "0"]).map(|f| (*f).to_owned()).collect();
    let mut running = worker(&broker, "zibrato-slack", &flags);
    count(&publisher(&broker), 20, &[3]);
    let shown = || {
        let messages = slack.messages();
        let blocks: String = messages.iter().map(|message| message.blocks.to_string()).collect();
        (0..20).filter(|n| blocks.contains(&format!("*n{n:03}*"))).count()
    };
    wait_until(DEADLINE, "all that is good", || shown() == 20);
    wait_until(DEADLINE, "the letter", || letters(state.path()).len() == 1);
    let letter = letters(state.path()).remove(0);
    assert!(letter.contains("*bad.3*") && !letter.contains("*n0"), "{letter}");
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn while_dead_letters_cannot_be_written_the_window_is_held_and_the_pages_report_it() {
    let (librato, broker) = (FakeLibrato::start().unwrap(), Broker::start());
    let state = tempfile::tempdir().unwrap();
    let (disk, port) = (FailingDisk::new(state.path()), broker.worker_http_port());
    let mut command = std::process::Command::new(program("zibrato-librato"));
    command.args(librato_flags(&librato, &state.path().join("letters")));
    command.args(["--port", &broker.publishing_port().to_string()]);
    command.args(["--http", &format!("127.0.0.1:{port}")]);
    disk.hold(&mut command);
    disk.fail(Errno::ROFS);
    let mut running = Running::start(&mut command);
    running.says(&["event=\"broker_connected\""]);
    // This is reported before there is a dead letter.
    running.says(&["event=\"dead_letters_unwritable\"", "letters"]);
    wait_until(DEADLINE, "a page that says so", || {
        let page = Broker::page_at(port, "/readyz");
        page.starts_with("HTTP/1.1 503") && page.contains("dead letters cannot be kept")
    });
    librato.refuse_names_with("bad", false);
    let z = publisher(&broker);
    count(&z, 10, &[3]);
    wait_until(DEADLINE, "the rest of the window", || delivered(&librato) == 10.0);
    count(&z, 10, &[]);
    disk.mend();
    running.says(&["event=\"dead_letters_writable\""]);
    wait_until(DEADLINE, "the next window", || delivered(&librato) == 20.0);
    assert_eq!(letters(&state.path().join("letters")).len(), 1);
    let metrics = Broker::page_at(port, "/metrics");
    assert!(metrics.contains("zibrato_worker_series_total{outcome=\"lost\"} 0"), "{metrics}");
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
}

/// The names of the series that a Carbon has accepted.
type Names = Arc<Mutex<BTreeSet<String>>>;

/// A Carbon behind a proxy that resets a connection because of a line with `bad` in it: the first
/// time late, after the worker has continued, and then immediately.
fn picky_carbon() -> (SocketAddr, Names) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, names) = (listener.local_addr().unwrap(), Names::default());
    let (taken, was_reset) = (Arc::clone(&names), Arc::new(Mutex::new(false)));
    let serve = move |stream: TcpStream| {
        for line in BufReader::new(&stream).lines().map_while(Result::ok) {
            if line.contains("bad") {
                let mut was_reset = was_reset.lock().unwrap();
                if !std::mem::replace(&mut *was_reset, true) {
                    std::thread::park_timeout(Duration::from_millis(300));
                }
                set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
                return;
            }
            taken.lock().unwrap().extend(line.split(' ').next().map(str::to_owned));
        }
    };
    let accept = move || {
        while let Ok((stream, _)) = listener.accept() {
            let serve = serve.clone();
            std::thread::Builder::new().spawn(move || serve(stream)).unwrap();
        }
    };
    // The threads end with the process.
    std::thread::Builder::new().spawn(accept).unwrap();
    (address, names)
}

#[test]
fn a_line_that_causes_late_resets_affects_no_other_and_nothing_is_committed() {
    let ((carbon, taken), broker) = (picky_carbon(), Broker::start());
    let (state, port) = (tempfile::tempdir().unwrap(), broker.worker_http_port());
    let flags = [
        ["--carbon", &carbon.to_string()],
        ["--http", &format!("127.0.0.1:{port}")],
        ["--dead-letters", &state.path().display().to_string()],
        ["--flush", "1"],
    ];
    let flags: Vec<_> = flags.concat().into_iter().map(str::to_owned).collect();
    let mut running = worker(&broker, "zibrato-carbon", &flags);
    let z = publisher(&broker);
    count(&z, 20, &[7]);
    let mut later = 0;
    wait_until(DEADLINE, "the letter", || {
        z.count("info", &format!("later{later:03}"), 1);
        later += 1;
        letters(state.path()).len() == 1
    });
    let letter = letters(state.path()).remove(0);
    assert!(letter.contains("web-1.bad.7 1 ") && !letter.contains(".n0"), "{letter}");
    let has_taken = |name: &str, n| taken.lock().unwrap().contains(&format!("web-1.{name}{n:03}"));
    wait_until(DEADLINE, "what was taken with it", || (0..20).all(|n| has_taken("n", n)));
    wait_until(DEADLINE, "what came later", || (0..later).all(|n| has_taken("later", n)));
    wait_until(DEADLINE, "a page that says so", || {
        let page = Broker::page_at(port, "/readyz");
        page.starts_with("HTTP/1.1 503") && page.contains("has reset the connection")
    });
    let metrics = Broker::page_at(port, "/metrics");
    for number in [
        "zibrato_worker_series_total{outcome=\"lost\"} 0",
        "zibrato_worker_series_total{outcome=\"rejected\"} 1",
        "zibrato_worker_windows_committed_total 0",
    ] {
        assert!(metrics.contains(number), "{metrics}");
    }
    running.says(&["WARN", "event=\"disconnected\"", "lost=true"]);
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
}
