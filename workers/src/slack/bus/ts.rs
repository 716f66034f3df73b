//! The `ts` of a message, its identifier in a channel.
//!
//! Pure.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The identifier of a message in its channel: Unix time as `seconds.microseconds`. Later messages
/// have greater ones.
///
/// It is kept as Slack gives it, and compared as numbers: a 64-bit float is not precise enough.
///
/// ```
/// use zibrato_workers::slack::bus::Ts;
/// let (a, b): (Ts, Ts) = ("999999999.999999".parse()?, "1512085950.000216".parse()?);
/// assert!(a < b);
/// assert_eq!((b.seconds(), b.to_string()), (1_512_085_950, "1512085950.000216".to_owned()));
/// assert!("yesterday".parse::<Ts>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ts {
    // Invariant: the text of the other two.
    text: Box<str>,
    seconds: u64,
    micros: u32,
}

/// A text that is not the `ts` of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a message's ts; it looks like 1512085950.000216")]
pub struct TsError(String);

impl Ts {
    /// The `ts` for a time. There need not be a message with it.
    #[must_use]
    pub fn at_ms(unix_ms: u64) -> Self {
        let (seconds, micros) = (unix_ms / 1000, (unix_ms % 1000) as u32 * 1000);
        Self { text: format!("{seconds}.{micros:06}").into(), seconds, micros }
    }

    /// The `ts` for a time in microseconds.
    pub(crate) fn at_micros(unix_us: u128) -> Self {
        let seconds = u64::try_from(unix_us / 1_000_000).unwrap_or(u64::MAX);
        let micros = (unix_us % 1_000_000) as u32;
        Self { text: format!("{seconds}.{micros:06}").into(), seconds, micros }
    }

    /// Unix time in microseconds.
    pub(crate) const fn micros(&self) -> u128 {
        self.seconds as u128 * 1_000_000 + self.micros as u128
    }

    /// Unix time in whole seconds.
    #[must_use]
    pub const fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Unix time in milliseconds.
    #[must_use]
    pub const fn unix_ms(&self) -> u64 {
        self.seconds.saturating_mul(1000).saturating_add((self.micros / 1000) as u64)
    }

    /// As Slack gave it, for requests.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    const fn key(&self) -> (u64, u32) {
        (self.seconds, self.micros)
    }
}

impl FromStr for Ts {
    type Err = TsError;

    fn from_str(text: &str) -> Result<Self, TsError> {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let wrong = || TsError(text.chars().take(40).collect());
        if seconds.is_empty() || fraction.len() > 6 || !is_digits(seconds) || !is_digits(fraction) {
            return Err(wrong());
        }
        let seconds = seconds.parse().map_err(|_| wrong())?;
        let micros = format!("{fraction:0<6}").parse().map_err(|_| wrong())?;
        Ok(Self { text: text.into(), seconds, micros })
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Ts {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Ts {}

impl Hash for Ts {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Ts {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ts {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::Ts;
    use std::cmp::Ordering;

    #[test]
    fn they_are_compared_as_numbers() {
        for (a, b, order) in [
            ("1512085950.000216", "1512085950.000217", Ordering::Less),
            ("999999999.999999", "1512085950.000216", Ordering::Less),
            ("1512085950.000216", "1512085950.000216", Ordering::Equal),
            ("1512085950", "1512085950.000000", Ordering::Equal),
            ("1512085950.1", "1512085950.000001", Ordering::Greater),
            ("9007199254740993.000001", "9007199254740993.000002", Ordering::Less),
        ] {
            let (a, b): (Ts, Ts) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!((a.cmp(&b), b.cmp(&a)), (order, order.reverse()), "{a} {b}");
            assert_eq!(a == b, order == Ordering::Equal);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", ".", ".5", "-1.0", "1.0000001", "1.0.0", "1e9", "+1", " 1", "p1512085950"]
        {
            assert!(text.parse::<Ts>().is_err(), "{text}");
        }
        let long = "9".repeat(1000).parse::<Ts>().unwrap_err().to_string();
        assert!(long.len() < 120, "{long}");
        assert_eq!(Ts::at_ms(1_700_000_000_042).as_str(), "1700000000.042000");
        assert_eq!(Ts::at_ms(1_700_000_000_042).unix_ms(), 1_700_000_000_042);
        let ts: Ts = "18446744073709551615.000001".parse().unwrap();
        assert_eq!(Ts::at_micros(ts.micros()), ts);
        assert_eq!(Ts::at_micros(u128::MAX).seconds(), u64::MAX);
    }
}
