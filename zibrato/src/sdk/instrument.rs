//! An instrument: what it wants, the cells of names known at run time, and its books.

use super::amount::Number;
use super::capture;
use super::cell::{Cell, Taken};
use super::ledger::{Ledger, Loss, Stats};
use super::process;
use super::site;
use super::tags::Tags;
use crate::clock;
use crate::measurement::{Kind, Level, Measurement, Name, Source};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most names known only at run time that one instrument keeps apart.
const MAX_NAMES: usize = 100_000;

/// The number of the installed instrument; 0 while there is none.
static INSTALLED: AtomicU64 = AtomicU64::new(0);

/// The number that the next instrument gets.
static NEXT: AtomicU64 = AtomicU64::new(1);

pub(crate) fn installation() -> u64 {
    INSTALLED.load(Ordering::SeqCst)
}

pub(crate) fn set_installation(number: u64) {
    INSTALLED.store(number, Ordering::SeqCst);
}

#[derive(Debug)]
pub(crate) struct Instrument {
    number: u64,
    /// The process whose it is.
    generation: u64,
    source: Source,
    /// `None`: every level.
    levels: Option<BTreeSet<Level>>,
    named: Mutex<HashMap<Series, Arc<Cell>>>,
    ledger: Ledger,
    /// Whether the call sites of the program are this instrument's.
    owns_sites: AtomicBool,
    /// Readings that the call sites had seen when they ceased to be.
    made_at_sites: AtomicU64,
}

/// What tells a cell apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) level: Level,
    pub(crate) source: Source,
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    pub(crate) tags: Tags,
}

impl Instrument {
    pub(crate) fn new(source: Source, levels: Option<BTreeSet<Level>>) -> Self {
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            generation: process::generation(),
            source,
            levels,
            named: Mutex::default(),
            ledger: Ledger::default(),
            owns_sites: AtomicBool::new(false),
            made_at_sites: AtomicU64::new(0),
        }
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn wants(&self, level: &str) -> bool {
        self.levels.as_ref().is_none_or(|levels| levels.contains(level))
    }

    pub(crate) fn owns_sites(&self) -> bool {
        self.owns_sites.load(Ordering::SeqCst)
    }

    /// Makes the call sites of the program this instrument's.
    pub(crate) fn take_sites(&self) {
        site::belong_to(self.number);
        // Only now, when they have forgotten what was before: the sender runs already.
        self.owns_sites.store(true, Ordering::SeqCst);
    }

    /// From now on the call sites measure nothing; what they gathered can still be collected.
    pub(crate) fn close_sites(&self) {
        if self.owns_sites() {
            site::belong_to(0);
        }
    }

    /// The call sites are nobody's any more.
    pub(crate) fn leave_sites(&self) {
        if self.owns_sites() {
            self.made_at_sites.store(site::made_at_sites(), Ordering::SeqCst);
            self.owns_sites.store(false, Ordering::SeqCst);
        }
    }

    /// Takes one reading under a name known at run time.
    pub(crate) fn record(
        &self,
        kind: Kind,
        level: &str,
        name: &str,
        source: Option<&Source>,
        value: Number,
    ) {
        if capture::capturing() {
            return Self::catch(kind, level, name, source.or(Some(&self.source)), value);
        }
        // A scope that began before a fork is the parent's, and so is its instrument: any lock in
        // it may be one that nobody is left to unlock.
        if self.generation != process::generation() || !self.wants(level) {
            return;
        }
        if !value.to_f64().is_finite() {
            return self.refuse_not_finite();
        }
        let (Ok(level), Ok(name)) = (Level::new(level), Name::new(name)) else {
            return self.ledger.refuse(Loss::Name);
        };
        let source = source.unwrap_or(&self.source).clone();
        let Some(cell) = self.cell(Series { level, source, name, kind, tags: &[] }) else {
            return self.ledger.refuse(Loss::TooManyNames);
        };
        match kind {
            Kind::Counter => cell.add(value),
            Kind::Gauge => cell.set(value.to_f64(), clock::unix_ms()),
            Kind::Timer => cell.record(value.to_f64()),
            Kind::Set => {}
        }
    }

    /// Gives one reading under a name known at run time to what this thread captures.
    pub(crate) fn catch(
        kind: Kind,
        level: &str,
        name: &str,
        source: Option<&Source>,
        value: Number,
    ) {
        if let (Ok(level), Ok(name)) = (Level::new(level), Name::new(name)) {
            let source = source.cloned().unwrap_or_default();
            capture::catch(Measurement::new(level, kind, name, value.to_f64(), source, &[]));
        }
    }

    pub(crate) fn refuse_not_finite(&self) {
        self.ledger.refuse(Loss::NotFinite);
    }

    fn cell(&self, series: Series) -> Option<Arc<Cell>> {
        let mut named = self.named();
        if let Some(cell) = named.get(&series) {
            return Some(Arc::clone(cell));
        }
        if named.len() >= MAX_NAMES {
            return None;
        }
        Some(Arc::clone(named.entry(series).or_insert_with(|| Arc::new(Cell::new()))))
    }

    fn named(&self) -> MutexGuard<'_, HashMap<Series, Arc<Cell>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what has gathered in every cell whose level `of` says yes to.
    pub(crate) fn collect(&self, of: impl Fn(&Level) -> bool) -> Vec<(Series, Taken)> {
        let mut all = Vec::new();
        if self.owns_sites() {
            for site in site::sites() {
                let Some((level, name, source)) = site.checked().filter(|c| of(&c.0)) else {
                    continue;
                };
                let source = source.unwrap_or_else(|| self.source.clone());
                let (kind, tags) = (site.kind(), site.tags());
                let series = Series { level, source, name, kind, tags };
                all.extend(site.take().map(|taken| (series, taken)));
            }
        }
        for (series, cell) in self.named().iter().filter(|(series, _)| of(&series.level)) {
            all.extend(cell.take(series.kind).map(|taken| (series.clone(), taken)));
        }
        self.ledger.entries().taken += all.iter().map(|(_, taken)| taken.readings).sum::<u64>();
        all
    }

    pub(crate) fn stats(&self) -> Stats {
        let at_sites = if self.owns_sites() {
            site::made_at_sites()
        } else {
            self.made_at_sites.load(Ordering::SeqCst)
        };
        let named: u64 = self.named().values().map(|cell| cell.made()).sum();
        self.ledger.stats(at_sites + named)
    }
}
