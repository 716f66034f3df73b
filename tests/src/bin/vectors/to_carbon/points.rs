//! Points as Carbon stores them, and lines as its receivers read them. Independent of the product.

use crate::compare::is_equal;
use crate::json::some_number;
use anyhow::Context as _;
use serde_json::Value;

/// Carbon closes the connection at a line that is longer than this, in bytes.
pub(super) const LONGEST_LINE: usize = 16_384;

/// Carbon replaces this time by the current one.
const NOW: f64 = -1.0;

/// A point.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) name: String,
    pub(super) value: f64,
    /// In Unix seconds.
    pub(super) time: f64,
}

impl Point {
    /// Reads `[NAME, [TIME, VALUE]]`.
    pub(super) fn recorded(point: &Value) -> anyhow::Result<Self> {
        let name = point[0].as_str().with_context(|| format!("`{point}` has no name"))?.to_owned();
        let (time, value) = (some_number(&point[1][0])?, some_number(&point[1][1])?);
        Ok(Self { name, value, time })
    }

    /// Whether Carbon stores the same for both.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.time == other.time && is_equal(self.value, other.value)
    }

    /// Whether Carbon stores this point for a line with `other`, which may have no time.
    pub(super) fn is_stored_for(&self, other: &Self) -> bool {
        let is_now = other.time.trunc() == NOW && self.time > 0.0;
        self.is_same(&Self { time: if is_now { self.time } else { other.time }, ..other.clone() })
    }
}

/// Reads a line as Carbon does: three fields between any white space, and numbers as Python reads
/// them. `None` if it skips the line, or ends the connection over it.
pub(super) fn carbon_reads(line: &[u8]) -> Option<Point> {
    let line = std::str::from_utf8(line).ok().filter(|line| line.len() <= LONGEST_LINE)?;
    let fields: Vec<_> = line.split_whitespace().collect();
    let [name, value, time] = fields[..] else { return None };
    let (value, time) = (python_number(value)?, python_number(time)?);
    let is_kept = !value.is_nan() && time.is_finite();
    is_kept.then(|| Point { name: name.to_owned(), value, time })
}

/// A number as Python 3 reads it: single underscores may be between digits.
pub(super) fn python_number(text: &str) -> Option<f64> {
    let is_between = |at: usize| {
        let digit = |at: Option<usize>| {
            at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit)
        };
        digit(at.checked_sub(1)) && digit(Some(at + 1))
    };
    let is_grouped = text.match_indices('_').all(|(at, _)| is_between(at));
    text.replace('_', "").parse().ok().filter(|_| is_grouped)
}

/// Why Zibrato does not write a line with this point, although Carbon accepts it. `None` if it would.
pub(super) fn unwritten(line: &str, point: &Point) -> Option<&'static str> {
    let fields: Vec<_> = line.split(' ').collect();
    let is_plain = |number: &str| !number.contains('_');
    Some(if point.value.is_infinite() {
        "infinite values are not sent"
    } else if point.time < 0.0 {
        "times below zero are not sent, because Carbon replaces -1 by the current time"
    } else if point.time.fract() != 0.0 {
        "times are whole seconds"
    } else if line.contains(|c: char| c.is_whitespace() && c != ' ') || fields.len() != 3 {
        "fields are separated by one space, and lines end with a line feed"
    } else if !fields.into_iter().skip(1).all(is_plain) {
        "numbers are written without `_`"
    } else {
        return None;
    })
}
