//! The part of a sketch that the cells need, with two buckets per octave, so that models stay
//! small.

pub(crate) const PER_OCTAVE: usize = 2;
pub(crate) const SHIFT: u32 = 52 - 1;

/// The bucket of a number that is not negative.
pub(crate) const fn key_of(value: f64) -> i32 {
    (value.to_bits() >> SHIFT) as i32
}

#[derive(Debug, Default)]
pub(crate) struct Sketch(Vec<(i32, u32)>);

impl Sketch {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add_to_bucket(&mut self, bucket: i32, times: u64) {
        match self.0.iter_mut().find(|(other, _)| *other == bucket) {
            Some((_, count)) => *count += times as u32,
            None if times > 0 => self.0.push((bucket, times as u32)),
            None => {}
        }
    }

    pub(crate) fn push_octave(&mut self, first: i32, counts: &[u32; PER_OCTAVE]) {
        self.0.extend((first..).zip(counts.iter().copied()).filter(|(_, count)| *count > 0));
    }

    pub(crate) fn buckets(&self) -> impl Iterator<Item = (i32, u32)> {
        self.0.iter().copied()
    }

    pub(crate) fn middle(bucket: i32) -> Option<f64> {
        Some(f64::from_bits((bucket as u64) << SHIFT | 1 << (SHIFT - 1)))
    }
}
