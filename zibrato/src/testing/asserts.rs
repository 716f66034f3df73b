//! Macros that compare what was captured with what a test expects.

use super::report::{Wanted, differs, not_recorded, sum};
use crate::Kind;
use crate::sdk::{Amount, Capture};
use std::fmt::Display;

/// Checks how much a counter counted: `assert_counted!(capture, "name", 3)`.
///
/// It adds up all readings of that name. `level = ".."` and `tags(..)` before the number select
/// some of them: `assert_counted!(capture, "name", level = "warn", tags(status = 200), 3)`. A
/// reading may have other tags, too.
///
/// An expected 0 means that nothing was counted, or was recorded at all.
///
/// ```
/// use zibrato::{count, testing::{assert_counted, capture}};
///
/// let capture = capture();
/// count!("info", "http.requests", tags(method = "GET", status = 200));
/// count!("warn", "http.requests", 2, tags(method = "GET", status = 500));
/// assert_counted!(capture, "http.requests", 3);
/// assert_counted!(capture, "http.requests", tags(status = 200), 1);
/// assert_counted!(capture, "http.requests", level = "warn", tags(method = "GET"), 2);
/// assert_counted!(capture, "http.refused", 0);
/// ```
///
/// # Panics
///
/// If the numbers differ. The message contains everything that was recorded of that name with its
/// tags. If there is nothing, it lists all other readings, the nearest name first.
#[doc(hidden)]
#[macro_export]
macro_rules! assert_counted {
    ($capture:expr, $name:expr, $($expected:tt)+) => {
        $crate::__assert_recorded!(expect_counted, $capture, $name, $($expected)+)
    };
}

/// Checks the last reading of a gauge: `assert_gauge!(capture, "name", 17)`.
///
/// `level = ".."` and `tags(..)` before the number select among the readings of that name, as in
/// [`assert_counted!`](crate::testing::assert_counted).
///
/// ```
/// use zibrato::{gauge, testing::{assert_gauge, capture}};
///
/// let capture = capture();
/// gauge!("info", "queue.depth", 17, tags(queue = "in"));
/// gauge!("info", "queue.depth", 5, tags(queue = "out"));
/// assert_gauge!(capture, "queue.depth", 5);
/// assert_gauge!(capture, "queue.depth", tags(queue = "in"), 17);
/// ```
///
/// # Panics
///
/// If the last reading is another one, or there is none. The message contains everything that was
/// recorded of that name with its tags. If there is nothing, it lists all other readings, the nearest
/// name first.
#[doc(hidden)]
#[macro_export]
macro_rules! assert_gauge {
    ($capture:expr, $name:expr, $($expected:tt)+) => {
        $crate::__assert_recorded!(expect_gauge, $capture, $name, $($expected)+)
    };
}

/// Checks how often a timer recorded: `assert_timed!(capture, "name", 2)`.
///
/// `level = ".."` and `tags(..)` before the number select among the readings of that name, as in
/// [`assert_counted!`](crate::testing::assert_counted). How long something took is in
/// [`Capture::timer`].
///
/// ```
/// use zibrato::{testing::{assert_timed, capture}, time_me};
///
/// #[time_me(name = "db.query", outcomes)]
/// fn query(table: &str) -> Option<usize> {
///     (!table.is_empty()).then_some(table.len())
/// }
///
/// let capture = capture();
/// query("users");
/// query("");
/// assert_timed!(capture, "db.query", 2);
/// assert_timed!(capture, "db.query", tags(outcome = "err"), 1);
/// ```
///
/// # Panics
///
/// If the numbers differ. The message contains everything that was recorded of that name with its
/// tags. If there is nothing, it lists all other readings, the nearest name first.
#[doc(hidden)]
#[macro_export]
macro_rules! assert_timed {
    ($capture:expr, $name:expr, $($expected:tt)+) => {
        $crate::__assert_recorded!(expect_timed, $capture, $name, $($expected)+)
    };
}

/// Checks the readings of a histogram, in order: `assert_histogram!(capture, "name", [512, 2048])`.
///
/// `level = ".."` and `tags(..)` before the readings select among those of that name, as in
/// [`assert_counted!`](crate::testing::assert_counted). If several threads record, their order is not
/// certain: sort what [`Capture::histogram`] returns. `[0; 0]` means that nothing was recorded.
///
/// ```
/// use zibrato::{histogram, testing::{assert_histogram, capture}};
///
/// let capture = capture();
/// histogram!("info", "response.size", 512, unit = "bytes", tags(route = "/"));
/// histogram!("info", "response.size", 2048, unit = "bytes", tags(route = "/cart"));
/// assert_histogram!(capture, "response.size", [512, 2048]);
/// assert_histogram!(capture, "response.size", tags(route = "/cart"), [2048]);
/// ```
///
/// # Panics
///
/// If the readings differ. The message contains everything that was recorded of that name with its
/// tags. If there is nothing, it lists all other readings, the nearest name first.
#[doc(hidden)]
#[macro_export]
macro_rules! assert_histogram {
    ($capture:expr, $name:expr, $($expected:tt)+) => {
        $crate::__assert_recorded!(expect_histogram, $capture, $name, $($expected)+)
    };
}

/// What the macros above have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_recorded {
    (@tag $tag:ident) => { ::core::stringify!($tag) };
    (@tag $tag:literal) => { $tag };
    (@ $what:ident, $capture:expr, $name:expr, $level:expr,
        ($($tag:tt = $value:expr),* $(,)?), $expected:expr) => {
        $crate::__private::$what(
            &$capture,
            $name,
            $level,
            &[$(($crate::__assert_recorded!(@tag $tag), &$value)),*],
            $expected,
        )
    };
    ($what:ident, $capture:expr, $name:expr, level = $level:expr, tags($($tags:tt)*),
        $expected:expr $(,)?) => {
        $crate::__assert_recorded!(
            @ $what, $capture, $name, ::core::option::Option::Some($level), ($($tags)*), $expected
        )
    };
    ($what:ident, $capture:expr, $name:expr, level = $level:expr, $expected:expr $(,)?) => {
        $crate::__assert_recorded!(
            @ $what, $capture, $name, ::core::option::Option::Some($level), (), $expected
        )
    };
    ($what:ident, $capture:expr, $name:expr, tags($($tags:tt)*), $expected:expr $(,)?) => {
        $crate::__assert_recorded!(
            @ $what, $capture, $name, ::core::option::Option::None, ($($tags)*), $expected
        )
    };
    ($what:ident, $capture:expr, $name:expr, $expected:expr $(,)?) => {
        $crate::__assert_recorded!(
            @ $what, $capture, $name, ::core::option::Option::None, (), $expected
        )
    };
}

/// A tag and its value, as a test writes them.
type Tag<'a> = (&'a str, &'a dyn Display);

/// See [`assert_counted!`](crate::testing::assert_counted).
#[doc(hidden)]
#[track_caller]
pub fn expect_counted(
    capture: &Capture,
    name: &str,
    level: Option<&str>,
    tags: &[Tag<'_>],
    expected: impl Amount,
) {
    check(capture, (Kind::Counter, name, level, tags), [expected], |values| vec![sum(values)]);
}

/// See [`assert_gauge!`](crate::testing::assert_gauge).
#[doc(hidden)]
#[track_caller]
pub fn expect_gauge(
    capture: &Capture,
    name: &str,
    level: Option<&str>,
    tags: &[Tag<'_>],
    expected: impl Amount,
) {
    let last = |values: &[f64]| values.last().copied().into_iter().collect();
    check(capture, (Kind::Gauge, name, level, tags), [expected], last);
}

/// See [`assert_histogram!`](crate::testing::assert_histogram).
#[doc(hidden)]
#[track_caller]
pub fn expect_histogram<A: Amount>(
    capture: &Capture,
    name: &str,
    level: Option<&str>,
    tags: &[Tag<'_>],
    expected: impl IntoIterator<Item = A>,
) {
    check(capture, (Kind::Histogram, name, level, tags), expected, <[f64]>::to_vec);
}

/// See [`assert_timed!`](crate::testing::assert_timed).
#[doc(hidden)]
#[track_caller]
pub fn expect_timed(
    capture: &Capture,
    name: &str,
    level: Option<&str>,
    tags: &[Tag<'_>],
    expected: impl Amount,
) {
    let number = |values: &[f64]| vec![values.len() as f64];
    check(capture, (Kind::Timer, name, level, tags), [expected], number);
}

/// `got` makes of the readings what is compared with the expected numbers.
#[track_caller]
fn check<A: Amount>(
    capture: &Capture,
    (kind, name, level, tags): (Kind, &str, Option<&str>, &[Tag<'_>]),
    expected: impl IntoIterator<Item = A>,
    got: impl FnOnce(&[f64]) -> Vec<f64>,
) {
    let expected: Vec<_> = expected.into_iter().map(|value| value.number().to_f64()).collect();
    let tag = |(tag, value): &Tag<'_>| {
        (tag.strip_prefix("r#").unwrap_or(tag).to_owned(), value.to_string())
    };
    let tags: Vec<_> = tags.iter().map(tag).collect();
    let all = capture.measurements();
    let wanted = Wanted { kind, level, name, tags: &tags };
    let values = wanted.values(&all);
    let got = got(&values);
    if got == expected {
        return;
    }
    if values.is_empty() {
        panic!("{}", not_recorded(&wanted, &all, capture.is_of_process()));
    }
    panic!("{}", differs(&wanted, &all, &expected, &got));
}
