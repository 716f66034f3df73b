//! What a failed test says about what was recorded.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod panics;

use panics::panic_of;
use std::time::{Duration, Instant};
use zibrato::testing::{
    Capture, assert_counted, assert_gauge, assert_histogram, assert_timed, capture, capture_process,
};
use zibrato::{CountMe, Kind, count, gauge, histogram, time};

/// A capture of a program that answers requests.
fn requests() -> Capture {
    let capture = capture();
    for status in [200, 200, 404] {
        count!("info", "http.requests", tags(method = "GET", status = status));
    }
    count!("warn", "http.refused", 0.5, source = "web-1");
    gauge!("info", "http.open", 3);
    gauge!("info", "http.open", 1);
    drop(time!("info", "db.query"));
    capture
}

const ATTACHED: &str = "Only threads that are attached to the capture are captured: see \
                        `Capture::attach`, `Capture::in_task` and `capture_process`.";

#[test]
fn a_misspelt_name_fails_with_what_was_recorded_and_the_nearest_name_first() {
    let capture = requests();
    assert_eq!(
        panic_of(|| capture.counter("info", "http.request")),
        format!(
            "counter `http.request` at level `info` was not recorded; did you mean \
             `http.requests`?\n\
             recorded, the nearest name first:\n  \
             counter info http.requests method=GET,status=200: 2 (2 readings)\n  \
             counter info http.requests method=GET,status=404: 1 (1 reading)\n  \
             counter warn http.refused source web-1: 0.5 (1 reading)\n  \
             gauge info http.open: 3, 1 (2 readings)\n  \
             timer info db.query: 1 reading\n\
             {ATTACHED}"
        )
    );
}

#[test]
fn what_was_recorded_instead_is_named() {
    let capture = requests();
    let first = |message: String| message.lines().next().unwrap().to_owned();
    let name = "http.requests";
    for (message, expected) in [
        (panic_of(|| capture.timer("info", "db.querry")), "; did you mean `db.query`?"),
        (panic_of(|| capture.gauge("info", name)), ", but as a counter"),
        (panic_of(|| capture.counter("warn", name)), ", but at level `info`"),
        (
            panic_of(|| capture.tagged("status", 405).counter("info", name)),
            ", but with another `status`; did you mean `status=404`?",
        ),
        (
            panic_of(|| capture.tagged("status", "none").counter("info", name)),
            ", but with another `status`",
        ),
        (
            panic_of(|| capture.tagged("method", "GET").tagged("state", 200).counter("info", name)),
            ", but without a tag `state`; did you mean `status`?",
        ),
        (
            panic_of(|| capture.tagged("region", "eu").counter("info", name)),
            ", but without a tag `region`",
        ),
        (
            panic_of(|| {
                count!("info", name, tags(method = "POST", status = 201));
                capture.tagged("method", "POST").tagged("status", 404).counter("info", name)
            }),
            ", but with other tags",
        ),
        (panic_of(|| capture.counter("info", "zzz")), " was not recorded"),
        (panic_of(|| capture.counter("", "")), " was not recorded"),
    ] {
        assert!(first(message.clone()).ends_with(expected), "{message}");
    }
    let message = panic_of(|| capture.tagged("status", 500).tagged("a", 'b').gauge("x", name));
    let text = "gauge `http.requests` with status=500,a=b at level `x` was not recorded";
    assert!(message.starts_with(text), "{message}");
    let nothing = zibrato::testing::capture();
    let text = "counter `a` at level `b` was not recorded; nothing was recorded";
    assert_eq!(panic_of(|| nothing.counter("b", "a")), format!("{text}\n{ATTACHED}"));
    let message = panic_of(|| capture_process().counter("info", "of.process"));
    assert!(!message.contains("Only threads"), "{message}");
}

#[test]
fn a_kind_is_looked_up_apart_from_others_of_its_name() {
    let capture = requests();
    assert!(capture.has("info", "http.open") && capture.has_kind(Kind::Gauge, "info", "http.open"));
    assert!(!capture.has_kind(Kind::Counter, "info", "http.open"));
    assert!(!capture.has_kind(Kind::Gauge, "warn", "http.open"));
    assert!(capture.tagged("status", 200).has_kind(Kind::Counter, "info", "http.requests"));
    assert!(!capture.tagged("status", 500).has_kind(Kind::Counter, "info", "http.requests"));
}

#[test]
fn a_long_list_is_cut() {
    let capture = capture();
    for number in 0..50 {
        drop(CountMe::new("info", &format!("many.{number:02}")));
        gauge!("info", "deep", number);
    }
    let message = panic_of(|| capture.counter("info", "many.x"));
    assert_eq!(message.matches("\n  counter").count(), 40, "{message}");
    assert!(message.contains("\n  and 11 more\n"), "{message}");
    let message = panic_of(|| capture.counter("info", "deep"));
    let text = "\n  gauge info deep: …, 42, 43, 44, 45, 46, 47, 48, 49 (50 readings)\n";
    assert!(message.contains(text), "{message}");
}

#[test]
fn a_name_that_is_missing_among_many_readings_is_reported_soon() {
    let capture = capture();
    let name = "n".repeat(200);
    for number in 0..200_000 {
        drop(CountMe::new("info", &name));
        if number % 2 == 0 {
            gauge!("info", "other", number);
        }
    }
    let begun = Instant::now();
    let message = panic_of(|| capture.counter("info", &name.replacen('n', "m", 1)));
    // Comparing the names of each reading instead of each name takes minutes.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let text =
        format!("\n  counter info {name}: 200000 (200000 readings)\n  gauge info other: …, ");
    assert!(message.contains(&text), "{message}");
    assert!(message.contains(&format!("; did you mean `{name}`?\n")), "{message}");
    let message = panic_of(|| assert_counted!(capture, &name, 1));
    assert!(message.contains(": expected 1, got 200000\n"), "{message}");
}

#[test]
fn assertions_that_hold_say_nothing() {
    let capture = requests();
    assert_counted!(capture, "http.requests", 3);
    assert_counted!(&capture, "http.requests", tags(status = "200"), 2_u64);
    assert_counted!(capture, "http.requests", tags("status" = 404, method = "GET",), 1,);
    assert_counted!(capture, "http.refused", 0.5);
    assert_counted!(capture, "http.refused", level = "warn", 0.5);
    assert_counted!(capture, "http.refused", level = "info", 0);
    assert_counted!(capture, "http.requests", level = "info", tags(status = 200), 2);
    assert_counted!(capture, "nothing", tags(), 0);
    assert_gauge!(capture, "http.open", 1);
    assert_gauge!(capture, "http.open", level = "info", tags(), 1.0);
    assert_timed!(capture, "db.query", 1);
    assert_timed!(capture, "db.query", level = "debug", 0);
    histogram!("info", "size", 512, tags(route = "/"), unit = "bytes");
    histogram!("info", "size", 0.5, tags(route = "/cart"), unit = "bytes");
    assert_histogram!(capture, "size", [512.0, 0.5]);
    assert_histogram!(capture, "size", level = "info", tags(route = "/"), vec![512_u64]);
    assert_histogram!(capture, "sizes", [0; 0]);
    count!("info", "raw", tags(r#type = "a"));
    assert_counted!(capture, "raw", tags(r#type = "a"), 1);
}

#[test]
fn an_assertion_that_fails_shows_the_difference_and_all_of_that_name() {
    let capture = requests();
    let listed = "recorded as `http.requests`:\n  \
                  counter info http.requests method=GET,status=200: 2 (2 readings)\n  \
                  counter info http.requests method=GET,status=404: 1 (1 reading)";
    assert_eq!(
        panic_of(|| assert_counted!(capture, "http.requests", tags(status = "200"), 1)),
        format!("counter `http.requests` with status=200: expected 1, got 2\n{listed}")
    );
    assert_eq!(
        panic_of(|| assert_counted!(capture, "http.requests", level = "info", 2)),
        format!("counter `http.requests` at level `info`: expected 2, got 3\n{listed}")
    );
    assert_eq!(
        panic_of(|| assert_gauge!(capture, "http.open", 3)),
        "gauge `http.open`: expected 3, got 1\nrecorded as `http.open`:\n  \
         gauge info http.open: 3, 1 (2 readings)"
    );
    assert_eq!(
        panic_of(|| assert_timed!(capture, "db.query", 2)),
        "timer `db.query`: expected 2, got 1\nrecorded as `db.query`:\n  \
         timer info db.query: 1 reading"
    );
    histogram!("info", "size", 512);
    assert_eq!(
        panic_of(|| assert_histogram!(capture, "size", [512, 1])),
        "histogram `size`: expected [512, 1], got [512]\nrecorded as `size`:\n  \
         histogram info size: 1 reading"
    );
    (0..20).for_each(|size| histogram!("info", "many", size));
    let message = panic_of(|| assert_histogram!(capture, "many", [0, 1, 3]));
    let text = "expected [0, 1, 3], got […, 2, 3, 4, 5, 6, 7, 8, 9, …]";
    assert!(message.contains(text), "{message}");
    let message = panic_of(|| assert_timed!(capture, "db.quary", 1));
    let text = "timer `db.quary` was not recorded; did you mean `db.query`?\nrecorded, the nearest";
    assert!(message.starts_with(text), "{message}");
    let message = panic_of(|| assert_counted!(capture, "http.open", 1));
    assert!(message.starts_with("counter `http.open` was not recorded, but as a gauge"));
}

#[test]
fn an_assertion_fails_where_it_is_written() {
    let capture = capture();
    let hook = std::panic::take_hook();
    let places = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&places);
    let this = std::thread::current().id();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == this {
            let place = panic.location().unwrap();
            seen.lock().unwrap().push((place.file().to_owned(), place.line()));
        }
    }));
    let line = line!();
    panic_of(|| assert_counted!(capture, "a", 1));
    panic_of(|| capture.counter("info", "a"));
    panic_of(|| capture.tagged("t", 1).timer("info", "a"));
    std::panic::set_hook(hook);
    let expected = [1, 2, 3].map(|below| (file!().to_owned(), line + below));
    assert_eq!(*places.lock().unwrap(), expected);
}
