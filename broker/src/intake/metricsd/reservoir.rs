//! A sample of readings in which recent ones are more likely.
//!
//! Each reading gets a random priority that grows with its time: `exp(DECAY * t) / u`, where `u` is
//! random in (0, 1]. The readings with the highest priorities are kept (Cormode et al., Forward
//! Decay, 2009). Only the order of priorities counts, so their logarithms are compared; these do not
//! overflow.

use fastrand::Rng;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Number of readings kept. While there are fewer, all of them are.
pub(super) const SIZE: usize = 1_028;

/// Growth of priorities, per second: after 46 s a reading is twice as likely as an old one.
const DECAY: f64 = 0.015;

/// The sample.
#[derive(Debug, Clone, Default)]
pub(super) struct Reservoir {
    /// The lowest priority is on top.
    kept: BinaryHeap<Reverse<Prioritized>>,
}

#[derive(Debug, Clone, Copy)]
struct Prioritized {
    log_priority: f64,
    reading: f64,
}

impl Ord for Prioritized {
    fn cmp(&self, other: &Self) -> Ordering {
        self.log_priority.total_cmp(&other.log_priority)
    }
}

impl PartialOrd for Prioritized {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Prioritized {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Prioritized {}

impl Reservoir {
    /// Adds a reading of the time `now_ms`, in Unix milliseconds.
    pub(super) fn add(&mut self, reading: f64, now_ms: u64, random: &mut Rng) {
        let log_priority = DECAY * (now_ms as f64 / 1e3) - (1.0 - random.f64()).ln();
        let new = Reverse(Prioritized { log_priority, reading });
        if self.kept.len() < SIZE {
            self.kept.push(new);
        } else if let Some(mut lowest) = self.kept.peek_mut()
            && new.0 > lowest.0
        {
            *lowest = new;
        }
    }

    /// The kept readings in ascending order.
    pub(super) fn sorted(&self) -> Vec<f64> {
        let mut all: Vec<_> = self.kept.iter().map(|Reverse(kept)| kept.reading).collect();
        all.sort_unstable_by(f64::total_cmp);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::{Reservoir, SIZE};
    use fastrand::Rng;

    #[test]
    fn all_readings_are_kept_while_there_is_room() {
        let (mut reservoir, mut random) = (Reservoir::default(), Rng::with_seed(1));
        for n in (0..SIZE).rev() {
            reservoir.add(n as f64, n as u64, &mut random);
        }
        assert_eq!(reservoir.sorted(), (0..SIZE).map(|n| n as f64).collect::<Vec<_>>());
    }

    #[test]
    fn readings_of_the_same_time_are_kept_with_the_same_probability() {
        let (mut reservoir, mut random) = (Reservoir::default(), Rng::with_seed(2));
        for n in 0..SIZE * 10 {
            reservoir.add(n as f64, 5_000, &mut random);
        }
        let kept = reservoir.sorted();
        assert_eq!(kept.len(), SIZE);
        // About 514 of each half; the standard deviation is about 15.
        let first_half = kept.partition_point(|reading| *reading < (SIZE * 5) as f64);
        assert!((414..=614).contains(&first_half), "{first_half}");
    }

    #[test]
    fn recent_readings_replace_old_ones() {
        let (mut reservoir, mut random) = (Reservoir::default(), Rng::with_seed(3));
        let now_ms = 1_700_000_000_000;
        (0..SIZE).for_each(|_| reservoir.add(1.0, now_ms, &mut random));
        (0..SIZE).for_each(|_| reservoir.add(2.0, now_ms + 3_600_000, &mut random));
        assert_eq!(reservoir.sorted(), [2.0; SIZE]);
    }
}
