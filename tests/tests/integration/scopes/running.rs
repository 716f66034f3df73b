//! A gauge counts running calls and futures. It is global, so each function here belongs to one
//! test.

use super::super::shapes::once_pending;
use super::seen::{lines, poll, survive};
use zibrato::testing::{Capture, capture};
use zibrato::{count_me, time_me};

/// The readings of the gauge with that name, in order.
fn running(capture: &Capture, name: &str) -> Vec<f64> {
    capture.gauge("debug", &format!("{name}.in_flight"))
}

const NAME: &str = "flying";

#[time_me(name = NAME, in_flight, sample = 10, level = "debug")]
fn nested(n: u8) -> Option<u8> {
    let less = n.checked_sub(1)?;
    assert_ne!(less, 5);
    nested(less)
}

#[test]
fn a_gauge_shows_the_number_of_running_calls() {
    let capture = capture();
    nested(1);
    assert_eq!(running(&capture, "flying"), [1.0, 2.0, 1.0, 0.0]);
    survive(|| nested(7));
    assert_eq!(running(&capture, "flying")[4..], [1.0, 2.0, 1.0, 0.0]);
    assert_eq!(capture.timer("debug", "flying").len(), 4);
}

#[count_me(name = "plain", in_flight, level = "debug")]
fn plain(text: &str) -> Result<u8, std::num::ParseIntError> {
    if text == "early" {
        return Ok(0);
    }
    let number = text.parse()?;
    assert_ne!(number, 9);
    Ok(number)
}

#[test]
fn a_call_runs_until_it_ends_in_any_way() {
    for text in ["1", "early", "x", "9"] {
        let capture = capture();
        survive(|| plain(text));
        assert_eq!(running(&capture, "plain"), [1.0, 0.0], "{text}");
    }
}

#[count_me(name = "future", in_flight, err, level = "debug")]
async fn future(n: u8) -> Option<u8> {
    once_pending().await;
    n.checked_sub(1)
}

#[test]
fn a_future_runs_from_its_first_poll_until_it_is_done_or_dropped() {
    let capture = capture();
    let mut first = Box::pin(future(1));
    let mut second = Box::pin(future(0));
    assert!(!capture.has("debug", "future.in_flight"));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_ready());
    assert_eq!(running(&capture, "future"), [1.0, 2.0, 1.0]);
    drop(first);
    assert_eq!(running(&capture, "future"), [1.0, 2.0, 1.0, 0.0]);
    assert_eq!(capture.counter("debug", "future"), 2.0);
}

#[time_me(name = "around", in_flight)]
fn around() {}

#[test]
fn a_call_is_running_before_it_is_timed_and_until_after() {
    let capture = capture();
    around();
    let (begun, ended) = ("info gauge around.in_flight{} 1", "info gauge around.in_flight{} 0");
    assert_eq!(lines(&capture), [begun, "info timer around{}", ended]);
}

#[count_me(name = "refused", on = "err", in_flight, level = "debug")]
fn refused(n: u8) -> Option<u8> {
    n.checked_sub(1)
}

#[count_me(name = "refused.later", on = "ok", polls, level = "debug")]
async fn refused_later(n: u8) -> Option<u8> {
    n.checked_sub(1)
}

#[test]
fn an_outcome_and_running_calls_are_both_counted() {
    let capture = capture();
    assert_eq!((refused(1), refused(0)), (Some(0), None));
    assert_eq!(capture.counter("debug", "refused"), 1.0);
    assert_eq!(running(&capture, "refused"), [1.0, 0.0, 1.0, 0.0]);
    for n in [0, 0, 1] {
        assert!(poll(Box::pin(refused_later(n)).as_mut()).is_ready());
    }
    assert_eq!(capture.counter("debug", "refused.later"), 1.0);
    assert_eq!(capture.counter("debug", "refused.later.polls"), 3.0);
}
