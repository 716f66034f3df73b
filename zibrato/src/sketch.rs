//! A mergeable histogram of doubles with a relative error below 0.8 %.
//!
//! A bucket is the sign, the exponent and the top six mantissa bits of a value: 64 buckets per
//! octave, found by a shift, without a logarithm. Buckets of one octave are stored together, so
//! memory is bounded by the number of octaves with values, and merging is addition.

use crate::percentile::Percentile;

/// Number of buckets in an octave (a doubling).
pub(crate) const PER_OCTAVE: usize = 64;

/// Mantissa bits of a double that do not affect its bucket.
pub(crate) const SHIFT: u32 = 52 - 6;

/// Largest bucket number: that of the largest finite double.
const MAX_KEY: i32 = (f64::MAX.to_bits() >> SHIFT) as i32;

/// A histogram of finite doubles. The width of each bucket is at most 1/64 of its lower edge, so
/// its middle is within 0.8 % of any value in it.
///
/// ```
/// use zibrato::Sketch;
/// let mut sketch = Sketch::new();
/// for ms in 1..=1000 {
///     sketch.add(f64::from(ms) / 1000.0, 1);
/// }
/// let median = sketch.quantile(0.5).unwrap();
/// assert!((median - 0.5).abs() < 0.5 * 0.008);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    // Invariant: ascending by `first`, each `first` a multiple of 64, no octave all zero.
    octaves: Vec<Octave>,
    /// Overflow of the 32-bit counts, in multiples of 2^32. Ascending by bucket, and usually empty.
    carries: Vec<(i32, u64)>,
    count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Octave {
    first: i32,
    counts: Box<[u32; PER_OCTAVE]>,
}

/// The bucket that `value` falls into; ascending with the value. Subnormals share bucket 0 with 0.
#[inline]
pub(crate) fn key_of(value: f64) -> i32 {
    let magnitude = (value.abs().to_bits() >> SHIFT) as i32;
    if value.is_sign_negative() && magnitude > 0 { -magnitude } else { magnitude }
}

/// The middle of a bucket.
fn middle(key: i32) -> f64 {
    let magnitude = u64::from(key.unsigned_abs());
    if magnitude == 0 {
        return 0.0;
    }
    let middle = f64::from_bits((magnitude << SHIFT) | (1 << (SHIFT - 1)));
    if key < 0 { -middle } else { middle }
}

impl Sketch {
    /// An empty sketch. It holds no memory until a value is added.
    #[must_use]
    pub const fn new() -> Self {
        Self { octaves: Vec::new(), carries: Vec::new(), count: 0 }
    }

    /// Adds `times` occurrences of a finite value. NaN and infinities are ignored.
    pub fn add(&mut self, value: f64, times: u32) {
        if value.is_finite() {
            self.add_to_bucket(key_of(value), u64::from(times));
        }
    }

    /// Adds to a bucket by its number, as [`buckets`](Self::buckets) gives them. Numbers without a
    /// finite value are ignored. The count of all buckets saturates at `u64::MAX`.
    pub fn add_to_bucket(&mut self, key: i32, times: u64) {
        // Only what fits is counted, so that the count is always that of the buckets.
        let times = times.min(u64::MAX - self.count);
        if times == 0 || key.unsigned_abs() > MAX_KEY.unsigned_abs() {
            return;
        }
        let first = key.div_euclid(PER_OCTAVE as i32) * PER_OCTAVE as i32;
        // The octave is usually the last or the only one.
        let at = match self.octaves.last() {
            Some(last) if last.first == first => self.octaves.len() - 1,
            _ => match self.octaves.binary_search_by_key(&first, |o| o.first) {
                Ok(at) => at,
                Err(at) => {
                    let counts = Box::new([0; PER_OCTAVE]);
                    // Most timers use one or two octaves.
                    if self.octaves.is_empty() {
                        self.octaves.reserve_exact(1);
                    }
                    self.octaves.insert(at, Octave { first, counts });
                    at
                }
            },
        };
        let bucket = &mut self.octaves[at].counts[(key - first) as usize];
        let sum = u128::from(*bucket) + u128::from(times);
        *bucket = sum as u32;
        self.count += times;
        if sum > u128::from(u32::MAX) {
            self.carry(key, (sum >> u32::BITS) as u64);
        }
    }

    #[cold]
    fn carry(&mut self, key: i32, more: u64) {
        match self.carries.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => self.carries[at].1 += more,
            Err(at) => self.carries.insert(at, (key, more)),
        }
    }

    /// The count of a bucket beyond its 32 bits.
    #[inline]
    fn carried(&self, key: i32) -> u64 {
        if self.carries.is_empty() {
            return 0;
        }
        let found = self.carries.binary_search_by_key(&key, |(key, _)| *key);
        found.map_or(0, |at| self.carries[at].1 << u32::BITS)
    }

    /// Appends an octave above all others; `first` is a multiple of 64. The counts are not all
    /// zero.
    #[cfg(feature = "sdk")]
    pub(crate) fn push_octave(&mut self, first: i32, counts: &[u32; PER_OCTAVE]) {
        debug_assert!(self.octaves.last().is_none_or(|last| last.first < first));
        let more: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        self.count = self.count.saturating_add(more);
        self.octaves.push(Octave { first, counts: Box::new(*counts) });
    }

    /// Number of octaves with values.
    #[cfg(feature = "window")]
    #[must_use]
    pub const fn octaves(&self) -> usize {
        self.octaves.len()
    }

    /// Keeps only the highest octaves, at most `most` and at least one. Values below them count as
    /// the lowest value that is kept. Returns the number of these values.
    #[cfg(feature = "window")]
    pub(crate) fn collapse(&mut self, most: usize) -> u64 {
        let gone = self.octaves.len().saturating_sub(most.max(1));
        let Some(lowest) = self.octaves.get(gone).map(|octave| octave.first) else { return 0 };
        let below = self.buckets().take_while(|(key, _)| *key < lowest);
        let collapsed: u64 = below.map(|(_, times)| times).sum();
        self.octaves.drain(..gone);
        self.carries.retain(|(key, _)| *key >= lowest);
        self.count -= collapsed;
        self.add_to_bucket(lowest, collapsed);
        collapsed
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (key, times) in other.buckets() {
            self.add_to_bucket(key, times);
        }
    }

    /// The middle of a bucket, by its number. `None` for numbers without a finite value.
    ///
    /// ```
    /// use zibrato::Sketch;
    /// let mut sketch = Sketch::new();
    /// sketch.add(0.25, 1);
    /// let (bucket, _) = sketch.buckets().next().unwrap();
    /// assert!((Sketch::middle(bucket).unwrap() - 0.25).abs() < 0.25 * 0.008);
    /// assert_eq!(Sketch::middle(i32::MAX), None);
    /// ```
    #[must_use]
    pub fn middle(bucket: i32) -> Option<f64> {
        (bucket.unsigned_abs() <= MAX_KEY.unsigned_abs()).then(|| middle(bucket))
    }

    /// Number of values that were added.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Buckets that are not empty, ascending by value: bucket number and count.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        self.octaves.iter().flat_map(move |octave| {
            let counts = (octave.first..).zip(octave.counts.iter());
            let wide = counts.map(|(key, n)| (key, u64::from(*n) + self.carried(key)));
            wide.filter(|(_, n)| *n > 0)
        })
    }

    /// The values, ascending, each within 0.8 %, and how often each was added.
    ///
    /// ```
    /// use zibrato::Sketch;
    /// let mut sketch = Sketch::new();
    /// sketch.add(2.0, 3);
    /// let (value, times) = sketch.values().next().unwrap();
    /// assert!((value - 2.0).abs() < 0.016 && times == 3);
    /// ```
    pub fn values(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.buckets().map(|(key, times)| (middle(key), times))
    }

    /// The quantile `q` (0 to 1), within 0.8 %; see [`percentile`](Self::percentile). `None` if the
    /// sketch is empty or `q` is not in 0 to 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.percentile(Percentile::of_share(q)?)
    }

    /// The value at the rank of a percentile, within 0.8 %. `None` when the sketch is empty.
    #[must_use]
    pub fn percentile(&self, percentile: Percentile) -> Option<f64> {
        let rank = percentile.rank(self.count);
        let mut seen = 0_u64;
        for (value, times) in self.values() {
            seen += times;
            if seen >= rank {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_KEY, Sketch, key_of, middle};
    use proptest::prelude::*;

    #[test]
    fn buckets_ascend_with_the_values_they_hold() {
        let values =
            [f64::MIN, -2.0, -1.0, -1e-300, 0.0, 5e-324, 1e-300, 0.001, 1.0, 1.0157, f64::MAX];
        assert!(values.windows(2).all(|w| key_of(w[0]) <= key_of(w[1])));
        assert_eq!(key_of(-0.0), 0);
        assert_eq!(key_of(f64::MAX), MAX_KEY);
    }

    #[test]
    fn an_empty_sketch_has_no_quantiles() {
        assert_eq!(Sketch::new().quantile(0.5), None);
        let mut one = Sketch::new();
        one.add(3.0, 1);
        assert_eq!(one.quantile(f64::NAN), None);
        assert_eq!(one.quantile(1.1), None);
    }

    #[test]
    fn values_that_are_not_finite_are_ignored() {
        let mut sketch = Sketch::new();
        sketch.add(f64::NAN, 1);
        sketch.add(f64::INFINITY, 1);
        sketch.add_to_bucket(i32::MIN, 1);
        sketch.add_to_bucket(i32::MAX, 1);
        assert_eq!(sketch, Sketch::new());
    }

    #[test]
    fn a_bucket_holds_more_than_32_bits() {
        let mut sketch = Sketch::new();
        for _ in 0..3 {
            sketch.add(1.0, u32::MAX);
        }
        sketch.add_to_bucket(key_of(2.0), 5 << 32);
        sketch.add(1.0, 3);
        let (ones, twos) = (3 << 32, 5 << 32);
        assert_eq!(sketch.count(), ones + twos);
        assert_eq!(
            sketch.buckets().collect::<Vec<_>>(),
            [(key_of(1.0), ones), (key_of(2.0), twos)]
        );
        let at = |q| sketch.quantile(q).unwrap().floor();
        assert_eq!([at(0.374), at(0.375), at(0.376)], [1.0, 1.0, 2.0]);

        let mut merged = sketch.clone();
        merged.merge(&sketch);
        assert_eq!(merged.buckets().map(|(_, n)| n).sum::<u64>(), merged.count());
        assert_eq!(merged.count(), 16 << 32);
        #[cfg(feature = "window")]
        {
            assert_eq!((merged.collapse(1), merged.count()), (6 << 32, 16 << 32));
            assert_eq!(merged.buckets().collect::<Vec<_>>(), [(key_of(2.0), 16 << 32)]);
        }
    }

    #[test]
    fn the_count_of_a_full_sketch_saturates() {
        let mut sketch = Sketch::new();
        sketch.add_to_bucket(key_of(1.0), u64::MAX - 5);
        sketch.add(2.0, 9);
        sketch.add(1.0, 9);
        assert_eq!(sketch.count(), u64::MAX);
        assert!(sketch.quantile(1.0).unwrap() > 1.9);
    }

    proptest! {
        #[test]
        fn the_middle_is_within_a_hundredth(value in prop::num::f64::NORMAL) {
            prop_assert!((middle(key_of(value)) - value).abs() <= value.abs() * 0.008);
        }

        #[test]
        fn merging_is_the_same_as_adding_all(
            a in prop::collection::vec(-1e9..1e9, 0..200),
            b in prop::collection::vec(-1e9..1e9, 0..200),
        ) {
            let of = |values: &[f64]| {
                let mut sketch = Sketch::new();
                values.iter().for_each(|v| sketch.add(*v, 1));
                sketch
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }

        #[test]
        fn quantiles_are_within_a_hundredth_of_the_nearest_rank(
            mut values in prop::collection::vec(1e-9..1e6, 1..500),
            tenths in 0..=1000_u64,
        ) {
            let mut sketch = Sketch::new();
            values.iter().for_each(|v| sketch.add(*v, 1));
            values.sort_by(f64::total_cmp);
            let rank = (values.len() as u64 * tenths).div_ceil(1000).max(1);
            let exact: f64 = values[rank as usize - 1];
            let percentile = format!("{}.{}", tenths / 10, tenths % 10).parse().unwrap();
            let got = sketch.percentile(percentile).unwrap();
            prop_assert!((got - exact).abs() <= exact * 0.008, "{} for {}", got, exact);
        }
    }
}
