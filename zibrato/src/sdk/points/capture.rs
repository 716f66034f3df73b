//! Catches what a test records, on its own thread, without touching other tests.

use super::point;
use super::series::Series;
use crate::measurement::{Kind, Measurement};
use crate::sdk::cells::reentry::busy;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

thread_local! {
    /// What this thread captures into: the last of them.
    static CURRENT: RefCell<Vec<Log>> = const { RefCell::new(Vec::new()) };
}

/// How many threads capture. While any does, call sites ask at each use.
static CAPTURING: AtomicUsize = AtomicUsize::new(0);

type Log = Arc<Mutex<Vec<Measurement>>>;

/// Catches everything that this thread records from now until the returned value is dropped;
/// nothing of it is sent.
///
/// Other threads, and so other tests, go on undisturbed. To catch what a thread of your own
/// records, call [`attach`](Captured::attach) in it.
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
    let log = Log::default();
    Capture { _attached: attach(&log), log }
}

fn attach(log: &Log) -> Attached {
    busy(|| CURRENT.with_borrow_mut(|current| current.push(Arc::clone(log))));
    CAPTURING.fetch_add(1, Ordering::SeqCst);
    // Call sites that were open go straight to their cells, and closed ones nowhere.
    point::ask_again(|| {});
    Attached { log: Arc::clone(log), this_thread: PhantomData }
}

/// Readings that were caught; see [`capture`].
#[derive(Debug)]
pub struct Capture {
    log: Log,
    _attached: Attached,
}

impl Capture {
    /// A token to [`attach`](Captured::attach) other threads with.
    #[must_use]
    pub fn shared(&self) -> Captured {
        Captured { log: Arc::clone(&self.log) }
    }

    /// Everything recorded so far, in order.
    #[must_use]
    pub fn measurements(&self) -> Vec<Measurement> {
        busy(|| lock(&self.log).clone())
    }

    /// The sum of a counter, over all sources.
    #[must_use]
    pub fn counter(&self, level: &str, name: &str) -> f64 {
        // Of none, `sum` would make -0.
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
        busy(|| lock(&self.log).iter().filter(is_it).map(|m| m.value).collect())
    }
}

/// Lets other threads record into the same [`Capture`].
///
/// ```
/// let capture = zibrato::testing::capture();
/// let shared = capture.shared();
/// std::thread::spawn(move || {
///     let _attached = shared.attach();
///     zibrato::count!("info", "elsewhere");
/// })
/// .join()
/// .unwrap();
/// assert_eq!(capture.counter("info", "elsewhere"), 1.0);
/// ```
#[derive(Debug, Clone)]
pub struct Captured {
    log: Log,
}

impl Captured {
    /// Catches everything that this thread records until the returned value is dropped.
    #[must_use = "nothing is captured once it is dropped"]
    pub fn attach(&self) -> Attached {
        attach(&self.log)
    }
}

/// While it lives, the thread that made it records into a [`Capture`].
#[derive(Debug)]
pub struct Attached {
    log: Log,
    // What it undoes belongs to its thread, so it stays there.
    this_thread: PhantomData<*const ()>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        CAPTURING.fetch_sub(1, Ordering::SeqCst);
        // Not always the last one: of several, any may go first.
        let leave = |current: &RefCell<Vec<Log>>| {
            let mut current = current.borrow_mut();
            let at = current.iter().rposition(|log| Arc::ptr_eq(log, &self.log));
            at.map(|at| current.remove(at))
        };
        // An error means that the thread's destructors have run.
        CURRENT.try_with(leave).ok();
    }
}

fn lock(log: &Log) -> MutexGuard<'_, Vec<Measurement>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether any thread captures.
pub(crate) fn anybody_captures() -> bool {
    CAPTURING.load(Ordering::SeqCst) != 0
}

/// Whether this thread captures.
pub(crate) fn capturing() -> bool {
    CAPTURING.load(Ordering::Relaxed) != 0
        && CURRENT.try_with(|current| !current.borrow().is_empty()).unwrap_or(false)
}

/// Catches a reading of a series, if this thread captures.
pub(crate) fn catch(series: impl FnOnce() -> Option<Series>, value: f64) -> bool {
    capturing() && busy(|| series().is_some_and(|series| push(series, |_, _| value)))
}

/// Catches how many calls are running now, if this thread captures: of those that it captured.
pub(crate) fn catch_move(series: impl FnOnce() -> Option<Series>, amount: i64) -> bool {
    let moved = |log: &[Measurement], series: &Series| {
        let before = log.iter().rfind(|m| {
            (&m.level, &m.name, m.kind, m.tags)
                == (&series.level, &series.name, series.kind, series.tags)
        });
        // A call may end here that began before.
        (before.map_or(0.0, |m| m.value) + amount as f64).max(0.0)
    };
    capturing() && busy(|| series().is_some_and(|series| push(series, moved)))
}

/// Adds a reading, whose value may depend on what was caught before.
fn push(series: Series, value: impl FnOnce(&[Measurement], &Series) -> f64) -> bool {
    let caught = |current: &RefCell<Vec<Log>>| {
        let current = current.borrow();
        let Some(log) = current.last() else { return false };
        let mut log = lock(log);
        let value = value(&log, &series);
        let Series { level, source, name, kind, tags } = series;
        log.push(Measurement::new(level, kind, name, value, source, tags));
        true
    };
    CURRENT.try_with(caught).unwrap_or(false)
}
