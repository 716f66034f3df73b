//! The handle to an instrument, and the guard that keeps one installed.

use super::amount::Amount;
use super::guard::{CountMe, TimeMe};
use super::instrument::Instrument;
use super::ledger::Stats;
use super::sender::{self, Sender};
use crate::measurement::{Kind, Source, TextError};
use std::sync::{Arc, PoisonError, RwLock};
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
    let mut installed = INSTALLED.write().unwrap_or_else(PoisonError::into_inner);
    if installed.is_some() {
        return Err(handle);
    }
    handle.owner.instrument.take_sites();
    *installed = Some(handle.clone());
    Ok(Guard { handle: Some(handle) })
}

pub(crate) fn instrument() -> Option<Arc<Instrument>> {
    let installed = INSTALLED.read().unwrap_or_else(PoisonError::into_inner);
    installed.as_ref().map(|handle| Arc::clone(&handle.owner.instrument))
}

/// An instrument: measures under names known at run time, and says what became of every reading.
///
/// Clones are the same instrument. [`Builder::install`](crate::Builder::install) makes one the
/// program's, which attributes and macros record into; [`Builder::build`](crate::Builder::build)
/// makes one that stands alone, and several of those may live in one process. When the last clone
/// of such a one goes, it flushes.
///
/// Levels and names are texts here, looked up on each call. One that may not be on the wire is not
/// an error but a counted loss: instrumentation must not change what a program does.
///
/// ```
/// # fn main() -> Result<(), zibrato::InstallError> {
/// let z = zibrato::Zibrato::builder().source("importer").build()?;
/// for shard in 0..3 {
///     z.count("info", &format!("shard.{shard}.rows"), 100);
/// }
/// z.gauge("info", "queue.depth", 17);
/// assert_eq!(z.stats().recorded, 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Zibrato {
    owner: Arc<Owner>,
    source: Option<Source>,
}

/// Flushes and ends the sender when the last handle goes.
#[derive(Debug)]
struct Owner {
    instrument: Arc<Instrument>,
    sender: Sender,
    flush_deadline: Duration,
}

impl Owner {
    fn shut_down(&self) -> Stats {
        self.instrument.close_sites();
        self.sender.stop(self.flush_deadline);
        let stats = sender::lose_the_rest(&self.instrument);
        self.instrument.leave_sites();
        stats
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Zibrato {
    pub(crate) fn new(
        instrument: Arc<Instrument>,
        sender: Sender,
        flush_deadline: Duration,
    ) -> Self {
        Self { owner: Arc::new(Owner { instrument, sender, flush_deadline }), source: None }
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

    /// Reads a gauge.
    pub fn gauge<A: Amount>(&self, level: &str, name: &str, value: A) {
        self.record(Kind::Gauge, level, name, value.number());
    }

    /// Records how long something took that was measured elsewhere.
    pub fn time(&self, level: &str, name: &str, took: Duration) {
        let seconds = super::amount::Number::Float(took.as_secs_f64());
        self.record(Kind::Timer, level, name, seconds);
    }

    /// Counts one when the returned guard is dropped.
    pub fn count_me(&self, level: &str, name: &str) -> CountMe {
        CountMe::of(Arc::clone(&self.owner.instrument), level, name, self.source.clone())
    }

    /// Times until the returned guard is dropped.
    pub fn time_me(&self, level: &str, name: &str) -> TimeMe {
        TimeMe::of(Arc::clone(&self.owner.instrument), level, name, self.source.clone())
    }

    /// Sends what was recorded before the call, now, and waits until the broker has it, or for
    /// `within`. What it does not take in time stays pending.
    pub fn flush(&self, within: Duration) -> Stats {
        self.owner.sender.flush(within);
        self.stats()
    }

    /// What became of every reading.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.owner.instrument.stats()
    }

    fn record(&self, kind: Kind, level: &str, name: &str, value: super::amount::Number) {
        self.owner.instrument.record(kind, level, name, self.source.as_ref(), value);
    }
}

/// Keeps an instrument installed. Dropped, it flushes within the flush deadline, and measuring
/// ends.
///
/// Bind it to a name in `main`; bound to `_` it is dropped at once. `std::process::exit` drops
/// nothing: call [`shutdown`](Self::shutdown) before it, or what has gathered since the last interval
/// is gone.
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
        *INSTALLED.write().unwrap_or_else(PoisonError::into_inner) = None;
        Some(stats)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.finish();
    }
}
