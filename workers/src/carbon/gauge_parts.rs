//! The values of a gauge that Carbon gets: the last one under the plain name, the others with a
//! suffix such as `.max`.
//!
//! Pure.

use std::fmt;
use std::str::FromStr;
use zibrato::Gauge;

/// What the name of a gauge of calls in flight ends in; see `#[time_me(in_flight)]`.
const IN_FLIGHT: &str = ".in_flight";

/// The values of a gauge that are delivered, such as `last,max`.
///
/// Defaults to `last`, and to `last,max` for gauges of calls in flight, whose names end in
/// `.in_flight`: their bursts are often shorter than a window. A list that is given applies to all
/// gauges. `last` has the plain name; the others are further parts of it, such as
/// `queue.depth.max`.
///
/// ```
/// use zibrato_workers::carbon::GaugeParts;
/// assert!("last, max".parse::<GaugeParts>().is_ok());
/// let error = "last,median".parse::<GaugeParts>().unwrap_err();
/// assert_eq!(error.to_string(), "unknown part `median`; parts are last, min, max, mean and count");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaugeParts {
    // Invariant: neither is empty or has a part twice.
    all: Vec<GaugePart>,
    of_in_flight: Vec<GaugePart>,
}

/// One value of a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GaugePart {
    Count,
    Last,
    Max,
    Mean,
    Min,
}

impl GaugePart {
    const ALL: [Self; 5] = [Self::Count, Self::Last, Self::Max, Self::Mean, Self::Min];

    /// The further part of the name; empty for the plain name.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Last => "",
            other => other.word(),
        }
    }

    pub(super) fn of(self, gauge: &Gauge) -> f64 {
        match self {
            Self::Count => gauge.count as f64,
            Self::Last => gauge.last,
            Self::Max => gauge.max,
            Self::Mean => gauge.mean(),
            Self::Min => gauge.min,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Last => "last",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::Min => "min",
        }
    }
}

impl GaugeParts {
    /// The parts of the gauge with this name, or with this path.
    pub(super) fn of(&self, name: &str) -> &[GaugePart] {
        if name.ends_with(IN_FLIGHT) { &self.of_in_flight } else { &self.all }
    }

    /// Whether some gauge may have a part with this suffix.
    pub(super) fn has(&self, suffix: &str) -> bool {
        self.all.iter().chain(&self.of_in_flight).any(|part| part.suffix() == suffix)
    }
}

impl Default for GaugeParts {
    fn default() -> Self {
        let of_in_flight = vec![GaugePart::Last, GaugePart::Max];
        Self { all: vec![GaugePart::Last], of_in_flight }
    }
}

impl FromStr for GaugeParts {
    type Err = GaugePartsError;

    fn from_str(text: &str) -> Result<Self, GaugePartsError> {
        let mut all = Vec::new();
        for word in text.split(',').map(str::trim) {
            let part = GaugePart::ALL.into_iter().find(|part| part.word() == word);
            let part = part.ok_or_else(|| GaugePartsError { part: word.to_owned() })?;
            if !all.contains(&part) {
                all.push(part);
            }
        }
        Ok(Self { of_in_flight: all.clone(), all })
    }
}

impl fmt::Display for GaugeParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.all.iter().map(|part| part.word()).collect();
        f.write_str(&words.join(","))
    }
}

/// A text is not a list of parts of a gauge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown part `{part}`; parts are last, min, max, mean and count")]
#[non_exhaustive]
pub struct GaugePartsError {
    /// The unknown part.
    pub part: String,
}

#[cfg(test)]
mod tests {
    use super::GaugeParts;

    fn suffixes(parts: &GaugeParts, name: &str) -> Vec<&'static str> {
        parts.of(name).iter().map(|part| part.suffix()).collect()
    }

    #[test]
    fn only_calls_in_flight_have_a_maximum_by_default() {
        let parts = GaugeParts::default();
        assert_eq!(suffixes(&parts, "queue.depth"), [""]);
        assert_eq!(suffixes(&parts, "shop.orders.in_flight"), ["", "max"]);
        assert_eq!(suffixes(&parts, "in_flight_orders"), [""]);
    }

    #[test]
    fn a_list_applies_to_all_gauges_and_names_each_part_once() {
        let parts: GaugeParts = "max, last,max ,count".parse().unwrap();
        for name in ["queue.depth", "shop.orders.in_flight"] {
            assert_eq!(suffixes(&parts, name), ["max", "", "count"]);
        }
        assert_eq!(parts.to_string(), "max,last,count");
    }

    #[test]
    fn an_unknown_part_is_rejected() {
        for bad in ["", ",", "last,", "sum", "p99", "Last", "last max", "last;max"] {
            let error = bad.parse::<GaugeParts>().unwrap_err().to_string();
            assert!(error.contains("last, min, max, mean and count"), "{bad:?}: {error}");
        }
    }
}
