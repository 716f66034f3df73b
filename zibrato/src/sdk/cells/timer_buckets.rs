//! The data of one timer of all threads together: readings per bucket, sums and variance, and
//! minimum and maximum.

use crate::sketch::{PER_OCTAVE, SHIFT as KEY_SHIFT, Sketch};

/// The number of octaves of durations: from 2^-34 s (58 ps) to 2^29 s (17 years). Other durations
/// are in the first or the last bucket.
pub(crate) const OCTAVES: usize = 64;
/// The key of the first bucket.
pub(crate) const FIRST_KEY: usize = (1023 - 34) * PER_OCTAVE;
/// The index of the last bucket, counted from the first.
const LAST_SLOT: usize = OCTAVES * PER_OCTAVE - 1;

/// Fewer readings than this may have been taken before and be missing in the buckets: at most one
/// per cell.
const LARGEST_STEP_BACK: u32 = 1 << 20;

/// The readings that were taken. Memory is allocated only for octaves that have readings.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// In the order of their first use.
    octaves: Vec<Octave>,
    /// The index of each octave in `octaves`, or [`NOWHERE`].
    at: [u8; OCTAVES],
}

const NOWHERE: u8 = u8::MAX;

/// The number of readings in each bucket of an octave, which wraps around.
#[derive(Debug)]
struct Octave {
    taken: [u32; PER_OCTAVE],
    /// The readings that are being collected from the cells; zero at any other time.
    now: [u32; PER_OCTAVE],
}

impl Buckets {
    pub(super) const fn new() -> Self {
        Self { octaves: Vec::new(), at: [NOWHERE; OCTAVES] }
    }

    /// Starts collecting again from zero.
    pub(super) fn forget_seen(&mut self) {
        self.octaves.iter_mut().for_each(|octave| octave.now = [0; PER_OCTAVE]);
    }

    /// Subtracts the readings that were taken earlier from the collected ones, and returns how many
    /// remain.
    pub(super) fn subtract_taken(&mut self) -> u64 {
        let mut count = 0_u64;
        for octave in &mut self.octaves {
            for (now, taken) in octave.now.iter_mut().zip(&octave.taken) {
                let more = now.wrapping_sub(*taken);
                // Some were taken from the recent readings, and are not in their bucket yet.
                *now = if more > u32::MAX - LARGEST_STEP_BACK { 0 } else { more };
                count += u64::from(*now);
            }
        }
        count
    }

    /// Marks the collected readings as taken, and returns them.
    pub(super) fn take_seen(&mut self) -> Sketch {
        let mut sketch = Sketch::new();
        for (number, at) in self.at.iter().enumerate().filter(|(_, at)| **at != NOWHERE) {
            let octave = &mut self.octaves[usize::from(*at)];
            let seen = octave.now;
            if seen == [0; PER_OCTAVE] {
                continue;
            }
            octave.now = [0; PER_OCTAVE];
            let both = octave.taken.iter_mut().zip(&seen);
            both.for_each(|(taken, seen)| *taken = taken.wrapping_add(*seen));
            sketch.push_octave(first_key(number), &seen);
        }
        sketch
    }

    /// Adds a reading to the collected ones.
    pub(super) fn see(&mut self, slot: u16) {
        let (octave, bucket) = (usize::from(slot) / PER_OCTAVE, usize::from(slot) % PER_OCTAVE);
        let seen = &mut self.now(octave)[bucket];
        *seen = seen.wrapping_add(1);
    }

    /// The collected readings in each bucket of an octave.
    pub(super) fn now(&mut self, octave: usize) -> &mut [u32; PER_OCTAVE] {
        if self.at[octave] == NOWHERE {
            self.at[octave] = self.octaves.len() as u8;
            self.octaves.push(Octave { taken: [0; PER_OCTAVE], now: [0; PER_OCTAVE] });
        }
        &mut self.octaves[usize::from(self.at[octave])].now
    }

    /// Everything that was ever taken: bucket number and count, ascending.
    pub(super) fn taken(&self) -> impl Iterator<Item = (i32, u32)> + '_ {
        let octaves = self.at.iter().enumerate().filter(|(_, at)| **at != NOWHERE);
        octaves.flat_map(|(number, at)| {
            let buckets = (first_key(number)..).zip(self.octaves[usize::from(*at)].taken);
            buckets.filter(|(_, taken)| *taken > 0)
        })
    }
}

/// The key of the first bucket of an octave.
const fn first_key(octave: usize) -> i32 {
    (FIRST_KEY + octave * PER_OCTAVE) as i32
}

/// The index of the bucket of a duration in seconds, counted from the first bucket.
#[inline]
pub(crate) fn slot_of(seconds: f64) -> u16 {
    // Like `key_of`, for numbers that are not negative.
    let key = (seconds.to_bits() >> KEY_SHIFT) as usize;
    key.saturating_sub(FIRST_KEY).min(LAST_SLOT) as u16
}

/// Count, sum and sum of squares of the same readings, in ticks. All wrap around.
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

    /// The mean of the squared deviations from the mean, in ticks. `about` is an approximate mean,
    /// needed if the sum may have wrapped around. `None` if there is no reading.
    pub(super) fn variance(self, about: f64) -> Option<f64> {
        let count = u128::from(self.count);
        let sum = unwrapped(self.ticks, about * self.count as f64);
        // The mean as an integer, and the remainder. The squared deviations are Σ(t - mean)² = Σt²
        // - mean·(Σt + rest). They are small, so they are correct in wrapping arithmetic.
        let (mean, rest) = (sum.checked_div(count)?, sum % count);
        let around = self.squares.wrapping_sub(mean.wrapping_mul(sum.wrapping_add(rest)));
        let rest = rest as f64 / self.count as f64;
        Some((around as f64 / self.count as f64 - rest * rest).max(0.0))
    }
}

/// The sum, given its lower 64 bits and its approximate value.
pub(super) fn unwrapped(low: u64, about: f64) -> u128 {
    let wrapped = ((about - low as f64) / 2_f64.powi(64)).round().max(0.0);
    (wrapped as u128) << u64::BITS | u128::from(low)
}

/// Minimum and maximum of one epoch.
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

#[cfg(test)]
mod tests {
    use super::{FIRST_KEY, LAST_SLOT, slot_of};
    use crate::sketch::key_of;

    #[test]
    fn buckets_are_those_of_the_sketch() {
        for seconds in [6e-11, 1e-9, 1.5e-6, 0.001, 0.999_999, 1.0, 59.9, 86_400.0, 1e8] {
            assert_eq!(i32::from(slot_of(seconds)) + FIRST_KEY as i32, key_of(seconds));
        }
        assert_eq!([0.0, 1e-300].map(slot_of), [0, 0]);
        assert_eq!(usize::from(slot_of(1e12)), LAST_SLOT);
    }
}
