//! The statistics of a timer or histogram that Carbon gets, each with its own name: `count`, `mean`, `p99` …
//!
//! Pure.

use std::fmt;
use std::str::FromStr;
use zibrato::{Percentile, Summary};

/// Maximum number of parts.
const MAX_PARTS: usize = 32;

/// The statistics of a timer or histogram that are delivered, such as `count,mean,p99.9`.
///
/// Defaults to `count,sum,mean,min,max,p50,p95,p99,stddev`.
///
/// ```
/// use zibrato_workers::carbon::TimerParts;
/// assert_eq!("count, p99.9".parse::<TimerParts>().unwrap().to_string(), "count,p99.9");
/// assert!("median".parse::<TimerParts>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TimerParts(Vec<NamedPart>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct NamedPart {
    part: Part,
    /// As one part of a path.
    name: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Count,
    Max,
    Mean,
    Min,
    /// Between 0 and 100, both excluded.
    Percentile(Percentile),
    Stddev,
    Sum,
}

impl Part {
    fn of(self, summary: &Summary) -> Option<f64> {
        match self {
            Self::Count => Some(summary.count() as f64),
            Self::Max => Some(summary.max()),
            Self::Mean => Some(summary.mean()),
            Self::Min => Some(summary.min()),
            Self::Percentile(percentile) => summary.percentile(percentile),
            Self::Stddev => Some(summary.stddev()),
            Self::Sum => Some(summary.sum()),
        }
    }

    fn named(self) -> NamedPart {
        // A dot would begin a new part of the path.
        NamedPart { part: self, name: self.to_string().replace('.', "_").into() }
    }

    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "count" => Self::Count,
            "max" => Self::Max,
            "mean" => Self::Mean,
            "min" => Self::Min,
            "stddev" => Self::Stddev,
            "sum" => Self::Sum,
            _ => {
                let percentile: Percentile = word.strip_prefix('p')?.parse().ok()?;
                let inside = !percentile.is_zero() && !percentile.is_hundred();
                return inside.then_some(Self::Percentile(percentile));
            }
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Max => f.write_str("max"),
            Self::Mean => f.write_str("mean"),
            Self::Min => f.write_str("min"),
            Self::Percentile(percentile) => write!(f, "p{percentile}"),
            Self::Stddev => f.write_str("stddev"),
            Self::Sum => f.write_str("sum"),
        }
    }
}

impl TimerParts {
    /// The name of each part, as one part of a path, and its value. Parts without a value are
    /// omitted.
    pub(super) fn of(&self, summary: &Summary) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().filter_map(|NamedPart { part, name }| Some((&**name, part.of(summary)?)))
    }

    /// The names of the parts, each as one part of a path.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|part| &*part.name)
    }

    /// Whether some part has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    /// The index of the part with this name.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.names().position(|part| part == name)
    }
}

impl Default for TimerParts {
    fn default() -> Self {
        let percentiles =
            [Percentile::MEDIAN, Percentile::P95, Percentile::P99].map(Part::Percentile);
        let mut parts = vec![Part::Count, Part::Sum, Part::Mean, Part::Min, Part::Max];
        parts.extend(percentiles);
        parts.push(Part::Stddev);
        Self(parts.into_iter().map(Part::named).collect())
    }
}

impl FromStr for TimerParts {
    type Err = TimerPartsError;

    fn from_str(text: &str) -> Result<Self, TimerPartsError> {
        let mut parts = Vec::new();
        for word in text.split(',').map(str::trim) {
            let part = Part::read(word)
                .ok_or_else(|| TimerPartsError::Unknown { part: word.to_owned() })?;
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        if parts.len() > MAX_PARTS {
            return Err(TimerPartsError::TooMany);
        }
        Ok(Self(parts.into_iter().map(Part::named).collect()))
    }
}

impl fmt::Display for TimerParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, NamedPart { part, .. }) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{part}")?;
        }
        Ok(())
    }
}

/// Why a text is not a list of parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimerPartsError {
    /// There are more than 32.
    #[error("expected at most 32 parts")]
    TooMany,
    /// There is no such part.
    #[error(
        "unknown part `{part}`; parts are count, sum, mean, min, max, stddev, and percentiles such \
         as p50 and p99.9"
    )]
    Unknown {
        /// The unknown part.
        part: String,
    },
}

#[cfg(test)]
mod tests {
    use super::TimerParts;

    #[test]
    fn the_default_is_what_the_documentation_says() {
        let text = "count,sum,mean,min,max,p50,p95,p99,stddev";
        assert_eq!(TimerParts::default().to_string(), text);
        assert_eq!(text.parse(), Ok(TimerParts::default()));
    }

    #[test]
    fn an_unknown_part_is_rejected() {
        for bad in ["", "count,", "median", "p", "p0", "p100", "p-1", "pnan", "p1e1", "P50", "p.."]
        {
            assert!(bad.parse::<TimerParts>().is_err(), "{bad:?}");
        }
        let many: Vec<_> = (1..34).map(|n| format!("p{n}")).collect();
        assert!(many.join(",").parse::<TimerParts>().is_err());
    }

    #[test]
    fn a_percentile_with_a_fraction_is_one_part_of_a_path() {
        let summary = [1.0, 2.0].into_iter().collect();
        let parts: TimerParts = "p99.9,count,count".parse().unwrap();
        let names: Vec<_> = parts.of(&summary).map(|(name, _)| name).collect();
        assert_eq!(names, ["p99_9", "count"]);
        assert!(parts.has("p99_9") && !parts.has("p99"));
    }

    #[test]
    fn a_percentile_is_read_exactly_and_once() {
        let summary = (1..=1000).map(f64::from).map(|n| if n < 1000.0 { 1e-9 } else { 3600.0 });
        let parts: TimerParts = "p99.9,p99.90,p7,p99.99".parse().unwrap();
        let summary = summary.collect();
        let numbers: Vec<_> = parts.of(&summary).collect();
        assert_eq!(numbers, [("p99_9", 1e-9), ("p7", 1e-9), ("p99_99", 3600.0)]);
    }
}
