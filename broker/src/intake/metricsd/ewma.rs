//! Exponentially weighted moving averages of a rate, over 1, 5 and 15 minutes.

/// Time between two ticks, in milliseconds.
const TICK_MS: u64 = 5_000;

/// `1 - exp(-5/60/M)`, the weight of one tick in an average over M = 1, 5 and 15 minutes.
const ALPHAS: [f64; 3] =
    [0.079_955_585_370_676_71, 0.016_528_546_178_382_51, 0.005_540_151_995_103_271];

/// The three averages, in events per second. They change at a tick: one for every 5 s that passed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rates {
    /// Time of the last tick, in Unix milliseconds.
    ticked_ms: u64,
    /// Events since the last tick.
    events: f64,
    /// `None` before the first tick.
    averages: Option<[f64; 3]>,
}

impl Rates {
    /// Averages without events, whose ticks are counted from `now_ms`.
    pub(super) const fn new(now_ms: u64) -> Self {
        Self { ticked_ms: now_ms, events: 0.0, averages: None }
    }

    /// Adds events that happen at `now_ms`.
    pub(super) fn add(&mut self, events: f64, now_ms: u64) {
        self.tick(now_ms);
        self.events = finite(self.events + events);
    }

    /// The averages at `now_ms` over 1, 5 and 15 minutes. `None` in the first 5 s.
    pub(super) fn averages(&mut self, now_ms: u64) -> Option<[f64; 3]> {
        self.tick(now_ms);
        self.averages
    }

    fn tick(&mut self, now_ms: u64) {
        let ticks = now_ms.saturating_sub(self.ticked_ms) / TICK_MS;
        if ticks == 0 {
            return;
        }
        self.ticked_ms += ticks * TICK_MS;
        // All events since the last tick happened before the first of these.
        let instant = std::mem::take(&mut self.events) / (TICK_MS as f64 / 1e3);
        let idle = i32::try_from(ticks - 1).unwrap_or(i32::MAX);
        let averages = self.averages.get_or_insert([instant; 3]);
        for (average, alpha) in averages.iter_mut().zip(ALPHAS) {
            *average += alpha * finite(instant - *average);
            *average *= (1.0 - alpha).powi(idle);
        }
    }
}

/// A sum, or the finite number that is nearest to it.
pub(super) const fn finite(sum: f64) -> f64 {
    sum.clamp(f64::MIN, f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{ALPHAS, Rates, TICK_MS};

    #[test]
    fn the_weights_are_those_of_the_formula() {
        for (alpha, minutes) in ALPHAS.iter().zip([1.0, 5.0, 15.0]) {
            assert!((alpha - (1.0 - (-5.0_f64 / 60.0 / minutes).exp())).abs() < 1e-15);
        }
    }

    #[test]
    fn the_first_tick_sets_the_averages_and_the_others_move_them() {
        let mut rates = Rates::new(1_000);
        rates.add(20.0, 1_000);
        rates.add(30.0, 5_999);
        assert_eq!(rates.averages(5_999), None);
        assert_eq!(rates.averages(6_000), Some([10.0; 3]));
        assert_eq!(rates.averages(10_999), Some([10.0; 3]));
        let next = rates.averages(11_000).unwrap();
        let expected = [9.200_444_146_293_233, 9.834_714_538_216_176, 9.944_598_480_048_967];
        assert!(next.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{next:?}");
    }

    #[test]
    fn ticks_that_passed_together_are_the_same_as_ticks_one_by_one() {
        let mut each = Rates::new(0);
        each.add(7.0, 0);
        each.averages(TICK_MS);
        each.add(100.0, TICK_MS + 1);
        let mut all = each.clone();
        for tick in 2..50 {
            each.averages(tick * TICK_MS);
        }
        let (each, all) =
            (each.averages(49 * TICK_MS).unwrap(), all.averages(49 * TICK_MS).unwrap());
        assert!(each.iter().zip(all).all(|(a, b)| (a - b).abs() < 1e-12), "{each:?} {all:?}");
    }

    #[test]
    fn a_clock_that_jumps_costs_nothing() {
        let mut rates = Rates::new(10_000);
        rates.add(5.0, 0);
        assert_eq!(rates.averages(5_000), None);
        assert_eq!(rates.averages(15_000), Some([1.0; 3]));
        assert_eq!(rates.averages(u64::MAX), Some([0.0; 3]));
    }
}
