//! Series that are known only at run time, and their registries.
//!
//! A series is looked up by its [key](Key): first among those that the thread used last, without a
//! lock and without an allocation, and then in the registry. A registry has a limit, because names
//! and tags made from what users type would fill any memory. Series beyond it are measured together
//! as [`OVERFLOW_NAME`], and the first of them is remembered.

use super::idle::Take;
use super::key::Key;
use super::point::Point;
use super::series::{Loss, Series, Shape};
use crate::measurement::{Level, Name, Source};
use crate::sdk::cells::lock;
use crate::sdk::cells::per_process::PerProcess;
use crate::sdk::cells::shared::Taken;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use once_cell::race::OnceBox;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// The name, or the value of tags, of everything beyond a limit.
#[doc(hidden)]
pub const OVERFLOW_NAME: &str = "_overflow";

/// Maximum number of series of one registry.
pub(crate) const MAX_NAMES: usize = 100_000;

/// Maximum number of series `_overflow` of one registry: each level, kind and source has one. There
/// could be any number of those, too.
const MAX_OVERFLOWS: usize = 1000;

/// Number of points that have a cell in each thread; a series with a higher index has one cell for all
/// threads. This limits the size of each thread's block.
pub(crate) const MAX_IN_THREADS: u32 = 4096;

/// Maximum number of characters of a name in a notice.
const MAX_SHOWN: usize = 40;

/// Number of checks in a row without a new reading after which a series is removed. With one check per
/// minute, this is an hour.
const IDLE_LOOKS: u32 = 60;

/// Interval of the checks for unused series.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A name as a notice shows it: its beginning, because names that are made at run time may contain
/// what should not be in a log.
pub(crate) fn beginning(name: &Name) -> String {
    let name = name.as_str();
    match name.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// One series known only at run time.
#[derive(Debug)]
pub(crate) struct Named {
    hash: u64,
    key: Box<[u8]>,
    pub(crate) series: Series,
    pub(crate) point: &'static Point,
    /// The address of the call site that it is a variant of; 0 if it belongs to an instrument.
    site: usize,
    /// Whether the source is its own, and not that of the installation.
    has_source: bool,
    /// The number of the instrument that collects it, if it belongs to one.
    collected_by: AtomicU64,
    /// Whether it was removed from its registry. A look-up then finds another one.
    left: AtomicBool,
    /// Number of readings at the last check.
    seen: AtomicU64,
    /// Number of checks since the number of readings last changed.
    idle_looks: AtomicU32,
}

/// Points that no series has any more, by shape. The next series of that shape gets one of them:
/// points live as long as the process, because the sender has to find them all.
static FREE: PerProcess<Mutex<FreePoints>> = PerProcess::new(Mutex::new(FreePoints::new()));

type FreePoints = Vec<(Shape, Vec<&'static Point>)>;

/// The free points of a shape.
fn with_free<T>(shape: Shape, act: impl FnOnce(&mut Vec<&'static Point>) -> T) -> T {
    let mut free = lock(FREE.get(|_| Mutex::new(FreePoints::new())));
    let at = free.iter().position(|(of, _)| *of == shape).unwrap_or_else(|| {
        free.push((shape, Vec::new()));
        free.len() - 1
    });
    act(&mut free[at].1)
}

impl Named {
    fn new(key: &Key, place: Place, series: Series, number: u64) -> Arc<Self> {
        let Place { shape, site, has_source, .. } = place;
        let found = with_free(shape, Vec::pop);
        let point = found.unwrap_or_else(|| Box::leak(Box::new(Point::new(shape))));
        point.clear();
        Arc::new(Self {
            hash: key.hash(),
            key: key.bytes().into(),
            series,
            point,
            site,
            has_source,
            collected_by: AtomicU64::new(number),
            left: AtomicBool::new(false),
            seen: AtomicU64::new(0),
            idle_looks: AtomicU32::new(0),
        })
    }

    /// The series in an installation whose source is `source`, where the call site gives none.
    pub(crate) fn series_in(&self, source: &Source) -> Series {
        if self.has_source {
            return self.series.clone();
        }
        Series { source: source.clone(), ..self.series.clone() }
    }

    /// What it is looked up by.
    pub(crate) fn key(&self) -> Key {
        Key::of(&self.key)
    }

    #[inline]
    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    /// The bytes of its key.
    #[inline]
    pub(crate) const fn key_bytes(&self) -> &[u8] {
        &self.key
    }

    /// Whether it is still in its registry. If not, a look-up finds another one.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        !self.left.load(Ordering::Acquire)
    }

    #[inline]
    fn is(&self, key: &Key) -> bool {
        self.hash == key.hash() && *self.key == *key.bytes()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.point.ask_again();
        with_free(self.point.shape, |free| free.push(self.point));
    }
}

/// What a registry needs to know to create a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) shape: Shape,
    /// The address of the call site; 0 if it belongs to an instrument.
    pub(crate) site: usize,
    /// Whether the source is its own.
    pub(crate) has_source: bool,
    pub(crate) limit: Limit,
}

/// The series of one instrument, or of all call sites.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The number of the instrument; 0 for call sites.
    number: u64,
    known: RwLock<Known>,
    /// The first series beyond a limit.
    overflowing: OnceBox<Name>,
    /// How many series have other names or tags than they were given.
    changed: AtomicU64,
}

#[derive(Debug)]
struct Known {
    table: HashTable<Arc<Named>>,
    /// How many series each call site has.
    of_sites: Option<HashMap<usize, u32, RandomState>>,
    /// Series that are no longer in the table, but that handles, guards or caches of threads still use.
    leaving: Vec<Arc<Named>>,
    /// Readings of those that are gone.
    made_before: u64,
}

impl Known {
    const fn new() -> Self {
        Self { table: HashTable::new(), of_sites: None, leaving: Vec::new(), made_before: 0 }
    }

    fn find(&self, key: &Key) -> Option<&Arc<Named>> {
        self.table.find(key.hash(), |named| named.is(key))
    }

    /// Whether there is no room for another series.
    fn is_full(&self, place: Place) -> bool {
        let of_site = self.of_sites.as_ref().and_then(|of_sites| of_sites.get(&place.site));
        self.table.len() >= place.limit.all
            || of_site.is_some_and(|of_site| *of_site >= place.limit.of_site)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Named>> {
        self.table.iter().chain(&self.leaving)
    }
}

/// How many series there may be when another one is added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// Of the registry.
    all: usize,
    /// Of the call site.
    of_site: u32,
}

impl Limit {
    /// How many series a call site may have.
    pub(crate) const fn at_site(self) -> u32 {
        self.of_site
    }

    pub(crate) const fn of_site(of_site: u32) -> Self {
        Self { all: MAX_NAMES, of_site }
    }

    pub(crate) const NAMES: Self = Self::of_site(u32::MAX);

    /// Of the series that take the place of others.
    pub(crate) const OVERFLOW: Self = Self { all: MAX_NAMES + MAX_OVERFLOWS, of_site: u32::MAX };
}

impl Registry {
    pub(crate) const fn new(number: u64) -> Self {
        Self {
            number,
            known: RwLock::new(Known::new()),
            overflowing: OnceBox::new(),
            changed: AtomicU64::new(0),
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The series with this key. `make` makes one that is not there yet, and says whether its name or
    /// the value of a tag had to be changed.
    ///
    /// # Errors
    /// What `make` says, or [`Loss::TooManyNames`] beyond the limit.
    pub(crate) fn find_or_make(
        &self,
        key: &Key,
        place: Place,
        make: impl FnOnce() -> Result<(Series, bool), Loss>,
    ) -> Result<Arc<Named>, Loss> {
        {
            let known = self.read();
            if let Some(named) = known.find(key) {
                return Ok(Arc::clone(named));
            }
            if known.is_full(place) {
                return Err(Loss::TooManyNames);
            }
        }
        let (series, changed) = make()?;
        let mut known = self.write();
        if let Some(named) = known.find(key) {
            return Ok(Arc::clone(named));
        }
        if known.is_full(place) {
            return Err(Loss::TooManyNames);
        }
        if place.site != 0 {
            *known.of_sites.get_or_insert_default().entry(place.site).or_default() += 1;
        }
        if changed {
            self.changed.fetch_add(1, Ordering::Relaxed);
        }
        let named = Named::new(key, place, series, self.number);
        known.table.insert_unique(key.hash(), Arc::clone(&named), |named| named.hash);
        Ok(named)
    }

    /// Remembers the first series that found no room.
    pub(crate) fn overflow(&self, name: &Name) {
        self.overflowing.get_or_init(|| Box::new(name.clone()));
    }

    /// The first series that found no room.
    pub(crate) fn overflowing(&self) -> Option<Name> {
        self.overflowing.get().cloned()
    }

    /// Whether there is no room for another series of whatever call site.
    pub(crate) fn is_full(&self) -> bool {
        self.read().table.len() >= MAX_NAMES
    }

    /// How many series have other names or tags than they were given.
    pub(crate) fn changed(&self) -> u64 {
        self.changed.load(Ordering::Relaxed)
    }

    /// Makes this instrument collect the readings of a handle that was inherited from the parent.
    pub(crate) fn adopt(&self, named: &Arc<Named>) {
        let is_ours = || named.collected_by.load(Ordering::SeqCst) == self.number;
        if is_ours() {
            return;
        }
        let mut known = self.write();
        if !is_ours() {
            // Earlier readings belong to the parent.
            named.point.clear();
            known.leaving.push(Arc::clone(named));
            named.collected_by.store(self.number, Ordering::SeqCst);
        }
    }

    /// Takes what has gathered in every series, as `of` says for its level.
    pub(crate) fn collect(&self, of: impl Fn(&Level) -> Take, mut to: impl FnMut(&Named, Taken)) {
        let mut collect = |all: &[Arc<Named>]| {
            for named in all {
                if let Some(taken) = named.point.take(of(&named.series.level)) {
                    to(named, taken);
                }
            }
        };
        let (known, leaving) = {
            let known = self.read();
            (known.table.iter().cloned().collect::<Vec<_>>(), known.leaving.clone())
        };
        collect(&known);
        if leaving.is_empty() {
            return;
        }
        // No thread has or finds a series that only the registry and this copy refer to. So what is
        // taken of it now is the rest.
        let is_last = |named: &Arc<Named>| {
            Arc::strong_count(named) == 2 && of(&named.series.level) != Take::Nothing
        };
        let last: HashSet<_> = leaving.iter().filter(|it| is_last(it)).map(Arc::as_ptr).collect();
        collect(&leaving);
        let mut known = self.write();
        let gone: Vec<_> =
            known.leaving.extract_if(.., |named| last.contains(&Arc::as_ptr(named))).collect();
        known.made_before += gone.iter().map(|named| named.point.made()).sum::<u64>();
    }

    /// The number of readings that were ever recorded.
    pub(crate) fn made(&self) -> u64 {
        let known = self.read();
        known.made_before + known.all().map(|named| named.point.made()).sum::<u64>()
    }

    /// Forgets what has gathered.
    pub(crate) fn clear(&self) {
        let mut known = self.write();
        known.made_before = 0;
        known.all().for_each(|named| named.point.clear());
    }

    /// Lets series go that were not used for an hour. The sender calls it once a minute.
    pub(crate) fn let_go(&self) {
        let is_idle = |named: &Named| {
            let made = named.point.made();
            if named.seen.swap(made, Ordering::Relaxed) != made || named.point.runs() {
                named.idle_looks.store(0, Ordering::Relaxed);
                return false;
            }
            named.idle_looks.fetch_add(1, Ordering::Relaxed) + 1 >= IDLE_LOOKS
        };
        let mut known = self.write();
        let Known { table, of_sites, leaving, .. } = &mut *known;
        for named in table.extract_if(|named| is_idle(named)) {
            named.left.store(true, Ordering::Release);
            let of_site = of_sites.as_mut().and_then(|of_sites| of_sites.get_mut(&named.site));
            if let Some(of_site) = of_site {
                *of_site -= 1;
            }
            leaving.push(named);
        }
    }
}

#[cfg(test)]
mod tests;
