//! The line format of Zibrato 0.2, which will not change:
//! `level|mtype|name|value|timestamp|source`.

mod bars;
mod error;
mod quick;

use crate::measurement::{
    DEFAULT_SOURCE, Kind, MAX_LEVEL_BYTES, MAX_NAME_BYTES, check_level, check_name,
};
use bars::Bars;
pub use error::LineError;
use std::fmt::{self, Write as _};

/// The latest timestamp of a line: the end of the year 9999, in Unix seconds.
const MAX_TIMESTAMP: f64 = 253_402_300_800.0;

/// One measurement as a line.
///
/// ```
/// use zibrato::wire::{Line, LineValue};
/// let line = Line::decode(b"info|Counter|logins|1|1700000000|web-1").unwrap();
/// assert_eq!((line.name, line.value), ("logins", LineValue::Number(1.0)));
/// assert_eq!(line.to_string(), "info|Counter|logins|1|1700000000|web-1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the six fields are fixed by the wire")]
pub struct Line<'a> {
    /// The level, which routes the line.
    pub level: &'a str,
    /// What kind of reading it is.
    pub kind: Kind,
    /// The name.
    pub name: &'a str,
    /// The reading.
    pub value: LineValue<'a>,
    /// The time of the reading, in Unix seconds of the sender's clock.
    pub timestamp: f64,
    /// The source. Defaults to `not_specified` if the field is empty.
    pub source: &'a str,
}

/// The reading in a line: a number, or, for a set, a member.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the wire")]
pub enum LineValue<'a> {
    /// The member of a set.
    Member(&'a str),
    /// The reading of any other kind; finite.
    Number(f64),
}

impl<'a> Line<'a> {
    /// Reads one line, without its line break.
    ///
    /// Blanks around a number are allowed, as Python Zibrato's worker allowed them.
    ///
    /// # Errors
    /// [`LineError`] names the invalid field.
    pub fn decode(line: &'a [u8]) -> Result<Self, LineError> {
        let text = std::str::from_utf8(line).map_err(|_| LineError::Encoding)?;
        let bars = Bars::find(line);
        let [level, mtype, name, value, timestamp, source] = bars.fields(text)?;
        bars.check(level, MAX_LEVEL_BYTES, check_level).map_err(LineError::Level)?;
        let kind = Kind::from_mtype(mtype).ok_or(LineError::Kind)?;
        bars.check(name, MAX_NAME_BYTES, check_name).map_err(LineError::Name)?;
        let value = match kind {
            Kind::Set => {
                check_name(value).map_err(LineError::Member)?;
                LineValue::Member(value)
            }
            Kind::Counter | Kind::Gauge | Kind::Histogram | Kind::Timer => {
                LineValue::Number(number(value).ok_or(LineError::Value)?)
            }
        };
        let timestamp = number(timestamp)
            .filter(|t| (0.0..MAX_TIMESTAMP).contains(t))
            .ok_or(LineError::Timestamp)?;
        let source = if source.is_empty() { DEFAULT_SOURCE } else { source };
        bars.check(source, MAX_NAME_BYTES, check_name).map_err(LineError::Source)?;
        Ok(Self { level, kind, name, value, timestamp, source })
    }

    /// Checks a line that was not [decoded](Self::decode): every field is one that `decode` accepts.
    ///
    /// # Errors
    /// [`LineError`] names the first field that is wrong.
    pub fn check(&self) -> Result<(), LineError> {
        check_level(self.level).map_err(LineError::Level)?;
        check_name(self.name).map_err(LineError::Name)?;
        match (self.kind, self.value) {
            (Kind::Set, LineValue::Member(member)) => {
                check_name(member).map_err(LineError::Member)?;
            }
            (
                Kind::Counter | Kind::Gauge | Kind::Histogram | Kind::Timer,
                LineValue::Number(value),
            ) if value.is_finite() => {}
            _ => return Err(LineError::Value),
        }
        if !(0.0..MAX_TIMESTAMP).contains(&self.timestamp) {
            return Err(LineError::Timestamp);
        }
        check_name(self.source).map_err(LineError::Source)
    }

    /// The time of the reading, in Unix milliseconds.
    #[must_use]
    pub fn timestamp_ms(&self) -> u64 {
        (self.timestamp * 1e3).round() as u64
    }
}

fn number(text: &str) -> Option<f64> {
    // Most numbers are short and whole; they are exact up to 2^53.
    if matches!(text.len(), 1..=15) {
        let digit = |number: u64, byte: u8| {
            let digit = byte.wrapping_sub(b'0');
            (digit <= 9).then(|| number * 10 + u64::from(digit))
        };
        if let Some(whole) = text.bytes().try_fold(0, digit) {
            return Some(whole as f64);
        }
    }
    text.trim_matches([' ', '\t']).parse().ok().filter(|value: &f64| value.is_finite())
}

/// The line without a line break. Whole numbers are written without a fraction, others in the
/// shortest form that reads back as the same double.
impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|{}|", self.level, self.kind.mtype(), self.name)?;
        match self.value {
            LineValue::Member(member) => f.write_str(member)?,
            LineValue::Number(value) => write_number(f, value)?,
        }
        f.write_char('|')?;
        write_number(f, self.timestamp)?;
        write!(f, "|{}", self.source)
    }
}

fn write_number(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    // Below 2^53 every whole double is exact as an integer.
    if value == value.trunc() && value.abs() < 9_007_199_254_740_992.0 {
        write!(f, "{}", value as i64)
    } else {
        write!(f, "{value:?}")
    }
}

/// Decodes the lines of one frame; empty ones are skipped. An invalid line does not affect the
/// others.
pub fn lines(frame: &[u8]) -> impl Iterator<Item = Result<Line<'_>, LineError>> {
    let trimmed = frame.split(|byte| *byte == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    trimmed.filter(|line| !line.is_empty()).map(Line::decode)
}

#[cfg(test)]
mod tests;
