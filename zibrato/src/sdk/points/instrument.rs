//! The part of an instrument that points use: the levels that it wants, and the series with names
//! known only at run time.

use super::capture;
use super::names::{Key, Names};
use super::point;
use super::series::{Loss, Losses};
use crate::clock;
use crate::measurement::{Kind, Level, Source};
use crate::sdk::cells::amount::Number;
use crate::sdk::cells::per_process::generation;
use crate::wire::WantedLevels;
use once_cell::race::OnceBox;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The number of the installed instrument; 0 while there is none.
static INSTALLATION: AtomicU64 = AtomicU64::new(0);

/// The number that the next instrument gets.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The function that finds the installed instrument of this process. Unset before the first
/// installation.
static FIND: OnceBox<Find> = OnceBox::new();

type Find = fn() -> Option<Arc<Instrument>>;

/// Sets the function that finds the installed instrument.
pub(crate) fn find_installed_by(find: Find) {
    FIND.get_or_init(|| Box::new(find));
}

/// The installed instrument of this process.
pub(crate) fn installed() -> Option<Arc<Instrument>> {
    FIND.get()?()
}

pub(crate) fn installation() -> u64 {
    INSTALLATION.load(Ordering::SeqCst)
}

pub(crate) fn set_installation(number: u64) {
    INSTALLATION.store(number, Ordering::SeqCst);
}

/// An owner of an instrument, which is a different one in each process.
pub(crate) trait HasInstrument: std::fmt::Debug + Send + Sync {
    fn instrument(&self) -> Option<Arc<Instrument>>;
}

#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) number: u64,
    /// The process that it belongs to.
    generation: u64,
    pub(crate) source: Source,
    /// The levels that it may measure; `None` means all.
    levels: Option<BTreeSet<Level>>,
    /// The levels that workers want, as received from the broker; `None` means unknown.
    demand: RwLock<Option<WantedLevels>>,
    pub(crate) names: Names,
    /// Readings that were refused, and so never reached a cell.
    pub(crate) refused: Losses,
    /// Whether it is shutting down.
    closed: AtomicBool,
}

impl Instrument {
    pub(crate) fn new(source: Source, levels: Option<BTreeSet<Level>>) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            number,
            generation: generation(),
            source,
            levels,
            demand: RwLock::new(None),
            names: Names::new(number),
            refused: Losses::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Whether a reading of the level would be recorded now.
    pub(crate) fn wants(&self, level: &str) -> bool {
        let allowed = self.levels.as_ref().is_none_or(|levels| levels.contains(level));
        let demand = self.demand.read().unwrap_or_else(PoisonError::into_inner);
        allowed
            && demand.as_ref().is_none_or(|demand| demand.wants(level))
            && !self.closed.load(Ordering::SeqCst)
    }

    /// Sets the wanted levels; `None` means that all levels are wanted.
    pub(crate) fn demand(&self, demand: Option<WantedLevels>) {
        let mut current = self.demand.write().unwrap_or_else(PoisonError::into_inner);
        if *current == demand {
            return;
        }
        let before = std::mem::replace(&mut *current, demand);
        // Dropped without the lock, because an allocator may measure when memory is freed.
        drop(current);
        drop(before);
        point::ask_again(|| {});
    }

    /// Stops measuring. Readings that were already recorded can still be collected.
    pub(crate) fn close(&self) {
        point::ask_again(|| self.closed.store(true, Ordering::SeqCst));
    }

    /// Records a reading under a name known at run time.
    pub(crate) fn record(&self, key: Key<'_>, value: Number) {
        if capture::catch(|| key.series(), value.to_f64()) || capture::capturing() {
            return;
        }
        // A scope that began before a fork belongs to the parent, and so does its instrument. A
        // thread of the parent may have left any lock in it locked.
        if self.generation != generation() || !self.wants(key.level) {
            return;
        }
        if !value.to_f64().is_finite() {
            return self.refused.add(Loss::NotFinite, 1);
        }
        let cell = match self.names.find_or_add(key) {
            Ok(named) => named.point.shared(),
            Err(why) => return self.refused.add(why, 1),
        };
        match key.kind {
            Kind::Counter => cell.add(value),
            Kind::Gauge => cell.set(value.to_f64(), clock::unix_ms()),
            Kind::Timer => cell.record(value.to_f64()),
            Kind::Set => {}
        }
    }

    /// The key for looking up a series. The default of `source` is the source of the instrument.
    pub(crate) fn key<'a>(
        &'a self,
        kind: Kind,
        level: &'a str,
        name: &'a str,
        source: Option<&'a Source>,
    ) -> Key<'a> {
        Key { kind, level, name, source: source.unwrap_or(&self.source) }
    }
}
