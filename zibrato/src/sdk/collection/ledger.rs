//! What became of every reading: `recorded = delivered + unconfirmed + pending + lost`.

use crate::measurement::Name;
use crate::sdk::points::loss::{Loss, Losses};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the broker may be silent before it counts as gone. It speaks every second.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);

/// Statistics of all readings since the instrument was built.
///
/// `recorded = delivered + unconfirmed + pending + lost` holds at any time.
///
/// While a worker wants level `zibrato`, the same numbers are sent as measurements of that level,
/// once per interval: the increase of the counters `zibrato.sdk.recorded`, `.delivered`,
/// `.unconfirmed` and `.lost` (with a tag `reason`), and the gauges `zibrato.sdk.pending` and
/// `zibrato.sdk.lag_seconds`. These measurements are not counted here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Readings that were recorded.
    pub recorded: u64,
    /// Readings that the broker has acknowledged.
    pub delivered: u64,
    /// Readings sent by the last flush that were not acknowledged before its deadline.
    pub unconfirmed: u64,
    /// Readings that are still in the program.
    pub pending: u64,
    /// Readings lost, by reason.
    pub lost: BTreeMap<Loss, u64>,
    /// Whether the broker has sent something within the last five seconds.
    pub connected: bool,
    /// How long the oldest pending reading has waited for its acknowledgement, beyond the interval
    /// in which it was recorded. Zero if nothing is pending.
    pub lag: Duration,
    /// The first name beyond 100,000 names known only at run time. It and later ones are measured
    /// together as `_overflow`.
    pub overflowing: Option<Name>,
}

impl Stats {
    /// Total number of lost readings.
    #[must_use]
    pub fn total_lost(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Whether every reading is accounted for.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.recorded == self.delivered + self.unconfirmed + self.pending + self.total_lost()
    }
}

/// What the sender knows; cells know the rest.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Mutex<Settled>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Settled {
    pub(crate) delivered: u64,
    pub(crate) unconfirmed: u64,
    /// Readings that were lost after they had reached a cell.
    pub(crate) lost: BTreeMap<Loss, u64>,
    /// When the broker was last heard of.
    pub(crate) heard: Option<Instant>,
    /// Since when the oldest batch waits.
    pub(crate) waiting_since: Option<Instant>,
}

impl Ledger {
    pub(crate) fn entries(&self) -> MutexGuard<'_, Settled> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lose(&self, why: Loss, readings: u64) {
        if readings > 0 {
            *self.entries().lost.entry(why).or_default() += readings;
        }
    }

    /// What became of readings up to now.
    pub(crate) fn settled(&self) -> Settled {
        self.entries().clone()
    }
}

impl Settled {
    /// What became of all readings, given how many the cells have ever seen, and what never reached
    /// one.
    pub(crate) fn stats(mut self, made: u64, refused: &Losses) -> Stats {
        let lost: u64 = self.lost.values().sum();
        let pending = made.saturating_sub(self.delivered + self.unconfirmed + lost);
        let waits = self.waiting_since.filter(|_| pending > 0);
        let mut recorded = made;
        for (why, readings) in refused.iter() {
            *self.lost.entry(why).or_default() += readings;
            recorded += readings;
        }
        Stats {
            recorded,
            delivered: self.delivered,
            unconfirmed: self.unconfirmed,
            pending,
            lost: self.lost,
            connected: self.heard.is_some_and(|heard| heard.elapsed() < SILENCE),
            lag: waits.map_or(Duration::ZERO, |since| since.elapsed()),
            overflowing: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Losses, SILENCE, Settled};
    use std::time::{Duration, Instant};

    #[test]
    fn a_broker_that_nobody_listens_to_any_more_is_not_connected_for_ever() {
        let now = Instant::now();
        let nothing = Losses::default();
        let heard = |at| Settled { heard: at, ..Settled::default() }.stats(0, &nothing).connected;
        assert!(heard(Some(now)) && !heard(None));
        assert!(!heard(now.checked_sub(SILENCE + Duration::from_secs(1))));
    }
}
