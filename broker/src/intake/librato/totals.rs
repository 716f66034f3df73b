//! The last totals of counters: what is published is the difference to the total before.
//!
//! Pure.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Maximum number of counters whose totals are kept.
const MAX_COUNTERS: usize = 100_000;

/// What a new total of a counter means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    /// It is the first one, so that nothing is known about what happened before.
    First,
    /// It is older than the last one.
    Late,
    /// This much was added since the last one.
    More(f64),
}

/// The last total of each counter.
#[derive(Debug, Default)]
pub(super) struct Totals {
    last: HashMap<Box<str>, Last, RandomState>,
    /// Number of totals so far. It shows which counter has been idle for the longest time.
    clock: u64,
    /// The key of a counter while it is looked for.
    key: String,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    total: f64,
    at_ms: u64,
    used: u64,
}

impl Totals {
    /// Keeps the total of a counter at a time. A total below the last one is counted from zero, because
    /// the program has started again.
    pub(super) fn replace(&mut self, [source, name]: [&str; 2], total: f64, at_ms: u64) -> Change {
        self.clock += 1;
        let used = self.clock;
        self.key.clear();
        // No source contains a blank.
        self.key.extend([source, " ", name]);
        let Some(last) = self.last.get_mut(&*self.key) else {
            if self.last.len() >= MAX_COUNTERS {
                self.forget_the_idle();
            }
            self.last.insert(self.key.as_str().into(), Last { total, at_ms, used });
            return Change::First;
        };
        last.used = used;
        if at_ms < last.at_ms {
            return Change::Late;
        }
        let more = if total < last.total { total } else { total - last.total };
        (last.total, last.at_ms) = (total, at_ms);
        Change::More(more)
    }

    /// Forgets the tenth that has been idle for the longest time.
    fn forget_the_idle(&mut self) {
        let mut used: Vec<_> = self.last.values().map(|last| last.used).collect();
        let (_, newest_gone, _) = used.select_nth_unstable(MAX_COUNTERS / 10);
        let newest_gone = *newest_gone;
        self.last.retain(|_, last| last.used > newest_gone);
    }

    /// Approximate memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.last.len() * (size_of::<Last>() + 100)
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, MAX_COUNTERS, Totals};

    #[test]
    fn a_counter_counts_what_was_added_and_begins_at_zero_after_a_reset() {
        let mut totals = Totals::default();
        for (name, total, at_ms, expected) in [
            ("a", 5.0, 10, Change::First),
            ("b", 7.0, 10, Change::First),
            ("a", 8.0, 20, Change::More(3.0)),
            ("a", 8.0, 20, Change::More(0.0)),
            ("a", 6.0, 15, Change::Late),
            ("a", 2.0, 30, Change::More(2.0)),
            ("a", 3.0, 40, Change::More(1.0)),
            ("b", 9.0, 10, Change::More(2.0)),
        ] {
            assert_eq!(totals.replace(["web-1", name], total, at_ms), expected, "{name} {total}");
        }
        assert_eq!(totals.replace(["web-2", "a"], 1.0, 50), Change::First);
    }

    #[test]
    fn counters_in_use_are_kept_when_there_are_too_many() {
        let mut totals = Totals::default();
        assert_eq!(totals.replace(["", "kept"], 1.0, 0), Change::First);
        for n in 0..2 * MAX_COUNTERS {
            totals.replace(["", &n.to_string()], 1.0, 0);
            if n % 1_000 == 0 {
                assert_eq!(totals.replace(["", "kept"], 1.0, 0), Change::More(0.0), "{n}");
            }
            assert!(totals.last.len() <= MAX_COUNTERS);
        }
    }
}
