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
/// and async ones, which are counted when they are first polled. It cannot stand on a `const fn`.
/// Several attributes on one function each record for themselves.
///
/// With `on = "err"`, `Err`, `None` and a panic are counted; with `on = "ok"`, everything else. A
/// future that is dropped half way is neither.
///
/// # On a block
///
/// On an `impl`, a `trait` or a module that stands in the same file, an attribute measures every
/// function with a body in it, as if it stood on each. Their names are `module.path.Type.method`, of
/// traits' default methods `module.path.Trait.method`; `name = "shop"` makes that `shop.Type.method`.
///
/// ```
/// use zibrato::{count_me, time_me};
///
/// struct Shop(u32);
///
/// #[time_me(level = "debug")]
/// #[count_me(name = "shop", level = "error", on = "err")]
/// impl Shop {
///     fn open() -> Self {
///         Self(1)
///     }
///
///     #[time_me(name = "shop.order")] // keeps this, and is not timed twice
///     fn order(&mut self) -> Result<(), String> {
///         self.0 = self.0.checked_sub(1).ok_or("sold out")?;
///         Ok(())
///     }
///
///     #[time_me(skip)] // is not timed
///     fn left(&self) -> u32 {
///         self.0
///     }
///
///     const fn most() -> u32 { // cannot be measured, and stays as it is
///         1
///     }
/// }
/// # fn main() {
///
/// let capture = zibrato::testing::capture();
/// let mut shop = Shop::open();
/// shop.order().unwrap();
/// shop.order().unwrap_err();
/// assert_eq!(shop.left() + Shop::most(), 1);
/// assert_eq!(capture.timer("info", "shop.order").len(), 2);
/// assert_eq!(capture.counter("error", "shop.Shop.order"), 1.0);
/// let open = capture.measurements()[0].name.clone();
/// assert!(open.as_str().ends_with(".Shop.open"));
/// # }
/// ```
///
/// `const fn`s, naked ones and declarations stay as they are; so do functions that macros in the
/// block make, and with `on = "ok"` or `"err"` those whose return type is not written as some
/// `Result` or `Option`. A function's own attribute is known by its last word, `time_me` or
/// `count_me`: one that was imported under another name is not, and measures once more.
///
/// # Tags
///
/// A tag's value is a literal, a constant in capitals or `concat!(..)`, or else an expression of a
/// [`TagValue`](trait@crate::TagValue): a type with few values, such as an enum that derives it, or
/// `bool`. It is evaluated where the call begins.
///
/// ```
/// use zibrato::{TagValue, count_me, gauge};
///
/// #[derive(TagValue, Clone, Copy)]
/// enum Method {
///     Get,
///     Post,
/// }
///
/// #[count_me(name = "requests", tags(region = "eu", method = method, cached = !path.contains('?')))]
/// fn handle(method: Method, path: &str) {
///     gauge!("info", "path.length", path.len(), tags(method = method));
/// }
///
/// let capture = zibrato::testing::capture();
/// handle(Method::Post, "/?a");
/// let tags = [("cached", "false"), ("method", "post"), ("region", "eu")];
/// assert_eq!(capture.measurements()[0].tags, tags);
/// ```
///
/// At most four tags of one place may have values that are known only at the call, with at most 256
/// combinations. Such a place is a family of call sites, one for each combination, made when the
/// place is first used: that call allocates, and every other takes about a nanosecond more than one
/// without tags. Carbon gets tags as `name;tag=value`, Librato as parts of the name; plain lines
/// have no place for them.
///
/// # Names made at run time
///
/// A name that is no literal, constant in capitals or path, nor `concat!(..)`, is evaluated where
/// the call begins; anything that is a text will do. Its arguments are read before the body can move
/// them.
///
/// ```
/// use zibrato::count_me;
///
/// #[count_me(name = format!("shard.{shard}.rows"), value = rows)]
/// fn store(shard: u32, rows: u64) {}
///
/// let capture = zibrato::testing::capture();
/// store(7, 100);
/// assert_eq!(capture.counter("info", "shard.7.rows"), 100.0);
/// ```
///
/// That costs each call the evaluation, here with an allocation and formatting, and some 12 ns to
/// find the call site of that name: about 40 ns for the `format!` above, where a name known to the
/// compiler costs less than one. While nobody wants the level, the name is not made. A name that may
/// not be on the wire is a reading lost, [`Loss::Name`](crate::Loss::Name). The call sites of such
/// names stay for good, so a program has at most 10,000 of them, and measures what is beyond under
/// the name `_overflow`.
///
/// # Futures in a box
///
/// A function whose whole body is `Box::pin(async move { .. })`, or `async move { .. }` alone, is
/// measured as an `async fn` is: when the future runs, and not while it is made. Methods below
/// `#[async_trait]` are such, so attributes on them do what they say; and on a block, the order of
/// `#[async_trait]` and an attribute does not matter. Of other functions that return a future, the
/// making of it is measured.
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
/// | `name = ".."` | `module.path.function` | what is timed; the default leaves out the type of a method, unless the attribute stands on its `impl` |
/// | `source = ".."` | the installation's | who times |
/// | `tags(tag = ..)` | none | what else tells the series apart; see [tags](macro@count_me#tags) |
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
/// from when it is first polled until it is done or dropped, waiting included, and so is a function
/// whose whole body is [a future](macro@count_me#futures-in-a-box); of another function that returns
/// a future, only the making of that future. On an `impl`, a `trait` or a module it
/// [times every function in it](macro@count_me#on-a-block).
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
/// `value` is an expression of an [`Amount`](crate::Amount) and defaults to 1. `source = ".."`,
/// which defaults to the installation's, and [`tags(..)`](macro@count_me#tags) may follow. Level,
/// name and source are as with [`#[count_me]`](macro@count_me).
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
/// `value` is an expression of an [`Amount`](crate::Amount). `source = ".."`, which defaults to the
/// installation's, and [`tags(..)`](macro@count_me#tags) may follow. Level, name and source are as
/// with [`#[count_me]`](macro@count_me).
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
/// [`TimeMe`](crate::TimeMe), which records when it is dropped. `source = ".."`, which defaults to the
/// installation's, and [`tags(..)`](macro@count_me#tags) may follow. Level, name and source are as
/// with [`#[count_me]`](macro@count_me).
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
