//! `#[annotate_me]`.

/// Records each call of a function as an annotation, with its beginning and its end.
///
/// It is for rare events, such as starts, migrations and jobs of the night; see
/// [`annotate!`](macro@crate::annotate).
///
/// | argument | default | |
/// |---|---|---|
/// | `stream = ".."` | required | what the event is one of, such as `"migrations"` |
/// | `title = ".."` | the function's name | a format string, which may contain arguments of the function |
/// | `level = ".."` | `"info"` | routes; any word |
/// | `description = ..` | none | any value that can be displayed |
/// | `link = ..` | none | the address of a page about the event |
/// | `source = ".."` | the builder's | who records |
/// | `tags(tag = ..)` | none | further properties, known when the call begins |
/// | `call` | no | records only the call of a function [that returns a future](macro@crate::count_me#functions-that-return-a-future) |
/// | `crate = path` | `::zibrato` | path of this crate, if another crate re-exports it |
///
/// ```
/// use zibrato::annotate_me;
///
/// #[annotate_me(stream = "migrations", title = "to version {version}", tags(from = version - 1))]
/// fn migrate(version: u32) -> Result<(), String> {
///     Ok(())
/// }
///
/// let capture = zibrato::testing::capture();
/// migrate(8).unwrap();
/// let migration = &capture.annotations()[0].annotation;
/// assert_eq!(migration.title(), "to version 8");
/// assert!(migration.end_ms() >= Some(migration.start_ms()));
/// ```
///
/// It applies to the same functions as [`#[count_me]`](macro@crate::count_me). The annotation is
/// recorded when the call ends: when the function returns, or its future is done. If the function
/// panics, the description ends with `panicked`. If the future is dropped before it is done, the
/// description ends with `cancelled`.
pub use zibrato_macros::annotate_me;
