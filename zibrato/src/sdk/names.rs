//! The series of one instrument whose names are known only at run time.
//!
//! There is a limit: names made from what users type would fill any memory. Beyond it each level,
//! kind and source has one series more, `_overflow`, which takes whatever finds no room, and the
//! first name that found none is remembered.

use super::cell::{Cell, Taken};
use super::instrument::Series;
use super::kept::Kept;
use super::run_names::OVERFLOW_NAME;
use crate::measurement::{Level, Name};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most names that one instrument keeps apart.
const MAX_NAMES: usize = 100_000;

/// The most series `_overflow`; levels known at run time could be without end, too.
const MAX_OVERFLOWS: usize = 1000;

/// How many series are collected between two looks at the list of them.
const SLICE: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Names {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_series: HashMap<Series, Arc<Named>>,
    /// In the order in which they came.
    all: Vec<Arc<Named>>,
    overflowing: Option<Name>,
}

/// One series.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) series: Series,
    /// What is measured by name.
    pub(crate) cell: Cell,
    /// What is measured through handles. There is one, but for a forked child, which may find a
    /// second one that its parent had.
    handles: Mutex<Vec<Arc<Kept>>>,
}

impl Named {
    /// What handles measure with; made by the first who needs it.
    pub(crate) fn kept(&self, make: impl FnOnce() -> Arc<Kept>) -> Arc<Kept> {
        let mut handles = self.handles();
        if let Some(kept) = handles.first() {
            return Arc::clone(kept);
        }
        let kept = make();
        handles.push(Arc::clone(&kept));
        kept
    }

    fn adopt(&self, kept: &Arc<Kept>) {
        let mut handles = self.handles();
        if !handles.iter().any(|known| Arc::ptr_eq(known, kept)) {
            // What is in there is the parent's.
            kept.point().clear();
            handles.push(Arc::clone(kept));
        }
    }

    fn take(&self) -> Option<Taken> {
        let by_name = self.cell.take(self.series.kind);
        let handles = self.handles();
        let taken = handles.iter().filter_map(|kept| kept.point().take());
        taken.fold(by_name, |all, more| Some(more.with(all)))
    }

    fn made(&self) -> u64 {
        let through_handles: u64 = self.handles().iter().map(|kept| kept.point().made()).sum();
        self.cell.made() + through_handles
    }

    fn handles(&self) -> MutexGuard<'_, Vec<Arc<Kept>>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    /// The series, or the one that takes its place; `None` if there is no room for either.
    pub(crate) fn find_or_add(&self, series: Series) -> Option<Arc<Named>> {
        let mut state = self.state();
        if let Some(named) = state.by_series.get(&series) {
            return Some(Arc::clone(named));
        }
        if state.all.len() < MAX_NAMES {
            return Some(state.add(series));
        }
        state.overflowing.get_or_insert_with(|| series.name.clone());
        let name = Name::new(OVERFLOW_NAME).ok()?;
        let overflow = Series { name, tags: &[], ..series };
        if let Some(named) = state.by_series.get(&overflow) {
            return Some(Arc::clone(named));
        }
        (state.all.len() < MAX_NAMES + MAX_OVERFLOWS).then(|| state.add(overflow))
    }

    /// Makes what a handle of the parent measures this instrument's.
    pub(crate) fn adopt(&self, series: &Series, kept: &Arc<Kept>) {
        if let Some(named) = self.find_or_add(series.clone()) {
            named.adopt(kept);
        }
    }

    /// The first name that found no room.
    pub(crate) fn overflowing(&self) -> Option<Name> {
        self.state().overflowing.clone()
    }

    /// Takes what has gathered in every series whose level `of` says yes to.
    pub(crate) fn collect(&self, of: impl Fn(&Level) -> bool, mut to: impl FnMut(&Series, Taken)) {
        self.for_each(|named| {
            if of(&named.series.level)
                && let Some(taken) = named.take()
            {
                to(&named.series, taken);
            }
        });
    }

    /// How many readings were ever made.
    pub(crate) fn made(&self) -> u64 {
        let mut made = 0;
        self.for_each(|named| made += named.made());
        made
    }

    /// Goes through all of them in slices, so that nobody who measures waits for long.
    fn for_each(&self, mut act: impl FnMut(&Named)) {
        let mut from = 0;
        loop {
            let slice: Vec<_> = self.state().all.iter().skip(from).take(SLICE).cloned().collect();
            slice.iter().for_each(|named| act(named));
            from += slice.len();
            if slice.len() < SLICE {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, series: Series) -> Arc<Named> {
        let (cell, handles) = (Cell::new(), Mutex::default());
        let named = Arc::new(Named { series: series.clone(), cell, handles });
        self.by_series.insert(series, Arc::clone(&named));
        self.all.push(Arc::clone(&named));
        named
    }
}
