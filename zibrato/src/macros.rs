//! The attributes and macros, documented here, where the examples can run.

/// Counts the calls of a function, all of them or only those with a certain outcome.
///
/// | argument | default | |
/// |---|---|---|
/// | `level = ".."` | `"info"` | routes; any word |
/// | `name = ".."` | `module.path.function` | what is counted; the default leaves out the type of a method |
/// | `value = ..` | `1` | how much to count: any expression of an [`Amount`](crate::Amount), evaluated once, on entry, before the body can move an argument |
/// | `source = ".."` | the installation's | who counts |
/// | `on = ".."` | `"always"` | `"ok"` or `"err"`: only if the function returns that; see [`Outcome`](crate::Outcome) |
/// | `crate = path` | `::zibrato` | where this crate is, if another passes it on |
///
/// Levels, names and sources are literals, constants or `concat!(..)`, and are checked when the
/// program is compiled; for names known at run time there is [`installed`](crate::installed).
///
/// ```
/// use zibrato::count_me;
///
/// #[count_me(name = "shop.orders")]
/// #[count_me(name = "shop.items", value = items.len())]
/// #[count_me(name = "shop.refused", level = "warn", on = "err")]
/// fn order(items: &[&str]) -> Result<(), String> {
///     let first = items.first().ok_or("an order of nothing")?;
///     println!("{first}, and so on");
///     Ok(())
/// }
///
/// let capture = zibrato::testing::capture();
/// order(&["tea", "milk"]).unwrap();
/// order(&[]).unwrap_err();
/// assert_eq!(capture.counter("info", "shop.orders"), 2.0);
/// assert_eq!(capture.counter("info", "shop.items"), 2.0);
/// assert_eq!(capture.counter("warn", "shop.refused"), 1.0);
/// ```
///
/// It stands on functions and methods with a body: generic ones, `unsafe` ones, `extern "C"` ones,
/// and async ones, which are counted when they are first polled. It cannot stand on a `const fn`.
/// Several attributes on one function each record for themselves.
///
/// With `on = "err"`, `Err`, `None` and a panic are counted; with `on = "ok"`, everything else. A
/// future that is dropped half way is neither.
///
/// # What it becomes
///
/// Counting always adds one call in front of the body:
///
/// ```
/// # let capture = zibrato::testing::capture();
/// # mod before { use zibrato::count_me;
/// #[count_me(level = "debug", name = "shop.items", value = items.len())]
/// fn order(items: &[&str]) -> usize {
///     items.len()
/// }
/// # pub fn call() { order(&["tea"]); } }
/// # mod after {
///
/// // … is
/// fn order(items: &[&str]) -> usize {
///     ::zibrato::__private::count(
///         {
///             static __ZIBRATO_SITE: ::zibrato::__private::Site =
///                 ::zibrato::__private::Site::counter(::zibrato::__private::Place {
///                     level: "debug",
///                     name: ::core::option::Option::Some("shop.items"),
///                     module: ::core::module_path!(),
///                     function: "order",
///                     source: ::core::option::Option::None,
///                     tags: &[],
///                 });
///             &__ZIBRATO_SITE
///         },
///         items.len(),
///     );
///     items.len()
/// }
/// # pub fn call() { order(&["tea"]); } }
/// # before::call(); after::call();
/// # assert_eq!(capture.counter("debug", "shop.items"), 2.0);
/// ```
///
/// To count by outcome, the body becomes a closure, so that `return` and `?` end there:
///
/// ```
/// # let capture = zibrato::testing::capture();
/// # mod before { use std::num::ParseIntError; use zibrato::count_me;
/// #[count_me(name = "shop.refused", on = "err")]
/// fn parse(text: &str, radix: u32) -> Result<u32, ParseIntError> {
///     u32::from_str_radix(text, radix)
/// }
/// # pub fn call() { let _ = parse("x", 10); } }
/// # mod after { use std::num::ParseIntError;
/// # static SITE: ::zibrato::__private::Site =
/// #     ::zibrato::__private::Site::counter(::zibrato::__private::Place {
/// #         level: "info",
/// #         name: ::core::option::Option::Some("shop.refused"),
/// #         module: ::core::module_path!(),
/// #         function: "order",
/// #         source: ::core::option::Option::None,
/// #         tags: &[],
/// #     });
///
/// // … is
/// fn parse(text: &str, radix: u32) -> Result<u32, ParseIntError> {
///     ::zibrato::__private::count_on(
///         &SITE, // a block with the static in it, as above
///         ::zibrato::__private::On::Err,
///         1u64,
///         move || -> Result<u32, ParseIntError> {
///             let _ = (&radix, &text); // so that they are dropped in the order they would be
///             u32::from_str_radix(text, radix)
///         },
///     )
/// }
/// # pub fn call() { let _ = parse("x", 10); } }
/// # before::call(); after::call();
/// # assert_eq!(capture.counter("info", "shop.refused"), 2.0);
/// ```
///
/// In an async function it is an async block instead. Two things are different inside: in a
/// `#[track_caller]` function, `Location::caller` no longer leads to the caller, and an argument
/// that is ignored (`_: Guard`) is dropped after those that are not.
pub use zibrato_macros::count_me;

/// Times a function: however it ends, by return, `?` or panic, it leaves one measurement, in
/// seconds.
///
/// | argument | default | |
/// |---|---|---|
/// | `level = ".."` | `"info"` | routes; any word |
/// | `name = ".."` | `module.path.function` | what is timed; the default leaves out the type of a method |
/// | `source = ".."` | the installation's | who times |
/// | `crate = path` | `::zibrato` | where this crate is, if another passes it on |
///
/// ```
/// use zibrato::{count_me, time_me};
///
/// #[time_me(name = "db.query")]
/// #[count_me(name = "db.query.failed", on = "err")]
/// async fn query(table: &str) -> Result<Vec<u8>, std::io::Error> {
///     Ok(table.bytes().collect())
/// }
/// # use std::{future::Future, pin::pin, task::{Context, Waker}};
/// # let capture = zibrato::testing::capture();
/// # assert!(pin!(query("t")).poll(&mut Context::from_waker(Waker::noop())).is_ready());
/// # assert_eq!(capture.timer("info", "db.query").len(), 1);
/// ```
///
/// It stands on the same functions as [`#[count_me]`](macro@count_me). An async function is timed
/// from when it is first polled until it is done or dropped, waiting included; of a plain function
/// that returns a future, only the making of that future.
///
/// # What it becomes
///
/// A guard in front of the body, which records when it is dropped:
///
/// ```
/// # let capture = zibrato::testing::capture();
/// # mod before { use zibrato::time_me;
/// #[time_me]
/// fn order(items: &[&str]) -> usize {
///     items.len()
/// }
/// # pub fn call() { order(&["tea"]); } }
/// # mod after {
///
/// // … is
/// fn order(items: &[&str]) -> usize {
///     let __zibrato_time = ::zibrato::__private::time({
///         static __ZIBRATO_SITE: ::zibrato::__private::Site =
///             ::zibrato::__private::Site::timer(::zibrato::__private::Place {
///                 level: "info",
///                 name: ::core::option::Option::None,
///                 module: ::core::module_path!(),
///                 function: "order",
///                 source: ::core::option::Option::None,
///                 tags: &[],
///             });
///         &__ZIBRATO_SITE
///     });
///     items.len()
/// }
/// # pub fn call() { order(&["tea"]); } }
/// # before::call(); after::call();
/// # assert_eq!(capture.measurements().len(), 2);
/// ```
pub use zibrato_macros::time_me;

/// Derives [`TagValue`](trait@crate::TagValue) for an enum without fields.
///
/// Each variant is called by its name in snake case, or as `#[tag(value = "..")]` on it says.
/// `#[tag(crate = path)]` on the enum says where this crate is, if another passes it on.
///
/// ```
/// #[derive(zibrato::TagValue)]
/// enum Status {
///     Ok,
///     NotFound,
///     #[tag(value = "5xx")]
///     ServerError,
/// }
///
/// use zibrato::TagValue;
/// assert_eq!(Status::VALUES, ["ok", "not_found", "5xx"]);
/// assert_eq!(Status::NotFound.index(), 1);
/// ```
pub use zibrato_macros::TagValue;

/// Counts at this place: `count!(level, name)`, or `count!(level, name, value)`.
///
/// `value` is an expression of an [`Amount`](crate::Amount) and defaults to 1. `source = ".."` may
/// follow, and defaults to the installation's. Level, name and source are as with
/// [`#[count_me]`](macro@count_me).
///
/// ```
/// use zibrato::count;
///
/// let capture = zibrato::testing::capture();
/// let bytes = [1, 2, 3];
/// count!("info", "logins");
/// count!("info", "bytes.read", bytes.len(), source = "web-1");
/// assert_eq!(capture.counter("info", "bytes.read"), 3.0);
/// ```
pub use zibrato_macros::count;

/// Reads a gauge at this place: `gauge!(level, name, value)`.
///
/// `value` is an expression of an [`Amount`](crate::Amount). `source = ".."` may follow, and
/// defaults to the installation's. Level, name and source are as with
/// [`#[count_me]`](macro@count_me).
///
/// ```
/// use zibrato::gauge;
///
/// let capture = zibrato::testing::capture();
/// let queue = vec!["a", "b"];
/// gauge!("info", "queue.depth", queue.len());
/// assert_eq!(capture.gauge("info", "queue.depth"), [2.0]);
/// ```
pub use zibrato_macros::gauge;

/// Times an expression, `time!(level, name, expression)`, or what is left of a scope,
/// `let guard = time!(level, name)`. In seconds.
///
/// With an expression it evaluates to that expression's value, and `?`, `return`, `break` and
/// `.await` in it keep their meaning. Without one it evaluates to a guard,
/// [`TimeMe`](crate::TimeMe), which records when it is dropped. `source = ".."` may follow, and
/// defaults to the installation's. Level, name and source are as with
/// [`#[count_me]`](macro@count_me).
///
/// ```
/// use zibrato::time;
///
/// fn load(path: &str) -> Result<usize, std::num::ParseIntError> {
///     let _whole = time!("info", "load");
///     let size: usize = time!("debug", "load.parse", path.parse()?);
///     Ok(size + 1)
/// }
///
/// let capture = zibrato::testing::capture();
/// load("3").unwrap();
/// load("x").unwrap_err();
/// assert_eq!(capture.timer("info", "load").len(), 2);
/// assert_eq!(capture.timer("debug", "load.parse").len(), 2);
/// ```
pub use zibrato_macros::time;
