//! The line of Zibrato 0.2, kept for ever: `level|mtype|name|value|timestamp|source`.

use crate::measurement::{
    DEFAULT_SOURCE, Kind, MAX_LEVEL_BYTES, MAX_NAME_BYTES, TextProblem, check_level, check_name,
};
use std::fmt::{self, Write as _};

/// The largest moment a line may name: the year 9999, in unix seconds.
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
    /// Routes the line.
    pub level: &'a str,
    /// What kind of reading it is.
    pub kind: Kind,
    /// What was measured.
    pub name: &'a str,
    /// The reading.
    pub value: LineValue<'a>,
    /// When, in unix seconds by the sender's clock.
    pub timestamp: f64,
    /// Who measured. Defaults to `not_specified` when the field is empty.
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
    /// [`LineError`] names the field that is wrong.
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
            Kind::Counter | Kind::Gauge | Kind::Timer => {
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

    /// When the reading was taken, in unix milliseconds.
    #[must_use]
    pub fn timestamp_ms(&self) -> u64 {
        (self.timestamp * 1e3).round() as u64
    }
}

/// Where the fields of a line end, found eight bytes at a time; the broker looks at each line.
struct Bars {
    at: [usize; 5],
    found: usize,
    /// Whether every byte is printable ASCII, so that only lengths are left to check.
    plain: bool,
}

impl Bars {
    fn find(line: &[u8]) -> Self {
        const ONES: u64 = u64::MAX / 0xff;
        const HIGH: u64 = ONES * 0x80;
        // Marks the bytes that are zero, and no others.
        let zeros = |word: u64| !(((word & !HIGH) + !HIGH) | word | !HIGH);
        let (mut bars, mut odd) = (Self { at: [0; 5], found: 0, plain: true }, 0);
        let (words, rest) = line.as_chunks::<8>();
        let mut last = [b' '; 8];
        last[..rest.len()].copy_from_slice(rest);
        for (at, word) in words.iter().chain([&last]).enumerate() {
            let word = u64::from_le_bytes(*word);
            // Below a blank, above ASCII, or DEL. May mark a plain byte behind such a one.
            odd |= (word.wrapping_sub(ONES * 0x20) | word) & HIGH | zeros(word ^ (ONES * 0x7f));
            let mut hits = zeros(word ^ (ONES * u64::from(b'|')));
            while hits != 0 {
                if let Some(place) = bars.at.get_mut(bars.found) {
                    *place = at * 8 + (hits.trailing_zeros() / 8) as usize;
                }
                bars.found += 1;
                hits &= hits - 1;
            }
        }
        bars.plain = odd == 0;
        bars
    }

    fn fields<'a>(&self, text: &'a str) -> Result<[&'a str; 6], LineError> {
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

    /// As `check`, but without looking at each byte again.
    fn check(
        &self,
        text: &str,
        longest: usize,
        check: fn(&str) -> Result<(), TextProblem>,
    ) -> Result<(), TextProblem> {
        // The protocol's own words begin with one of these two.
        let reserved = text.starts_with(['z', '*']);
        if self.plain && !reserved && !text.is_empty() && text.len() <= longest {
            return Ok(());
        }
        check(text)
    }
}

fn number(text: &str) -> Option<f64> {
    // Most are short and whole; up to 2^53 that is exact.
    if matches!(text.len(), 1..=15) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = text.bytes().map(|byte| u64::from(byte - b'0'));
        return Some(digits.fold(0, |number, digit| number * 10 + digit) as f64);
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

/// The lines of one frame, each decoded; empty ones are skipped. A bad line does not harm its
/// neighbours.
pub fn lines(frame: &[u8]) -> impl Iterator<Item = Result<Line<'_>, LineError>> {
    let trimmed = frame.split(|byte| *byte == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    trimmed.filter(|line| !line.is_empty()).map(Line::decode)
}

/// Why a line was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is not UTF-8.
    #[error("the line is not UTF-8")]
    Encoding,
    /// It does not have six fields.
    #[error("a line has 6 fields, level|mtype|name|value|timestamp|source, this one has {found}")]
    Fields {
        /// How many it has.
        found: usize,
    },
    /// The mtype is not a known one.
    #[error("the mtype is none of counter, gauge, set and timer")]
    Kind,
    /// The level may not be.
    #[error("the level {0}")]
    Level(TextProblem),
    /// The member of a set may not be.
    #[error("the member {0}")]
    Member(TextProblem),
    /// The name may not be.
    #[error("the name {0}")]
    Name(TextProblem),
    /// The source may not be.
    #[error("the source {0}")]
    Source(TextProblem),
    /// The timestamp is not a moment in unix seconds.
    #[error("the timestamp is not a number of unix seconds")]
    Timestamp,
    /// The value is not a finite decimal number.
    #[error("the value is not a finite decimal number")]
    Value,
}

impl LineError {
    /// A constant word for the reason, as counters are labelled with it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::Fields { .. } => "fields",
            Self::Kind => "mtype",
            Self::Level(_) => "level",
            Self::Member(_) => "member",
            Self::Name(_) => "name",
            Self::Source(_) => "source",
            Self::Timestamp => "timestamp",
            Self::Value => "value",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Fields<'a> = (&'a str, Kind, &'a str, f64, u64, &'a str);

    #[track_caller]
    fn check(line: &str, expected: Result<Fields<'_>, &str>) {
        let got = Line::decode(line.as_bytes());
        let got = got.map(|l| {
            let LineValue::Number(value) = l.value else { panic!("{line}: a member") };
            (l.level, l.kind, l.name, value, l.timestamp_ms(), l.source)
        });
        assert_eq!(got.as_ref().map_err(LineError::reason), expected.as_ref().map_err(|e| *e));
    }

    #[test]
    fn lines_of_python_zibrato_are_read() {
        use Kind::{Counter, Gauge, Timer};
        let at = 1_700_000_042_000;
        let cases: [(&str, Fields<'_>); 8] = [
            (
                "info|Gauge|default|1|1700000042|not_specified",
                ("info", Gauge, "default", 1.0, at, "not_specified"),
            ),
            (
                "info|Gauge|default|0|1700000042|not_specified",
                ("info", Gauge, "default", 0.0, at, "not_specified"),
            ),
            ("info|Gauge|default|1e+20|1700000042|s", ("info", Gauge, "default", 1e20, at, "s")),
            (
                "crit|Gauge|gauge_name|123|1700000042|s",
                ("crit", Gauge, "gauge_name", 123.0, at, "s"),
            ),
            ("info|Gauge|a b|1|1700000042|my prog/1", ("info", Gauge, "a b", 1.0, at, "my prog/1")),
            ("info|Gauge|n| 7 |1700000042|s", ("info", Gauge, "n", 7.0, at, "s")),
            ("info|timer|t|0.25|1700000042.5|s", ("info", Timer, "t", 0.25, at + 500, "s")),
            ("info|COUNTERS|c|-3.5|1700000042|", ("info", Counter, "c", -3.5, at, "not_specified")),
        ];
        for (line, expected) in cases {
            check(line, Ok(expected));
        }
    }

    #[test]
    fn the_member_of_a_set_is_a_text() {
        let line = Line::decode(b"info|set|users|alice|1700000042|web").unwrap();
        assert_eq!(line.value, LineValue::Member("alice"));
    }

    #[test]
    fn bad_lines_name_the_field_that_is_wrong() {
        for (line, reason) in [
            ("", "fields"),
            ("info|Gauge|n|1|1", "fields"),
            ("info|Gauge|a|b|2|1700000042|c|d", "fields"),
            ("|Gauge|n|1|1|s", "level"),
            ("zb1|Gauge|n|1|1|s", "level"),
            ("info||n|1|1|s", "mtype"),
            ("info|Histogram|n|1|1|s", "mtype"),
            ("info|Gauge||1|1|s", "name"),
            ("info|Gauge|n||1|s", "value"),
            ("info|Gauge|n|True|1|s", "value"),
            ("info|Gauge|n|nan|1|s", "value"),
            ("info|Gauge|n|inf|1|s", "value"),
            ("info|Gauge|n|1e400|1|s", "value"),
            ("info|Gauge|n|1|xx|s", "timestamp"),
            ("info|Gauge|n|1|-1|s", "timestamp"),
            ("info|Gauge|n|1|1e300|s", "timestamp"),
            ("info|Gauge|n|1|1|a\u{7}b", "source"),
            ("info|s|n||1|s", "member"),
        ] {
            check(line, Err(reason));
        }
        assert_eq!(Line::decode(b"info|Gauge|\xff|1|1|s"), Err(LineError::Encoding));
    }

    #[test]
    fn a_bad_line_does_not_harm_its_neighbours() {
        let frame = b"info|c|a|1|1|s\r\n\nbroken\ninfo|c|b|2|1|s\n";
        let got: Vec<_> = lines(frame).map(|l| l.map(|l| l.name)).collect();
        assert_eq!(got, [Ok("a"), Err(LineError::Fields { found: 1 }), Ok("b")]);
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9.:_ é-]{1,40}"
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            level in "[a-y][a-z]{0,20}", kind in 0..4_usize, name in name(), source in name(),
            value in prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL,
            seconds in 0..4_000_000_000_u64,
        ) {
            let kind = Kind::ALL[kind];
            let value = if kind == Kind::Set { LineValue::Member(&name) } else { LineValue::Number(value) };
            let line = Line {
                level: &level, kind, name: &name, value, timestamp: seconds as f64, source: &source,
            };
            let text = line.to_string();
            prop_assert_eq!(Line::decode(text.as_bytes()), Ok(line));
        }

        /// Splitting at each bar, and checking each field by itself, is the model.
        #[test]
        fn fields_are_found_and_checked_as_one_by_one(
            line in "[a-c|}\u{7b}z!1*\u{1}\u{1f} \u{7f}é]{0,40}",
        ) {
            let bars = Bars::find(line.as_bytes());
            let model: Vec<_> = line.split('|').collect();
            match bars.fields(&line) {
                Ok(fields) => prop_assert_eq!(&fields[..], &model[..]),
                Err(error) => prop_assert_eq!(error, LineError::Fields { found: model.len() }),
            }
            for field in model {
                prop_assert_eq!(bars.check(field, 255, check_name), check_name(field));
                prop_assert_eq!(bars.check(field, 64, check_level), check_level(field));
            }
        }

        #[test]
        fn numbers_are_those_of_the_standard_library(
            whole in "[0-9]{1,17}", any in "[-+]?[0-9]{0,4}\\.?[0-9]{0,3}(e[0-9])?",
        ) {
            for text in [whole, any] {
                prop_assert_eq!(number(&text), text.parse().ok());
            }
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(frame in prop::collection::vec(any::<u8>(), 0..300)) {
            lines(&frame).for_each(drop);
        }
    }
}
