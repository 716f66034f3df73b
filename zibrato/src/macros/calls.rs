//! The macros that measure at a place inside a function.

/// Counts at this place: `count!(level, name)`, or `count!(level, name, value)`.
///
/// `value` is an expression of an [`Amount`](crate::Amount) and defaults to 1. `source = ".."`,
/// which defaults to the installation's, and [`tags(..)`](macro@crate::count_me#tags) may follow. Level,
/// name and source are as with [`#[count_me]`](macro@crate::count_me).
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
/// `value` is an expression of an [`Amount`](crate::Amount). There may follow `source = ".."`, which
/// defaults to the installation's, [`tags(..)`](macro@crate::count_me#tags), and `each = true`: then
/// every reading is sent, up to 1,000 in an interval, and those beyond folded; without it all of an
/// interval are folded into the last, count, sum, smallest and largest. Level, name and source are
/// as with [`#[count_me]`](macro@crate::count_me).
///
/// Within a process the last reading is the last one made. The readings of several processes are
/// ordered by their time in whole milliseconds, and in the same millisecond by when the broker
/// received them; give each process a source of its own if that matters.
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
/// [`TimeMe`](crate::TimeMe), which records when it is dropped. `source = ".."`, which
/// defaults to the installation's, and [`tags(..)`](macro@crate::count_me#tags) may follow. Level, name
/// and source are as with [`#[count_me]`](macro@crate::count_me).
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
