//! The handle to an instrument, and the guard that keeps one installed.

use super::amount::Amount;
use super::guard::{CountMe, TimeMe};
use super::handles::{CounterHandle, GaugeHandle, TimerHandle};
use super::instrument::Instrument;
use super::kept::Kept;
use super::ledger::{Loss, Stats};
use super::owner::{self, Owner};
use super::patience;
use super::process;
use crate::measurement::{Kind, Source, TextError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

static INSTALLED: RwLock<Option<Zibrato>> = RwLock::new(None);

/// The installed instrument, if there is one.
///
/// ```
/// let name = format!("shard.{}.full", 7);
/// if let Some(z) = zibrato::installed() {
///     z.count("warn", &name, 1);
/// }
/// ```
#[must_use]
pub fn installed() -> Option<Zibrato> {
    INSTALLED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Installs a handle unless there is one; gives it back then.
pub(crate) fn install(handle: Zibrato) -> Result<Guard, Zibrato> {
    process::flush_at_exit();
    // One at a time. Call sites look up who is installed meanwhile.
    let _installing = installing();
    if installed().is_some() {
        return Err(handle);
    }
    handle.owner.with(|works| works.instrument.take_sites());
    *write() = Some(handle.clone());
    Ok(Guard { handle: Some(handle) })
}

pub(crate) fn instrument() -> Option<Arc<Instrument>> {
    if owner::is_making() {
        return None;
    }
    let installed = INSTALLED.read().unwrap_or_else(PoisonError::into_inner);
    installed.as_ref()?.owner.with(|works| Arc::clone(&works.instrument))
}

static INSTALLING: Mutex<()> = Mutex::new(());

fn installing() -> MutexGuard<'static, ()> {
    INSTALLING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, Option<Zibrato>> {
    INSTALLED.write().unwrap_or_else(PoisonError::into_inner)
}

/// The last flush, if the process ends while an instrument is installed.
pub(crate) fn shut_down_installed() {
    if let Some(handle) = installed_if_free() {
        handle.owner.shut_down();
    }
}

/// The installed instrument, unless somebody installs one for long. A thread that forks holds the
/// lock for as long as the system needs for it.
pub(crate) fn installed_if_free() -> Option<Zibrato> {
    patience::read(&INSTALLED, Duration::from_secs(1)).and_then(|installed| installed.clone())
}

/// Keeps the lock of this file for a fork.
pub(crate) struct Held {
    _installing: MutexGuard<'static, ()>,
    _installed: RwLockWriteGuard<'static, Option<Zibrato>>,
}

pub(crate) fn hold() -> Option<Held> {
    let _installing = patience::lock(&INSTALLING)?;
    Some(Held { _installing, _installed: patience::write(&INSTALLED)? })
}

/// An instrument: measures under names known at run time, and says what became of every reading.
///
/// Clones are the same instrument. [`Builder::install`](crate::Builder::install) makes one the
/// program's, which attributes and macros record into; [`Builder::build`](crate::Builder::build)
/// makes one that stands alone, and several of those may live in one process. When the last clone
/// of such a one goes, it flushes.
///
/// Levels and names are texts here. `count`, `time` and `read_gauge` look them up on each call,
/// which costs about 100 ns; [`counter`](Self::counter), [`timer`](Self::timer) and
/// [`gauge`](Self::gauge) look them up once, and what they give costs what a call site costs. A
/// text that may not be on the wire is not an error but a counted loss: instrumentation must not
/// change what a program does.
///
/// One instrument keeps 100,000 names apart; beyond them readings go to a series `_overflow`, and
/// [`Stats::overflowing`](crate::Stats::overflowing) says which name was the first to find no room.
///
/// ```
/// # fn main() -> Result<(), zibrato::InstallError> {
/// let z = zibrato::Zibrato::builder().source("importer").build()?;
/// for shard in 0..3 {
///     z.count("info", &format!("shard.{shard}.rows"), 100);
/// }
/// z.read_gauge("info", "queue.depth", 17);
/// assert_eq!(z.stats().recorded, 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Zibrato {
    owner: Arc<Owner>,
    source: Option<Source>,
}

impl Zibrato {
    pub(crate) fn new(owner: Owner) -> Self {
        Self { owner: Arc::new(owner), source: None }
    }

    /// Begins to set an instrument up.
    pub fn builder() -> crate::Builder {
        crate::Builder::new()
    }

    /// A handle to the same instrument whose readings carry another source.
    ///
    /// # Errors
    /// When `source` may not be on the wire.
    pub fn with_source(&self, source: &str) -> Result<Self, TextError> {
        Ok(Self { owner: Arc::clone(&self.owner), source: Some(Source::new(source)?) })
    }

    /// Counts.
    pub fn count<A: Amount>(&self, level: &str, name: &str, amount: A) {
        self.record(Kind::Counter, level, name, amount.number());
    }

    /// A handle to a counter, for names that are counted often.
    #[must_use]
    pub fn counter(&self, level: &str, name: &str) -> CounterHandle {
        CounterHandle::new(self.kept(Kind::Counter, level, name))
    }

    /// A handle to a gauge, for names that are read often.
    #[must_use]
    pub fn gauge(&self, level: &str, name: &str) -> GaugeHandle {
        GaugeHandle::new(self.kept(Kind::Gauge, level, name))
    }

    /// A handle to a timer, for names that are timed often.
    #[must_use]
    pub fn timer(&self, level: &str, name: &str) -> TimerHandle {
        TimerHandle::new(self.kept(Kind::Timer, level, name))
    }

    /// Reads a gauge.
    pub fn read_gauge<A: Amount>(&self, level: &str, name: &str, value: A) {
        self.record(Kind::Gauge, level, name, value.number());
    }

    /// Records how long something took that was measured elsewhere.
    pub fn time(&self, level: &str, name: &str, took: Duration) {
        let seconds = super::amount::Number::Float(took.as_secs_f64());
        self.record(Kind::Timer, level, name, seconds);
    }

    /// Counts one when the returned guard is dropped.
    pub fn count_me(&self, level: &str, name: &str) -> CountMe {
        CountMe::of(self.instrument(), level, name, self.source.clone())
    }

    /// Times until the returned guard is dropped.
    pub fn time_me(&self, level: &str, name: &str) -> TimeMe {
        TimeMe::of(self.instrument(), level, name, self.source.clone())
    }

    /// Sends what was recorded before the call, now, and waits until the broker has it, or for
    /// `within`. What it does not take in time stays pending.
    pub fn flush(&self, within: Duration) -> Stats {
        self.owner.with(|works| {
            if let Some(sender) = works.sender() {
                sender.flush(within);
            }
        });
        self.stats()
    }

    /// What became of every reading.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.owner.stats()
    }

    fn record(&self, kind: Kind, level: &str, name: &str, value: super::amount::Number) {
        let source = self.source.as_ref();
        self.owner.with(|works| works.instrument.record(kind, level, name, source, value));
    }

    fn kept(&self, kind: Kind, level: &str, name: &str) -> Arc<Kept> {
        let (source, owner) = (self.source.as_ref(), Arc::downgrade(&self.owner));
        let kept = self.owner.with(|works| {
            let instrument = &works.instrument;
            match instrument.named(kind, level, name, source) {
                Ok(named) => {
                    let series = named.series.clone();
                    named.kept(|| Kept::new(kind, Ok(series), owner.clone()))
                }
                Err(why) => Kept::new(kind, Err(why), owner.clone()),
            }
        });
        // Without an instrument it measures nothing, whatever the reason says.
        kept.unwrap_or_else(|| Kept::new(kind, Err(Loss::Deadline), owner))
    }

    fn instrument(&self) -> Option<Arc<Instrument>> {
        self.owner.with(|works| Arc::clone(&works.instrument))
    }
}

/// Keeps an instrument installed. Dropped, it flushes within the flush deadline, and measuring
/// ends.
///
/// Bind it to a name in `main`; bound to `_` it is dropped at once.
///
/// # How a process may end
///
/// | end | what was measured until then |
/// |---|---|
/// | the guard is dropped: by return, `?`, or a panic that unwinds | is flushed |
/// | `std::process::exit`, or return from `main` with the guard forgotten or in a static | is flushed, by an `atexit` handler |
/// | a thread ends | stays in its cells, and goes out with the next interval |
/// | no broker | waits for one for the flush deadline, and is lost then |
/// | `abort`, `panic = "abort"`, `_exit`, SIGKILL, or any signal that nobody handles | is lost from the last interval on |
///
/// The last flush takes no longer than [`flush_deadline`](crate::Builder::flush_deadline), and
/// 100 ms more if a broker took the last batch and does not say so.
///
/// A signal that the program handles ends it as any other way out of `main` does:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use signal_hook::consts::SIGTERM;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let stop = Arc::new(AtomicBool::new(false));
/// signal_hook::flag::register(SIGTERM, Arc::clone(&stop))?;
/// let _zibrato = zibrato::Zibrato::builder().source("importer").install()?;
/// while !stop.load(Ordering::Relaxed) {
///     zibrato::count!("info", "importer.rounds");
///     # signal_hook::low_level::raise(SIGTERM)?;
/// }
/// Ok(()) // here the guard is dropped, and flushes
/// # }
/// ```
///
/// # After a fork
///
/// A child goes on measuring with the same settings, under an identity and over sockets of its
/// own, which it makes when it first measures; one that only calls `exec` never does. What its
/// parent had measured is the parent's to send, and a scope with a name known at run time that
/// began before the fork is counted or timed in the parent only. [`Zibrato::stats`] begins at zero
/// there. Dropping the guard in the child flushes what the child measured. While the system gives a
/// child no thread or no sockets, what it measures stays pending; once a second it asks again. A child made by a bare `clone` or
/// by `vfork`, of which the C library tells nobody, must not measure before it calls `exec`.
#[derive(Debug)]
#[must_use = "measuring ends when it is dropped; bind it to a name, not to `_`"]
pub struct Guard {
    // Only `None` once it has been shut down.
    handle: Option<Zibrato>,
}

impl Guard {
    /// The installed instrument.
    #[must_use]
    pub fn handle(&self) -> Zibrato {
        // It is there until `finish` takes it, which takes the guard with it.
        #[expect(clippy::expect_used, reason = "only `finish` takes it, when the guard goes")]
        self.handle.clone().expect("a guard that lives has its handle")
    }

    /// Ends measuring, flushes within the flush deadline, and says what became of every reading.
    pub fn shutdown(mut self) -> Stats {
        self.finish().unwrap_or_default()
    }

    fn finish(&mut self) -> Option<Stats> {
        let handle = self.handle.take()?;
        let stats = handle.owner.shut_down();
        // Only now, because two instruments cannot share the call sites.
        *write() = None;
        Some(stats)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.finish();
    }
}
