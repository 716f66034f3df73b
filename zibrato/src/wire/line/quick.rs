//! A fast check that recognizes most valid lines, at a fraction of the cost of decoding.

use super::{Bars, Line};
use crate::measurement::{MAX_LEVEL_BYTES, MAX_NAME_BYTES};

impl Line<'_> {
    /// The level of a line that is easily recognized as valid: its text is printable ASCII, its
    /// numbers are plain decimal ones, and its kind is not a set. `None` does not mean that the
    /// line is invalid: [decode](Line::decode) it to find out.
    ///
    /// ```
    /// use zibrato::wire::Line;
    /// assert_eq!(Line::level_if_plain(b"info|Counter|logins|1|1700000000|web-1"), Some(&b"info"[..]));
    /// assert_eq!(Line::level_if_plain(b"info|Counter|logins|1e3|1700000000|web-1"), None);
    /// assert_eq!(Line::level_if_plain(b"info|Counter|logins|nan|1700000000|web-1"), None);
    /// ```
    #[must_use]
    pub fn level_if_plain(line: &[u8]) -> Option<&[u8]> {
        let [level, mtype, name, value, timestamp, source] = Bars::find(line).plain_fields(line)?;
        let is_plain = is_text(level, MAX_LEVEL_BYTES)
            && matches!(
                mtype,
                b"Counter" | b"Gauge" | b"Timer" | b"counter" | b"gauge" | b"timer" | b"c" | b"g" | b"t"
                    | b"ms" | b"Histogram" | b"histogram" | b"h"
            )
            && is_text(name, MAX_NAME_BYTES)
            && is_number(value.strip_prefix(b"-").unwrap_or(value), 15)
            // Timestamps of eleven digits end before the year 5139.
            && is_number(timestamp, 11)
            && (source.is_empty() || is_text(source, MAX_NAME_BYTES));
        is_plain.then_some(level)
    }
}

/// Whether printable ASCII without bars is a valid text. The reserved words of the protocol begin
/// with one of two characters.
const fn is_text(text: &[u8], longest: usize) -> bool {
    match text {
        [] | [b'z' | b'*', ..] => false,
        _ => text.len() <= longest,
    }
}

/// Whether it is a number with at most `whole` digits before the point, and up to sixteen after it.
fn is_number(text: &[u8], whole: usize) -> bool {
    if are_digits(text) {
        return text.len() <= whole;
    }
    let Some(point) = text.iter().position(|byte| *byte == b'.') else { return false };
    let (before, after) = text.split_at(point);
    before.len() <= whole && are_digits(before) && are_digits(after.get(1..).unwrap_or_default())
}

/// Whether there are between one and sixteen digits, and nothing else.
fn are_digits(text: &[u8]) -> bool {
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) if text.len() <= 16 => {
            are_eight_digits(*first) && are_eight_digits(*last)
        }
        (Some(_), _) => false,
        _ => !text.is_empty() && text.iter().all(u8::is_ascii_digit),
    }
}

/// Checks all bytes at once: the upper half of a digit is 3, also after 6 is added.
fn are_eight_digits(bytes: [u8; 8]) -> bool {
    const UPPER: u64 = u64::MAX / 0xff * 0xf0;
    const THREES: u64 = u64::MAX / 0xff * 0x30;
    const SIXES: u64 = u64::MAX / 0xff * 0x06;
    let word = u64::from_le_bytes(bytes);
    word & UPPER == THREES && word.wrapping_add(SIXES) & UPPER == THREES
}
