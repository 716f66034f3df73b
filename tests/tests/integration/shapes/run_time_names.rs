//! Names that are evaluated when the call begins.

use zibrato::testing::capture;
use zibrato::{Measurement, TagValue, count, count_me, gauge, time, time_me};

#[time_me(name = format!("shard.{shard}.rows"))]
#[count_me(name = format!("shard.{shard}.counted"), value = shard)]
fn formatted(shard: u32) -> u32 {
    shard
}

#[count_me(name = name)]
#[count_me(name = name, level = "warn", on = "err")]
fn taken(name: String) -> Result<String, ()> {
    if name.is_empty() { Err(()) } else { Ok(name) }
}

trait Named {
    const NAME: &'static str;

    #[count_me(name = Self::NAME)]
    fn act(&self) {}
}

impl Named for u8 {
    const NAME: &'static str = "byte";
}

impl Named for bool {
    const NAME: &'static str = "truth";
}

#[derive(TagValue)]
enum Method {
    Get,
    Post,
}

struct Table {
    name: String,
}

impl Table {
    #[time_me(name = self.name, tags(method = method, region = "eu"))]
    async fn query(&mut self, method: &Method) {
        super::shape::once_pending().await;
        self.name.clear();
        let _ = method;
    }
}

#[test]
fn a_name_can_be_an_expression_of_the_arguments() {
    let capture = capture();
    assert_eq!(formatted(7) + formatted(8) + formatted(7), 22);
    assert_eq!(capture.timer("info", "shard.7.rows").len(), 2);
    assert_eq!(capture.timer("info", "shard.8.rows").len(), 1);
    assert_eq!(capture.counter("info", "shard.7.counted"), 14.0);
}

#[test]
fn a_name_is_evaluated_before_the_body_moves_it() {
    let capture = capture();
    assert_eq!(taken(String::from("a")), Ok(String::from("a")));
    assert_eq!(capture.counter("info", "a"), 1.0);
    assert!(!capture.has("warn", "a"));
    // An empty name is changed, and affects nothing else.
    assert_eq!(taken(String::new()), Err(()));
    assert_eq!(capture.counter("info", "_empty"), 1.0);
}

#[test]
fn a_name_can_depend_on_the_type() {
    let capture = capture();
    1_u8.act();
    true.act();
    1_u8.act();
    assert_eq!(capture.counter("info", "byte"), 2.0);
    assert_eq!(capture.counter("info", "truth"), 1.0);
}

#[test]
fn names_evaluated_at_run_time_can_have_tags() {
    let capture = capture();
    for (name, method) in [("users", Method::Get), ("users", Method::Post), ("rows", Method::Get)] {
        super::shape::block_on(Table { name: name.into() }.query(&method));
    }
    let method = |m: &Measurement| m.tags.get("method").unwrap().to_owned();
    let seen: Vec<_> =
        capture.measurements().iter().map(|m| (m.name.to_string(), method(m))).collect();
    let owned = |name: &str, method: &str| (name.to_owned(), method.to_owned());
    assert_eq!(seen, [owned("users", "get"), owned("users", "post"), owned("rows", "get")]);
}

#[test]
fn macros_accept_names_evaluated_at_run_time() {
    let capture = capture();
    let shard = 3;
    count!("info", format!("m.{shard}"));
    gauge!("info", &*format!("m.{shard}"), shard);
    assert_eq!(time!("info", format!("m.{shard}"), shard + 1), 4);
    assert_eq!(capture.counter("info", "m.3"), 1.0);
    assert_eq!(capture.gauge("info", "m.3"), [3.0]);
    assert_eq!(capture.timer("info", "m.3").len(), 1);
}
