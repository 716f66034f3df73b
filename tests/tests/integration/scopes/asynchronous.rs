//! Futures: polled by hand, to the end or not.

use super::super::shapes::{block_on, once_pending};
use super::seen::{lines, poll, survive};
use std::pin::pin;
use std::time::{Duration, Instant};
use zibrato::testing::capture;
use zibrato::{count_me, time_me};

#[time_me(name = "f", outcomes, polls)]
async fn fetch(key: &str) -> Result<usize, String> {
    once_pending().await;
    assert_ne!(key, "panic");
    if key.is_empty() {
        return Err(String::from("no key"));
    }
    Ok(key.len())
}

#[test]
fn a_future_is_polled_and_ends_like_a_call() {
    for (key, outcome) in [("key", "ok"), ("", "err"), ("panic", "panic")] {
        let capture = capture();
        survive(|| block_on(fetch(key)));
        let expected = [
            String::from("info counter f.polls{} 1"),
            String::from("info counter f.polls{} 1"),
            format!("info timer f{{outcome={outcome}}}"),
        ];
        assert_eq!(lines(&capture), expected, "{key}");
    }
}

#[test]
fn a_future_that_is_dropped_before_it_is_done_is_cancelled() {
    let capture = capture();
    {
        let mut future = pin!(fetch("key"));
        assert!(poll(future.as_mut()).is_pending());
    }
    let expected = ["info counter f.polls{} 1", "info timer f{outcome=cancelled}"];
    assert_eq!(lines(&capture), expected);
}

#[test]
fn a_future_that_is_dropped_by_another_panic_is_cancelled() {
    let capture = capture();
    survive(|| {
        let mut future = pin!(fetch("key"));
        assert!(poll(future.as_mut()).is_pending());
        panic!("elsewhere");
    });
    assert_eq!(lines(&capture)[1], "info timer f{outcome=cancelled}");
}

#[test]
fn a_future_that_is_never_polled_records_nothing() {
    let capture = capture();
    drop(fetch("key"));
    assert_eq!(lines(&capture), [""; 0]);
}

#[time_me(name = "busy", busy, slow("100ms"))]
#[time_me(name = "wall", slow("100ms"))]
async fn idle() {
    once_pending().await;
}

#[test]
fn busy_time_excludes_waiting() {
    let capture = capture();
    let mut future = pin!(idle());
    assert!(poll(future.as_mut()).is_pending());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(100) {
        std::thread::yield_now();
    }
    assert!(poll(future.as_mut()).is_ready());
    assert!(capture.timer("info", "busy")[0] < 0.1);
    assert!(capture.timer("info", "wall")[0] >= 0.1);
    assert!(!capture.has("warn", "busy"));
    assert_eq!(capture.timer("warn", "wall").len(), 1);
}

#[time_me(name = "busy", busy)]
async fn panics_at_last() {
    once_pending().await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(20) {
        std::thread::yield_now();
    }
    panic!("at last");
}

#[test]
fn busy_time_includes_a_poll_that_panics() {
    let capture = capture();
    survive(|| block_on(panics_at_last()));
    assert!(capture.timer("info", "busy")[0] >= 0.02);
}

#[count_me(name = "p", polls, level = "debug")]
async fn forever() -> ! {
    loop {
        once_pending().await;
    }
}

#[count_me(name = "n", cancelled(level = "warn"))]
async fn never() -> ! {
    forever().await
}

#[test]
fn polls_of_an_endless_future_are_counted() {
    let capture = capture();
    {
        let mut future = pin!(never());
        assert!(poll(future.as_mut()).is_pending());
        assert!(poll(future.as_mut()).is_pending());
    }
    let expected = [
        "debug counter p{} 1",
        "debug counter p.polls{} 1",
        "debug counter p.polls{} 1",
        "warn counter n{outcome=cancelled} 1",
    ];
    assert_eq!(lines(&capture), expected);
}
