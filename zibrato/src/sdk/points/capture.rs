//! Captures what a test records, on its own thread, without affecting other tests.

use super::point;
use super::series::Series;
use crate::measurement::{Kind, Measurement};
use crate::sdk::cells::{busy, lock};
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

thread_local! {
    /// The captures of this thread. The last one that still exists is used.
    static CURRENT: RefCell<Vec<Weak<Log>>> = const { RefCell::new(Vec::new()) };
}

/// The number of captures. While it is not zero, call sites ask at each use whether they are
/// wanted.
static CAPTURES: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Log(Mutex<Vec<Measurement>>);

impl Drop for Log {
    fn drop(&mut self) {
        CAPTURES.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Captures everything that this thread records until the returned value is dropped. Nothing of it
/// is sent.
///
/// Other threads, and so other tests, are not affected. To capture what another thread of your test
/// records, call [`attach`](Capture::attach) in it.
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
    CAPTURES.fetch_add(1, Ordering::SeqCst);
    let capture = Capture { log: Arc::new(Log(Mutex::default())) };
    capture.attach();
    capture
}

/// The captured readings; see [`capture`]. Clones are the same capture, which ends when the last of
/// them is dropped.
#[derive(Debug, Clone)]
pub struct Capture {
    log: Arc<Log>,
}

impl Capture {
    /// Also captures what the calling thread records, from now until the capture ends.
    ///
    /// ```
    /// let capture = zibrato::testing::capture();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         capture.attach();
    ///         zibrato::count!("info", "elsewhere");
    ///     });
    /// });
    /// assert_eq!(capture.counter("info", "elsewhere"), 1.0);
    /// ```
    pub fn attach(&self) {
        let attach = |current: &mut Vec<Weak<Log>>| {
            current.retain(|log| log.strong_count() > 0);
            current.push(Arc::downgrade(&self.log));
        };
        busy(|| CURRENT.with_borrow_mut(attach));
        // Makes call sites ask again: open ones would write to their cells directly, and closed
        // ones nowhere.
        point::ask_again(|| {});
    }

    /// Everything recorded so far, in order.
    #[must_use]
    pub fn measurements(&self) -> Vec<Measurement> {
        busy(|| lock(&self.log.0).clone())
    }

    /// The sum of a counter, over all sources.
    #[must_use]
    pub fn counter(&self, level: &str, name: &str) -> f64 {
        // `sum` of an empty iterator is -0.
        self.values(Kind::Counter, level, name).iter().fold(0.0, |sum, value| sum + value)
    }

    /// The readings of a gauge, over all sources, in order.
    #[must_use]
    pub fn gauge(&self, level: &str, name: &str) -> Vec<f64> {
        self.values(Kind::Gauge, level, name)
    }

    /// The readings of a timer in seconds, over all sources, in order.
    #[must_use]
    pub fn timer(&self, level: &str, name: &str) -> Vec<f64> {
        self.values(Kind::Timer, level, name)
    }

    fn values(&self, kind: Kind, level: &str, name: &str) -> Vec<f64> {
        let is_it = |m: &&Measurement| {
            m.kind == kind && m.level.as_str() == level && m.name.as_str() == name
        };
        busy(|| lock(&self.log.0).iter().filter(is_it).map(|m| m.value).collect())
    }
}

/// Whether there is a capture in any thread.
pub(crate) fn anybody_captures() -> bool {
    CAPTURES.load(Ordering::SeqCst) != 0
}

/// Whether there is a capture in this thread.
pub(crate) fn capturing() -> bool {
    CAPTURES.load(Ordering::Relaxed) != 0
        && CURRENT.try_with(|current| last(&current.borrow()).is_some()).unwrap_or(false)
}

fn last(logs: &[Weak<Log>]) -> Option<Arc<Log>> {
    logs.iter().rev().find_map(Weak::upgrade)
}

/// Captures a reading of a series, if this thread has a capture.
pub(crate) fn catch(series: impl FnOnce() -> Option<Series>, value: f64) -> bool {
    capturing() && busy(|| series().is_some_and(|series| push(series, |_, _| value)))
}

/// Captures the number of calls in flight, if this thread has a capture. Only captured calls count.
pub(crate) fn catch_move(series: impl FnOnce() -> Option<Series>, amount: i64) -> bool {
    let moved = |log: &[Measurement], series: &Series| {
        let before = log.iter().rfind(|m| {
            (&m.level, &m.name, m.kind, &m.tags)
                == (&series.level, &series.name, series.kind, &series.tags)
        });
        // The call that ends may have begun before the capture.
        (before.map_or(0.0, |m| m.value) + amount as f64).max(0.0)
    };
    capturing() && busy(|| series().is_some_and(|series| push(series, moved)))
}

/// Adds a reading, whose value may depend on earlier readings.
fn push(series: Series, value: impl FnOnce(&[Measurement], &Series) -> f64) -> bool {
    let caught = |current: &RefCell<Vec<Weak<Log>>>| {
        let Some(last) = last(&current.borrow()) else { return false };
        let mut log = lock(&last.0);
        let value = value(&log, &series);
        let Series { level, source, name, kind, tags } = series;
        log.push(Measurement::new(level, kind, name, value, source, tags));
        true
    };
    CURRENT.try_with(caught).unwrap_or(false)
}
