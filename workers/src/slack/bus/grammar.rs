//! The points in the text of a message.
//!
//! Pure. A message may come from anybody, so a line that is not exactly a metric is left alone:
//! `good morning everyone` has three words too.

use super::markup::decode;
use super::ts::Ts;
use std::fmt;

/// The longest path, in bytes.
const MAX_PATH_BYTES: usize = 255;

/// The longest name with its tags, in bytes.
const MAX_NAME_BYTES: usize = 1_000;

/// Timestamps are 32-bit numbers in Carbon's storage.
const TIME_LIMIT: f64 = 4_294_967_296.0;

/// A point of a message.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Point {
    /// The name, with Graphite's tags, if there are any.
    pub name: String,
    /// The value, which is finite.
    pub value: f64,
    /// Unix time in whole seconds.
    pub time: u64,
}

/// A line of a message that is no point.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectedLine {
    /// The line, decoded and without blanks around it.
    pub line: String,
    /// What is wrong with it.
    pub why: Wrong,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// It has fewer or more than three fields.
    #[error("a line has three fields: NAME VALUE TIMESTAMP")]
    Fields,
    /// Carbon would not store the name.
    #[error(
        "the name must have 1 to 255 bytes, no blank, control character or any of <>*?[]{{}}`\"'/\\, \
         no empty part between dots, and tags as ;tag=value; the value of a tag may have *?[]{{}}/"
    )]
    Path,
    /// It is not a finite decimal number.
    #[error("the value must be a finite decimal number, such as 3.5")]
    Value,
    /// It is not a time.
    #[error("the timestamp must be Unix time in seconds, or -1 for the time of the message")]
    Timestamp,
}

impl Wrong {
    /// A constant word, for log lines and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Path => "path",
            Self::Value => "value",
            Self::Timestamp => "timestamp",
        }
    }
}

/// What a message contains.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Contents {
    /// The points, in their order.
    pub points: Vec<Point>,
    /// The lines that are no points.
    pub rejected: Vec<RejectedLine>,
}

impl Contents {
    /// Whether there is nothing but points, so that a relay may delete the message.
    #[must_use]
    pub const fn is_all_metrics(&self) -> bool {
        !self.points.is_empty() && self.rejected.is_empty()
    }
}

impl Point {
    /// The line for Carbon, without a line feed.
    #[must_use]
    pub fn line(&self) -> String {
        self.to_string()
    }
}

/// The line for Carbon, without a line feed. The value is read back as it is.
impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, time } = self;
        if value.fract() == 0.0 && value.abs() < 1e15 {
            write!(f, "{name} {value} {time}")
        } else {
            write!(f, "{name} {value:?} {time}")
        }
    }
}

/// Reads the text of a message, as Slack gives it. `ts` is that of the message.
///
/// Lines may stand in code fences or backticks. Empty lines, and those that begin with `#`, are
/// ignored.
///
/// ```
/// use zibrato_workers::slack::bus::{Ts, Wrong, read};
/// let ts: Ts = "1700000001.000100".parse()?;
/// let contents = read("```\na 1e3 1700000000\ngood morning everyone\nb 2 -1\n```", &ts);
/// let lines: Vec<_> = contents.points.iter().map(|point| point.line()).collect();
/// assert_eq!(lines, ["a 1000 1700000000", "b 2 1700000001"]);
/// assert_eq!(contents.rejected[0].why, Wrong::Value);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn read(text: &str, ts: &Ts) -> Contents {
    let mut contents = Contents::default();
    for line in decode(text).split('\n') {
        let line = bare(line);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match read_line(line, ts.seconds()) {
            Ok(point) => contents.points.push(point),
            Err(why) => contents.rejected.push(RejectedLine { line: line.to_owned(), why }),
        }
    }
    contents
}

/// Reads one line, `NAME VALUE TIMESTAMP`, without mark-up. A timestamp of -1 means `now`.
///
/// # Errors
/// What is wrong with it.
pub fn read_line(line: &str, now: u64) -> Result<Point, Wrong> {
    let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
    let (Some(name), Some(value), Some(time), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Wrong::Fields);
    };
    if !is_name(name) {
        return Err(Wrong::Path);
    }
    let value = number(value).ok_or(Wrong::Value)?;
    let time = match number(time).ok_or(Wrong::Timestamp)? {
        -1.0 => now as f64,
        time => time,
    };
    if !(0.0..TIME_LIMIT).contains(&time) {
        return Err(Wrong::Timestamp);
    }
    Ok(Point { name: name.to_owned(), value, time: time as u64 })
}

/// A line without blanks, byte order marks, fences and backticks around it.
fn bare(line: &str) -> &str {
    let is_blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let line = line.trim_matches(is_blank);
    let line = line.strip_prefix("```").unwrap_or(line);
    let line = line.strip_suffix("```").unwrap_or(line);
    let inside = line.strip_prefix('`').and_then(|line| line.strip_suffix('`'));
    inside.unwrap_or(line).trim_matches(is_blank)
}

fn is_name(name: &str) -> bool {
    // Carbon splits lines at every kind of white space.
    let is_bad = |c: char| c.is_control() || c.is_whitespace() || "<>`\"'\\".contains(c);
    let is_bad_in_path = |c: char| is_bad(c) || "*?[]{}/".contains(c);
    let (path, tags) = name.split_once(';').unwrap_or((name, ""));
    let is_tag = |tag: &str| {
        tag.split_once('=').is_some_and(|(key, value)| {
            !key.is_empty() && !value.is_empty() && !key.contains(is_bad_in_path)
        })
    };
    path.len() <= MAX_PATH_BYTES
        && name.len() <= MAX_NAME_BYTES
        && !name.contains(is_bad)
        && !path.contains(is_bad_in_path)
        && path.split('.').all(|part| !part.is_empty())
        && (path.len() == name.len() || tags.split(';').all(is_tag))
}

/// A finite decimal number: `[+-]?(digits[.digits*]|.digits)([eE][+-]?digits)?`.
fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    // Of what is left, the parser of the standard library takes just these.
    text.parse().ok().filter(|number: &f64| is_plain && number.is_finite())
}

#[cfg(test)]
mod tests;
