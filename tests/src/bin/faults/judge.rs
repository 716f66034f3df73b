//! The oracle: compares the recorded with the received measurements, and decides whether a
//! difference is allowed.
//!
//! Pure.

use super::books::Arrived;
use super::tally::{Count, SERIES};
use std::time::Duration;

/// The interval of a publisher, plus the maximum time from its end until a batch is in the journal,
/// if nothing but other programs on a busy machine delays it.
pub(crate) const AT_MOST: Duration = Duration::from_millis(1_000 + 750);

/// The facts about the life of a publisher.
#[derive(Debug)]
pub(crate) struct Facts<'f> {
    pub(crate) source: &'f str,
    pub(crate) count: Count,
    pub(crate) carbon: Arrived,
    pub(crate) librato: Arrived,
    /// `None` if it ended by itself, with all its readings delivered.
    pub(crate) killed: Option<Killed>,
}

/// How a publisher was killed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Killed {
    pub(crate) in_touch: bool,
    /// The age of the oldest reading that did not arrive.
    pub(crate) oldest_lost: Duration,
}

/// The result of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) recorded: u64,
    /// Readings that both backends have.
    pub(crate) delivered: u64,
    /// Readings that were lost with a killed publisher.
    pub(crate) lost: u64,
    /// Payloads that Librato received again, with the same key.
    pub(crate) repeated: u64,
    pub(crate) unexplained: u64,
    pub(crate) problems: Vec<String>,
    /// The maximum number of readings that one publisher lost when it was killed, and the age of
    /// the oldest one: with and without a connection to the broker.
    pub(crate) most_in_touch: (u64, Duration),
    pub(crate) most_out_of_touch: (u64, Duration),
}

impl Account {
    /// Adds a life.
    pub(crate) fn add(&mut self, facts: &Facts<'_>) {
        let Facts { source, count, carbon, librato, killed } = facts;
        let mut lost = 0;
        for series in 0..SERIES.len() {
            let (begun, done) = (count.begun[series], count.done[series]);
            let (carbon, librato) = (carbon[series], librato[series]);
            // A reading that was in progress when its process was killed may be counted or not.
            let recorded = done.max(carbon.min(begun));
            self.recorded += recorded;
            self.delivered += carbon.min(librato);
            let name = SERIES[series].1;
            if carbon != librato || carbon > begun {
                let what = format!(
                    "{source} {name}: {done} to {begun} recorded, Carbon has {carbon}, Librato {librato}"
                );
                self.report(carbon.abs_diff(librato).max(carbon.saturating_sub(begun)), what);
            }
            lost += recorded.saturating_sub(carbon.max(librato));
        }
        let arrived: u64 = carbon.iter().sum();
        match killed {
            None if lost > 0 => self.report(
                lost,
                format!("{source}: {lost} of {} lost, although it ended normally", count.total()),
            ),
            None => {}
            Some(_) if arrived < count.delivered => {
                let less = count.delivered - arrived;
                self.report(
                    less,
                    format!(
                        "{source}: {less} lost of {} that the broker had accepted",
                        count.delivered
                    ),
                );
            }
            Some(killed) if lost > 0 && killed.in_touch && killed.oldest_lost > AT_MOST => {
                let age = killed.oldest_lost;
                self.report(
                    lost,
                    format!("{source}: killed, and {lost} readings lost, up to {age:?} old"),
                );
            }
            Some(killed) => {
                self.lost += lost;
                let age = if lost > 0 { killed.oldest_lost } else { Duration::ZERO };
                let most = if killed.in_touch {
                    &mut self.most_in_touch
                } else {
                    &mut self.most_out_of_touch
                };
                *most = (most.0.max(lost), most.1.max(age));
            }
        }
    }

    /// Adds an unexplained difference of this number of readings.
    pub(crate) fn report(&mut self, readings: u64, what: String) {
        self.unexplained += readings.max(1);
        self.problems.push(what);
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_MOST, Account, Facts, Killed};
    use crate::tally::Count;
    use std::time::Duration;

    fn account(arrived: [u64; 2], delivered: u64, killed: Option<Killed>) -> Account {
        let mut account = Account::default();
        let [carbon, librato] = arrived.map(|sum| [sum, 10, 10]);
        let count = Count { begun: [11, 10, 10], done: [10; 3], delivered };
        account.add(&Facts { source: "a-1", count, carbon, librato, killed });
        account
    }

    fn killed(in_touch: bool, oldest_lost: Duration) -> Option<Killed> {
        Some(Killed { in_touch, oldest_lost })
    }

    #[test]
    fn complete_arrival_is_explained_also_with_a_reading_in_progress() {
        for (arrived, recorded) in [(10, 30), (11, 31)] {
            let account = account([arrived; 2], 30, None);
            assert_eq!((account.recorded, account.delivered), (recorded, recorded));
            assert_eq!((account.lost, account.unexplained), (0, 0), "{account:?}");
        }
    }

    #[test]
    fn a_difference_between_backends_is_unexplained() {
        for arrived in [[10, 7], [7, 10], [13, 13]] {
            assert!(account(arrived, 0, killed(true, Duration::ZERO)).unexplained >= 2);
        }
    }

    #[test]
    fn readings_of_the_last_interval_may_be_lost_with_a_killed_publisher() {
        assert_eq!(account([7; 2], 0, None).unexplained, 3);
        let fine = account([7; 2], 27, killed(true, AT_MOST));
        assert_eq!((fine.lost, fine.unexplained, fine.most_in_touch), (3, 0, (3, AT_MOST)));
        let old = AT_MOST * 2;
        assert_eq!(account([7; 2], 27, killed(true, old)).unexplained, 3);
        assert_eq!(account([7; 2], 27, killed(false, old)).unexplained, 0);
        // The broker had acknowledged them.
        assert_eq!(account([7; 2], 28, killed(false, old)).unexplained, 1);
    }
}
