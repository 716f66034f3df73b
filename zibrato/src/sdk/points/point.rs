//! A point: where one series is measured, by call sites and by handles alike.
//!
//! Its gate says in one load whether anybody wants it, and where its cell stands in each thread's
//! block. What a cell cannot take goes to one that all threads share: slower, never lost.

use super::baseline::Gathered;
use super::series::Shape;
use crate::sdk::cells::list::{Link, Linked, List};
use crate::sdk::cells::per_process::PerProcess;
use crate::sdk::cells::shared::{SharedCell, Taken};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Where one series is measured.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) shape: Shape,
    /// Where its cell stands in each thread's block, if anybody wants it; else [`OFF`] or [`ASK`].
    /// One load tells both.
    gate: AtomicU32,
    /// Of its timers' extremes; begun anew when the sender takes what has gathered.
    epoch: AtomicU32,
    link: Link<Self>,
    gathered: PerProcess<Gathered>,
}

/// Nobody wants it: measuring here ends with the load of the gate.
pub(crate) const OFF: u32 = u32::MAX;

/// It is not known whether anybody wants it.
pub(crate) const ASK: u32 = u32::MAX - 1;

/// The points that were ever used. Whoever changes gates has it locked, and allocates nothing
/// meanwhile: an allocator may measure.
static POINTS: List<Point> = List::new();

/// How many instruments have no sender yet. Points then ask at each use, which is how a program
/// without a thread of ours finds out that it may have one.
static SENDERS_MISSING: AtomicUsize = AtomicUsize::new(0);

/// From now on each use asks, or no more.
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

    /// One that nobody ever wants. It is never listed, so nobody asks again.
    pub(crate) const fn closed() -> Self {
        let mut point = Self::new(Shape::Counter);
        point.gate = AtomicU32::new(OFF);
        point
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

    /// Where its cell stands in each thread's block, wanted or not; nowhere before its first use.
    pub(crate) fn index(&self) -> Option<u32> {
        self.link.index()
    }

    /// The cell for what those of threads cannot take.
    pub(crate) fn shared(&self) -> &SharedCell {
        &self.gathered().shared
    }

    /// Opens or closes the gate, as `wanted` says; gives its index if it is open. `None` is not
    /// known yet. While `asks`, every use comes by here.
    pub(crate) fn ask(
        &'static self,
        wanted: impl FnOnce() -> Option<bool>,
        asks: bool,
    ) -> Option<u32> {
        let mut end = POINTS.lock();
        let index = POINTS.add(self, &mut end);
        let wanted = wanted()?;
        if !asks && SENDERS_MISSING.load(Ordering::Relaxed) == 0 {
            self.gate.store(if wanted { index } else { OFF }, Ordering::Relaxed);
        }
        drop(end);
        wanted.then_some(index)
    }

    /// Takes what has gathered, if there were readings. Only the sender calls it.
    pub(crate) fn take(&self) -> Option<Taken> {
        self.gathered().take(self.shape, self.index(), &self.epoch)
    }

    /// Forgets what has gathered for an earlier installation.
    pub(crate) fn clear(&self) {
        self.gathered().clear(self.shape, self.index(), &self.epoch);
    }

    /// How many readings were made here in this installation.
    pub(crate) fn made(&self) -> u64 {
        self.gathered().made(self.shape, self.index())
    }

    /// From now on the next use asks whether it is wanted.
    pub(crate) fn ask_again(&self) {
        let _gates = POINTS.lock();
        self.gate.store(ASK, Ordering::Relaxed);
    }

    fn gathered(&self) -> &Gathered {
        self.gathered.get(|_| Gathered::new())
    }
}

/// From now on each point asks anew whether it is wanted; `then` happens before any does.
pub(crate) fn ask_again(then: impl FnOnce()) {
    let _gates = POINTS.lock();
    POINTS.iter().for_each(|point| point.gate.store(ASK, Ordering::Relaxed));
    then();
}

/// In a forked child, before anything else happens there: whoever measures next finds out that it
/// is in another process. Takes no lock and allocates nothing.
pub(crate) fn ask_again_in_child() {
    SENDERS_MISSING.store(0, Ordering::Relaxed);
    POINTS.iter().for_each(|point| point.gate.store(ASK, Ordering::Relaxed));
}
