//! The grammar of StatsD and DogStatsD: packets to samples, without copying.
//!
//! ```text
//! packet   line, "\n", line …
//! line     NAME:VALUE|TYPE|FIELD|FIELD…
//!          NAME:1:2:3|ms            several values of one type
//!          NAME:1|c:320|ms|@0.1     several samples of one name
//! FIELD    @RATE   #TAG,TAG   T1700000000   c:…  e:…  card:…  and others, which are ignored
//! ```

use super::number::{beginning, number};
use memchr::{memchr, memchr2};
use zibrato::{Kind, check_name};

/// The smallest sample rate.
const MIN_RATE: f64 = 1e-9;

/// The latest timestamp: the end of the year 9999, in Unix seconds.
const MAX_TIMESTAMP: u64 = 253_402_300_799;

/// What a listener's clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A gauge with a sign is a change: `a:-1|g` subtracts 1.
    Statsd,
    /// A gauge with a sign is a value: `a:-1|g` sets -1.
    Dogstatsd,
}

/// One sample. Name and tags are as received; see [`Identity`](super::identity::Identity).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample<'a> {
    /// What is before the first `:` of the line; not empty.
    pub(crate) name: &'a [u8],
    /// What follows `#`; empty if there are no tags.
    pub(crate) tags: &'a [u8],
    pub(crate) kind: Kind,
    pub(crate) reading: Reading<'a>,
    /// The time that the client gives, in Unix milliseconds.
    pub(crate) at_ms: Option<u64>,
}

/// The value of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading<'a> {
    /// A value, in seconds if it is a timer's, and the share of its kind that the client sends:
    /// above 0, at most 1.
    Number { value: f64, rate: f64 },
    /// What to add to a gauge.
    Change(f64),
    /// A member of a set, which is valid.
    Member(&'a str),
}

/// Why a line, or one of its samples, is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The name is not UTF-8.
    Encoding,
    /// An event of DogStatsD.
    Event,
    /// The timestamp is more than a day ahead.
    Future,
    /// There is no `:` after the name, or a field that is not known begins like a number.
    Fields,
    /// The member of a set is not a text without control characters of at most 255 bytes.
    Member,
    /// Nothing of the name remains, or more than 255 bytes.
    Name,
    /// The rate is not a number above 0 and at most 1.
    Rate,
    /// A service check of DogStatsD.
    ServiceCheck,
    /// The timestamp is not a number of seconds.
    Timestamp,
    /// The type is missing or not known.
    Type,
    /// The value is not a finite decimal number, or the negative one of a timer.
    Value,
}

impl Reason {
    /// The reason as a constant word, the label of counters.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::Event => "event",
            Self::Fields => "fields",
            Self::Future => "future",
            Self::Member => "member",
            Self::Name => "name",
            Self::Rate => "rate",
            Self::ServiceCheck => "service_check",
            Self::Timestamp => "timestamp",
            Self::Type => "type",
            Self::Value => "value",
        }
    }
}

/// Decodes a packet. `take` gets each sample, or the reason why a line or a part of it is invalid,
/// and the line. An invalid line does not affect the others.
pub(crate) fn decode<'a>(
    packet: &'a [u8],
    dialect: Dialect,
    mut take: impl FnMut(&'a [u8], Result<Sample<'a>, Reason>),
) {
    let mut rest = packet;
    while !rest.is_empty() {
        if let Some((line, sample)) = plain(rest) {
            rest = rest.get(line.len() + 1..).unwrap_or_default();
            take(line, Ok(sample));
            continue;
        }
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        decode_line(line, dialect, |sample| take(line, sample));
    }
}

/// Decodes the first line if it is `NAME:NUMBER|TYPE` with a number and a type as most lines have
/// them; this is several times as fast as [`decode_line`], and means the same. Also returns the line.
#[inline]
fn plain(packet: &[u8]) -> Option<(&[u8], Sample<'_>)> {
    let colon = memchr2(b':', b'\n', packet).filter(|at| *at > 0 && packet[*at] == b':')?;
    let name = &packet[..colon];
    if name[0] == b'_' {
        return None;
    }
    let (value, length) = beginning(&packet[colon + 1..])?;
    let bar = colon + 1 + length;
    let (kind, scale, length) = match &packet[bar..] {
        [b'|', b'c', ..] => (Kind::Counter, 1.0, 2),
        [b'|', b'm', b's', ..] => (Kind::Timer, 1e3, 3),
        [b'|', b'g', ..] => (Kind::Gauge, 1.0, 2),
        _ => return None,
    };
    let end = bar + length;
    if packet.get(end).is_some_and(|byte| *byte != b'\n') {
        return None;
    }
    let reading = Reading::Number { value: value / scale, rate: 1.0 };
    Some((&packet[..end], Sample { name, tags: b"", kind, reading, at_ms: None }))
}

fn decode_line<'a>(
    line: &'a [u8],
    dialect: Dialect,
    mut take: impl FnMut(Result<Sample<'a>, Reason>),
) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.first() == Some(&b'_')
        && let Some(reason) = other_message(line)
    {
        return take(Err(reason));
    }
    let Some(colon) = memchr(b':', line) else {
        if !line.trim_ascii().is_empty() {
            take(Err(Reason::Fields));
        }
        return;
    };
    let name = &line[..colon];
    if name.is_empty() {
        return take(Err(Reason::Name));
    }
    let mut rest = Some(&line[colon + 1..]);
    while let Some(part) = rest {
        rest = decode_part(name, part, dialect, &mut take);
    }
}

/// The messages of DogStatsD that are not metrics.
fn other_message(line: &[u8]) -> Option<Reason> {
    if line.starts_with(b"_e{") {
        Some(Reason::Event)
    } else if line.starts_with(b"_sc|") {
        Some(Reason::ServiceCheck)
    } else {
        None
    }
}

/// Decodes `VALUES|TYPE|FIELDS`. Returns what follows the `:` after it.
fn decode_part<'a>(
    name: &'a [u8],
    part: &'a [u8],
    dialect: Dialect,
    take: &mut impl FnMut(Result<Sample<'a>, Reason>),
) -> Option<&'a [u8]> {
    let Some(bar) = memchr(b'|', part) else {
        take(Err(Reason::Type));
        return None;
    };
    let (values, part) = (&part[..bar], &part[bar + 1..]);
    let end = part.iter().position(|byte| matches!(byte, b'|' | b':')).unwrap_or(part.len());
    let (kind, mut part) = (Type::of(&part[..end]), &part[end..]);
    let mut fields = Fields { rate: 1.0, tags: b"", at_ms: None };
    let mut is_valid = Ok(());
    while let Some((b'|', field)) = part.split_first() {
        match fields.read(field) {
            Ok(rest) => part = rest,
            Err((reason, rest)) => {
                is_valid = is_valid.and(Err(reason));
                part = rest;
            }
        }
    }
    match kind.ok_or(Reason::Type).and_then(|kind| is_valid.map(|()| kind)) {
        Ok(Type(kind, scale)) => {
            let sample = |reading: Result<_, _>| {
                let Fields { tags, at_ms, .. } = fields;
                reading.map(|reading| Sample { name, tags, kind, reading, at_ms })
            };
            match kind {
                Kind::Set => take(sample(member(values))),
                _ if memchr(b':', values).is_none() => {
                    take(sample(reading(values, kind, scale, fields.rate, dialect)));
                }
                _ => values.split(|byte| *byte == b':').for_each(|value| {
                    take(sample(reading(value, kind, scale, fields.rate, dialect)));
                }),
            }
        }
        Err(reason) => take(Err(reason)),
    }
    part.split_first().map(|(_, rest)| rest)
}

/// The kind that a type text means, and by what values are divided.
struct Type(Kind, f64);

impl Type {
    fn of(text: &[u8]) -> Option<Self> {
        Some(match text.trim_ascii() {
            b"c" | b"m" => Self(Kind::Counter, 1.0),
            b"ms" => Self(Kind::Timer, 1e3),
            b"g" => Self(Kind::Gauge, 1.0),
            b"h" | b"d" => Self(Kind::Histogram, 1.0),
            b"s" => Self(Kind::Set, 1.0),
            _ => return None,
        })
    }
}

/// What the fields after the type say.
struct Fields<'a> {
    rate: f64,
    tags: &'a [u8],
    at_ms: Option<u64>,
}

impl<'a> Fields<'a> {
    /// Reads the field at the beginning of `part`. Returns what follows it, which begins with `|` or
    /// `:`. Only a rate can end with `:`.
    fn read(&mut self, part: &'a [u8]) -> Result<&'a [u8], (Reason, &'a [u8])> {
        let end = memchr(b'|', part).unwrap_or(part.len());
        let (field, rest) = part.split_at(end);
        match field.split_first() {
            Some((b'@', rate)) => {
                let end = memchr(b':', rate).unwrap_or(rate.len());
                let rest = &part[1 + end..];
                let rate = number(&rate[..end]).filter(|rate| (MIN_RATE..=1.0).contains(rate));
                self.rate = rate.ok_or((Reason::Rate, rest))?;
                return Ok(rest);
            }
            Some((b'#', tags)) => self.tags = tags,
            Some((b'T', seconds)) => {
                self.at_ms = Some(timestamp_ms(seconds).ok_or((Reason::Timestamp, rest))?);
            }
            Some((first, _)) if !first.is_ascii_alphabetic() => return Err((Reason::Fields, rest)),
            _ => {}
        }
        Ok(rest)
    }
}

fn timestamp_ms(seconds: &[u8]) -> Option<u64> {
    let is_number = seconds.iter().all(u8::is_ascii_digit);
    let seconds = std::str::from_utf8(seconds).ok().filter(|_| is_number)?;
    let seconds: u64 = seconds.parse().ok()?;
    (1..=MAX_TIMESTAMP).contains(&seconds).then(|| seconds * 1_000)
}

/// An empty text is the member `0`, as in StatsD.
fn member(text: &[u8]) -> Result<Reading<'_>, Reason> {
    let text = std::str::from_utf8(text).map_err(|_| Reason::Member)?;
    let text = if text.is_empty() { "0" } else { text };
    check_name(text).map_err(|_| Reason::Member)?;
    Ok(Reading::Member(text))
}

fn reading<'a>(
    text: &[u8],
    kind: Kind,
    scale: f64,
    rate: f64,
    dialect: Dialect,
) -> Result<Reading<'a>, Reason> {
    let value = number(text).ok_or(Reason::Value)?;
    if kind == Kind::Gauge
        && dialect == Dialect::Statsd
        && matches!(text.trim_ascii_start().first(), Some(b'+' | b'-'))
    {
        return Ok(Reading::Change(value));
    }
    if kind == Kind::Timer && value < 0.0 {
        return Err(Reason::Value);
    }
    // A counter is divided by its rate.
    if rate < 1.0 && !(value / rate).is_finite() {
        return Err(Reason::Value);
    }
    Ok(Reading::Number { value: value / scale, rate })
}

#[cfg(test)]
mod tests;
