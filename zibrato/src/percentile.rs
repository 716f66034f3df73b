//! A percentile as an exact decimal number, and its rank among a number of readings.
//!
//! A share such as 0.07 is not a binary fraction. `0.07 * 100.0` is a little more than 7, and its
//! ceiling is 8, which is one rank too high. So ranks are computed with integers.

use std::fmt;
use std::str::FromStr;

/// Limit on the significant digits of a percentile, as a number: they form a number below this one.
const MAX_DIGITS: u64 = 10_u64.pow(18);

/// Maximum number of decimals of a percentile; 10 to the power of `MAX_SCALE + 2` fits a `u128`. A
/// smaller percentile always has rank 1, because there are fewer than 2^64 readings.
const MAX_SCALE: u32 = 36;

/// A percentile from 0 to 100, exactly as it is written in decimal digits: `50`, `99.9`, `99.99`.
///
/// ```
/// use zibrato::Percentile;
/// let p7: Percentile = "7".parse().unwrap();
/// assert_eq!(p7.rank(100), 7);
/// let p99_9: Percentile = "99.9".parse().unwrap();
/// assert_eq!((p99_9.rank(1000), p99_9.to_string()), (999, "99.9".to_owned()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Percentile {
    // Invariant: digits / 10^scale is at most 100, digits is below MAX_DIGITS, scale at most
    // MAX_SCALE, and digits does not end in a zero unless scale is 0.
    digits: u64,
    scale: u32,
}

impl Percentile {
    /// The 50th percentile.
    pub const MEDIAN: Self = Self { digits: 50, scale: 0 };
    /// The 95th percentile.
    pub const P95: Self = Self { digits: 95, scale: 0 };
    /// The 99th percentile.
    pub const P99: Self = Self { digits: 99, scale: 0 };

    /// The percentile for a share from 0 to 1. The share is read as the shortest decimal number
    /// that has this double: `0.999` is 999/1000, although the double is a little less. `None` if
    /// it is not in 0 to 1.
    ///
    /// ```
    /// use zibrato::Percentile;
    /// assert_eq!(Percentile::of_share(0.999), "99.9".parse().ok());
    /// assert_eq!(Percentile::of_share(1.1), None);
    /// ```
    #[must_use]
    pub fn of_share(share: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&share) {
            return None;
        }
        // The shortest digits that give the same double, and an exponent: `9.99e-1`.
        let text = format!("{:e}", share.abs());
        let (mantissa, exponent) = text.split_once('e')?;
        let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let digits = mantissa.replace('.', "").parse().ok()?;
        let exponent = exponent.parse::<i32>().ok()? + 2 - i32::try_from(decimals).ok()?;
        let power = 10_u64.checked_pow(exponent.max(0).unsigned_abs())?;
        Self::new(u64::checked_mul(digits, power)?, exponent.min(0).unsigned_abs())
    }

    /// The rank of this percentile among `count` readings in ascending order, counted from 1: the
    /// nearest rank, `ceil(count * percentile / 100)`, and at least 1. 0 if there is no reading.
    #[must_use]
    pub fn rank(self, count: u64) -> u64 {
        // Below 2^64 * 10^18, and at most 10^38.
        let (part, whole) = (u128::from(count) * u128::from(self.digits), self.power(2));
        u64::try_from(part.div_ceil(whole)).unwrap_or(count).clamp(count.min(1), count)
    }

    /// Whether it is 0: the smallest reading.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// Whether it is 100: the largest reading.
    #[must_use]
    pub const fn is_hundred(self) -> bool {
        self.digits == 100 && self.scale == 0
    }

    /// `None` above 100, or when it has too many digits.
    fn new(mut digits: u64, mut scale: u32) -> Option<Self> {
        while scale > 0 && digits.is_multiple_of(10) {
            (digits, scale) = (digits / 10, scale - 1);
        }
        if scale > MAX_SCALE && digits < MAX_DIGITS {
            // Rank 1 of any number of readings.
            (digits, scale) = (1, MAX_SCALE);
        }
        let new = Self { digits, scale };
        let inside = digits < MAX_DIGITS && u128::from(digits) <= new.power(2);
        inside.then_some(new)
    }

    /// 10 to the power of `scale + more`.
    const fn power(self, more: u32) -> u128 {
        10_u128.pow(self.scale + more)
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, one, width) = (u128::from(self.digits), self.power(0), self.scale as usize);
        match width {
            0 => write!(f, "{digits}"),
            _ => write!(f, "{}.{:0width$}", digits / one, digits % one),
        }
    }
}

/// Why a text is not a percentile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a percentile is a decimal number from 0 to 100 with at most 17 digits, such as 99.9")]
#[non_exhaustive]
pub struct PercentileError;

impl FromStr for Percentile {
    type Err = PercentileError;

    fn from_str(text: &str) -> Result<Self, PercentileError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(decimals) || whole.len() + decimals.len() == 0 {
            return Err(PercentileError);
        }
        let decimals = decimals.trim_end_matches('0');
        let digits = format!("0{whole}{decimals}").parse().map_err(|_| PercentileError)?;
        let scale = u32::try_from(decimals.len()).ok().filter(|scale| *scale <= MAX_SCALE);
        scale.and_then(|scale| Self::new(digits, scale)).ok_or(PercentileError)
    }
}

#[cfg(test)]
mod tests {
    use super::Percentile;
    use proptest::prelude::*;

    /// `n` tenths of a percent, as text.
    fn tenths(n: u64) -> String {
        format!("{}.{}", n / 10, n % 10)
    }

    #[test]
    fn every_tenth_of_a_percent_has_the_rank_that_integers_give() {
        for n in 0..=1000 {
            let percentile: Percentile = tenths(n).parse().unwrap();
            let share: f64 = format!("{}.{:03}", n / 1000, n % 1000).parse().unwrap();
            assert_eq!(Percentile::of_share(share), Some(percentile), "{share}");
            for count in 1..=10_000 {
                assert_eq!(
                    percentile.rank(count),
                    (count * n).div_ceil(1000).max(1),
                    "{n} {count}"
                );
            }
        }
    }

    #[test]
    fn ranks_that_fall_on_a_whole_number_are_not_one_too_high() {
        for (text, count, rank) in [
            ("7", 100, 7),
            ("14", 100, 14),
            ("28", 100, 28),
            ("55", 100, 55),
            ("99.9", 1000, 999),
            ("99.99", 10_000, 9_999),
            ("99.999", 100_000, 99_999),
            ("0", 10, 1),
            ("100", 10, 10),
            ("50", 0, 0),
            ("100", u64::MAX, u64::MAX),
            ("50", u64::MAX, 1 << 63),
            ("99.999999999999999", u64::MAX, 18_446_744_073_709_551_431),
        ] {
            assert_eq!(text.parse::<Percentile>().unwrap().rank(count), rank, "{text} of {count}");
        }
    }

    #[test]
    fn a_percentile_is_written_as_it_was_read() {
        for (from, to) in [
            ("50", "50"),
            ("50.0", "50"),
            ("099.90", "99.9"),
            ("99.", "99"),
            (".5", "0.5"),
            ("0.05", "0.05"),
            ("000", "0"),
            ("100.000000000000000000000000000000000000000000", "100"),
        ] {
            assert_eq!(from.parse::<Percentile>().unwrap().to_string(), to);
        }
        for bad in [
            "",
            ".",
            "1.2.3",
            "-1",
            "+1",
            "1e1",
            "nan",
            "inf",
            "100.1",
            "101",
            " 5",
            "½",
            "99.99999999999999999",
            "99999999999999999999999999999999999999999",
        ] {
            assert!(bad.parse::<Percentile>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_parsed_as_the_shortest_decimal_number() {
        for (share, text) in [(0.07, "7"), (0.999, "99.9"), (1.0, "100"), (0.0, "0"), (0.5, "50")] {
            assert_eq!(Percentile::of_share(share), text.parse().ok(), "{share}");
        }
        for bad in [f64::NAN, -0.1, 1.000_000_1, f64::INFINITY] {
            assert_eq!(Percentile::of_share(bad), None, "{bad}");
        }
        for tiny in [5e-324, 1e-300, 1e-37] {
            assert_eq!(Percentile::of_share(tiny).unwrap().rank(u64::MAX), 1, "{tiny}");
        }
        assert!(Percentile::of_share(0.0).unwrap().is_zero());
        assert!(Percentile::of_share(1.0).unwrap().is_hundred());
    }

    proptest! {
        #[test]
        fn any_share_has_a_rank_near_the_product(share in 0.0..=1.0_f64, count in 1..1_000_000_u64) {
            let rank = Percentile::of_share(share).unwrap().rank(count);
            let product = share * count as f64;
            prop_assert!((rank as f64 - product) < 1.000_001 && rank as f64 >= product.floor());
        }
    }
}
