//! The attributes and macros, documented here, where the examples can run.

/// Counts the calls of a function, all of them or only those with a certain outcome.
///
/// | argument | default | |
/// |---|---|---|
/// | `level = ".."` | `"info"` | routes; any word |
/// | `name = ".."` | `module.path.function` | what is counted; the default leaves out the type of a method, unless the attribute stands on its `impl` |
/// | `value = ..` | `1` | how much to count: any expression of an [`Amount`](crate::Amount), evaluated once, on entry, before the body can move an argument |
/// | `source = ".."` | the installation's | who counts |
/// | `tags(tag = ..)` | none | what else tells the series apart; see [tags](macro@count_me#tags) |
/// | `on = ".."` | `"always"` | `"ok"` or `"err"`: only if the function returns that; see [`Outcome`](crate::Outcome) |
/// | `outcomes` | not told apart | counts under the tag `outcome`: `ok`, `err`, `panic` or `cancelled`; see [below](#outcomes) |
/// | `ok`, `err`, `panic`, `cancelled` | at `level` | like `outcomes`; with `(level = "..")` that outcome has a level of its own |
/// | `in_flight` | no | a gauge `<name>.in_flight` of the calls, or futures, that are running |
/// | `polls` | no | async only: a counter `<name>.polls` of how often the future was polled |
/// | `call` | no | measures the call alone, of a function [that returns a future](macro@count_me#functions-that-return-a-future) |
/// | `crate = path` | `::zibrato` | where this crate is, if another passes it on |
///
/// Levels, names and sources are literals, constants or `concat!(..)`, and are checked when the
/// program is compiled. A name may also be [any other expression](macro@count_me#names-made-at-run-time);
/// for levels and sources known at run time there is [`installed`](crate::installed).
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
/// and async ones, which are counted when they are first polled. It cannot stand on a `const fn`, nor
/// on a function with an `Fn(..)` without its `dyn`, as old editions have them. Several attributes on
/// one function each record for themselves.
///
/// With `on = "err"`, `Err`, `None` and a panic are counted; with `on = "ok"`, everything else. A
/// future that is dropped half way is neither.
///
/// # Outcomes
///
/// `outcomes`, or any outcome that is named, counts each call when it ends, in a series of its own:
/// same name, and the tag `outcome`.
///
/// | `outcome` | the call |
/// |---|---|
/// | `ok` | returned, and no error |
/// | `err` | returned an error, by `return`, `?` or at its end |
/// | `panic` | panicked, and the panic unwinds |
/// | `cancelled` | was a future, polled at least once, and dropped before it was done |
///
/// Whether a result is an error is up to its type: a `Result`, an `Option`, or whatever has
/// [`Outcome`](crate::Outcome), through aliases and `impl Trait` too. Everything else is `ok` when
/// it returns, and so is a type parameter without the bound `Outcome`. With `err` among the
/// arguments the compiler insists on `Outcome`, so that no error is `ok` by mistake.
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
/// `in_flight` goes up when a call begins, or a future is first polled, and down when it returns,
/// panics or is dropped. It has the attribute's level. `polls` counts each poll as it begins.
///
/// Each attribute has a gauge of its own. Those of two functions with one name, such as two methods
/// `run` in one module by default, are not added up; give them different names.
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
///                 ::zibrato::__private::Site::counter(::zibrato::__private::Metadata {
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
/// To count by outcome, the body becomes a closure, so that `return` and `?` end there, in a scope
/// that is told how it ends:
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
/// #     ::zibrato::__private::Site::counter(::zibrato::__private::Metadata {
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
/// To tell outcomes apart, the scope has a site for each:
///
/// ```
/// # use ::zibrato::__private::{Metadata, Site};
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
/// # static OK: Site = Site::counter(place(&[("outcome", "ok")]));
/// # static ERR: Site = Site::counter(place(&[("outcome", "err")]));
/// # static PANIC: Site = Site::counter(place(&[("outcome", "panic")]));
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
/// Then a result may be of any type: `Look(&result)` says whether it is an error, if it can be.
/// The future of an async function becomes a struct of two, the block and the scope, which polls the
/// one and tells the other. `in_flight` is a guard in front of the body.
///
/// Three things are different inside a closure or block: in a
/// `#[track_caller]` function, `Location::caller` no longer leads to the caller, an argument
/// that is ignored (`_: Guard`) is dropped after those that are not, and a closure that the function
/// returns as `impl Fn(&T)` has to name the types of its arguments, `|a: &T|`.
pub use zibrato_macros::count_me;

/// Times a function: however it ends, by return, `?` or panic, it leaves one measurement, in
/// seconds.
///
/// | argument | default | |
/// |---|---|---|
/// | `level = ".."` | `"info"` | routes; any word |
/// | `name = ".."` | `module.path.function` | what is timed; the default leaves out the type of a method, unless the attribute stands on its `impl` |
/// | `source = ".."` | the installation's | who times |
/// | `tags(tag = ..)` | none | what else tells the series apart; see [tags](macro@count_me#tags) |
/// | `outcomes` | not told apart | times under the tag `outcome`: `ok`, `err`, `panic` or `cancelled`, as [`#[count_me]`](macro@count_me#outcomes) counts |
/// | `ok`, `err`, `panic`, `cancelled` | at `level` | like `outcomes`; with `(level = "..")` that outcome has a level of its own |
/// | `slow("250ms")` | no | a call that took so long or longer is recorded once more; see [below](#slow-calls) |
/// | `sample = 100` | 1 | only every so many-th call reads the clock, up to 1,000,000; the count stays exact |
/// | `in_flight` | no | a gauge `<name>.in_flight` of the calls, or futures, that are running |
/// | `busy` | the time that passes | async only: only the time inside the polls of the future, without waiting |
/// | `polls` | no | async only: a counter `<name>.polls` of how often the future was polled |
/// | `call` | no | measures the call alone, of a function [that returns a future](macro@count_me#functions-that-return-a-future) |
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
/// from when it is first polled until it is done or dropped, waiting included, and so is another
/// [function that returns a future](macro@count_me#functions-that-return-a-future). On an `impl`, a
/// `trait` or a module it [times every function in it](macro@count_me#on-a-block).
///
/// # Slow calls
///
/// `slow("250ms", level = "error")` records a call that took 250 ms or longer once more, with the
/// same name and the same time, at a level of its own and with the tag `slow`, here `slow=250ms`.
/// `level` defaults to `"warn"`. Whoever watches that level sees the slow calls, also while nobody
/// watches the attribute's own. The time is a number and `ns`, `us`, `ms`, `s` or `min`, and is read
/// when the program is compiled.
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
/// With `busy`, the busy time is what is slow or not. `sample` leaves most calls untimed, and so
/// goes with none of `slow`, `busy` and the outcomes; put it in a separate attribute.
///
/// # What it becomes
///
/// A guard in front of the body, which stands in a block of its own so that its temporaries are
/// dropped before the guard, which records when it is dropped itself:
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
///             ::zibrato::__private::Site::timer(::zibrato::__private::Metadata {
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
/// With `slow` it is a guard of two sites, which reads the clock once when it is dropped. For
/// outcomes and `busy` the body becomes a closure or an async block, as with
/// [`#[count_me]`](macro@count_me#what-it-becomes).
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

mod calls;
pub use calls::{count, gauge, time};
