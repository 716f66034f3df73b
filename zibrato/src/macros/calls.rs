//! The macros that measure inside a function.

/// Records an annotation: `annotate!(level, stream, title, values..)`.
///
/// An annotation is an event that is shown beside measurements: a deploy, a start, a migration, a
/// change of the configuration. It is for rare events, and not for hot paths: each one is queued,
/// sent and delivered by itself, while counters and timers are summed up.
///
/// The title is a format string, with values as in [`println!`]. Optional arguments follow:
/// `description = ..` and `link = ..`, of any value that can be displayed, `source = ".."`, which
/// defaults to that of the builder, and [`tags(..)`](macro@crate::count_me#tags). Level, stream and
/// source have the same rules as level, name and source in [`#[count_me]`](macro@crate::count_me).
/// If nobody wants the level, the values are not evaluated.
///
/// ```
/// use zibrato::annotate;
///
/// let capture = zibrato::testing::capture();
/// let (version, build) = (7, "https://ci.example.com/builds/7");
/// annotate!("info", "deploys", "version {version} is live", link = build, tags(region = "eu"));
///
/// let deploy = &capture.annotations()[0].annotation;
/// assert_eq!((deploy.stream(), deploy.title()), ("deploys", "version 7 is live"));
/// assert_eq!(deploy.links()[0].href(), build);
/// ```
///
/// Texts that cannot be sent are changed: control characters become blanks, an empty title becomes
/// `_empty`, and a title ends after 255 bytes, a description after 4,096, with `…`. A link of more
/// than 2,048 bytes is left out; an [`Annotation`](crate::Annotation) and
/// [`Zibrato::annotate`](crate::Zibrato::annotate) take several links.
///
/// At most 1,024 annotations, and 4 MiB, wait while the broker is away. Further ones are lost and
/// counted ([`Loss::TooManyAnnotations`](crate::Loss::TooManyAnnotations)).
///
/// [`#[annotate_me]`](macro@crate::annotate_me) does the same for each call of a function.
pub use zibrato_macros::annotate;

/// Counts: `count!(level, name)`, or `count!(level, name, value)`.
///
/// `value` is an expression of an [`Amount`](crate::Amount) and defaults to 1. Optional arguments
/// follow: `source = ".."`, which defaults to that of the builder, and
/// [`tags(..)`](macro@crate::count_me#tags). Level, name and source have the same rules as in
/// [`#[count_me]`](macro@crate::count_me).
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

/// Records a reading of a gauge: `gauge!(level, name, value)`.
///
/// `value` is an expression of an [`Amount`](crate::Amount). Optional arguments follow: `source =
/// ".."`, which defaults to that of the builder, [`tags(..)`](macro@crate::count_me#tags), and
/// `each = true`. Level, name and source have the same rules as in
/// [`#[count_me]`](macro@crate::count_me).
///
/// By default, the readings of an interval are summarized as last reading, count, sum, minimum and
/// maximum. With `each = true`, every reading is sent, up to 1,000 per interval; further readings
/// are summarized.
///
/// Within a process, the last reading is the one that was recorded last. Readings of several
/// processes are ordered by their time in whole milliseconds; readings in the same millisecond are
/// ordered by the time at which the broker received them. If that matters, give each process its
/// own source.
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

/// Records a reading of a histogram: `histogram!(level, name, value)`, such as the bytes of a
/// response, or the rows of a result.
///
/// A histogram has the statistics of a timer (count, sum, minimum, maximum, mean, standard deviation
/// and percentiles, within 0.8 %), but its readings are in any unit. `value` is an expression of an
/// [`Amount`](crate::Amount), and may be negative. NaN and infinities are counted as lost.
///
/// Optional arguments follow: `unit = ".."`, `source = ".."`, which defaults to that of the builder,
/// and [`tags(..)`](macro@crate::count_me#tags). Level, name and source have the same rules as in
/// [`#[count_me]`](macro@crate::count_me). A unit is a literal or a constant of at most 32 bytes,
/// and part of the identity of the series: readings in different units are never added up. Defaults
/// to no unit.
///
/// ```
/// use zibrato::histogram;
///
/// fn respond(body: &[u8]) {
///     histogram!("info", "response.size", body.len(), unit = "bytes", tags(route = "/"));
/// }
///
/// let capture = zibrato::testing::capture();
/// respond(b"hello");
/// assert_eq!(capture.histogram("info", "response.size"), [5.0]);
/// assert_eq!(capture.measurements()[0].unit.as_ref().unwrap().as_str(), "bytes");
/// ```
///
/// For the result of a function, record it where the function returns, or around the call:
///
/// ```
/// # fn query(table: &str) -> Vec<u32> { table.bytes().map(u32::from).collect() }
/// let rows = query("users");
/// zibrato::histogram!("info", "db.rows", rows.len(), unit = "rows");
/// ```
pub use zibrato_macros::histogram;

/// Times an expression, `time!(level, name, expression)`, or the rest of a scope, `let guard =
/// time!(level, name)`. Times are in seconds.
///
/// With an expression, the macro evaluates to the value of the expression, and `?`, `return`,
/// `break` and `.await` in it keep their meaning. Without an expression, it evaluates to a guard,
/// [`TimeMe`](crate::TimeMe), which records the time when it is dropped. Optional arguments follow:
/// `source = ".."`, which defaults to that of the builder, and
/// [`tags(..)`](macro@crate::count_me#tags). Level, name and source have the same rules as in
/// [`#[count_me]`](macro@crate::count_me).
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
