//! A point: where one series is measured, by call sites and by handles alike.
//!
//! Its gate says in one load whether anybody wants it, and where its cell stands in each thread's
//! block. What a cell cannot take goes to one that all threads share: slower, never lost.

use super::amount::{Amount, Number};
use super::books::Books;
use super::capture;
use super::cell::{Cell, Taken};
use super::instrument::Instrument;
use super::local;
use super::owner;
use super::site::Site;
use crate::clock;
use crate::measurement::Kind;
use once_cell::sync::OnceCell;
use std::iter;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod ends;
mod held;
pub(crate) use ends::{end, is_timed, move_in_flight, record, record_seconds};
pub(crate) use held::{Held, Room, hold, room};

/// Where one series is measured.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) shape: Shape,
    /// Where its cell stands in each thread's block, if anybody wants it; else [`OFF`] or [`ASK`].
    /// One load tells both.
    gate: AtomicU32,
    /// Of its timers' extremes; begun anew when the sender takes what has gathered.
    epoch: AtomicU32,
    listed: OnceCell<Listed>,
    /// For what the cells of threads cannot take.
    shared: Cell,
    books: Books,
}

/// How a point gathers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Counter,
    Gauge,
    /// A gauge that keeps every reading.
    Each,
    /// A gauge that goes up and down by one.
    InFlight,
    Timer,
    /// A timer that times one call in so many, and counts all.
    Sampled(u32),
}

impl Shape {
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Counter => Kind::Counter,
            Self::Gauge | Self::Each | Self::InFlight => Kind::Gauge,
            Self::Timer | Self::Sampled(_) => Kind::Timer,
        }
    }
}

/// Where a point stands among all that were ever used.
#[derive(Debug)]
struct Listed {
    index: u32,
    before: Option<&'static Point>,
    /// The call site that it is part of, if it is.
    site: Option<&'static Site>,
}

/// Nobody wants it: measuring here ends with the load of the gate.
const OFF: u32 = u32::MAX;

/// It is not known whether anybody wants it.
const ASK: u32 = u32::MAX - 1;

/// The point that was first used last. Whoever changes gates holds the lock, and allocates nothing
/// meanwhile: an allocator may measure.
static LAST: Mutex<Option<&'static Point>> = Mutex::new(None);

type Last = MutexGuard<'static, Option<&'static Point>>;

fn lock() -> Last {
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// That point and all before it.
fn from(last: Option<&'static Point>) -> impl Iterator<Item = &'static Point> {
    iter::successors(last, |point| point.listed.get()?.before)
}

/// Every call site that was ever used.
pub(crate) fn sites() -> impl Iterator<Item = &'static Site> {
    from(*lock()).filter_map(|point| point.listed.get()?.site)
}

/// Whose a point is.
pub(crate) trait Origin: Copy {
    fn point(self) -> &'static Point;

    /// The call site, if it is one.
    fn site(self) -> Option<&'static Site>;

    /// The instrument that it measures for now.
    fn instrument(self) -> Option<Arc<Instrument>>;

    /// Whether the instrument wants it; `None` if that will be known soon. Called while gates are
    /// locked, so it allocates nothing and waits for nothing long.
    fn wanted_by(self, instrument: Option<&Instrument>) -> Option<bool>;

    /// Gives a reading to what this thread captures, if it does.
    fn catch(self, value: Number) -> bool;
}

impl Point {
    pub(crate) const fn new(shape: Shape) -> Self {
        Self {
            shape,
            gate: AtomicU32::new(ASK),
            epoch: AtomicU32::new(1),
            listed: OnceCell::new(),
            shared: Cell::new(),
            books: Books::new(),
        }
    }

    /// One that nobody ever wants. It is never listed, so nobody asks again.
    pub(crate) const fn closed() -> Self {
        let mut point = Self::new(Shape::Counter);
        point.gate = AtomicU32::new(OFF);
        point
    }

    fn index(&'static self, site: Option<&'static Site>, last: &mut Last) -> u32 {
        let list = || {
            let before = last.replace(self);
            let index = before.and_then(|b| b.listed.get()).map_or(0, |b| b.index + 1);
            Listed { index, before, site }
        };
        self.listed.get_or_init(list).index
    }

    /// Takes what has gathered, if there were readings. Only the sender calls it.
    pub(crate) fn take(&self) -> Option<Taken> {
        let index = self.listed.get()?.index;
        self.books.take(self.shape, index, &self.epoch, &self.shared)
    }

    /// Forgets what has gathered for an earlier installation.
    pub(crate) fn clear(&self) {
        let Some(listed) = self.listed.get() else { return };
        self.books.clear(self.shape, listed.index, &self.epoch, &self.shared);
    }

    /// How many readings were made here in this installation.
    pub(crate) fn made(&self) -> u64 {
        let Some(listed) = self.listed.get() else { return 0 };
        self.books.made(self.shape, listed.index, &self.shared)
    }

    /// From now on the next use asks whether it is wanted.
    pub(crate) fn ask_again(&self) {
        let _gates = lock();
        self.gate.store(ASK, Ordering::Relaxed);
    }
}

/// From now on each point asks anew whether it is wanted; `then` happens before any does.
pub(crate) fn ask_again(then: impl FnOnce()) {
    let last = lock();
    from(*last).for_each(|point| point.gate.store(ASK, Ordering::Relaxed));
    then();
}

/// Finds out whether anybody wants the point, and opens or closes its gate; gives its index if so.
#[cold]
fn ask(origin: impl Origin) -> Option<u32> {
    // Before the lock, so that the two are never held at once.
    let instrument = origin.instrument();
    let point = origin.point();
    let mut last = lock();
    let index = point.index(origin.site(), &mut last);
    let wanted = origin.wanted_by(instrument.as_deref())?;
    // While some thread captures, or the sender is missing, every use has to come by here.
    if !capture::anybody_captures() && !owner::is_sender_missing() {
        point.gate.store(if wanted { index } else { OFF }, Ordering::Relaxed);
    }
    drop(last);
    wanted.then_some(index)
}

/// The point's index, if anybody wants it.
fn wanted(origin: impl Origin) -> Option<u32> {
    match origin.point().gate.load(Ordering::Relaxed) {
        OFF => None,
        ASK => ask(origin),
        index => Some(index),
    }
}

/// A number that cannot go on the wire.
#[cold]
fn refuse(origin: impl Origin) {
    if let Some(instrument) = origin.instrument() {
        instrument.refuse_not_finite();
    }
}

/// Counts.
#[inline]
pub(crate) fn count<A: Amount>(origin: impl Origin, amount: A) {
    let gate = origin.point().gate.load(Ordering::Relaxed);
    if gate == OFF {
        return;
    }
    match (amount.number(), local::counter(gate)) {
        (Number::Whole(amount), Some(cell)) => cell.add(amount),
        (amount, _) => count_slowly(origin, amount),
    }
}

/// The first count of a thread, and those that its cell cannot take.
#[cold]
fn count_slowly(origin: impl Origin, amount: Number) {
    if origin.catch(amount) {
        return;
    }
    let Some(index) = wanted(origin) else { return };
    if !amount.to_f64().is_finite() {
        return refuse(origin);
    }
    match (amount, local::counter_or_grow(index)) {
        (Number::Whole(amount), Some(cell)) => cell.add(amount),
        (amount, _) => origin.point().shared.add(amount),
    }
}

/// Reads a gauge.
#[inline]
pub(crate) fn gauge<A: Amount>(origin: impl Origin, value: A) {
    let gate = origin.point().gate.load(Ordering::Relaxed);
    if gate != OFF {
        gauge_wanted(origin, gate, value.number());
    }
}

fn gauge_wanted(origin: impl Origin, gate: u32, value: Number) {
    let is_finite = value.to_f64().is_finite();
    let read = |cell: &super::gauge_cell::GaugeCell| is_finite && cell.read(value.to_f64());
    if !local::gauge(gate).is_some_and(read) {
        gauge_slowly(origin, value);
    }
}

/// The first reading of a thread, and those that its cell cannot take.
#[cold]
fn gauge_slowly(origin: impl Origin, value: Number) {
    if origin.catch(value) {
        return;
    }
    let Some(index) = wanted(origin) else { return };
    let (point, value) = (origin.point(), value.to_f64());
    if !value.is_finite() {
        return refuse(origin);
    }
    if point.shape == Shape::Each {
        return point.shared.keep(value, clock::unix_ms());
    }
    if !local::gauge_or_grow(index).is_some_and(|cell| cell.read(value)) {
        point.shared.set(value, clock::unix_ms());
    }
}

/// Whether anybody would take a reading.
#[inline]
pub(crate) fn is_measured(origin: impl Origin) -> bool {
    match origin.point().gate.load(Ordering::Relaxed) {
        OFF => false,
        ASK => capture::capturing() || ask(origin).is_some(),
        _ => true,
    }
}
