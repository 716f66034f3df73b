//! The series of one instrument whose names are known only at run time.

use super::loss::Loss;
use super::owned::OwnedPoint;
use super::point::Point;
use super::registry::{OVERFLOW_NAME, Registry};
use super::series::Series;
use crate::measurement::{Kind, Level, Name, Source};
use crate::sdk::cells::taken::Taken;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most names that one instrument keeps apart.
const MAX_NAMES: usize = 100_000;

/// The most series `_overflow`: each level, kind and source has one. Those could be without end,
/// too.
const MAX_OVERFLOWS: usize = 1000;

#[derive(Debug)]
pub(crate) struct Names {
    /// The number of the instrument.
    number: u64,
    registry: Registry<Arc<Named>>,
    /// Of handles that a parent had, and that go on measuring in its child.
    adopted: Mutex<Vec<Arc<Named>>>,
}

/// One series. What is measured by name goes into the shared cell of its point.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) series: Series,
    point: OwnedPoint,
    /// The number of the instrument that collects it.
    collected_by: AtomicU64,
}

/// What a series is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key<'a> {
    pub(crate) kind: Kind,
    pub(crate) level: &'a str,
    pub(crate) name: &'a str,
    pub(crate) source: &'a Source,
}

impl Key<'_> {
    pub(crate) fn series(self) -> Option<Series> {
        let (level, name) = (Level::new(self.level).ok()?, Name::new(self.name).ok()?);
        Some(Series { level, source: self.source.clone(), name, kind: self.kind, tags: &[] })
    }
}

impl Named {
    fn new(series: Series, number: u64) -> Arc<Self> {
        let point = OwnedPoint::new(series.kind);
        Arc::new(Self { series, point, collected_by: AtomicU64::new(number) })
    }

    pub(crate) const fn point(&self) -> &'static Point {
        self.point.get()
    }

    fn is(&self, key: Key<'_>) -> bool {
        let Series { level, source, name, kind, tags: _ } = &self.series;
        key == Key { kind: *kind, level: level.as_str(), name: name.as_str(), source }
    }
}

impl Names {
    pub(crate) const fn new(number: u64) -> Self {
        Self { number, registry: Registry::new(), adopted: Mutex::new(Vec::new()) }
    }

    /// The series, or the one that takes its place beyond the limit.
    pub(crate) fn find_or_add(&self, key: Key<'_>) -> Result<&Arc<Named>, Loss> {
        self.look(key, MAX_NAMES).or_else(|why| {
            if why != Loss::TooManyNames {
                return Err(why);
            }
            let Some(series) = key.series() else { return Err(Loss::Name) };
            self.registry.overflow(series.name);
            self.look(Key { name: OVERFLOW_NAME, ..key }, MAX_NAMES + MAX_OVERFLOWS)
        })
    }

    fn look(&self, key: Key<'_>, most: usize) -> Result<&Arc<Named>, Loss> {
        let make = || key.series().map(|series| Named::new(series, self.number)).ok_or(Loss::Name);
        let found = self.registry.find_or_make(key, |named| named.is(key), make, most);
        found.map_err(|why| why.unwrap_or(Loss::TooManyNames))
    }

    /// Makes what a handle of the parent measures this instrument's.
    pub(crate) fn adopt(&self, named: &Arc<Named>) {
        let is_ours = || named.collected_by.load(Ordering::SeqCst) == self.number;
        if is_ours() {
            return;
        }
        let mut adopted = self.adopted();
        if !is_ours() {
            // What is in there is the parent's.
            named.point().clear();
            adopted.push(Arc::clone(named));
            named.collected_by.store(self.number, Ordering::SeqCst);
        }
    }

    /// The first name that found no room.
    pub(crate) fn overflowing(&self) -> Option<Name> {
        self.registry.overflowing()
    }

    /// Takes what has gathered in every series whose level `of` says yes to.
    pub(crate) fn collect(&self, of: impl Fn(&Level) -> bool, mut to: impl FnMut(&Series, Taken)) {
        self.for_each(|named| {
            if of(&named.series.level)
                && let Some(taken) = named.point().take()
            {
                to(&named.series, taken);
            }
        });
    }

    /// How many readings were ever made.
    pub(crate) fn made(&self) -> u64 {
        let mut made = 0;
        self.for_each(|named| made += named.point().made());
        made
    }

    fn for_each(&self, mut act: impl FnMut(&Arc<Named>)) {
        self.registry.for_each(&mut act);
        let adopted = self.adopted().clone();
        adopted.iter().for_each(act);
    }

    fn adopted(&self) -> MutexGuard<'_, Vec<Arc<Named>>> {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
