//! The level, name and source of an annotated function.

use zibrato::testing::capture;
use zibrato::{count_me, time_me};

const LEVEL: &str = "billing";

mod constants {
    pub(super) const PAID: &str = "shop.paid";
}

#[count_me]
#[time_me]
fn r#loop() {}

#[count_me(level = "debug")]
fn leveled() {}

#[time_me(level = LEVEL, name = constants::PAID, source = concat!("web", "-", 1))]
#[count_me(level = LEVEL, name = constants::PAID, source = "web-2")]
fn constant() {}

struct Down(u8);

impl Iterator for Down {
    type Item = u8;

    #[count_me]
    #[count_me(name = "down.some", on = "ok")]
    fn next(&mut self) -> Option<u8> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.0)
    }
}

impl Drop for Down {
    #[count_me]
    fn drop(&mut self) {}
}

#[count_me(name = "factorial")]
fn factorial(n: u64) -> u64 {
    if n < 2 { 1 } else { n * factorial(n - 1) }
}

#[count_me(name = "outer")]
fn outer() {
    #[count_me(name = "inner", value = 2)]
    fn inner() {}
    inner();
    inner();
}

#[count_me(name = "same")]
#[count_me(name = "same", value = 10)]
#[count_me(name = "other")]
fn three_times() {}

#[test]
fn a_function_without_a_name_is_named_after_its_path() {
    let capture = capture();
    r#loop();
    leveled();
    assert_eq!(Down(2).collect::<Vec<_>>(), [1, 0]);
    let module = "integration.shapes.names";
    assert_eq!(capture.counter("info", &format!("{module}.loop")), 1.0);
    assert_eq!(capture.timer("info", &format!("{module}.loop")).len(), 1);
    assert_eq!(capture.counter("debug", &format!("{module}.leveled")), 1.0);
    assert_eq!(capture.counter("info", &format!("{module}.next")), 3.0);
    assert_eq!(capture.counter("info", "down.some"), 2.0);
    assert_eq!(capture.counter("info", &format!("{module}.drop")), 1.0);
}

#[test]
fn a_constant_is_like_a_literal() {
    let capture = capture();
    constant();
    assert_eq!(capture.counter("billing", "shop.paid"), 1.0);
    assert_eq!(capture.timer("billing", "shop.paid").len(), 1);
    let mut sources: Vec<_> =
        capture.measurements().iter().map(|m| m.source.as_str().to_owned()).collect();
    sources.sort();
    assert_eq!(sources, ["web-1", "web-2"]);
}

#[test]
fn every_call_is_recorded_even_inside_another() {
    let capture = capture();
    assert_eq!(factorial(5), 120);
    outer();
    assert_eq!(capture.counter("info", "factorial"), 5.0);
    assert_eq!(capture.counter("info", "outer"), 1.0);
    assert_eq!(capture.counter("info", "inner"), 4.0);
}

#[test]
fn several_attributes_record_independently() {
    let capture = capture();
    three_times();
    assert_eq!(capture.counter("info", "same"), 11.0);
    assert_eq!(capture.counter("info", "other"), 1.0);
}
