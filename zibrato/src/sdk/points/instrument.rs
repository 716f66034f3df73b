//! What points know of an instrument: which levels it wants, and the series whose names are known
//! only at run time.

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

/// What finds the installed instrument of this process. There is none before the first installation.
static FIND: OnceBox<Find> = OnceBox::new();

type Find = fn() -> Option<Arc<Instrument>>;

/// From now on `find` is what finds the installed instrument.
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

/// What has an instrument, another one in each process.
pub(crate) trait HasInstrument: std::fmt::Debug + Send + Sync {
    fn instrument(&self) -> Option<Arc<Instrument>>;
}

#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) number: u64,
    /// The process whose it is.
    generation: u64,
    pub(crate) source: Source,
    /// What it may measure; `None`: every level.
    levels: Option<BTreeSet<Level>>,
    /// What the broker says that somebody wants; `None`: that is not known.
    demand: RwLock<Option<WantedLevels>>,
    pub(crate) names: Names,
    /// Readings that were refused when they were made, and so never reached a cell.
    pub(crate) refused: Losses,
    /// Whether its end has begun.
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

    /// Whether a reading of the level would be taken now.
    pub(crate) fn wants(&self, level: &str) -> bool {
        let allowed = self.levels.as_ref().is_none_or(|levels| levels.contains(level));
        let demand = self.demand.read().unwrap_or_else(PoisonError::into_inner);
        allowed
            && demand.as_ref().is_none_or(|demand| demand.wants(level))
            && !self.closed.load(Ordering::SeqCst)
    }

    /// From now on measures only what somebody wants; `None`: as if somebody wanted all.
    pub(crate) fn demand(&self, demand: Option<WantedLevels>) {
        let mut current = self.demand.write().unwrap_or_else(PoisonError::into_inner);
        if *current == demand {
            return;
        }
        let before = std::mem::replace(&mut *current, demand);
        // Freeing memory may be measured, too.
        drop(current);
        drop(before);
        point::ask_again(|| {});
    }

    /// From now on nothing more is measured; what has gathered can still be collected.
    pub(crate) fn close(&self) {
        point::ask_again(|| self.closed.store(true, Ordering::SeqCst));
    }

    /// Takes one reading under a name known at run time.
    pub(crate) fn record(&self, key: Key<'_>, value: Number) {
        if capture::catch(|| key.series(), value.to_f64()) || capture::capturing() {
            return;
        }
        // A scope that began before a fork is the parent's, and so is its instrument: any lock in
        // it may be one that nobody is left to unlock.
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

    /// What a series is looked up by; `source` is the instrument's unless it is given.
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
