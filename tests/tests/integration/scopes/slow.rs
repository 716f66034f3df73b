//! Slow calls are recorded a second time.

use super::seen::{lines, survive};
use std::time::{Duration, Instant};
use zibrato::testing::capture;
use zibrato::time_me;

fn spend(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[time_me(name = "q", slow("50ms"))]
fn query(ms: u64) -> u64 {
    spend(Duration::from_millis(ms));
    assert_ne!(ms, 53);
    ms
}

#[time_me(name = "q", level = "debug", err, slow("50ms", level = "error"))]
fn fallible(ms: u64) -> Result<(), ()> {
    spend(Duration::from_millis(ms));
    Err(())
}

#[test]
fn a_slow_call_is_recorded_once_more_with_the_same_time() {
    let capture = capture();
    query(0);
    query(50);
    survive(|| query(53));
    let (call, slow) = ("info timer q{}", "warn timer q{slow=50ms}");
    assert_eq!(lines(&capture), [call, call, slow, call, slow]);
    assert_eq!(capture.timer("info", "q")[1..], capture.timer("warn", "q"));
}

#[test]
fn a_slow_call_has_an_outcome_besides() {
    let capture = capture();
    fallible(0).unwrap_err();
    fallible(50).unwrap_err();
    let (call, slow) = ("debug timer q{outcome=err}", "error timer q{slow=50ms}");
    assert_eq!(lines(&capture), [call, call, slow]);
}
