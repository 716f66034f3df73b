//! Which levels are wanted, from the lists that the broker publishes and the times at which they
//! arrived.
//!
//! A level stays wanted for a while after the broker has stopped listing it: a restarted worker
//! needs a moment to reconnect, and so do all workers after the broker has restarted. For the same
//! time after a program first receives a list, all levels are wanted. Only messages of the broker
//! let this time expire: while it is silent, nothing changes.

use crate::measurement::Level;
use crate::wire::WantedLevels;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a level stays wanted after the broker last listed it.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Maximum number of levels that are remembered. If a broker lists more, all levels are wanted.
const MAX_LEVELS: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Demand {
    first_received: Option<Instant>,
    last_received: Option<Instant>,
    /// When all levels were last wanted.
    all: Option<Instant>,
    levels: BTreeMap<Level, Instant>,
}

impl Demand {
    /// Processes a list of wanted levels.
    pub(crate) fn receive(&mut self, wanted: WantedLevels, now: Instant) {
        self.first_received.get_or_insert(now);
        self.last_received = Some(now);
        if wanted.all {
            self.all = Some(now);
        }
        self.levels.extend(wanted.levels.into_iter().map(|level| (level, now)));
        if self.levels.len() > MAX_LEVELS {
            self.levels.clear();
            self.all = Some(now);
        }
    }

    /// The broker is back after a silence. Levels that were wanted before it stay wanted until it
    /// has had time to list them.
    pub(crate) fn come_back(&mut self, now: Instant) {
        self.all = self.all.map(|_| now);
        self.levels.values_mut().for_each(|said| *said = now);
    }

    /// Whether the broker listed the level within the grace time. False if all levels are wanted
    /// only because nothing is known.
    pub(crate) fn names(&self, level: &Level) -> bool {
        let said = self.all.into_iter().chain(self.levels.get(level).copied());
        said.max().is_some_and(|said| self.is_fresh(said))
    }

    /// Whether the grace time since then has not expired.
    fn is_fresh(&self, said: Instant) -> bool {
        self.last_received.is_some_and(|received| received.saturating_duration_since(said) < GRACE)
    }

    /// The wanted levels while the broker is connected; `None` if they are not known yet. Must not
    /// be called while the broker is silent, because nothing changes then.
    pub(crate) fn wanted(&mut self, now: Instant) -> Option<WantedLevels> {
        if now.saturating_duration_since(self.first_received?) < GRACE {
            return None;
        }
        let mut levels = std::mem::take(&mut self.levels);
        levels.retain(|_, said| self.is_fresh(*said));
        self.levels = levels;
        self.all = self.all.filter(|said| self.is_fresh(*said));
        let all = self.all.is_some();
        let levels = if all { BTreeSet::new() } else { self.levels.keys().cloned().collect() };
        Some(WantedLevels { all, levels })
    }
}

#[cfg(test)]
mod tests {
    use super::{Demand, GRACE, WantedLevels};
    use crate::measurement::Level;
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    fn levels(words: &[&str]) -> WantedLevels {
        let levels = words.iter().map(|word| Level::new(word).unwrap()).collect();
        WantedLevels { levels, ..WantedLevels::default() }
    }

    fn some(words: &[&str]) -> Option<WantedLevels> {
        Some(levels(words))
    }

    #[test]
    fn a_level_is_wanted_at_once_and_for_a_while_after_it_was() {
        let (mut demand, begun) = (Demand::default(), Instant::now());
        assert_eq!(demand.wanted(begun), None);
        demand.receive(levels(&["info"]), begun);
        // The grace time at the start has not expired.
        assert_eq!(demand.wanted(begun + GRACE - SECOND), None);
        demand.receive(levels(&["info", "debug"]), begun + GRACE);
        assert_eq!(demand.wanted(begun + GRACE), some(&["info", "debug"]));
        let gone = begun + GRACE + SECOND;
        demand.receive(levels(&["info"]), gone);
        assert_eq!(demand.wanted(gone), some(&["info", "debug"]));
        demand.receive(levels(&["info"]), gone + GRACE);
        assert_eq!(demand.wanted(gone + GRACE), some(&["info"]));
        demand.receive(WantedLevels { all: true, ..levels(&[]) }, gone + GRACE);
        assert_eq!(demand.wanted(gone + GRACE), Some(WantedLevels { all: true, ..levels(&[]) }));
        demand.receive(levels(&[]), gone + GRACE * 2);
        assert_eq!(demand.wanted(gone + GRACE * 2), some(&[]));
    }

    #[test]
    fn a_level_is_named_by_the_broker_alone() {
        let (mut demand, begun) = (Demand::default(), Instant::now());
        let [info, debug] = ["info", "debug"].map(|level| Level::new(level).unwrap());
        demand.receive(levels(&["info"]), begun);
        assert!(demand.names(&info) && !demand.names(&debug));
        demand.receive(levels(&[]), begun + GRACE);
        assert!(!demand.names(&info));
        demand.receive(WantedLevels { all: true, ..levels(&[]) }, begun + GRACE);
        assert!(demand.names(&info) && demand.names(&debug));
        demand.receive(levels(&[]), begun + GRACE * 2);
        assert!(!demand.names(&debug));
    }

    #[test]
    fn a_broker_that_was_away_has_time_to_say_what_is_wanted() {
        let (mut demand, begun) = (Demand::default(), Instant::now());
        demand.receive(levels(&["info"]), begun);
        let back = begun + GRACE * 100;
        demand.come_back(back);
        demand.receive(levels(&[]), back);
        assert_eq!(demand.wanted(back + SECOND), some(&["info"]));
        demand.receive(levels(&[]), back + GRACE);
        assert_eq!(demand.wanted(back + GRACE), some(&[]));
    }

    #[test]
    fn a_broker_that_stops_talking_leaves_wanted_what_was() {
        let (mut demand, begun) = (Demand::default(), Instant::now());
        demand.receive(levels(&["info"]), begun);
        demand.receive(levels(&["info"]), begun + GRACE);
        // It still acknowledges, or its silence has not been noticed yet.
        assert_eq!(demand.wanted(begun + GRACE * 3), some(&["info"]));
        demand.receive(levels(&["info"]), begun + GRACE * 4);
        assert_eq!(demand.wanted(begun + GRACE * 4), some(&["info"]));
    }
}
