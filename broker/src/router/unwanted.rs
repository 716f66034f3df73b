//! Logs the levels of intakes such as StatsD that nobody wants. Programs with the SDK do not measure
//! such levels, but the clients of an intake send them.

use std::collections::BTreeMap;
use zibrato::wire::WantedLevels;

/// Time without a subscriber after which a level is logged. Workers may be restarting.
const LOGGED_AFTER_MS: u64 = 60_000;

/// Maximum number of levels that are watched, and that a log line lists.
const MAX_LEVELS: usize = 100;
const MAX_LISTED: usize = 10;

/// The levels of intakes without a subscriber. The value is the time since when there is none, in
/// Unix milliseconds. It is `None` after the level was logged.
#[derive(Debug, Default)]
pub(super) struct UnwantedLevels(BTreeMap<Box<str>, Option<u64>>);

impl UnwantedLevels {
    /// Takes note of a batch of an intake, and logs its level if that is due.
    pub(super) fn hear(
        &mut self,
        (intake, level): (&str, &str),
        is_wanted: bool,
        wanted: &WantedLevels,
        now_ms: u64,
    ) {
        if self.note(level, is_wanted, now_ms) {
            let levels: Vec<_> = wanted.levels.iter().map(|level| level.as_str()).collect();
            let wanted = levels.get(..MAX_LISTED).unwrap_or(&levels).join(",");
            let wanted = (!wanted.is_empty()).then_some(wanted);
            let why = "no worker has asked for the level, so what the intake receives is dropped; \
                       add the level to --levels of a worker, or change that of the intake";
            tracing::warn!(event = "level_unwanted", intake, level, wanted, why);
        }
    }

    /// Takes note of a batch. Returns whether its level is to be logged: once, until it was wanted
    /// again.
    fn note(&mut self, level: &str, is_wanted: bool, now_ms: u64) -> bool {
        if is_wanted {
            self.0.remove(level);
            return false;
        }
        let Some(since_ms) = self.0.get_mut(level) else {
            if self.0.len() < MAX_LEVELS {
                self.0.insert(level.into(), Some(now_ms));
            }
            return false;
        };
        match *since_ms {
            Some(since) if now_ms >= since.saturating_add(LOGGED_AFTER_MS) => {
                *since_ms = None;
                true
            }
            // The clock was put back.
            Some(since) if now_ms < since => {
                *since_ms = Some(now_ms);
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LOGGED_AFTER_MS, MAX_LEVELS, UnwantedLevels};

    #[test]
    fn a_level_is_logged_once_each_time_that_nobody_wants_it() {
        let mut levels = UnwantedLevels::default();
        let mut now_ms = 5;
        let mut logged_at = Vec::new();
        for (is_wanted, wait_ms) in [
            (false, LOGGED_AFTER_MS - 1),
            (true, 1),
            (false, LOGGED_AFTER_MS),
            (false, LOGGED_AFTER_MS),
            (false, 1),
            (true, 1),
            (false, LOGGED_AFTER_MS),
            (false, 1),
        ] {
            if levels.note("statsd", is_wanted, now_ms) {
                logged_at.push(now_ms);
            }
            now_ms += wait_ms;
        }
        let begun = 5 + LOGGED_AFTER_MS;
        assert_eq!(logged_at, [begun + LOGGED_AFTER_MS, begun + 3 * LOGGED_AFTER_MS + 2]);
    }

    #[test]
    fn a_clock_that_is_put_back_delays_a_line_only_by_its_time() {
        let mut levels = UnwantedLevels::default();
        assert!(!levels.note("statsd", false, 1_000_000));
        assert!(!levels.note("statsd", false, 500_000));
        assert!(levels.note("statsd", false, 500_000 + LOGGED_AFTER_MS));
    }

    #[test]
    fn the_number_of_levels_is_bounded() {
        let mut levels = UnwantedLevels::default();
        for n in 0..MAX_LEVELS + 10 {
            levels.note(&n.to_string(), false, 0);
        }
        assert_eq!(levels.0.len(), MAX_LEVELS);
    }
}
