//! The names and values that packets of StatsD get in Carbon, beside those of bucky: the packets go
//! to a broker, and through a worker for each set of names into a real Carbon.
//!
//! `statsd_names.jsonl` has a case per line: the packets of two windows of ten seconds, and the lines
//! that bucky 2.3.0 sent for them with three configurations. A case with `zibrato` differs by design,
//! for the `reason`.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::time::Duration;
use zibrato::clock::unix_ms;
use zibrato_tests::{Broker, Carbon, DEADLINE, Ports, Signal, wait_until};

const CASES: &str = include_str!("statsd_names.jsonl");

/// Each set of recorded lines, and the flags that give the same.
const SETS: [(&str, &[&str]); 3] = [
    ("legacy", &["--names", "statsd-legacy"]),
    ("new", &["--names", "statsd"]),
    (
        "affixes",
        &[
            "--names",
            "statsd",
            "--statsd-prefixes",
            "global=st,counter=",
            "--prefix",
            "apps.eu",
            "--replace-char",
            "_",
            "--postfix",
            "v2",
        ],
    ),
];

/// Length of a window, in milliseconds.
const WINDOW: u64 = 10_000;

/// Time from the beginning of a window in which its packets are sent.
const SENDING: std::ops::Range<u64> = 500..4_000;

/// Names and values.
type Lines = BTreeMap<String, f64>;

fn cases() -> Vec<Value> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn lines(value: &Value) -> Lines {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), number(value))).collect()
}

/// The packets of a window.
fn packets(case: &Value, window: usize) -> impl Iterator<Item = &str> {
    case["packets"][window].as_array().unwrap().iter().map(|packet| packet.as_str().unwrap())
}

/// The lines that a case has in a window.
fn wanted(case: &Value, set: &str, window: usize) -> Lines {
    if case.get("zibrato").is_some() {
        return lines(&case["zibrato"][set][window]);
    }
    let mut lines = lines(&case[set][window]);
    if packets(case, window).next().is_none() {
        // Only gauges have lines in a window without samples; bucky sends 0 for all others.
        let is_zero = |name: &str, value: f64| name.contains(".gauges.") || value == 0.0;
        assert!(lines.iter().all(|(name, value)| is_zero(name, *value)), "{case}");
        lines.retain(|name, _| name.contains(".gauges."));
    }
    lines
}

/// Adds the number of series.
fn with_number(mut lines: Lines, set: &str) -> Lines {
    let name = if set == "affixes" { "apps_eu.st.numStats.v2" } else { "stats.numStats" };
    let is_first = |name: &&String| {
        let bare = name.strip_suffix(".v2").unwrap_or(name);
        let is_counter = match set {
            "legacy" => bare.starts_with("stats_counts."),
            _ => bare.ends_with(".rate"),
        };
        is_counter
            || bare.ends_with(".count_ps")
            || [".gauges.", ".sets."].iter().any(|part| bare.contains(part))
    };
    let number = lines.keys().filter(is_first).count();
    lines.insert(name.to_owned(), number as f64);
    lines
}

/// Whether the values are equal. bucky writes 12 digits.
fn is_equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= a.abs() * 1e-11
}

/// What differs, for a message.
fn differences(wanted: &Lines, found: &Lines) -> Vec<String> {
    let names: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
    let shown = names.into_iter().filter_map(|name| {
        let pair = (wanted.get(name), found.get(name));
        let same = matches!(pair, (Some(a), Some(b)) if is_equal(*a, *b));
        (!same).then(|| format!("{name}: {pair:?}"))
    });
    shown.collect()
}

/// Waits until packets may be sent, and returns the beginning of the window in Unix seconds.
fn window_after(last: u64) -> u64 {
    let start = || unix_ms() / WINDOW * WINDOW;
    wait_until(DEADLINE, "the beginning of a window", || {
        start() > last * 1_000 && SENDING.contains(&(unix_ms() % WINDOW))
    });
    start() / 1_000
}

#[test]
fn packets_get_the_names_and_values_of_bucky() {
    let ports = Ports::take();
    let address = format!("127.0.0.1:{}", ports.at(0));
    let broker = Broker::start_with(&["--statsd", &address, "--statsd-level", "statsd"]);
    let mut running: Vec<_> = SETS
        .iter()
        .map(|(set, flags)| {
            let carbon = Carbon::start();
            let to = format!("127.0.0.1:{}", carbon.port());
            let own = ["--levels", "statsd", "--flush", "10", "--carbon", &to, "--name", set];
            let mut worker = broker.worker("zibrato-carbon", &[&own, *flags].concat());
            worker.says(&["event=\"started\""]);
            (*set, carbon, worker)
        })
        .collect();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let cases = cases();
    let mut windows = [0; 2];
    for window in 0..2 {
        windows[window] = window_after(windows[0]);
        for packet in cases.iter().flat_map(|case| packets(case, window)) {
            sender.send_to(packet.as_bytes(), &address).unwrap();
        }
        let phase = unix_ms() - windows[window] * 1_000;
        assert!(phase < WINDOW * 9 / 10, "the packets were sent at {phase} ms");
    }
    assert_eq!(windows[1], windows[0] + WINDOW / 1_000, "the second window is not the next");
    for (set, carbon, _) in &running {
        for (window, start) in windows.into_iter().enumerate() {
            let wanted = cases.iter().flat_map(|case| wanted(case, set, window)).collect();
            let wanted = with_number(wanted, set);
            let found = || -> Lines {
                let all = carbon.fetch_all().into_iter();
                let at =
                    |points: Vec<(u64, f64)>| points.into_iter().find(|(time, _)| *time == start);
                all.filter_map(|(name, points)| Some((name, at(points)?.1))).collect()
            };
            let mut last = Vec::new();
            let deadline = std::time::Instant::now() + DEADLINE;
            while std::time::Instant::now() < deadline {
                last = differences(&wanted, &found());
                if last.is_empty() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            assert!(last.is_empty(), "{set}, window {window}: {last:#?}");
        }
    }
    for (_, _, worker) in &mut running {
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    }
}

#[test]
fn each_difference_by_design_has_a_reason_and_is_one() {
    let (by_design, equal): (Vec<_>, Vec<_>) =
        cases().into_iter().partition(|case| case.get("zibrato").is_some());
    assert!(equal.len() > 30, "{}", equal.len());
    for case in by_design {
        assert!(case["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{case}");
        for (set, _) in SETS {
            let differs = (0..2).any(|window| {
                let bucky = lines(&case[set][window]);
                !differences(&bucky, &lines(&case["zibrato"][set][window])).is_empty()
            });
            assert!(differs, "{case}");
        }
    }
}
