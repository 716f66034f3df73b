//! Requests as most clients send them: a list of gauges, each with a name, a number, and perhaps a source
//! and a time, all of them legal.
//!
//! ```text
//! {"gauges": [{"name": "a.b", "value": 0.5, "source": "web-1", "measure_time": 1700000000}, …]}
//! ```
//!
//! They are read in one pass. Anything else is left to [`payload`](super::payload) and
//! [`checked`](super::checked), which would find the same readings, and which say what is wrong.
//!
//! Pure: takes bytes and times, opens nothing.

use super::checked::{Clock, time_ms};
use super::names::{MAX_LENGTH, is_legal_in_names};
use super::payload::MAX_MEASUREMENTS;

/// The shortest gauge, as bytes of JSON, to estimate their number.
const GAUGE_BYTES: usize = 48;

/// Maximum number of digits of a number without rounding: doubles have all whole numbers of that length.
const EXACT_DIGITS: usize = 15;

/// Maximum length of a number, in bytes. Longer ones may be too large or too small for a double.
const MAX_NUMBER_BYTES: usize = 40;

/// The powers of ten up to `EXACT_DIGITS`, which doubles have exactly.
const POWERS: [f64; EXACT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A reading with a legal name and source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PlainGauge<'a> {
    pub(super) name: &'a str,
    /// The source, if the client gives one.
    pub(super) source: Option<&'a str>,
    /// Finite.
    pub(super) value: f64,
    /// In Unix milliseconds.
    pub(super) at_ms: u64,
}

/// Reads a body; `None` if it may be anything else than such a request.
pub(super) fn plain_gauges(body: &[u8], clock: Clock) -> Option<Vec<PlainGauge<'_>>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut cursor = Cursor { text, at: 0 };
    let (mut gauges, mut has_counters) = (None, false);
    let (mut source, mut default_ms) = (None, clock.now_ms);
    cursor.object(|cursor, key| {
        match key {
            "gauges" if gauges.is_none() => gauges = Some(cursor.gauges(clock)?),
            "counters" if !has_counters => {
                has_counters = true;
                cursor.expect(b'[')?;
                cursor.expect(b']')?;
            }
            "source" => source = Some(cursor.name()?),
            "measure_time" => default_ms = time_ms(cursor.number()?, clock).ok()?,
            _ => return None,
        }
        Some(())
    })?;
    cursor.skip_blanks();
    if cursor.at < text.len() {
        return None;
    }
    let mut gauges: Vec<PlainGauge<'_>> = gauges?;
    // What applies to all may follow them.
    for gauge in &mut gauges {
        gauge.source = gauge.source.or(source);
        if gauge.at_ms == NO_TIME {
            gauge.at_ms = default_ms;
        }
    }
    Some(gauges)
}

/// The time of a gauge that has none, until that of the request is known.
const NO_TIME: u64 = u64::MAX;

/// A position in a text. Its methods return `None` at anything that is not plain.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Whether this is the next byte after blanks, which is then passed.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// An object, whose values are read by `field`.
    fn object(&mut self, mut field: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Some(());
        }
        loop {
            let key = self.word()?;
            self.expect(b':')?;
            field(self, key)?;
            if self.take(b'}') {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    /// A text of the characters that are legal in names.
    fn word(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let rest = self.text.as_bytes().get(self.at..)?;
        let length = rest.iter().position(|byte| !is_legal_in_names(*byte))?;
        let word = self.text.get(self.at..self.at + length)?;
        self.at += length;
        (self.peek() == Some(b'"')).then(|| self.at += 1)?;
        Some(word)
    }

    /// A legal name or source.
    fn name(&mut self) -> Option<&'a str> {
        self.word().filter(|word| (1..=MAX_LENGTH).contains(&word.len()))
    }

    /// A number without an exponent.
    fn number(&mut self) -> Option<f64> {
        self.skip_blanks();
        let begun = self.at;
        let is_negative = self.take(b'-');
        let mut digits = 0_u64;
        let whole_at = self.at;
        let whole = self.digits(&mut digits);
        let has_leading_zero = whole > 1 && self.text.as_bytes().get(whole_at) == Some(&b'0');
        if whole == 0 || has_leading_zero {
            return None;
        }
        let mut decimals = 0;
        if self.peek() == Some(b'.') {
            self.at += 1;
            decimals = self.digits(&mut digits);
            if decimals == 0 {
                return None;
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            return None;
        }
        // The quotient of two exact numbers is rounded once, as it should be.
        if let Some(power) = POWERS.get(decimals)
            && whole + decimals <= EXACT_DIGITS
        {
            let size = digits as f64 / power;
            return Some(if is_negative { -size } else { size });
        }
        let number = self.text.get(begun..self.at)?;
        (number.len() <= MAX_NUMBER_BYTES).then(|| number.parse().ok())?
    }

    /// Passes digits, appends them to a number, and returns how many there were.
    fn digits(&mut self, number: &mut u64) -> usize {
        let begun = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            // Numbers with too many digits are read anew.
            *number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        self.at - begun
    }

    fn gauges(&mut self, clock: Clock) -> Option<Vec<PlainGauge<'a>>> {
        let left = self.text.len() - self.at;
        let mut gauges = Vec::with_capacity((left / GAUGE_BYTES).min(MAX_MEASUREMENTS));
        self.expect(b'[')?;
        if self.take(b']') {
            return Some(gauges);
        }
        loop {
            gauges.push(self.gauge(clock)?);
            if self.take(b']') {
                return Some(gauges);
            }
            self.expect(b',')?;
            if gauges.len() >= MAX_MEASUREMENTS {
                return None;
            }
        }
    }

    fn gauge(&mut self, clock: Clock) -> Option<PlainGauge<'a>> {
        let (mut name, mut source, mut value, mut time) = (None, None, None, None);
        self.object(|cursor, key| {
            match key {
                "name" => name = Some(cursor.name()?),
                "value" => value = Some(cursor.number()?),
                "source" => source = Some(cursor.name()?),
                "measure_time" => time = Some(cursor.number()?),
                _ => return None,
            }
            Some(())
        })?;
        let at_ms = match time {
            Some(time) => time_ms(time, clock).ok()?,
            None => NO_TIME,
        };
        Some(PlainGauge { name: name?, source, value: value?, at_ms })
    }
}

/// Asserts that the general way reads the same from a body. Its doubles may be off by the last bits.
///
/// # Panics
/// If it does not.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn assert_same(body: &[u8], clock: Clock, plain: &[PlainGauge<'_>]) {
    use super::checked::{Measured, check};
    use super::payload::Payload;
    use zibrato::Gauge;
    let payload = Payload::of_json(body).unwrap_or_default();
    let readings = check(&payload, clock).unwrap_or_default();
    assert!(readings.tags.is_empty() && readings.all.len() == plain.len());
    assert!(payload.gauges.is_given && !payload.measurements.is_given);
    for (reading, gauge) in readings.all.iter().zip(plain) {
        let PlainGauge { name, source, value, at_ms } = *gauge;
        assert_eq!((&*reading.name, reading.source.as_deref()), (name, source));
        assert!(reading.tags.is_none() && reading.period.is_none());
        assert!(reading.display_name.is_none() && reading.description.is_none());
        let Measured::Gauge(read) = reading.value else { panic!("{reading:?} is no gauge") };
        assert_eq!(read, Gauge::reading(read.last, at_ms));
        assert!((read.last - value).abs() <= value.abs() * 1e-15, "{} is not {value}", read.last);
        assert_eq!(read.last.is_sign_negative(), value.is_sign_negative());
    }
}

#[cfg(test)]
mod tests;
