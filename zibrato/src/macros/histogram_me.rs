//! `#[histogram_me]`.

/// Records a number of each call of a function in a histogram, such as the size of its result.
///
/// | argument | default | |
/// |---|---|---|
/// | `value = \|r\| ..` | required | a number of the result, or an `Option` of one: `None` records nothing |
/// | `value = ..` | | or a number that is known when the call begins, such as `body.len()` |
/// | `unit = ".."` | none | what the numbers count, such as `"bytes"` or `"rows"`; see [`histogram!`](macro@crate::histogram) |
/// | `level = ".."` | `"info"` | routes; any word |
/// | `name = ".."` | `module.path.function` | name of the series; the default omits the type of a method, unless the attribute is on its `impl` |
/// | `source = ".."` | the builder's | who records |
/// | `tags(tag = ..)` | none | further properties that distinguish series; see [tags](macro@crate::count_me#tags) |
/// | `max_series = 1000` | the builder's | maximum number of series, if tags are expressions |
/// | `call` | no | records only the call of a function [that returns a future](macro@crate::count_me#functions-that-return-a-future) |
/// | `crate = path` | `::zibrato` | path of this crate, if another crate re-exports it |
///
/// ```
/// use zibrato::histogram_me;
///
/// #[histogram_me(name = "request.size", value = body.len(), unit = "bytes")]
/// #[histogram_me(
///     name = "response.size",
///     value = |r| r.as_ref().ok().map(String::len),
///     unit = "bytes",
///     tags(route = route),
/// )]
/// async fn answer(route: &str, body: &[u8]) -> Result<String, std::str::Utf8Error> {
///     std::str::from_utf8(body).map(|body| format!("{route}: {body}"))
/// }
/// # use std::{future::Future, pin::pin, task::{Context, Waker}};
/// # let capture = zibrato::testing::capture();
/// # for body in [&b"tea"[..], b"\xff"] {
/// #     assert!(pin!(answer("/", body)).poll(&mut Context::from_waker(Waker::noop())).is_ready());
/// # }
/// # assert_eq!(capture.histogram("info", "request.size"), [3.0, 1.0]);
/// # assert_eq!(capture.tagged("route", "/").histogram("info", "response.size"), [6.0]);
/// ```
///
/// It applies to the same functions as [`#[count_me]`](macro@crate::count_me). The closure is called
/// with a reference to the result, if a worker wants the level. A call that panics, or whose future is
/// dropped, has no result and records nothing. If the closure itself panics, that call records nothing,
/// and the function returns its result.
pub use zibrato_macros::histogram_me;
