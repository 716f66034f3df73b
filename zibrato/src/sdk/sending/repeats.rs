//! When idle gauges are repeated: at the first collection in each period of the wall clock.
//!
//! So each window of a worker that is at least as long as a period has one repetition, whenever the
//! gauge was set.

use crate::measurement::Level;
use std::collections::BTreeSet;
use std::time::Duration;

/// The periods, and what is still to be repeated in the current one.
#[derive(Debug)]
pub(super) struct Repeats {
    /// In milliseconds; 0: gauges are never repeated.
    period_ms: u64,
    /// The number of the current period, counted from the Unix epoch.
    period: Option<u64>,
    /// Levels that were busy at the first collection, and at each one since.
    owed: BTreeSet<Level>,
}

/// The levels whose idle gauges are repeated in one collection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    All,
    Only(BTreeSet<Level>),
}

impl Repeats {
    pub(super) fn new(every: Duration) -> Self {
        let period_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        Self { period_ms, period: None, owed: BTreeSet::new() }
    }

    /// The levels that are due in a collection at `now_ms`, in Unix milliseconds. It leaves out the
    /// `busy` levels.
    pub(super) fn due(&mut self, now_ms: u64, busy: BTreeSet<Level>) -> Due {
        let Some(period) = now_ms.checked_div(self.period_ms) else {
            return Due::Only(BTreeSet::new());
        };
        if self.period.replace(period) != Some(period) {
            self.owed = busy;
            return Due::All;
        }
        let (still, due) =
            std::mem::take(&mut self.owed).into_iter().partition(|l| busy.contains(l));
        self.owed = still;
        Due::Only(due)
    }
}

impl Due {
    pub(super) fn contains(&self, level: &Level) -> bool {
        match self {
            Self::All => true,
            Self::Only(levels) => levels.contains(level),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, Repeats};
    use crate::measurement::Level;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn levels(names: &[&str]) -> BTreeSet<Level> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn each_level_is_due_once_in_a_period() {
        let mut repeats = Repeats::new(Duration::from_secs(10));
        let mut due = |now_ms, busy: &[&str]| repeats.due(now_ms, levels(busy));
        let only = |names: &[&str]| Due::Only(levels(names));
        assert_eq!(due(5_000, &[]), Due::All);
        assert_eq!(due(6_000, &[]), only(&[]));
        assert_eq!(due(10_000, &["info", "warn"]), Due::All);
        assert_eq!(due(11_000, &["info", "debug"]), only(&["warn"]));
        assert_eq!(due(19_999, &[]), only(&["info"]));
        // A level that was busy for a whole period is due in the next one.
        assert_eq!(due(20_000, &["info"]), Due::All);
        assert_eq!(due(40_000, &[]), Due::All);
        // The clock was set back.
        assert_eq!(due(5_000, &[]), Due::All);
    }

    #[test]
    fn a_period_of_zero_is_never_due() {
        let mut repeats = Repeats::new(Duration::ZERO);
        assert_eq!(repeats.due(1_000, levels(&["info"])), Due::Only(BTreeSet::new()));
        assert_eq!(Repeats::new(Duration::MAX).due(1_000, BTreeSet::new()), Due::All);
    }
}
