//! Writes lines as frames for Carbon's pickle receiver.
//!
//! Pure. A frame is its length as a 32-bit big-endian number, and a pickle of protocol 2 (PEP 307),
//! which Carbon reads with Python 2 and with Python 3: a list of `(name, (time, value))`. The opcodes
//! are those of Python's `pickletools`.

use memchr::{memchr, memchr_iter};

/// A frame ends when it has this size. Carbon closes the connection at a frame above 1,048,576
/// bytes, and the longest name has 16,000.
const FRAME_BYTES: usize = 512 << 10;

/// Protocol 2, an empty list, and the mark before its items.
const BEGINNING: &[u8] = b"\x80\x02](";
/// Appends the items to the list, and ends.
const END: &[u8] = b"e.";
/// Text: a 32-bit little-endian length, and UTF-8.
const TEXT: u8 = b'X';
/// A signed 32-bit little-endian number.
const INT: u8 = b'J';
/// A whole number of eight bytes, little-endian.
const LONG: &[u8] = b"\x8a\x08";
/// A double, big-endian.
const DOUBLE: u8 = b'G';
/// Makes a pair of the last two items.
const PAIR: u8 = 0x86;

/// A line that has no name, value and time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not `NAME VALUE TIME`")]
pub(super) struct InvalidLine(String);

/// The points of all lines, at most `batch` in a frame. Each name begins with `before`.
pub(super) fn frames(lines: &[u8], batch: usize, before: &str) -> Result<Vec<u8>, InvalidLine> {
    // A point is somewhat longer than its line.
    let mut frames = Vec::with_capacity(lines.len() + lines.len() / 2);
    let (mut begin, mut points) = (0, 0);
    let mut stamp = Stamp::default();
    let (mut rest, mut end_of_line) = (lines, memchr_iter(b'\n', lines));
    while !rest.is_empty() {
        let end = end_of_line.next().map_or(rest.len(), |at| at - (lines.len() - rest.len()));
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if line.is_empty() {
            continue;
        }
        if points == batch || (points > 0 && frames.len() - begin > FRAME_BYTES) {
            end_frame(&mut frames, begin);
            points = 0;
        }
        if points == 0 {
            begin = frames.len();
            frames.extend_from_slice(&[0; 4]);
            frames.extend_from_slice(BEGINNING);
        }
        if push(&mut frames, line, before, &mut stamp).is_none() {
            return Err(InvalidLine(String::from_utf8_lossy(line).into_owned()));
        }
        points += 1;
    }
    if points > 0 {
        end_frame(&mut frames, begin);
    }
    Ok(frames)
}

/// Ends the frame that begins there.
fn end_frame(frames: &mut Vec<u8>, begin: usize) {
    frames.extend_from_slice(END);
    let length = u32::try_from(frames.len() - begin - 4).unwrap_or(u32::MAX);
    frames[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
}

/// The last time in a line, which is usually that of the next one, and its pickle.
#[derive(Default)]
struct Stamp<'a> {
    text: &'a [u8],
    pickled: Vec<u8>,
}

impl<'a> Stamp<'a> {
    /// The pickle of a time.
    fn of(&mut self, text: &'a [u8]) -> Option<&[u8]> {
        if self.text != text || text.is_empty() {
            let time: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            self.pickled.clear();
            match i32::try_from(time) {
                _ if time < 0 => return None,
                Ok(time) => {
                    self.pickled.push(INT);
                    self.pickled.extend_from_slice(&time.to_le_bytes());
                }
                Err(_) => {
                    self.pickled.extend_from_slice(LONG);
                    self.pickled.extend_from_slice(&time.to_le_bytes());
                }
            }
            self.text = text;
        }
        Some(&self.pickled)
    }
}

/// Appends the point of a line; `None` if that is invalid.
fn push<'a>(
    frames: &mut Vec<u8>,
    line: &'a [u8],
    before: &str,
    stamp: &mut Stamp<'a>,
) -> Option<()> {
    let (name, numbers) = line.split_at(memchr(b' ', line)?);
    let numbers = numbers.get(1..)?;
    let (value, time) = numbers.split_at(memchr(b' ', numbers)?);
    let (value, time) = (number(value)?, stamp.of(time.get(1..)?)?);
    let name = std::str::from_utf8(name).ok()?;
    let length = u32::try_from(before.len() + name.len()).ok()?;
    if name.is_empty() || !value.is_finite() {
        return None;
    }
    frames.push(TEXT);
    frames.extend_from_slice(&length.to_le_bytes());
    frames.extend_from_slice(before.as_bytes());
    frames.extend_from_slice(name.as_bytes());
    frames.extend_from_slice(time);
    frames.push(DOUBLE);
    frames.extend_from_slice(&value.to_be_bytes());
    frames.extend_from_slice(&[PAIR, PAIR]);
    Some(())
}

/// Reads a number. Most are whole and short, which is faster to read than any number.
fn number(text: &[u8]) -> Option<f64> {
    // Below 2^53 every whole number is a double.
    if (1..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        let digit = |sum: u64, digit: &u8| sum * 10 + u64::from(digit - b'0');
        return Some(text.iter().fold(0, digit) as f64);
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{FRAME_BYTES, InvalidLine};

    fn frames(lines: &[u8], batch: usize) -> Result<Vec<u8>, InvalidLine> {
        super::frames(lines, batch, "")
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The payloads of all frames.
    fn pickles(mut rest: &[u8]) -> Vec<&[u8]> {
        let mut all = Vec::new();
        while let Some((length, more)) = rest.split_first_chunk() {
            let (pickle, more) = more.split_at(u32::from_be_bytes(*length) as usize);
            all.push(pickle);
            rest = more;
        }
        assert!(rest.is_empty());
        all
    }

    #[test]
    fn the_bytes_are_those_that_carbon_reads() {
        let expected = "0000001e80025d285803000000612e624a00f15365473ff80000000000008686652e";
        assert_eq!(hex(&frames(b"a.b 1.5 1700000000\n", 500).unwrap()), expected);
        // After 2038 a time needs more than four bytes.
        let late = frames(b"a -1 4102444800", 500).unwrap();
        assert!(hex(&late).contains("8a08005786f400000000"), "{late:x?}");
    }

    #[test]
    fn a_frame_has_at_most_a_batch_of_points_and_is_never_too_long() {
        let lines = "n 1 60\n".repeat(7);
        let lengths = |batch| -> Vec<usize> {
            let all = frames(lines.as_bytes(), batch).unwrap();
            pickles(&all).iter().map(|pickle| (pickle.len() - 6) / 22).collect()
        };
        assert_eq!(lengths(3), [3, 3, 1]);
        assert_eq!(lengths(7), [7]);
        assert_eq!(lengths(500), [7]);
        let line = format!("{} 1 60\n", "n".repeat(16_000));
        let all = frames(line.repeat(100).as_bytes(), 500).unwrap();
        assert_eq!(pickles(&all).len(), 4);
        assert!(pickles(&all).iter().all(|pickle| pickle.len() < 2 * FRAME_BYTES));
        assert_eq!(frames(b"", 500), Ok(Vec::new()));
    }

    #[test]
    fn a_line_that_carbon_would_not_take_is_refused() {
        for line in
            ["a", "a 1", "a x 60", "a 1 x", " 1 60", "a nan 60", "a inf 60", "a 1 -1", "a b 1 60"]
        {
            let refused = frames(format!("a 1 60\n{line}\n").as_bytes(), 500);
            assert_eq!(refused, Err(InvalidLine(line.to_owned())));
        }
    }
}
