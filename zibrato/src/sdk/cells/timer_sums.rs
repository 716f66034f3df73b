//! Count, sum and sum of squares of the same readings of a timer, and the variance that they tell.
//!
//! All are whole numbers, so that nothing is lost when they are subtracted.

/// What there is of the same readings: how many, their ticks, and the squares of those. All wrap
/// around.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    pub(super) count: u64,
    pub(super) ticks: u64,
    pub(super) squares: u128,
}

impl Sums {
    pub(super) const fn new() -> Self {
        Self { count: 0, ticks: 0, squares: 0 }
    }

    pub(super) fn with(self, more: Self) -> Self {
        Self {
            count: self.count.wrapping_add(more.count),
            ticks: self.ticks.wrapping_add(more.ticks),
            squares: self.squares.wrapping_add(more.squares),
        }
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            count: self.count.wrapping_sub(before.count),
            ticks: self.ticks.wrapping_sub(before.ticks),
            squares: self.squares.wrapping_sub(before.squares),
        }
    }

    /// The mean of the squared deviations from the mean, in ticks; `about` is a rough mean if the sum
    /// may have wrapped around. `None`
    /// if there is no reading.
    pub(super) fn variance(self, about: f64) -> Option<f64> {
        let count = u128::from(self.count);
        let sum = unwrapped(self.ticks, about * self.count as f64);
        // The mean as a whole number of ticks, and what is left. Around it the squares are
        // Σ(t - mean)² = Σt² - mean·(Σt + rest): small, and therefore right in wrapping arithmetic.
        let (mean, rest) = (sum.checked_div(count)?, sum % count);
        let around = self.squares.wrapping_sub(mean.wrapping_mul(sum.wrapping_add(rest)));
        let rest = rest as f64 / self.count as f64;
        Some((around as f64 / self.count as f64 - rest * rest).max(0.0))
    }
}

/// A sum of which the lower 64 bits are known, and roughly how large it is.
pub(super) fn unwrapped(low: u64, about: f64) -> u128 {
    let wrapped = ((about - low as f64) / 2_f64.powi(64)).round().max(0.0);
    (wrapped as u128) << u64::BITS | u128::from(low)
}

/// Min and max of one epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extremes {
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Default for Extremes {
    fn default() -> Self {
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}
