//! `#[histogram_me]`: what is recorded of the results and the arguments of functions.

use std::future::Future;
use std::panic::catch_unwind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use zibrato::testing::{assert_histogram, capture};
use zibrato::{Unit, histogram_me};

/// Polls a future that is done at once.
fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("it is done at once"),
    }
}

#[histogram_me(level = "debug", name = "rows", value = |rows| rows.len(), unit = "rows")]
fn rows(n: usize) -> Vec<usize> {
    assert!(n < 4, "too many");
    if n == 0 {
        return Vec::new();
    }
    (0..n).collect()
}

#[test]
fn a_number_of_the_result_is_recorded() {
    let capture = capture();
    assert_eq!(rows(3), [0, 1, 2]);
    rows(0);
    catch_unwind(|| rows(4)).unwrap_err();
    assert_histogram!(capture, "rows", level = "debug", [3, 0]);
    assert_eq!(capture.measurements()[0].unit.as_ref().map(Unit::as_str), Some("rows"));
}

#[histogram_me(
    name = "query",
    value = |r| r.as_ref().ok().copied(),
    tags(table = table, region = "eu", found = |r| r.is_ok())
)]
async fn query(table: String, rows: u32) -> Result<u32, String> {
    if rows > 100 { Err(table) } else { Ok(rows) }
}

#[test]
fn a_reading_has_the_tags_of_the_call_and_of_the_result() {
    let capture = capture();
    for (table, rows) in [("users", 7), ("orders", 8), ("users", 101)] {
        assert_eq!(done(query(table.to_owned(), rows)).is_ok(), rows < 100);
    }
    drop(query("users".to_owned(), 9));
    assert_histogram!(capture, "query", tags(region = "eu"), [7, 8]);
    assert_histogram!(capture, "query", tags(table = "users", found = true), [7]);
}

#[histogram_me(name = "tagged", value = |n| *n, tags(kind = kind))]
fn tagged(kind: &str, n: f32) -> f32 {
    n + f32::from(kind.len() as u8)
}

#[histogram_me(name = "given", value = text.len(), tags(ends = |r| *r))]
#[histogram_me(name = "plain", value = text.len(), tags(dot = text.contains('.')))]
#[histogram_me(name = format!("of.{}", text.len()), value = 1)]
fn ends(text: String) -> bool {
    text.ends_with('.')
}

#[test]
fn a_number_of_the_arguments_is_recorded() {
    let capture = capture();
    tagged("a", 0.5);
    for text in ["one.", "seven"] {
        ends(text.to_owned());
    }
    assert_histogram!(capture, "tagged", tags(kind = "a"), [1.5]);
    assert_histogram!(capture, "given", tags(ends = true), [4]);
    assert_histogram!(capture, "plain", tags(dot = false), [5]);
    assert_histogram!(capture, "of.4", [1]);
}

struct Store(Vec<u8>);

#[histogram_me(value = |bytes| bytes.len(), unit = "bytes")]
impl Store {
    fn all(&self) -> &[u8] {
        &self.0
    }

    fn boxed(&self) -> Pin<Box<dyn Future<Output = Vec<u8>> + '_>> {
        Box::pin(async move { self.0.clone() })
    }

    async fn first(&self, n: usize) -> &[u8] {
        &self.0[..n]
    }
}

#[test]
fn the_methods_of_a_block_and_futures_are_measured() {
    let capture = capture();
    let store = Store(vec![1, 2, 3]);
    assert_eq!(store.all().len(), 3);
    assert_eq!(done(store.boxed()).len(), 3);
    assert_eq!(done(store.first(2)), [1, 2]);
    let readings: Vec<_> = capture.measurements().into_iter().map(|m| (m.name, m.value)).collect();
    let names = readings.iter().map(|(name, value)| (name.as_str(), *value));
    let expected = [("all", 3.0), ("boxed", 3.0), ("first", 2.0)];
    let expected = expected.map(|(name, value)| (format!("readings.Store.{name}"), value));
    assert!(names.eq(expected.iter().map(|(name, value)| (name.as_str(), *value))), "{readings:?}");
}

#[histogram_me(name = "panics", value = |n| 10 / *n)]
#[histogram_me(name = "panics.tagged", value = |n| 10 / *n, tags(half = |n| *n / 2))]
fn same(n: u32) -> u32 {
    n
}

#[test]
fn a_closure_that_panics_records_nothing_and_the_call_returns() {
    let capture = capture();
    assert_eq!((same(0), same(5)), (0, 5));
    assert_histogram!(capture, "panics", [2]);
    assert_histogram!(capture, "panics.tagged", [2]);
}
