//! Retentions: `10s:6h,1m:7d`, or `60:1440` with the number of points.
//!
//! Pure.

use crate::carbon::ini::IniError;

/// The units that Carbon knows, in seconds.
const UNITS: [(&str, u64); 6] =
    [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800), ("y", 31_536_000)];

/// One retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retention {
    /// Seconds from point to point, at least 1.
    seconds: u64,
    points: u64,
}

impl Retention {
    pub(super) const fn seconds(&self) -> u64 {
        self.seconds
    }

    const fn covers(&self) -> u64 {
        self.seconds.saturating_mul(self.points)
    }
}

/// Reads a list of retentions, which is in this line.
pub(super) fn read((text, line): (&str, usize)) -> Result<Vec<Retention>, IniError> {
    text.split(',').map(|text| one(text.trim(), line)).collect()
}

fn one(text: &str, line: usize) -> Result<Retention, IniError> {
    let wrong = |why: String| IniError::new(line, why);
    let form =
        || wrong(format!("`{text}` is not a retention; write `10s:6h`, or `60:1440` for points"));
    let (precision, length) = text.split_once(':').ok_or_else(form)?;
    let (number, unit) = measure(precision).ok_or_else(form)?;
    let known = |unit: &str| {
        let seconds = UNITS.into_iter().find(|(word, _)| *word == unit).map(|(_, seconds)| seconds);
        seconds
            .ok_or_else(|| wrong(format!("`{text}` has the unit `{unit}`; use s, m, h, d, w or y")))
    };
    let seconds = number.saturating_mul(known(if unit.is_empty() { "s" } else { unit })?);
    if seconds == 0 {
        return Err(wrong(format!("`{text}` has no time between points; use at least 1s")));
    }
    let (number, unit) = measure(length).ok_or_else(form)?;
    let points = match unit {
        "" => number,
        unit => number.saturating_mul(known(unit)?) / seconds,
    };
    if points == 0 {
        return Err(wrong(format!("`{text}` keeps no point; use a longer time after the colon")));
    }
    Ok(Retention { seconds, points })
}

/// A whole number and a unit, which may be empty.
fn measure(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let is_word = unit.chars().all(|c| c.is_ascii_lowercase());
    Some((number.parse().ok().filter(|_| is_word)?, unit))
}

/// Why whisper refuses these retentions together.
pub(super) fn conflict(retentions: &[Retention]) -> Option<String> {
    let mut all = retentions.to_vec();
    all.sort_by_key(Retention::seconds);
    all.windows(2).find_map(|pair| {
        let [fine, coarse] = pair else { return None };
        let (a, b) = (fine.seconds, coarse.seconds);
        if a == b {
            Some(format!("two retentions have a point every {a} s; remove one of them"))
        } else if b % a != 0 {
            Some(format!("{b} s is not a multiple of {a} s; change one of the retentions"))
        } else if coarse.covers() <= fine.covers() {
            Some(format!("the points of every {b} s are not kept longer than those of every {a} s"))
        } else if fine.points < b / a {
            Some(format!("too few points of every {a} s are kept for one of every {b} s"))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Retention, conflict, read};

    fn retentions(text: &str) -> Result<Vec<(u64, u64)>, String> {
        let all = read((text, 7)).map_err(|error| error.to_string())?;
        Ok(all.into_iter().map(|Retention { seconds, points }| (seconds, points)).collect())
    }

    #[test]
    fn both_forms_and_all_units_are_read() {
        for (text, expected) in [
            ("10s:6h,1m:7d", &[(10, 2_160), (60, 10_080)][..]),
            ("60:1440", &[(60, 1_440)]),
            ("60:90d", &[(60, 129_600)]),
            (" 1m:1w , 1h:1y ", &[(60, 10_080), (3_600, 8_760)]),
            ("1d:10y\n,2w:20y", &[(86_400, 3_650), (1_209_600, 521)]),
        ] {
            assert_eq!(retentions(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_retention_with_a_mistake_is_named_with_what_to_write() {
        for (text, expected) in [
            ("", "line 7: `` is not a retention; write `10s:6h`"),
            ("1m:7d,", "line 7: `` is not a retention"),
            ("10s", "`10s` is not a retention"),
            ("10s:6h:1d", "`10s:6h:1d` is not a retention"),
            ("-1s:6h", "`-1s:6h` is not a retention"),
            ("1.5s:6h", "`1.5s:6h` is not a retention"),
            ("10S:6h", "`10S:6h` is not a retention"),
            ("10sec:6h", "the unit `sec`; use s, m, h, d, w or y"),
            ("10s:6months", "the unit `months`; use s, m, h, d, w or y"),
            ("0s:6h", "`0s:6h` has no time between points; use at least 1s"),
            ("1h:60s", "`1h:60s` keeps no point; use a longer time after the colon"),
            ("10s:0", "`10s:0` keeps no point"),
        ] {
            let error = retentions(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn retentions_that_whisper_refuses_are_explained() {
        for (text, expected) in [
            ("10s:6h,1m:7d", None),
            ("1m:7d,10s:6h", None),
            ("60:1440,60:2880", Some("two retentions have a point every 60 s")),
            ("180s:7d,300s:30d", Some("300 s is not a multiple of 180 s")),
            ("10s:7d,1m:1d", Some("of every 60 s are not kept longer than those of every 10 s")),
            ("10s:30s,1m:1d", Some("too few points of every 10 s are kept for one of every 60 s")),
        ] {
            let found = conflict(&read((text, 1)).unwrap());
            let is_it = match (&found, expected) {
                (Some(found), Some(expected)) => found.contains(expected),
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(is_it, "{text}: {found:?}");
        }
    }
}
