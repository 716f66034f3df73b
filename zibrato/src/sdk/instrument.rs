//! An instrument: what it wants, the series whose names are known at run time, and its books.

use super::amount::Number;
use super::capture;
use super::cell::Taken;
use super::ledger::{Ledger, Loss, Stats};
use super::names::{Named, Names};
use super::process;
use super::run_names;
use super::site;
use super::tags::Tags;
use crate::clock;
use crate::measurement::{Kind, Level, Name, Source};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

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
    /// What it may measure; `None`: every level.
    levels: Option<BTreeSet<Level>>,
    /// What the broker says that somebody wants; `None`: that is not known.
    demand: RwLock<Option<Demanded>>,
    names: Names,
    ledger: Ledger,
    /// Whether the call sites of the program are this instrument's.
    owns_sites: AtomicBool,
    /// Whether its end has begun.
    closed: AtomicBool,
    /// Readings that the call sites had seen when they ceased to be its own.
    made_before: AtomicU64,
}

/// The levels that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Demanded {
    All,
    Levels(BTreeSet<Level>),
}

impl Demanded {
    pub(crate) fn includes(&self, level: &str) -> bool {
        match self {
            Self::All => true,
            Self::Levels(levels) => levels.contains(level),
        }
    }
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
            demand: RwLock::new(None),
            names: Names::default(),
            ledger: Ledger::default(),
            owns_sites: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            made_before: AtomicU64::new(0),
        }
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// Whether a reading of the level would be taken now.
    pub(crate) fn wants(&self, level: &str) -> bool {
        let allowed = self.levels.as_ref().is_none_or(|levels| levels.contains(level));
        let demand = self.demand.read().unwrap_or_else(PoisonError::into_inner);
        allowed
            && demand.as_ref().is_none_or(|demand| demand.includes(level))
            && !self.closed.load(Ordering::SeqCst)
    }

    /// From now on measures only what somebody wants; `None`: as if somebody wanted all.
    pub(crate) fn demand(&self, demand: Option<Demanded>) {
        let mut current = self.demand.write().unwrap_or_else(PoisonError::into_inner);
        if *current == demand {
            return;
        }
        let before = std::mem::replace(&mut *current, demand);
        // Freeing memory may be measured, too.
        drop(current);
        drop(before);
        super::point::ask_again(|| {});
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

    /// From now on nothing more is measured; what has gathered can still be collected.
    pub(crate) fn close(&self) {
        if self.owns_sites() {
            site::belong_to(0);
        }
        super::point::ask_again(|| self.closed.store(true, Ordering::SeqCst));
    }

    /// The call sites are nobody's any more.
    pub(crate) fn leave_sites(&self) {
        if self.owns_sites() {
            self.made_before.store(site::made_at_sites(), Ordering::SeqCst);
            self.owns_sites.store(false, Ordering::SeqCst);
        }
    }

    /// Readings that the call sites have seen for this instrument.
    fn made_at_sites(&self) -> u64 {
        if self.owns_sites() {
            let made = site::made_at_sites();
            // If they are still its own, the next one had not begun to forget what was before.
            if self.owns_sites() {
                return made;
            }
        }
        self.made_before.load(Ordering::SeqCst)
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
        let named = match self.named(kind, level, name, source) {
            Ok(named) => named,
            Err(why) => return self.ledger.refuse(why),
        };
        match kind {
            Kind::Counter => named.cell.add(value),
            Kind::Gauge => named.cell.set(value.to_f64(), clock::unix_ms()),
            Kind::Timer => named.cell.record(value.to_f64()),
            Kind::Set => {}
        }
    }

    /// The series of a name known at run time, or why there can be none.
    pub(crate) fn named(
        &self,
        kind: Kind,
        level: &str,
        name: &str,
        source: Option<&Source>,
    ) -> Result<Arc<Named>, Loss> {
        let (Ok(level), Ok(name)) = (Level::new(level), Name::new(name)) else {
            return Err(Loss::Name);
        };
        let source = source.unwrap_or(&self.source).clone();
        let series = Series { level, source, name, kind, tags: &[] };
        self.names.find_or_add(series).ok_or(Loss::TooManyNames)
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
            let series = Series { level, source, name, kind, tags: &[] };
            capture::catch(series, value.to_f64());
        }
    }

    pub(crate) fn refuse_not_finite(&self) {
        self.ledger.refuse(Loss::NotFinite);
    }

    /// Takes what has gathered in every cell whose level `of` says yes to, and gives it to `to`.
    pub(crate) fn collect(&self, of: impl Fn(&Level) -> bool, mut to: impl FnMut(&Series, Taken)) {
        if self.owns_sites() {
            for site in site::sites() {
                let wanted = site.texts().is_some_and(|texts| of(&texts.level));
                if wanted
                    && let Some(taken) = site.take()
                    && let Some(series) = site.series(&self.source)
                {
                    to(&series, taken);
                }
            }
        }
        self.names.collect(of, to);
    }

    pub(crate) fn stats(&self) -> Stats {
        // What is settled before what was made: so that nothing is settled that was not made.
        let settled = self.ledger.settled();
        let at_sites = self.made_at_sites();
        let mut stats = settled.stats(at_sites + self.names.made());
        stats.overflowing = self.names.overflowing().or_else(run_names::overflowing);
        stats
    }
}
