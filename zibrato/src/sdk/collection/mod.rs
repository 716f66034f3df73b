//! Collection: what has gathered for an instrument becomes batches, and an account of every reading.

pub(crate) mod batches;
pub(crate) mod demand;
pub(crate) mod ledger;

use self::ledger::{Ledger, Stats};
use crate::measurement::Level;
use crate::sdk::cells::lock;
use crate::sdk::cells::shared::Taken;
use crate::sdk::points::instrument::Instrument;
use crate::sdk::points::measure;
use crate::sdk::points::series::{Loss, Series};
use crate::sdk::points::site;
use crate::sdk::points::variants::NAMES;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) instrument: Arc<Instrument>,
    pub(crate) ledger: Mutex<Ledger>,
    /// Whether the call sites of the program are this instrument's.
    owns_sites: AtomicBool,
    /// Readings that the call sites had seen when they ceased to be its own.
    made_before: AtomicU64,
}

impl Collector {
    pub(crate) fn new(instrument: Instrument) -> Self {
        Self {
            instrument: Arc::new(instrument),
            ledger: Mutex::default(),
            owns_sites: AtomicBool::new(false),
            made_before: AtomicU64::new(0),
        }
    }

    pub(crate) fn owns_sites(&self) -> bool {
        self.owns_sites.load(Ordering::SeqCst)
    }

    /// Makes the call sites of the program this instrument's.
    pub(crate) fn take_sites(&self) {
        // What an allocator has counted before is nobody's.
        measure::take_reentrant();
        site::belong_to(self.instrument.number);
        // Only now, when they have forgotten what was before: the sender runs already.
        self.owns_sites.store(true, Ordering::SeqCst);
    }

    /// From now on nothing more is measured; what has gathered can still be collected.
    pub(crate) fn close(&self) {
        if self.owns_sites() {
            site::belong_to(0);
        }
        self.instrument.close();
    }

    /// The call sites are nobody's any more.
    pub(crate) fn leave_sites(&self) {
        if self.owns_sites() {
            self.lose_reentrant();
            self.made_before.store(site::made_at_sites(), Ordering::SeqCst);
            self.owns_sites.store(false, Ordering::SeqCst);
        }
    }

    /// Counts the readings as lost that an allocator made inside of the instrument.
    fn lose_reentrant(&self) {
        if self.owns_sites() {
            self.instrument.refused.add(Loss::Reentrant, measure::take_reentrant());
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

    /// Takes what has gathered in every cell whose level `of` says yes to, and gives it to `to`.
    pub(crate) fn collect(&self, of: impl Fn(&Level) -> bool, mut to: impl FnMut(&Series, Taken)) {
        if self.owns_sites() {
            for site in site::sites() {
                let wanted = site.series().is_some_and(|series| of(&series.level));
                if wanted
                    && let Some(taken) = site.point.take()
                    && let Some(series) = site.series_of(&self.instrument.source)
                {
                    to(&series, taken);
                }
            }
        }
        self.instrument.names.collect(of, to);
    }

    /// What was never sent, because there is nobody to send it any more.
    pub(crate) fn lose_the_rest(&self) -> Stats {
        let mut left = 0;
        self.collect(|_| true, |_, taken| left += taken.readings);
        lock(&self.ledger).expired += left;
        self.stats()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lose_reentrant();
        // What is settled before what was made: so that nothing is settled that was not made.
        let ledger = *lock(&self.ledger);
        let made = self.made_at_sites() + self.instrument.names.made();
        let mut stats = ledger.stats(made, &self.instrument.refused);
        let names = &self.instrument.names.registry;
        stats.overflowing = names.overflowing().or_else(|| NAMES.overflowing());
        stats
    }
}
