//! The locks of all call sites, held while the process forks.

use super::{ASK, Books, Site, lock_sites};
use crate::sdk::cell;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

/// Keeps the lock of the list of sites, and those of each, for a fork.
pub(crate) struct Held {
    sites: MutexGuard<'static, Vec<&'static Site>>,
    _of_each: Vec<(cell::Held<'static>, MutexGuard<'static, Books>)>,
}

pub(crate) fn hold() -> Held {
    let sites = lock_sites();
    let of_each = sites.iter().map(|site| (site.shared.hold(), site.books())).collect();
    Held { sites, _of_each: of_each }
}

impl Held {
    /// From now on each site asks anew whether it is wanted.
    pub(crate) fn ask_again(&self) {
        self.sites.iter().for_each(|site| site.gate.store(ASK, Ordering::Relaxed));
    }
}
