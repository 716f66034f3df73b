//! The attributes and macros, documented here, where the examples can run.

/// Counts the calls of a function, all of them or only those with a certain outcome.
///
/// | argument | default | |
/// |---|---|---|
/// | `level = ".."` | `"info"` | routes; any word |
/// | `name = ".."` | `module.path.function` | what is counted; the default omits the type of a method, unless the attribute is on its `impl` |
/// | `value = ..` | `1` | how much to count: any expression of an [`Amount`](crate::Amount), evaluated once, on entry, before the body can move an argument |
/// | `source = ".."` | the builder's | who counts |
/// | `tags(tag = ..)` | none | further properties that distinguish series, of any value that can be displayed; `tags(status = \|r\| r.status().as_u16())` takes it from the result; see [tags](macro@count_me#tags) |
/// | `max_series = 1000` | the builder's | maximum number of series, if tags are expressions |
/// | `on = ".."` | `"always"` | `"ok"` or `"err"`: counts only calls with that result; see [`Outcome`](crate::Outcome). `on = \|r\| ..`: a closure says of the result whether the call is counted |
/// | `outcomes` | not distinguished | counts with the tag `outcome`: `ok`, `err`, `panic` or `cancelled`; see [below](#outcomes) |
/// | `ok`, `err`, `panic`, `cancelled` | at `level` | like `outcomes`; with `(level = "..")` that outcome has a level of its own |
/// | `in_flight` | no | a gauge `<name>.in_flight` of the calls, or futures, that are running |
/// | `polls` | no | async only: a counter `<name>.polls` of how often the future was polled |
/// | `call` | no | measures only the call of a function [that returns a future](macro@count_me#functions-that-return-a-future) |
/// | `crate = path` | `::zibrato` | path of this crate, if another crate re-exports it |
///
/// Levels, names and sources are literals, constants or `concat!(..)`, and are checked at compile
/// time. A name may also be [any other expression](macro@count_me#names-evaluated-at-run-time). For
/// levels and sources that are known only at run time, use [`installed`](crate::installed).
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
/// It applies to functions and methods with a body, including generic, `unsafe`, `extern "C"` and
/// async ones. An async function is counted when its future is first polled. It does not apply to a
/// `const fn`, nor to a function with a trait object `Fn(..)` without `dyn`, as in old editions.
/// Several attributes on one function record independently.
///
/// `on = "err"` counts `Err`, `None` and panics; `on = "ok"` counts all other results. A future
/// that is dropped before it is done is counted by neither. A closure gets a reference to the result, of
/// any type, and returns whether the call is counted; a call without a result is not:
///
/// ```
/// use zibrato::count_me;
///
/// #[count_me(name = "shop.large_orders", on = |items| *items > 2)]
/// fn order(items: &[&str]) -> usize {
///     items.len()
/// }
///
/// let capture = zibrato::testing::capture();
/// order(&["tea", "milk", "sugar"]);
/// order(&["tea"]);
/// assert_eq!(capture.counter("info", "shop.large_orders"), 1.0);
/// ```
///
/// # Outcomes
///
/// With `outcomes`, or with any outcome among the arguments, each call is counted when it ends, in
/// one series per outcome: the same name with the tag `outcome`.
///
/// | `outcome` | the call |
/// |---|---|
/// | `ok` | returned something that is not an error |
/// | `err` | returned an error, by `return`, `?` or at its end |
/// | `panic` | panicked, and the panic unwinds |
/// | `cancelled` | was a future that was polled at least once, and dropped before it was done |
///
/// The type of a result decides whether it is an error: a `Result`, an `Option`, or another type
/// that implements [`Outcome`](crate::Outcome), also through aliases and `impl Trait`. Any other
/// type is `ok` when the function returns it, and so is a type parameter without the bound
/// `Outcome`. With `err` among the arguments the compiler requires `Outcome`, so that no error is
/// `ok` by mistake.
///
/// ```
/// use zibrato::count_me;
///
/// #[count_me(name = "shop.orders", err(level = "warn"), panic(level = "error"))]
/// fn order(items: &[&str]) -> Result<(), String> {
///     let first = items.first().ok_or("an order of nothing")?;
///     println!("{first}, and so on");
///     Ok(())
/// }
///
/// let capture = zibrato::testing::capture();
/// order(&["tea"]).unwrap();
/// order(&[]).unwrap_err();
/// assert_eq!(capture.counter("info", "shop.orders"), 1.0); // outcome=ok
/// assert_eq!(capture.counter("warn", "shop.orders"), 1.0); // outcome=err
/// ```
///
/// # Running calls and polls
///
/// `in_flight` is incremented when a call begins, or a future is first polled, and decremented when
/// it returns, panics or is dropped. It has the attribute's level. `polls` counts each poll as it
/// begins.
///
/// Each interval sends the largest number since the last one, and then the present number, if they
/// differ. So a burst between two intervals is in the maximum of the gauge. `zibrato-carbon`
/// delivers that maximum as `<name>.in_flight.max`.
///
/// Each attribute has its own gauge. Gauges of two functions with the same name, such as two
/// methods `run` in one module by default, are not added up; give them different names.
///
/// ```
/// use zibrato::count_me;
///
/// #[count_me(name = "shop.orders", in_flight, polls)]
/// async fn order(items: &[&str]) -> usize {
///     items.len()
/// }
/// # use std::{future::Future, pin::pin, task::{Context, Waker}};
///
/// let capture = zibrato::testing::capture();
/// let mut future = pin!(order(&["tea"]));
/// assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
/// assert_eq!(capture.counter("info", "shop.orders.polls"), 1.0);
/// assert_eq!(capture.gauge("info", "shop.orders.in_flight").last(), Some(&0.0));
/// ```
///
#[doc = include_str!("macros/items.md")]
///
/// # What it becomes
///
/// Counting every call adds one call in front of the body:
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
///                 ::zibrato::__private::Site::new(::zibrato::__private::Shape::Counter, ::zibrato::__private::Metadata {
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
/// To count by outcome, the body becomes a closure, so that `return` and `?` leave only the
/// closure. A scope records how it ends:
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
/// #     ::zibrato::__private::Site::new(::zibrato::__private::Shape::Counter, ::zibrato::__private::Metadata {
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
///     let scope = ::zibrato::__private::scope::call(::zibrato::__private::scope::counted(
///         ::zibrato::__private::scope::failures(&SITE), // a block with the static in it, as above
///         1u64,
///     ));
///     let result: Result<u32, ParseIntError> =
///         ::zibrato::__private::scope::run(move || -> Result<u32, ParseIntError> {
///             let _ = (&radix, &text); // so that they are dropped in the order they would be
///             u32::from_str_radix(text, radix)
///         });
///     let failed = ::zibrato::__private::scope::is_err(&result);
///     ::zibrato::__private::scope::Scope::finish(scope, failed, result)
/// }
/// # pub fn call() { let _ = parse("x", 10); } }
/// # before::call(); after::call();
/// # assert_eq!(capture.counter("info", "shop.refused"), 2.0);
/// ```
///
/// To distinguish outcomes, the scope has a site for each:
///
/// ```
/// # use ::zibrato::__private::{Metadata, Shape, Site};
/// # const fn place(outcome: &'static [(&'static str, &'static str)]) -> Metadata {
/// #     Metadata {
/// #         level: "info",
/// #         name: ::core::option::Option::Some("shop.parsed"),
/// #         module: ::core::module_path!(),
/// #         function: "parse",
/// #         source: ::core::option::Option::None,
/// #         tags: outcome,
/// #     }
/// # }
/// # static OK: Site = Site::new(Shape::Counter, place(&[("outcome", "ok")]));
/// # static ERR: Site = Site::new(Shape::Counter, place(&[("outcome", "err")]));
/// # static PANIC: Site = Site::new(Shape::Counter, place(&[("outcome", "panic")]));
/// # let _outcomes =
/// ::zibrato::__private::scope::Outcomes {
///     ok: Some(&OK), // blocks with a static in each, as above
///     err: Some(&ERR),
///     panic: Some(&PANIC),
///     cancelled: None, // which a function cannot be
/// }
/// # ;
/// ```
///
/// The result may then be of any type: `Look(&result)` says whether it is an error. The future of
/// an async function becomes a struct of the block and the scope; it polls the block and tells the
/// scope how it ends. `in_flight` is a guard in front of the body.
///
/// Three things are different inside a closure or block. In a `#[track_caller]` function,
/// `Location::caller` no longer names the caller. An argument that is ignored (`_: Guard`) is
/// dropped after the others. A closure that the function returns as `impl Fn(&T)` must name the
/// types of its arguments: `|a: &T|`.
pub use zibrato_macros::count_me;

/// Times a function: each call leaves one measurement, in seconds, whether it ends by `return`, `?`
/// or a panic.
///
/// | argument | default | |
/// |---|---|---|
/// | `level = ".."` | `"info"` | routes; any word |
/// | `name = ".."` | `module.path.function` | what is timed; the default omits the type of a method, unless the attribute is on its `impl` |
/// | `source = ".."` | the builder's | who times |
/// | `tags(tag = ..)` | none | further properties that distinguish series, of any value that can be displayed; `tags(status = \|r\| r.status().as_u16())` takes it from the result; see [tags](macro@count_me#tags) |
/// | `max_series = 1000` | the builder's | maximum number of series, if tags are expressions |
/// | `outcomes` | not distinguished | times with the tag `outcome`: `ok`, `err`, `panic` or `cancelled`, as [`#[count_me]`](macro@count_me#outcomes) counts |
/// | `ok`, `err`, `panic`, `cancelled` | at `level` | like `outcomes`; with `(level = "..")` that outcome has a level of its own |
/// | `slow("250ms")` | no | records a call that took this long or longer a second time; see [below](#slow-calls) |
/// | `sample = 100` | 1 | times one call in 100 (up to 1,000,000); the count stays exact |
/// | `in_flight` | no | a gauge `<name>.in_flight` of the calls, or futures, that are running |
/// | `busy` | no | async only: measures the time inside the polls of the future, without waiting |
/// | `polls` | no | async only: a counter `<name>.polls` of how often the future was polled |
/// | `call` | no | measures only the call of a function [that returns a future](macro@count_me#functions-that-return-a-future) |
/// | `crate = path` | `::zibrato` | path of this crate, if another crate re-exports it |
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
/// It applies to the same functions as [`#[count_me]`](macro@count_me). An async function is timed
/// from the first poll until its future is done or dropped, including the time it waits. So is any
/// other [function that returns a future](macro@count_me#functions-that-return-a-future). On an
/// `impl`, a `trait` or a module the attribute [times every function in
/// it](macro@count_me#on-a-block).
///
/// # Slow calls
///
/// `slow("250ms", level = "error")` records a call that took 250 ms or longer a second time, with
/// the same name and time, at this level and with the tag `slow=250ms`. `level` defaults to
/// `"warn"`. Slow calls are recorded even while no worker subscribes to the attribute's own level.
/// The time is a number with the unit `ns`, `us`, `ms`, `s` or `min`, and is parsed at compile
/// time.
///
/// ```
/// use zibrato::time_me;
///
/// #[time_me(name = "db.query", slow("100ms"), err(level = "error"))]
/// fn query(table: &str) -> Option<usize> {
///     if table == "large" {
///         std::thread::sleep(std::time::Duration::from_millis(100));
///     }
///     (!table.is_empty()).then_some(table.len())
/// }
///
/// let capture = zibrato::testing::capture();
/// query("large");
/// query("");
/// assert_eq!(capture.timer("info", "db.query").len(), 1); // outcome=ok
/// assert_eq!(capture.timer("error", "db.query").len(), 1); // outcome=err
/// assert_eq!(capture.timer("warn", "db.query").len(), 1); // slow=100ms
/// ```
///
/// With `busy`, the busy time decides whether a call is slow. `sample` leaves most calls untimed,
/// so it cannot be combined with `slow`, `busy` or outcomes; put it into a second attribute.
///
/// # What it becomes
///
/// A guard in front of the body, which records when it is dropped. The body is in a block, so that
/// its temporaries are dropped before the guard:
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
///             ::zibrato::__private::Site::new(::zibrato::__private::Shape::Timer, ::zibrato::__private::Metadata {
///                 level: "info",
///                 name: ::core::option::Option::None,
///                 module: ::core::module_path!(),
///                 function: "order",
///                 source: ::core::option::Option::None,
///                 tags: &[],
///             });
///         &__ZIBRATO_SITE
///     });
///     {
///         items.len()
///     }
/// }
/// # pub fn call() { order(&["tea"]); } }
/// # before::call(); after::call();
/// # assert_eq!(capture.measurements().len(), 2);
/// ```
///
/// With `slow` the guard has two sites and reads the clock once when it is dropped. With outcomes
/// or `busy` the body becomes a closure or an async block, as with
/// [`#[count_me]`](macro@count_me#what-it-becomes).
pub use zibrato_macros::time_me;

/// Derives [`TagValue`](trait@crate::TagValue) for an enum without fields.
///
/// The value of a variant is its name in snake case, or the text that `#[tag(value = "..")]` on it
/// gives. `#[tag(crate = path)]` on the enum gives the path of this crate, if another crate
/// re-exports it.
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

mod annotate_me;
mod calls;
mod histogram_me;
pub use annotate_me::annotate_me;
pub use calls::{annotate, count, gauge, histogram, time};
pub use histogram_me::histogram_me;
