//! Parsers of numbers on the command line, whose errors say what is expected.

use std::fmt::Display;
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::time::Duration;

/// A value is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct NumberError(String);

impl NumberError {
    fn new(what: &str, least: impl Display, most: impl Display) -> Self {
        Self(format!("{what} from {least} to {most}"))
    }
}

/// The parser of a flag that takes a whole number. `what` describes it in errors, such as `a port`
/// or `a whole number of messages`.
///
/// ```
/// use zibrato::daemon::whole_number;
/// let port = whole_number::<u16>("a port", 1..=65_535);
/// assert_eq!(port("5550"), Ok(5550));
/// assert_eq!(port("x").unwrap_err().to_string(), "expected a port from 1 to 65535");
/// ```
pub fn whole_number<T: TryFrom<u64>>(
    what: &'static str,
    range: impl RangeBounds<u64>,
) -> impl Fn(&str) -> Result<T, NumberError> + Clone + Send + Sync + 'static {
    let least = match range.start_bound() {
        Bound::Included(least) => *least,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let most = match range.end_bound() {
        Bound::Included(most) => *most,
        Bound::Excluded(after) => after.saturating_sub(1),
        Bound::Unbounded => u64::MAX,
    };
    move |text: &str| {
        let number = text.trim().parse().ok().filter(|number| (least..=most).contains(number));
        number.and_then(|number: u64| T::try_from(number).ok()).ok_or_else(|| match most {
            u64::MAX => NumberError(format!("{what}, at least {least}")),
            most => NumberError::new(what, least, most),
        })
    }
}

/// The parser of a flag that takes a number with or without a fraction.
///
/// ```
/// use zibrato::daemon::number;
/// let percent = number("a percentage", 0.0..=90.0);
/// assert_eq!(percent("2.5"), Ok(2.5));
/// assert_eq!(percent("91").unwrap_err().to_string(), "expected a percentage from 0 to 90");
/// ```
pub fn number(
    what: &'static str,
    range: RangeInclusive<f64>,
) -> impl Fn(&str) -> Result<f64, NumberError> + Clone + Send + Sync + 'static {
    move |text: &str| {
        let number = text.trim().parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| NumberError::new(what, range.start(), range.end()))
    }
}

/// The parser of a flag that takes seconds, with or without a fraction. A [`Duration`] must be able
/// to represent the range.
///
/// ```
/// use std::time::Duration;
/// use zibrato::daemon::seconds;
/// let timeout = seconds(0.1..=3_600.0);
/// assert_eq!(timeout("0.5"), Ok(Duration::from_millis(500)));
/// let expected = "expected a number of seconds from 0.1 to 3600, without a unit";
/// assert_eq!(timeout("10s").unwrap_err().to_string(), expected);
/// ```
pub fn seconds(
    range: RangeInclusive<f64>,
) -> impl Fn(&str) -> Result<Duration, NumberError> + Clone + Send + Sync + 'static {
    let number = number("a number of seconds", range);
    move |text: &str| match number(text) {
        Ok(seconds) => Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)),
        Err(NumberError(expected)) => Err(NumberError(format!("{expected}, without a unit"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{number, seconds, whole_number};
    use std::time::Duration;

    #[test]
    fn whole_numbers_stay_within_their_range_and_their_type() {
        let port = whole_number::<u16>("a port", 1..);
        assert_eq!((port("1"), port(" 65535 ")), (Ok(1), Ok(65_535)));
        for bad in ["", "0", "-1", "1.5", "65536", "1e3", "99999999999999999999"] {
            let why = port(bad).unwrap_err().to_string();
            assert_eq!(why, "expected a port, at least 1", "{bad}");
        }
        let few = whole_number::<u32>("a whole number of peers", 2..4);
        assert_eq!(few("3"), Ok(3));
        assert_eq!(
            few("4").unwrap_err().to_string(),
            "expected a whole number of peers from 2 to 3"
        );
    }

    #[test]
    fn numbers_with_a_fraction_are_finite() {
        let (timeout, percent) = (seconds(0.0..=3_600.0), number("a percentage", 0.0..=90.0));
        assert_eq!((timeout("0"), percent("90")), (Ok(Duration::ZERO), Ok(90.0)));
        for bad in ["", "-1", "nan", "inf", "1e9", "10s"] {
            assert!(timeout(bad).is_err() && percent(bad).is_err(), "{bad}");
        }
    }
}
