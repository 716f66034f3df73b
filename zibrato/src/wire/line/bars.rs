//! Finds the ends of the fields of a line, and whether all its bytes are printable ASCII.

use super::error::LineError;
use crate::measurement::TextProblem;

/// The ends of the fields of a line, found eight bytes at a time, because the broker checks every
/// line.
pub(super) struct Bars {
    at: [usize; 5],
    found: usize,
    /// Whether every byte is printable ASCII, so that only lengths are left to check.
    pub(super) plain: bool,
}

impl Bars {
    pub(super) fn find(line: &[u8]) -> Self {
        const ONES: u64 = u64::MAX / 0xff;
        const HIGH: u64 = ONES * 0x80;
        // Marks the bytes that are zero, and no others.
        let zeros = |word: u64| !(((word & !HIGH) + !HIGH) | word | !HIGH);
        let (mut bars, mut odd) = (Self { at: [0; 5], found: 0, plain: true }, 0);
        let mut look = |at: usize, word: u64| {
            // Control characters, bytes above ASCII, and DEL. May also mark the byte after such a
            // one.
            odd |= (word.wrapping_sub(ONES * 0x20) | word) & HIGH | zeros(word ^ (ONES * 0x7f));
            let mut hits = zeros(word ^ (ONES * u64::from(b'|')));
            while hits != 0 {
                if let Some(place) = bars.at.get_mut(bars.found) {
                    *place = at + (hits.trailing_zeros() / 8) as usize;
                }
                bars.found += 1;
                hits &= hits - 1;
            }
        };
        let (words, rest) = line.as_chunks::<8>();
        for (at, word) in words.iter().enumerate() {
            look(at * 8, u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            // The last eight bytes; those that were already seen are shifted out, and blanks
            // follow.
            let last = match line.last_chunk() {
                Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
                None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
            };
            look(words.len() * 8, last | (ONES * 0x20) << (8 * rest.len()));
        }
        bars.plain = odd == 0;
        bars
    }

    pub(super) fn fields<'a>(&self, text: &'a str) -> Result<[&'a str; 6], LineError> {
        if self.found != 5 {
            return Err(LineError::Fields { found: self.found + 1 });
        }
        let mut start = 0;
        Ok(std::array::from_fn(|field| {
            let end = self.at.get(field).copied().unwrap_or(text.len());
            let found = text.get(start..end).unwrap_or_default();
            start = end + 1;
            found
        }))
    }

    /// The fields of a plain line.
    pub(super) fn plain_fields<'a>(&self, line: &'a [u8]) -> Option<[&'a [u8]; 6]> {
        if self.found != 5 || !self.plain {
            return None;
        }
        let mut start = 0;
        Some(std::array::from_fn(|field| {
            let end = self.at.get(field).copied().unwrap_or(line.len());
            let found = line.get(start..end).unwrap_or_default();
            start = end + 1;
            found
        }))
    }

    /// Like `check`, but does not scan the bytes again.
    pub(super) fn check(
        &self,
        text: &str,
        longest: usize,
        check: fn(&str) -> Result<(), TextProblem>,
    ) -> Result<(), TextProblem> {
        // The reserved words of the protocol begin with one of these two.
        let reserved = text.starts_with(['z', '*']);
        if self.plain && !reserved && !text.is_empty() && text.len() <= longest {
            return Ok(());
        }
        check(text)
    }
}
