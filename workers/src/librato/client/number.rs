//! Numbers of measurements.
//!
//! Pure.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Mul};

/// A number of a measurement. A whole number stays one on the wire: `20`, not `20.0`.
///
/// ```
/// use zibrato_workers::librato::client::Number;
/// assert_eq!(Number::from(20).to_string(), "20");
/// assert_eq!((Number::from(20) + Number::from(0.5)).to_string(), "20.5");
/// assert!(!Number::from(f64::NAN).is_finite());
/// ```
#[derive(Clone, Copy)]
pub struct Number(Repr);

#[derive(Clone, Copy)]
enum Repr {
    Float(f64),
    Whole(i64),
}

impl Number {
    /// The value, rounded if it is a whole number above 2<sup>53</sup>.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        match self.0 {
            Repr::Float(float) => float,
            Repr::Whole(whole) => whole as f64,
        }
    }

    /// Whether it is neither NaN nor infinite. Others cannot be sent.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        self.as_f64().is_finite()
    }

    pub(super) fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }

    pub(super) fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }

    /// The largest multiple of `period` that is not above it.
    pub(super) const fn floor_to(time: i64, period: u64) -> i64 {
        if period == 0 || period > i64::MAX as u64 {
            return time;
        }
        time.saturating_sub(time.rem_euclid(period as i64))
    }
}

/// The result is whole if both are and it has room, as Python's numbers are.
impl Add for Number {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let whole = match (self.0, other.0) {
            (Repr::Whole(a), Repr::Whole(b)) => a.checked_add(b),
            _ => None,
        };
        whole.map_or_else(|| (self.as_f64() + other.as_f64()).into(), Self::from)
    }
}

impl Mul for Number {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let whole = match (self.0, other.0) {
            (Repr::Whole(a), Repr::Whole(b)) => a.checked_mul(b),
            _ => None,
        };
        whole.map_or_else(|| (self.as_f64() * other.as_f64()).into(), Self::from)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Repr::Whole(a), Repr::Whole(b)) => a == b,
            _ => self.as_f64() == other.as_f64(),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.0, other.0) {
            (Repr::Whole(a), Repr::Whole(b)) => Some(a.cmp(&b)),
            _ => self.as_f64().partial_cmp(&other.as_f64()),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Float(float) => write!(f, "{float:?}"),
            Repr::Whole(whole) => write!(f, "{whole}"),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Float(float) => write!(f, "{float}"),
            Repr::Whole(whole) => write!(f, "{whole}"),
        }
    }
}

macro_rules! from_whole {
    ($($of:ty),*) => {$(
        impl From<$of> for Number {
            fn from(whole: $of) -> Self {
                Self(Repr::Whole(whole.into()))
            }
        }
    )*};
}

from_whole!(i8, i16, i32, i64, u8, u16, u32);

/// Beyond 2<sup>63</sup> the nearest number of Librato, which stores floating-point numbers.
impl From<u64> for Number {
    fn from(whole: u64) -> Self {
        Self(i64::try_from(whole).map_or(Repr::Float(whole as f64), Repr::Whole))
    }
}

impl From<usize> for Number {
    fn from(whole: usize) -> Self {
        Self::from(whole as u64)
    }
}

impl From<f32> for Number {
    fn from(float: f32) -> Self {
        Self(Repr::Float(float.into()))
    }
}

impl From<f64> for Number {
    fn from(float: f64) -> Self {
        Self(Repr::Float(float))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Repr::Float(float) => serializer.serialize_f64(float),
            Repr::Whole(whole) => serializer.serialize_i64(whole),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Whole(i64),
            Large(u64),
            Float(f64),
        }
        Given::deserialize(deserializer).map(|given| match given {
            Given::Whole(whole) => whole.into(),
            Given::Large(large) => large.into(),
            Given::Float(float) => float.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn whole_numbers_stay_whole_until_they_have_no_room() {
        let json = |number: Number| serde_json::to_string(&number).unwrap();
        assert_eq!(json(Number::from(20_u8)), "20");
        assert_eq!(json(Number::from(20.0)), "20.0");
        assert_eq!(json(Number::from(1e300)), "1e+300");
        assert_eq!(json(Number::from(-3) + Number::from(5_u64)), "2");
        assert_eq!(json(Number::from(i64::MAX) + Number::from(1)), "9.223372036854776e+18");
        assert_eq!(json(Number::from(u64::MAX)), "1.8446744073709552e+19");
        assert_eq!(
            json(Number::from(1_i64 << 40) * Number::from(1_i64 << 40)),
            "1.2089258196146292e+24"
        );
        for text in ["0", "-7", "0.5", "18446744073709551615"] {
            let read: Number = serde_json::from_str(text).unwrap();
            assert_eq!(read.as_f64(), text.parse::<f64>().unwrap());
        }
        assert!(serde_json::from_str::<Number>("\"1\"").is_err());
    }

    #[test]
    fn times_are_floored_to_their_period() {
        for (time, period, expected) in [
            (1_419_302_671, 60, 1_419_302_640),
            (1_419_302_671, 0, 1_419_302_671),
            (1_419_302_671, u64::MAX, 1_419_302_671),
            (0, 60, 0),
            (-1, 60, -60),
            (i64::MIN, 60, i64::MIN),
            (4_102_444_800, 86_400, 4_102_444_800),
        ] {
            assert_eq!(Number::floor_to(time, period), expected);
        }
    }
}
