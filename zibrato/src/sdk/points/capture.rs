//! Captures what a test records, on its own thread, on threads that it names, or on all threads.

mod log;
mod process;
mod task;
mod threads;

use super::point;
use super::series::Series;
use crate::measurement::{Measurement, RecordedAnnotation};
use crate::sdk::cells::busy;
use log::{Counted, Log};
use process::{Holding, Limits};
use std::io::Write as _;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) use log::captures;
pub use task::InTask;
pub use threads::Attached;

/// How long [`capture_process`] waits for another capture of the process.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long it waits before it says for what.
const PATIENCE: Duration = Duration::from_secs(5);

/// Captures everything that this thread records until the returned value is dropped.
///
/// It captures what macros, attributes, guards and handles record, and what goes through the
/// methods of a [`Zibrato`](crate::Zibrato), whether it is installed or not. Nothing of it is sent
/// or counted in [`Stats`](crate::Stats). Levels that nobody wants are captured, too.
///
/// Other threads, and so other tests, are not affected. To capture what another thread of your test
/// records, call [`attach`](Capture::attach) in it; for a task, use [`in_task`](Capture::in_task);
/// for all threads, use [`capture_process`].
///
/// A thread records into the last capture that it is attached to. So a capture inside of another
/// one takes everything until it is dropped, and so does `capture` while another thread has a
/// `capture_process`.
///
/// ```
/// use zibrato::{count_me, testing};
///
/// #[count_me(name = "logins")]
/// fn log_in() {}
///
/// let capture = testing::capture();
/// log_in();
/// log_in();
/// assert_eq!(capture.counter("info", "logins"), 2.0);
/// ```
#[must_use = "nothing is captured once it is dropped"]
pub fn capture() -> Capture {
    Capture::begin(Log::new().into(), None)
}

/// Captures what all threads of this process record until the returned value is dropped, for tests
/// of programs that start threads or tasks themselves.
///
/// A thread that has a [`capture`] of its own records into that one. All others are captured,
/// including the threads of tests that run at the same time. `cargo test` runs the tests of a file
/// as threads of one process: use names or tags that only your test records, or give each test a
/// process of its own with `cargo nextest run`.
///
/// A process has one such capture at a time. Another call waits until the first capture and its
/// clones are dropped. After five seconds it says on stderr what it waits for.
///
/// ```
/// use zibrato::{count, testing};
///
/// let capture = testing::capture_process();
/// std::thread::Builder::new().spawn(|| count!("info", "elsewhere"))?.join().unwrap();
/// assert_eq!(capture.counter("info", "elsewhere"), 1.0);
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// # Panics
///
/// If another capture of the process is held for more than 60 seconds, or for more than five if this
/// thread itself has taken it; see [`capture_process_within`].
#[must_use = "nothing is captured once it is dropped"]
#[track_caller]
pub fn capture_process() -> Capture {
    of_process(Limits { patience: PATIENCE, deadline: DEADLINE, of_ours: PATIENCE })
}

/// As [`capture_process`], but an earlier capture may be held for as long as `deadline`, also if this
/// thread has taken it and given it to another one.
///
/// ```
/// use std::time::Duration;
/// let capture = zibrato::testing::capture_process_within(Duration::from_secs(600));
/// # drop(capture);
/// ```
///
/// # Panics
///
/// If an earlier capture of the process is held for longer than `deadline`.
#[must_use = "nothing is captured once it is dropped"]
#[track_caller]
pub fn capture_process_within(deadline: Duration) -> Capture {
    of_process(Limits { patience: PATIENCE, deadline, of_ours: deadline })
}

#[track_caller]
fn of_process(limits: Limits) -> Capture {
    let log = Arc::new(Log::new());
    // Not with a macro, whose output the test harness keeps until the test has ended. If nobody can
    // read it, waiting still ends.
    let tell = |text| drop(writeln!(std::io::stderr(), "zibrato: {text}"));
    match process::hold(&log, Location::caller(), limits, tell) {
        Ok(holding) => Capture::begin(log, Some(holding)),
        Err(refused) => panic!("{refused}"),
    }
}

/// The captured readings; see [`capture`] and [`capture_process`]. Clones are the same capture,
/// which ends when the last of them is dropped, on whatever thread.
///
/// It keeps every reading until then.
///
/// It also ends at a fork: the child measures as if there was no capture, and finds no readings in
/// one that it has inherited.
#[derive(Debug, Clone)]
pub struct Capture {
    shared: Arc<Shared>,
}

/// In the order in which they end.
#[derive(Debug)]
struct Shared {
    log: Arc<Log>,
    /// If it captures all threads.
    holding: Option<Holding>,
    _counted: Counted,
}

impl Capture {
    fn begin(log: Arc<Log>, holding: Option<Holding>) -> Self {
        let capture =
            Self { shared: Arc::new(Shared { log, holding, _counted: Counted::begin() }) };
        capture.attach().keep();
        // Makes points ask again: open ones would write to their cells directly, and closed ones
        // nowhere.
        point::ask_again(|| {});
        capture
    }

    /// Also captures what the calling thread records, until the returned guard is dropped or the
    /// capture ends.
    ///
    /// ```
    /// let capture = zibrato::testing::capture();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let _attached = capture.attach();
    ///         zibrato::count!("info", "elsewhere");
    ///     });
    /// });
    /// assert_eq!(capture.counter("info", "elsewhere"), 1.0);
    /// ```
    ///
    /// A thread of a pool is detached before it works for somebody else:
    ///
    /// ```
    /// # fn with_pool(act: impl FnOnce() + Send) { std::thread::scope(|s| { s.spawn(act); }); }
    /// # let capture = zibrato::testing::capture();
    /// with_pool(|| {
    ///     let _attached = capture.attach();
    ///     zibrato::count!("info", "jobs");
    /// });
    /// # assert_eq!(capture.counter("info", "jobs"), 1.0);
    /// ```
    pub fn attach(&self) -> Attached {
        threads::attach(&Arc::downgrade(&self.shared.log))
    }

    /// Captures what a future records, on whatever thread it is polled and dropped.
    ///
    /// Tasks that the future itself spawns are not captured, unless they are wrapped, too;
    /// [`capture_process`] captures them. The returned future does not keep the capture alive.
    ///
    /// ```
    /// use zibrato::{count, testing};
    ///
    /// #[tokio::main]
    /// async fn main() {
    ///     let capture = testing::capture();
    ///     let task = capture.in_task(async {
    ///         tokio::task::yield_now().await;
    ///         count!("info", "tasks");
    ///     });
    ///     tokio::spawn(task).await.unwrap();
    ///     assert_eq!(capture.counter("info", "tasks"), 1.0);
    /// }
    /// ```
    pub fn in_task<F: IntoFuture>(&self, future: F) -> InTask<F::IntoFuture> {
        InTask::new(future.into_future(), Arc::downgrade(&self.shared.log))
    }

    /// Everything recorded so far, in order.
    #[must_use]
    pub fn measurements(&self) -> Vec<Measurement> {
        busy(|| self.shared.log.with(|readings| readings.clone()))
    }

    /// Every annotation recorded so far, in order.
    ///
    /// ```
    /// let capture = zibrato::testing::capture();
    /// zibrato::annotate!("info", "deploys", "version {} is live", 7);
    /// assert_eq!(capture.annotations()[0].annotation.title(), "version 7 is live");
    /// ```
    #[must_use]
    pub fn annotations(&self) -> Vec<RecordedAnnotation> {
        busy(|| self.shared.log.with_annotations(|annotations| annotations.clone()))
    }

    /// Whether it captures all threads.
    pub(crate) fn is_of_process(&self) -> bool {
        self.shared.holding.is_some()
    }
}

/// What this thread records into.
fn current() -> Option<Arc<Log>> {
    threads::current().or_else(process::current)
}

/// Whether what this thread records is captured.
pub(crate) fn capturing() -> bool {
    captures().load(Ordering::Relaxed) != 0 && busy(|| current().is_some())
}

/// Captures a reading of a series, if what this thread records is captured. NaN and infinities are
/// left out, because nobody would get them without the capture.
pub(crate) fn catch(series: impl FnOnce() -> Option<Series>, value: f64) -> bool {
    if value.is_finite() { push(series, |_, _| value) } else { capturing() }
}

/// Captures the number of calls in flight, if what this thread records is captured. Only captured
/// calls count.
pub(crate) fn catch_move(series: impl FnOnce() -> Option<Series>, amount: i64) -> bool {
    push(series, |readings, series| {
        let before = readings.iter().rfind(|m| {
            (&m.level, &m.name, m.kind, &m.tags)
                == (&series.level, &series.name, series.kind, &series.tags)
        });
        // The call that ends may have begun before the capture.
        (before.map_or(0.0, |m| m.value) + amount as f64).max(0.0)
    })
}

/// Captures an annotation, if what this thread records is captured. Otherwise returns it.
pub(crate) fn catch_annotation(recorded: RecordedAnnotation) -> Option<RecordedAnnotation> {
    if captures().load(Ordering::Relaxed) == 0 {
        return Some(recorded);
    }
    busy(|| match current() {
        Some(log) => {
            log.with_annotations(|annotations| annotations.push(recorded));
            None
        }
        None => Some(recorded),
    })
}

fn push(
    series: impl FnOnce() -> Option<Series>,
    value: impl FnOnce(&[Measurement], &Series) -> f64,
) -> bool {
    if captures().load(Ordering::Relaxed) == 0 {
        return false;
    }
    busy(|| {
        let Some(log) = current() else { return false };
        let Some(series) = series() else { return false };
        log.push(series, value);
        true
    })
}

#[cfg(test)]
mod tests {
    use super::{Series, capture, catch};
    use crate::{Kind, Level, Name, Source, Tags};

    #[test]
    fn a_histogram_is_found_by_its_kind() {
        let capture = capture();
        let series = || {
            let (level, name) = (Level::new("info").ok()?, Name::new("bytes").ok()?);
            let (source, tags) = (Source::default(), Tags::NONE);
            Some(Series { level, source, name, kind: Kind::Histogram, tags, unit: None })
        };
        assert!(catch(series, 7.0) && catch(series, 9.0));
        assert_eq!(capture.histogram("info", "bytes"), [7.0, 9.0]);
        assert!(capture.has("info", "bytes"));
    }
}
