//! A point: the place where one series is measured, used by call sites and handles.
//!
//! One load of its gate tells whether the series is wanted, and which index its cell has in each
//! thread's block. Readings that this cell cannot take go to a cell that all threads share, which
//! is slower.

use super::baseline::Gathered;
use super::idle::Take;
use super::series::Shape;
use crate::sdk::cells::in_flight::InFlightCell;
use crate::sdk::cells::list::{Link, Linked, List};
use crate::sdk::cells::per_process::PerProcess;
use crate::sdk::cells::shared::{SharedCell, Taken};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// The place where one series is measured.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) shape: Shape,
    /// The index of its cell in each thread's block if the series is wanted, else [`OFF`] or
    /// [`ASK`]. One load tells both.
    gate: AtomicU32,
    /// The epoch of its timers' minimum and maximum. The sender starts a new one when it takes the
    /// readings.
    epoch: AtomicU32,
    link: Link<Self>,
    gathered: PerProcess<Gathered>,
}

/// The series is not wanted. Measuring ends after the load of the gate.
pub(crate) const OFF: u32 = u32::MAX;

/// It is unknown whether the series is wanted.
pub(crate) const ASK: u32 = u32::MAX - 1;

/// The points that were ever used. Code that changes gates holds the lock of the list, and does not
/// allocate meanwhile, because an allocator may measure.
static POINTS: List<Point> = List::new();

/// The number of instruments without a sender. While it is not zero, every use of a point asks
/// whether it is wanted. A program that had no thread available for the sender thus gets it later.
static SENDERS_MISSING: AtomicUsize = AtomicUsize::new(0);

/// Called when an instrument has no sender, and when it has one again.
pub(crate) fn sender_is_missing(missing: bool) {
    if missing {
        SENDERS_MISSING.fetch_add(1, Ordering::Relaxed);
    } else {
        SENDERS_MISSING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Linked for Point {
    fn link(&self) -> &Link<Self> {
        &self.link
    }
}

impl Point {
    pub(crate) const fn new(shape: Shape) -> Self {
        Self {
            shape,
            gate: AtomicU32::new(ASK),
            epoch: AtomicU32::new(1),
            link: Link::new(),
            gathered: PerProcess::new(Gathered::new()),
        }
    }

    /// Where its cell stands in each thread's block, or [`OFF`], or [`ASK`].
    #[inline]
    pub(crate) fn gate(&self) -> u32 {
        self.gate.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// The index of its cell in each thread's block, whether it is wanted or not. `None` before its
    /// first use.
    pub(crate) fn index(&self) -> Option<u32> {
        self.link.index()
    }

    /// The shared cell, for readings that the cells of threads cannot take.
    pub(crate) fn shared(&self) -> &SharedCell {
        &self.gathered().shared
    }

    /// Opens or closes the gate, depending on `wanted`, and returns the index if it is open.
    /// `wanted` returns `None` if this is not known yet. If `asks` returns true, the gate stays as
    /// it is, so that every use calls this function.
    pub(crate) fn ask(
        &'static self,
        wanted: impl FnOnce() -> Option<bool>,
        asks: impl FnOnce() -> bool,
    ) -> Option<u32> {
        let mut end = POINTS.lock();
        let index = POINTS.add(self, &mut end);
        let wanted = wanted()?;
        if !asks() && SENDERS_MISSING.load(Ordering::Relaxed) == 0 {
            self.gate.store(if wanted { index } else { OFF }, Ordering::Relaxed);
        }
        drop(end);
        wanted.then_some(index)
    }

    /// The number of calls in flight.
    #[inline]
    pub(crate) fn in_flight(&self) -> &InFlightCell {
        &self.gathered().in_flight
    }

    /// Takes the readings, if there are any. Only the sender calls it.
    pub(crate) fn take(&self, what: Take) -> Option<Taken> {
        if what == Take::Nothing {
            return None;
        }
        self.gathered().take(self.shape, self.index(), &self.epoch, what)
    }

    /// Discards the readings of an earlier installation.
    pub(crate) fn clear(&self) {
        self.gathered().clear(self.shape, self.index(), &self.epoch);
    }

    /// The number of readings that were recorded here in this installation.
    pub(crate) fn made(&self) -> u64 {
        self.gathered().made(self.shape, self.index())
    }

    /// Whether something is in flight.
    pub(crate) fn runs(&self) -> bool {
        self.shape == Shape::InFlight && self.gathered().in_flight() != 0
    }

    /// From now on the next use asks whether it is wanted.
    pub(crate) fn ask_again(&self) {
        let _gates = POINTS.lock();
        self.gate.store(ASK, Ordering::Relaxed);
    }

    #[inline]
    fn gathered(&self) -> &Gathered {
        self.gathered.get(|_| Gathered::new())
    }
}

/// Makes the next use of each point ask whether it is wanted, and calls `then` before any of them
/// does.
pub(crate) fn ask_again(then: impl FnOnce()) {
    let _gates = POINTS.lock();
    POINTS.iter().for_each(|point| point.gate.store(ASK, Ordering::Relaxed));
    then();
}

/// Called in a forked child before anything else, so that the next use of a point discovers the new
/// process. Takes no lock and does not allocate.
pub(crate) extern "C" fn ask_again_in_child() {
    SENDERS_MISSING.store(0, Ordering::Relaxed);
    POINTS.iter().for_each(|point| point.gate.store(ASK, Ordering::Relaxed));
}
