//! Collection: turns the readings of an instrument into batches, and accounts for every reading.

pub(crate) mod batches;
pub(crate) mod demand;
pub(crate) mod ledger;
pub(crate) mod unreachable;

use self::ledger::{Ledger, Stats};
use crate::measurement::{Level, RecordedAnnotation};
use crate::sdk::cells::lock;
use crate::sdk::cells::shared::Taken;
use crate::sdk::points::idle::Take;
use crate::sdk::points::instrument::Instrument;
use crate::sdk::points::measure;
use crate::sdk::points::series::{Loss, Series};
use crate::sdk::points::site;
use crate::sdk::points::variant;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Maximum number of collections after the sender has ended.
const LAST_COLLECTIONS: u32 = 10;

#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) instrument: Arc<Instrument>,
    pub(crate) ledger: Mutex<Ledger>,
    /// Whether the call sites of the program belong to this instrument.
    owns_sites: AtomicBool,
    /// The number of readings at the end of this instrument.
    made_at_end: Mutex<Option<u64>>,
}

impl Collector {
    pub(crate) fn new(instrument: Instrument) -> Self {
        Self {
            instrument: Arc::new(instrument),
            ledger: Mutex::default(),
            owns_sites: AtomicBool::new(false),
            made_at_end: Mutex::default(),
        }
    }

    pub(crate) fn owns_sites(&self) -> bool {
        self.owns_sites.load(Ordering::SeqCst)
    }

    /// Assigns the call sites of the program to this instrument.
    pub(crate) fn take_sites(&self) {
        // Earlier readings of an allocator belong to no instrument.
        measure::take_reentrant();
        variant::belong_to(self.instrument.number);
        // Only now, when they have forgotten what was before: the sender runs already.
        self.owns_sites.store(true, Ordering::SeqCst);
    }

    /// Stops measuring. Readings that were already recorded can still be collected.
    pub(crate) fn close(&self) {
        if self.owns_sites() {
            site::leave(self.instrument.number);
        }
        self.instrument.close();
    }

    /// Gives up the call sites, after [`Self::lose_the_rest`]. Readings that threads have recorded
    /// since then belong to no instrument, and the next one discards them.
    pub(crate) fn leave_sites(&self) {
        self.lose_reentrant();
        self.owns_sites.store(false, Ordering::SeqCst);
    }

    /// Counts readings of an allocator inside of the instrument as lost.
    fn lose_reentrant(&self) {
        if self.owns_sites() {
            self.instrument.refused.add(Loss::Reentrant, measure::take_reentrant());
        }
    }

    /// The number of readings so far.
    fn made_now(&self) -> u64 {
        let Instrument { names, annotations, .. } = &*self.instrument;
        let at_sites = if self.owns_sites() { variant::made_at_sites() } else { 0 };
        at_sites + names.made() + annotations.made()
    }

    /// The number of readings, which stays the same after the end: a thread that was in the middle
    /// of a reading may still record it, but nothing would ever send it.
    fn made(&self) -> u64 {
        let now = self.made_now();
        // The end may have come meanwhile, and with it the next instrument, which makes call sites
        // forget what was before.
        lock(&self.made_at_end).unwrap_or(now)
    }

    /// Takes the readings of every series, as `of` says for its level, and passes them to `to`.
    pub(crate) fn collect(&self, of: impl Fn(&Level) -> Take, mut to: impl FnMut(&Series, Taken)) {
        if self.owns_sites() {
            for site in site::sites() {
                let what = site.series().map_or(Take::Nothing, |series| of(&series.level));
                if let Some(taken) = site.point.take(what)
                    && let Some(series) = site.series_of(&self.instrument.source)
                {
                    to(&series, taken);
                }
            }
            let source = &self.instrument.source;
            variant::variants().collect(&of, |named, taken| to(&named.series_in(source), taken));
        }
        self.instrument.names.collect(of, |named, taken| to(&named.series, taken));
    }

    /// Takes the annotations of the levels that `of` wants.
    pub(crate) fn annotations(&self, of: impl Fn(&Level) -> bool) -> Vec<RecordedAnnotation> {
        self.instrument.annotations.take(of)
    }

    /// Lets series go that were not used for an hour. The sender calls it once a minute.
    pub(crate) fn let_go(&self) {
        if self.owns_sites() {
            variant::variants().let_go();
        }
        self.instrument.names.let_go();
    }

    /// Counts everything that was not sent as lost, because the sender has ended.
    pub(crate) fn lose_the_rest(&self) -> Stats {
        lock(&self.made_at_end).get_or_insert_with(|| self.collect_the_rest());
        self.stats()
    }

    /// Collects everything that was not sent, and returns the number of readings at the end.
    fn collect_the_rest(&self) -> u64 {
        let collect = || {
            let mut left = 0;
            self.collect(|_| Take::New, |_, taken| left += taken.readings);
            left += self.annotations(|_| true).len() as u64;
            let ledger = {
                let mut ledger = lock(&self.ledger);
                ledger.expired += left;
                ledger.clone()
            };
            let made = self.made_now();
            (made, ledger.pending(made))
        };
        // A thread that was in the middle of a reading when measuring ended may record it between
        // the collection and the count.
        let is_last = |(_, pending): &(u64, u64)| *pending == 0;
        (1..LAST_COLLECTIONS).map(|_| collect()).find(is_last).unwrap_or_else(collect).0
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lose_reentrant();
        // Settled readings are read before recorded ones, so that there are never more settled
        // readings than recorded ones.
        let ledger = lock(&self.ledger).clone();
        let mut stats = ledger.stats(self.made(), &self.instrument.refused);
        let names = &self.instrument.names;
        let variants = variant::variants();
        stats.overflowing = names.overflowing().or_else(|| variants.overflowing());
        stats.renamed = names.changed() + if self.owns_sites() { variants.changed() } else { 0 };
        stats
    }
}
