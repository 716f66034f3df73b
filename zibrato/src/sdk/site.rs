//! A call site: the `static` behind an attribute or a macro.

use super::amount::{Amount, Number};
use super::capture;
use super::cell::Cell;
use super::guard::TimeMe;
use super::handle::instrument as installed_instrument;
use super::instrument;
use crate::clock;
use crate::measurement::{
    Kind, Level, MAX_NAME_BYTES, Name, Source, TextProblem, check_level, check_name,
};
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a call site measures. Generated code fills it in; the names are checked when the program
/// is compiled.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "generated code makes it")]
pub struct Place {
    pub level: &'static str,
    /// `None`: `module.path.function`.
    pub name: Option<&'static str>,
    pub module: &'static str,
    pub function: &'static str,
    /// `None`: the installation's source.
    pub source: Option<&'static str>,
}

/// One annotated place in a program.
#[doc(hidden)]
#[derive(Debug)]
pub struct Site {
    place: Place,
    kind: Kind,
    /// Twice the number of the installation for which it was opened, and 1 if that wants it.
    gate: AtomicU64,
    listed: AtomicBool,
    checked: OnceCell<(Level, Name, Option<Source>)>,
    cell: Cell,
}

/// Every site that was ever opened.
static SITES: Mutex<Vec<&'static Site>> = Mutex::new(Vec::new());

pub(crate) fn sites() -> Vec<&'static Site> {
    SITES.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        Self {
            place,
            kind,
            gate: AtomicU64::new(0),
            listed: AtomicBool::new(false),
            checked: OnceCell::new(),
            cell: Cell::new(),
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) const fn cell(&self) -> &Cell {
        &self.cell
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

    /// Whether the installed instrument wants this site.
    #[inline]
    fn wanted(&'static self) -> bool {
        let installation = instrument::installation();
        if installation == 0 {
            return false;
        }
        let gate = self.gate.load(Ordering::Relaxed);
        if gate >> 1 == installation { gate & 1 == 1 } else { self.open() }
    }

    /// The first use since an instrument was installed.
    #[cold]
    fn open(&'static self) -> bool {
        let Some(instrument) = installed_instrument() else { return false };
        let wanted = instrument.wants(self.place.level);
        if wanted && !self.listed.swap(true, Ordering::Relaxed) {
            SITES.lock().unwrap_or_else(PoisonError::into_inner).push(self);
        }
        self.gate.store(instrument.number() << 1 | u64::from(wanted), Ordering::Relaxed);
        wanted
    }

    /// A number that cannot go on the wire.
    #[cold]
    fn refuse(&self) {
        if let Some(instrument) = installed_instrument() {
            instrument.refuse_not_finite();
        }
    }
}

// A panic while a static is made is an error of the compiler at that place, which is the caller's.
#[track_caller]
const fn expect_valid(checked: Result<(), TextProblem>) {
    if let Err(problem) = checked {
        match problem {
            TextProblem::Bar => panic!("a level, name or source has a `|` in it"),
            TextProblem::Control => {
                panic!("a level, name or source has a control character or a line break in it")
            }
            TextProblem::Empty => panic!("a level, name or source is empty"),
            TextProblem::Reserved => panic!("this level is kept for the protocol"),
            TextProblem::TooLong => panic!(
                "a level is longer than 64 bytes, or a name or source longer than 255; \
                 a name made from a module path may need `name = \"…\"`"
            ),
        }
    }
}

/// Counts at a call site.
#[doc(hidden)]
#[inline]
pub fn count<A: Amount>(site: &'static Site, amount: A) {
    let amount = amount.number();
    if capture::catch_site(site, amount) || !site.wanted() {
        return;
    }
    if amount.to_f64().is_finite() {
        site.cell.add(amount);
    } else {
        site.refuse();
    }
}

/// Reads a gauge at a call site.
#[doc(hidden)]
#[inline]
pub fn gauge<A: Amount>(site: &'static Site, value: A) {
    let value = value.number();
    if capture::catch_site(site, value) || !site.wanted() {
        return;
    }
    if value.to_f64().is_finite() {
        site.cell.set(value.to_f64(), clock::unix_ms());
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
#[inline]
pub(crate) fn is_measured(site: &'static Site) -> bool {
    site.wanted() || capture::capturing()
}

/// Records a duration at a call site.
#[inline]
pub(crate) fn record(site: &'static Site, seconds: f64) {
    if !capture::catch_site(site, Number::Float(seconds)) && site.wanted() {
        site.cell.record(seconds);
    }
}

/// Forgets what the sites gathered for an earlier installation.
pub(crate) fn clear_sites() {
    sites().iter().for_each(|site| site.cell.clear());
}

/// How many readings the sites have ever seen in this installation.
pub(crate) fn made_at_sites() -> u64 {
    sites().iter().map(|site| site.cell.made()).sum()
}
