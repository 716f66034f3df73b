//! Decimal numbers, as StatsD writes them.

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A finite decimal number: optional blanks around it, a sign, digits with an optional point, an
/// optional exponent. `None` for anything else, such as `nan`, `inf`, `0x10` or `1_000`.
pub(super) fn number(text: &[u8]) -> Option<f64> {
    if let Some(number) = short(text) {
        return Some(number);
    }
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Up to 15 digits, with an optional point and minus sign.
fn short(text: &[u8]) -> Option<f64> {
    let (is_negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let (number, length) = beginning(digits)?;
    if length < digits.len() {
        return None;
    }
    Some(if is_negative { -number } else { number })
}

/// The number at the beginning, of up to 15 digits with an optional point, and its length. Digits and
/// power of ten are exact, so their quotient is the nearest double.
#[inline]
pub(super) fn beginning(text: &[u8]) -> Option<(f64, usize)> {
    let (mut whole, mut length, mut point) = (0_u64, 0_usize, None);
    for byte in text.iter().take(POWERS.len() + 1) {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            whole = whole * 10 + u64::from(digit);
        } else if *byte == b'.' && point.is_none() {
            point = Some(length);
        } else {
            break;
        }
        length += 1;
    }
    let digits = length - usize::from(point.is_some());
    if digits == 0 || digits >= POWERS.len() {
        return None;
    }
    let whole = whole as f64;
    let number = match point {
        Some(point) => whole / POWERS[digits - point],
        None => whole,
    };
    Some((number, length))
}

#[cfg(test)]
mod tests {
    use super::{number, short};
    use proptest::prelude::*;

    #[test]
    fn decimal_numbers_are_accepted_and_all_others_are_not() {
        for (text, expected) in [
            ("1", 1.0),
            ("0", 0.0),
            ("320", 320.0),
            ("0.25", 0.25),
            ("-10", -10.0),
            ("+4", 4.0),
            (" 7 ", 7.0),
            ("1e3", 1000.0),
            ("1.5E-3", 0.0015),
            (".5", 0.5),
            ("5.", 5.0),
            ("123456789012345", 123_456_789_012_345.0),
            ("99999999999999999999", 1e20),
        ] {
            assert_eq!(number(text.as_bytes()), Some(expected), "{text:?}");
        }
        for text in [
            "",
            " ",
            "-",
            "+",
            ".",
            "-.",
            "abc",
            "nan",
            "NaN",
            "inf",
            "-inf",
            "Infinity",
            "0x10",
            "1_000",
            "1,5",
            "1e",
            "1e400",
            "--1",
            "1.2.3",
            "0.11  -0.05",
            "1 2",
            "\u{661}",
        ] {
            assert_eq!(number(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(number(b"1\xff"), None);
        assert!(number(b"-0").is_some_and(f64::is_sign_negative));
    }

    proptest! {
        #[test]
        fn short_numbers_are_those_of_the_standard_library(text in "-?[0-9]{0,9}\\.?[0-9]{0,7}") {
            if let Some(number) = short(text.as_bytes()) {
                prop_assert_eq!(number, text.parse::<f64>().unwrap());
            }
        }
    }
}
