//! The part of a sketch that the cells need, with two buckets per octave, so that models stay
//! small.

pub(crate) const PER_OCTAVE: usize = 2;
pub(crate) const SHIFT: u32 = 52 - 1;

#[derive(Debug, Default)]
pub(crate) struct Sketch(Vec<(i32, u32)>);

impl Sketch {
    pub(crate) fn new() -> Self {
        Self::default()
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
