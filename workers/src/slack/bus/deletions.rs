//! Which message is deleted next.
//!
//! Pure: times are arguments. A message that Slack does not delete for a reason that is not known is
//! set aside, and tried again later, so that it holds up no other one.

use super::ts::Ts;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often Slack may refuse to delete a message before it is left in the channel.
const MAX_REFUSALS: u32 = 10;

/// So many messages may wait. Beyond that nothing is delivered until half of them are deleted, so that
/// the state stays small.
pub(super) const MAX_WAITING: usize = 20_000;

/// If more messages wait, one refusal is enough, so that deliveries go on.
const MANY: usize = MAX_WAITING / 2;

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The messages that were delivered and are to be deleted.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    /// When each may be deleted.
    waiting: BTreeSet<(Instant, Ts)>,
    /// How often it was refused, if ever.
    refusals: BTreeMap<Ts, u32>,
    /// Messages that this process has delivered and not tried to delete.
    fresh: BTreeSet<Ts>,
}

impl Deletions {
    /// Messages that an earlier process has delivered, and perhaps deleted.
    pub(super) fn of_before(messages: impl IntoIterator<Item = Ts>, now: Instant) -> Self {
        let waiting = messages.into_iter().map(|ts| (now, ts)).collect();
        Self { waiting, ..Self::default() }
    }

    /// Adds messages that were delivered.
    pub(super) fn add(&mut self, messages: &[Ts], now: Instant) {
        self.fresh.extend(messages.iter().cloned());
        self.waiting.extend(messages.iter().map(|ts| (now, ts.clone())));
    }

    /// The number of messages.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the next deletion may be tried.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// The next message, and whether this is the first attempt to delete it. Only then it is certain
    /// that this relay has not deleted it before.
    pub(super) fn next(&mut self) -> Option<(Ts, bool)> {
        let (_, ts) = self.waiting.first()?;
        let is_first = self.fresh.remove(ts);
        Some((ts.clone(), is_first))
    }

    /// The next message is deleted, or never will be.
    pub(super) fn end(&mut self) {
        if let Some((_, ts)) = self.waiting.pop_first() {
            self.refusals.remove(&ts);
        }
    }

    /// The next message was refused for a reason that is not known. Returns whether it was set aside;
    /// otherwise this was the last attempt.
    pub(super) fn set_aside(&mut self, now: Instant) -> bool {
        let is_crowded = self.len() > MANY;
        let Some((_, ts)) = self.waiting.first().cloned() else { return true };
        let refusals = self.refusals.entry(ts.clone()).or_default();
        *refusals += 1;
        if is_crowded || *refusals >= MAX_REFUSALS {
            return false;
        }
        let wait = Duration::from_secs(1 << (*refusals).min(6)).min(LONGEST_WAIT);
        self.waiting.pop_first();
        self.waiting.insert((now + wait, ts));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Deletions, MANY, MAX_REFUSALS, Ts};
    use std::time::{Duration, Instant};

    fn ts(seconds: usize) -> Ts {
        Ts::at_ms(seconds as u64 * 1000)
    }

    #[test]
    fn a_refused_message_holds_up_no_other_and_is_given_up_in_the_end() {
        let (begun, mut deletions) = (Instant::now(), Deletions::default());
        deletions.add(&[ts(1), ts(2), ts(3)], begun);
        assert_eq!(deletions.next(), Some((ts(1), true)));
        assert!(deletions.set_aside(begun));
        assert_eq!(deletions.next(), Some((ts(2), true)));
        deletions.end();
        assert_eq!(deletions.next(), Some((ts(3), true)));
        // The attempt failed for another reason, so the next one is not the first.
        assert_eq!(deletions.next(), Some((ts(3), false)));
        deletions.end();
        let mut tried = 1;
        let mut last = begun;
        loop {
            let due = deletions.due().unwrap();
            assert!(due > last && due - last <= Duration::from_secs(60));
            assert_eq!(deletions.next(), Some((ts(1), false)));
            tried += 1;
            last = due;
            if !deletions.set_aside(due) {
                break;
            }
        }
        deletions.end();
        assert_eq!((tried, deletions.len(), deletions.due()), (MAX_REFUSALS, 0, None));
    }

    #[test]
    fn one_refusal_is_enough_while_many_wait() {
        let now = Instant::now();
        let mut deletions = Deletions::of_before((0..=MANY).map(ts), now);
        assert_eq!(deletions.next(), Some((ts(0), false)));
        assert!(!deletions.set_aside(now));
        deletions.end();
        assert_eq!(deletions.next(), Some((ts(1), false)));
        assert!(deletions.set_aside(now));
    }
}
