//! Calls are distinguished by their outcome.

use super::seen::{lines, survive};
use zibrato::testing::capture;
use zibrato::{count_me, time_me};

#[time_me(name = "t", outcomes)]
#[count_me(name = "c", outcomes)]
fn parse(text: &str) -> Result<u8, std::num::ParseIntError> {
    assert_ne!(text, "panic");
    if text == "early" {
        return Ok(0);
    }
    let number = text.parse()?;
    Ok(number)
}

#[test]
fn each_outcome_has_its_own_series() {
    for (text, outcome) in
        [("1", "ok"), ("early", "ok"), ("x", "err"), ("300", "err"), ("panic", "panic")]
    {
        let capture = capture();
        survive(|| parse(text));
        let expected = [
            format!("info timer t{{outcome={outcome}}}"),
            format!("info counter c{{outcome={outcome}}} 1"),
        ];
        assert_eq!(lines(&capture), expected, "{text}");
    }
}

#[time_me(name = "t", level = "debug", err(level = "error"), panic(level = "crit"))]
fn leveled(text: &str) -> Option<u8> {
    assert_ne!(text, "panic");
    text.parse().ok()
}

#[test]
fn an_outcome_may_have_its_own_level() {
    let capture = capture();
    leveled("1");
    leveled("x");
    survive(|| leveled("panic"));
    let expected =
        ["debug timer t{outcome=ok}", "error timer t{outcome=err}", "crit timer t{outcome=panic}"];
    assert_eq!(lines(&capture), expected);
}

#[count_me(name = "unit", outcomes, value = n)]
fn unit(n: u64) {
    if n == 3 {
        return;
    }
    assert_ne!(n, 4);
}

#[count_me(name = "number", panic(level = "error"))]
fn number(n: u8) -> u8 {
    12 / n
}

#[count_me(name = "never", ok)]
#[time_me(name = "never", outcomes)]
fn never() -> ! {
    panic!("never")
}

#[test]
fn values_that_are_not_outcomes_are_ok() {
    let capture = capture();
    unit(2);
    unit(3);
    survive(|| unit(4));
    number(1);
    survive(|| number(0));
    survive(|| {
        if true {
            never()
        }
    });
    let expected = [
        "info counter unit{outcome=ok} 2",
        "info counter unit{outcome=ok} 3",
        "info counter unit{outcome=panic} 4",
        "info counter number{outcome=ok} 1",
        "error counter number{outcome=panic} 1",
        "info counter never{outcome=panic} 1",
        "info timer never{outcome=panic}",
    ];
    assert_eq!(lines(&capture), expected);
}

mod aliased {
    pub(super) type Answer<T> = Result<T, ()>;
}

struct Status(u16);

impl zibrato::Outcome for Status {
    fn is_err(&self) -> bool {
        self.0 >= 400
    }
}

#[count_me(name = "alias", outcomes)]
fn alias(n: u8) -> aliased::Answer<u8> {
    n.checked_sub(1).ok_or(())
}

#[count_me(name = "own", outcomes)]
fn own(n: u16) -> Status {
    Status(n)
}

#[count_me(name = "hidden", outcomes)]
fn hidden(n: u8) -> impl Sized {
    n.checked_sub(1)
}

#[count_me(name = "bound", outcomes)]
fn bound<T: zibrato::Outcome>(result: T) -> T {
    result
}

#[count_me(name = "any", outcomes)]
fn any<T>(result: T) -> T {
    result
}

#[test]
fn the_type_and_not_its_name_determines_the_outcome() {
    let capture = capture();
    alias(0).unwrap_err();
    own(404);
    own(200);
    hidden(0);
    assert!(bound(None::<u8>).is_none());
    assert!(any(None::<u8>).is_none());
    let expected = [
        "info counter alias{outcome=err} 1",
        "info counter own{outcome=err} 1",
        "info counter own{outcome=ok} 1",
        "info counter hidden{outcome=err} 1",
        "info counter bound{outcome=err} 1",
        // Nothing is known of a `T`.
        "info counter any{outcome=ok} 1",
    ];
    assert_eq!(lines(&capture), expected);
}

#[count_me(name = "down", err(level = "warn"))]
fn down(n: u8) -> Result<u8, u8> {
    match n {
        0 => Err(0),
        1 => panic!("one"),
        n => down(n - 2),
    }
}

#[test]
fn each_call_of_a_recursion_has_its_own_outcome() {
    let capture = capture();
    down(4).unwrap_err();
    survive(|| down(3));
    let (err, panic) = ("warn counter down{outcome=err} 1", "info counter down{outcome=panic} 1");
    assert_eq!(lines(&capture), [err, err, err, panic, panic]);
}

struct InDrop;

impl Drop for InDrop {
    fn drop(&mut self) {
        assert!(std::thread::panicking());
        number(1);
        unit(1);
    }
}

#[test]
fn a_call_that_returns_during_unwinding_is_ok() {
    let capture = capture();
    survive(|| {
        let _in_drop = InDrop;
        number(0)
    });
    let expected = [
        "error counter number{outcome=panic} 1",
        "info counter number{outcome=ok} 1",
        "info counter unit{outcome=ok} 1",
    ];
    assert_eq!(lines(&capture), expected);
}
