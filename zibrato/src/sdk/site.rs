//! A call site: the `static` behind an attribute or a macro.

use super::amount::{Amount, Number};
use super::capture;
use super::cell::{Cell, Taken, TakenValue};
use super::guard::TimeMe;
use super::handle::instrument as installed_instrument;
use super::instrument;
use super::local;
use super::tags;
use super::ticks::{self, Moment};
use super::timer_cell::TimerTotals;
use crate::clock;
use crate::measurement::{
    Kind, Level, MAX_NAME_BYTES, Name, Source, TextProblem, check_level, check_name,
};
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

mod held;
pub(crate) use held::{Held, hold};
mod place;
pub use place::Place;
pub(super) use place::{apart_from_forks, expect_valid};

/// One annotated place in a program.
#[doc(hidden)]
#[derive(Debug)]
pub struct Site {
    place: Place,
    kind: Kind,
    /// Where its cell stands in each thread's block, if anybody wants it; else [`OFF`] or [`ASK`].
    /// One load tells both.
    gate: AtomicU32,
    /// Of its timers' extremes; begun anew when the sender takes what has gathered.
    epoch: AtomicU32,
    /// Where its cell stands in each thread's block, once it has one.
    index: OnceCell<u32>,
    checked: OnceCell<(Level, Name, Option<Source>)>,
    /// For what the cells of threads cannot take: fractions, gauges, and threads that are ending.
    shared: Cell,
    books: Mutex<Books>,
}

/// Nobody wants it: measuring here ends with the load of the gate.
const OFF: u32 = u32::MAX;

/// It is not known whether anybody wants it.
const ASK: u32 = u32::MAX - 1;

/// What of the threads' cells is settled. Only the sender, install and uninstall look in here.
#[derive(Debug, Default)]
struct Books {
    /// Sum and number of the counts that were taken.
    counted: (u64, u64),
    timed: TimerTotals,
    /// How many readings were taken out of the threads' cells in this installation.
    taken: u64,
}

/// Every site that was ever used. Whoever changes gates holds the lock.
static SITES: Mutex<Vec<&'static Site>> = Mutex::new(Vec::new());

fn lock_sites() -> MutexGuard<'static, Vec<&'static Site>> {
    SITES.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn sites() -> Vec<&'static Site> {
    lock_sites().clone()
}

impl Site {
    #[must_use]
    #[track_caller]
    pub const fn counter(place: Place) -> Self {
        Self::new(Kind::Counter, place)
    }

    #[must_use]
    #[track_caller]
    pub const fn gauge(place: Place) -> Self {
        Self::new(Kind::Gauge, place)
    }

    #[must_use]
    #[track_caller]
    pub const fn timer(place: Place) -> Self {
        Self::new(Kind::Timer, place)
    }

    #[track_caller]
    const fn new(kind: Kind, place: Place) -> Self {
        expect_valid(check_level(place.level));
        match place.name {
            Some(name) => expect_valid(check_name(name)),
            None => {
                if place.module.len() + 1 + place.function.len() > MAX_NAME_BYTES {
                    expect_valid(Err(TextProblem::TooLong));
                }
            }
        }
        if let Some(source) = place.source {
            expect_valid(check_name(source));
        }
        expect_valid(tags::check(place.tags));
        Self {
            place,
            kind,
            gate: AtomicU32::new(ASK),
            epoch: AtomicU32::new(1),
            index: OnceCell::new(),
            checked: OnceCell::new(),
            shared: Cell::new(),
            books: Mutex::new(Books { counted: (0, 0), timed: TimerTotals::new(), taken: 0 }),
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Level, name and source, checked. They were checked when the program was compiled, so this
    /// is always something.
    pub(crate) fn checked(&self) -> Option<(Level, Name, Option<Source>)> {
        let make = || -> Result<_, crate::TextError> {
            let name = match self.place.name {
                Some(name) => Name::new(name)?,
                None => {
                    let module = self.place.module.replace("::", ".");
                    Name::new(&format!("{module}.{}", self.place.function))?
                }
            };
            let source = self.place.source.map(Source::new).transpose()?;
            Ok((Level::new(self.place.level)?, name, source))
        };
        self.checked.get_or_try_init(make).ok().cloned()
    }

    /// Finds out whether the installed instrument wants this site, and opens or closes its gate;
    /// gives its index if so.
    #[cold]
    fn ask(&'static self) -> Option<u32> {
        // Before the lock: whoever installs holds these two the other way round.
        let instrument = installed_instrument();
        let mut sites = lock_sites();
        // Under the lock, so that no fork comes in the middle of it.
        self.checked();
        let index = *self.index.get_or_init(|| {
            sites.push(self);
            u32::try_from(sites.len() - 1).unwrap_or(ASK)
        });
        let installed = instrument::installation();
        let wanted = match instrument.filter(|instrument| instrument.number() == installed) {
            Some(instrument) => instrument.wants(self.place.level),
            None if installed == 0 => false,
            // Another one is just being installed; the next use will find it.
            None => return None,
        };
        // While some thread captures, every use has to come by here.
        if !capture::anybody_captures() {
            self.gate.store(if wanted { index } else { OFF }, Ordering::Relaxed);
        }
        wanted.then_some(index)
    }

    /// Takes what has gathered, if there were readings. Only the sender calls it.
    pub(crate) fn take(&self) -> Option<Taken> {
        let shared = self.shared.take(self.kind);
        let Some(index) = self.index.get() else { return shared };
        let mut books = self.books();
        match self.kind {
            Kind::Counter => {
                let (sum, times) = local::counted(*index);
                let readings = times.wrapping_sub(books.counted.1);
                if readings == 0 {
                    return shared;
                }
                let more = sum.wrapping_sub(books.counted.0).cast_signed() as f64;
                books.counted = (sum, times);
                books.taken += readings;
                Some(Taken { readings, value: TakenValue::Counter(more) }.with(shared))
            }
            Kind::Timer => {
                let totals = local::timed(*index);
                if totals.count_since(&books.timed) == 0 {
                    return shared;
                }
                // A site that has to wait, because its level is on its way, keeps its epoch.
                let epoch = self.epoch.fetch_add(1, Ordering::Relaxed);
                let extremes = local::extremes(*index, epoch);
                let summary = totals.since(&books.timed, extremes, ticks::tick());
                let readings = summary.count();
                books.timed = totals;
                books.taken += readings;
                Some(Taken { readings, value: TakenValue::Timer(summary) }.with(shared))
            }
            Kind::Gauge | Kind::Set => shared,
        }
    }

    /// Forgets what has gathered for an earlier installation.
    fn clear(&self) {
        self.shared.clear();
        let Some(index) = self.index.get() else { return };
        let mut books = self.books();
        books.taken = 0;
        books.counted = local::counted(*index);
        // What was shortest and longest up to now is not this installation's.
        self.epoch.fetch_add(1, Ordering::Relaxed);
        books.timed = local::timed(*index);
    }

    /// How many readings were made here in this installation.
    fn made(&self) -> u64 {
        let Some(index) = self.index.get() else { return self.shared.made() };
        let books = self.books();
        let since = match self.kind {
            Kind::Counter => local::counted(*index).1.wrapping_sub(books.counted.1),
            Kind::Timer => local::timed(*index).count_since(&books.timed),
            Kind::Gauge | Kind::Set => 0,
        };
        books.taken + since + self.shared.made()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that cannot go on the wire.
    #[cold]
    fn refuse(&self) {
        if let Some(instrument) = installed_instrument() {
            instrument.refuse_not_finite();
        }
    }
}

/// Counts at a call site.
#[doc(hidden)]
#[inline]
pub fn count<A: Amount>(site: &'static Site, amount: A) {
    let gate = site.gate.load(Ordering::Relaxed);
    if gate == OFF {
        return;
    }
    match (amount.number(), local::counter(gate)) {
        (Number::Whole(amount), Some(cell)) => cell.add(amount),
        (amount, _) => count_slowly(site, amount),
    }
}

/// The first count of a thread, and those that its cell cannot take.
#[cold]
fn count_slowly(site: &'static Site, amount: Number) {
    if capture::catch_site(site, amount) {
        return;
    }
    let Some(index) = site.ask() else { return };
    if !amount.to_f64().is_finite() {
        return site.refuse();
    }
    match (amount, local::counter_or_grow(index)) {
        (Number::Whole(amount), Some(cell)) => cell.add(amount),
        (amount, _) => site.shared.add(amount),
    }
}

/// Reads a gauge at a call site.
#[doc(hidden)]
#[inline]
pub fn gauge<A: Amount>(site: &'static Site, value: A) {
    if site.gate.load(Ordering::Relaxed) != OFF {
        gauge_wanted(site, value.number());
    }
}

fn gauge_wanted(site: &'static Site, value: Number) {
    let asked = site.gate.load(Ordering::Relaxed) == ASK;
    if asked && (capture::catch_site(site, value) || site.ask().is_none()) {
        return;
    }
    if value.to_f64().is_finite() {
        site.shared.set(value.to_f64(), clock::unix_ms());
    } else {
        site.refuse();
    }
}

/// Starts a timer at a call site.
#[doc(hidden)]
#[inline]
#[must_use = "it measures until it is dropped"]
pub fn time(site: &'static Site) -> TimeMe {
    TimeMe::at(site)
}

/// Ends a timer, once the value that it timed is there.
#[doc(hidden)]
#[inline]
pub fn timed<T>(timer: TimeMe, value: T) -> T {
    drop(timer);
    value
}

/// Whether anybody would take a reading of the site.
#[doc(hidden)]
#[inline]
#[must_use]
pub fn is_measured(site: &'static Site) -> bool {
    match site.gate.load(Ordering::Relaxed) {
        OFF => false,
        ASK => capture::capturing() || site.ask().is_some(),
        _ => true,
    }
}

/// Records how long it is since a moment.
#[inline]
pub(crate) fn record(site: &'static Site, since: Moment) {
    match (since.ticks(), local::timer(site.gate.load(Ordering::Relaxed))) {
        (Some(ticks), Some(cell)) => {
            cell.record(ticks, ticks::tick(), site.epoch.load(Ordering::Relaxed))
        }
        (ticks, _) => record_slowly(site, since, ticks),
    }
}

/// The first reading of a thread, and those that its cell cannot take.
#[cold]
fn record_slowly(site: &'static Site, since: Moment, ticks: Option<i64>) {
    let seconds = match ticks {
        Some(ticks) => ticks as f64 * ticks::tick(),
        None => since.seconds_by_clock(),
    };
    let closed = site.gate.load(Ordering::Relaxed) == OFF;
    if closed || capture::catch_site(site, Number::Float(seconds)) {
        return;
    }
    let Some(index) = site.ask() else { return };
    match (ticks, local::timer_or_grow(index)) {
        (Some(ticks), Some(cell)) => {
            cell.record(ticks, ticks::tick(), site.epoch.load(Ordering::Relaxed))
        }
        (_, _) => site.shared.record(seconds),
    }
}

/// Makes the sites those of the installation `number`, and forgets what they gathered before; or
/// makes them nobody's if it is 0.
pub(crate) fn belong_to(number: u64) {
    let sites = lock_sites();
    for site in sites.iter() {
        if number != 0 {
            site.clear();
        }
        site.gate.store(ASK, Ordering::Relaxed);
    }
    instrument::set_installation(number);
}

/// From now on each site asks anew whether it is wanted.
pub(crate) fn ask_again() {
    lock_sites().iter().for_each(|site| site.gate.store(ASK, Ordering::Relaxed));
}

/// How many readings the sites have ever seen in this installation.
pub(crate) fn made_at_sites() -> u64 {
    sites().iter().map(|site| site.made()).sum()
}
