//! Parses durations such as `250ms` and `1.5s`.

/// The units with their nanoseconds; the first one is suggested.
const UNITS: [(&str, u64); 6] = [
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
    ("min", 60_000_000_000),
];

/// A day; no call takes longer.
const LONGEST: u64 = 86_400_000_000_000;

/// The value of `text` in seconds, or its problem as a predicate, to follow "this time …".
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.is_empty() {
        return Err(String::from("does not begin with a number: write it as in `\"250ms\"`"));
    }
    if unit.is_empty() {
        return Err(format!("has no unit: write `\"{number}ms\"` or `\"{number}s\"`"));
    }
    let Some((_, nanoseconds)) = UNITS.iter().find(|(word, _)| *word == unit) else {
        let trimmed = unit.trim();
        if unit != trimmed && UNITS.iter().any(|(word, _)| *word == trimmed) {
            return Err(format!("contains a space: write `\"{number}{trimmed}\"`"));
        }
        return Err(format!(
            "has the unknown unit `{unit}`; the units are `ns`, `us`, `ms`, `s` and `min`, as in `\"250ms\"`"
        ));
    };
    let all = exactly(number, *nanoseconds)?;
    match all {
        0 => Err(String::from("is zero, so every call would be slow; write a longer one")),
        all if all > LONGEST => Err(String::from("is longer than a day; write a shorter one")),
        all => Ok(all as f64 / 1e9),
    }
}

/// `number` times `unit`, without rounding.
fn exactly(number: &str, unit: u64) -> Result<u64, String> {
    let odd =
        || format!("begins with `{number}`, which is not a number: write it as in `\"1.5s\"`");
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(odd());
    }
    // A saturated value is still longer than a day.
    let mut all = whole.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(unit);
    let mut place = unit;
    for digit in fraction.bytes().map(|byte| u64::from(byte - b'0')) {
        if digit != 0 && !place.is_multiple_of(10) {
            return Err(String::from("has fractions of a nanosecond; round it"));
        }
        place /= 10;
        all = all.saturating_add(digit * place);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_exact() {
        for (text, expected) in [
            ("250ms", 0.25),
            ("1s", 1.0),
            ("1.5s", 1.5),
            ("50us", 50e-6),
            ("50µs", 50e-6),
            ("7ns", 7e-9),
            ("0.001us", 1e-9),
            ("2min", 120.0),
            ("0.1s", 0.1),
            ("1.000s", 1.0),
            ("86400s", 86_400.0),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_way_to_mend_it() {
        for (text, part) in [
            ("", "does not begin with a number"),
            ("fast", "does not begin with a number"),
            ("-1s", "does not begin with a number"),
            ("250", "`\"250ms\"` or `\"250s\"`"),
            ("250 ms", "write `\"250ms\"`"),
            ("1h", "the unknown unit `h`"),
            ("1S", "the unknown unit `S`"),
            ("1.s", "not a number"),
            (".5s", "not a number"),
            ("1.2.3s", "not a number"),
            (".s", "not a number"),
            ("0ms", "is zero"),
            ("0.5ns", "fractions of a nanosecond"),
            ("86401s", "longer than a day"),
            ("99999999999999999999999s", "longer than a day"),
        ] {
            let problem = seconds(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
