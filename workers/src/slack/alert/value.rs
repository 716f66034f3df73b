//! The number of a series in a window that a rule compares.
//!
//! Pure.

use crate::slack::format::{number, seconds};
use serde::{Deserialize, Serialize};
use zibrato::window::{Fold, Series};
use zibrato::{Kind, Percentile};

/// How a window of a series becomes one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Average,
    Count,
    Last,
    Max,
    Min,
    P50,
    P95,
    P99,
    Rate,
    Sum,
}

/// The words in rules, in alphabetical order.
pub(super) const FUNCTIONS: [(&str, Function); 10] = [
    ("average", Function::Average),
    ("count", Function::Count),
    ("last", Function::Last),
    ("max", Function::Max),
    ("min", Function::Min),
    ("p50", Function::P50),
    ("p95", Function::P95),
    ("p99", Function::P99),
    ("rate", Function::Rate),
    ("sum", Function::Sum),
];

/// The words for kinds in rules and in state.
pub(super) const KINDS: [(&str, Kind); 5] = [
    ("counter", Kind::Counter),
    ("gauge", Kind::Gauge),
    ("histogram", Kind::Histogram),
    ("set", Kind::Set),
    ("timer", Kind::Timer),
];

/// The word for a kind.
pub(super) fn kind_word(kind: Kind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("unknown", |(word, _)| *word)
}

impl Function {
    /// The function of a rule that names none.
    pub(super) const fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Sum,
            Kind::Set => Self::Count,
            Kind::Histogram | Kind::Timer => Self::Average,
            // A gauge, or a kind that a later version may add.
            _ => Self::Last,
        }
    }

    /// The value of a known series without readings in a window: 0 for what counts readings, otherwise
    /// unknown.
    pub(super) const fn of_silence(self, kind: Kind) -> Option<f64> {
        match (kind, self) {
            (Kind::Counter | Kind::Set, _)
            | (Kind::Histogram | Kind::Timer, Self::Count | Self::Rate) => Some(0.0),
            _ => None,
        }
    }
}

/// The statistics of one series in one window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) kind: Kind,
    pub(super) unit: Option<Box<str>>,
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) last: f64,
    /// The 50th, 95th and 99th percentile.
    pub(super) percentiles: [f64; 3],
}

impl Reading {
    /// The statistics of a series; `None` if it has no reading.
    pub(super) fn of(series: &Series) -> Option<Self> {
        let kind = series.value.kind();
        let unit = series.value.unit().map(Box::from);
        let single = |value: f64, count: f64| Self {
            kind,
            unit: None,
            count,
            sum: value,
            min: value,
            max: value,
            last: value,
            percentiles: [value; 3],
        };
        if let Some(summary) = series.value.summary() {
            let percentile = |of| summary.percentile(of).unwrap_or_else(|| summary.max());
            let percentiles = [Percentile::MEDIAN, Percentile::P95, Percentile::P99];
            return (!summary.is_empty()).then(|| Self {
                kind,
                unit,
                count: summary.count() as f64,
                sum: summary.sum(),
                min: summary.min(),
                max: summary.max(),
                last: summary.mean(),
                percentiles: percentiles.map(percentile),
            });
        }
        match &series.value {
            Fold::Counter(sum) => Some(single(*sum, *sum)),
            Fold::Set(members) => Some(single(members.len() as f64, members.len() as f64)),
            Fold::Gauge(Some(gauge)) => Some(Self {
                count: gauge.count as f64,
                sum: gauge.sum,
                min: gauge.min,
                max: gauge.max,
                ..single(gauge.last, 1.0)
            }),
            _ => None,
        }
    }

    /// The number that a function makes of it, in a window of this length; `None` if the kind has
    /// no such number.
    pub(super) fn value(&self, function: Function, length_ms: u64) -> Option<f64> {
        let is_distribution = matches!(self.kind, Kind::Histogram | Kind::Timer);
        let is_gauge = self.kind == Kind::Gauge;
        let has_range = is_distribution || is_gauge;
        let [p50, p95, p99] = self.percentiles;
        match function {
            Function::Average if has_range && self.count > 0.0 => Some(self.sum / self.count),
            Function::Count => Some(self.count),
            Function::Last if is_gauge => Some(self.last),
            Function::Max if has_range => Some(self.max),
            Function::Min if has_range => Some(self.min),
            Function::P50 if is_distribution => Some(p50),
            Function::P95 if is_distribution => Some(p95),
            Function::P99 if is_distribution => Some(p99),
            Function::Rate if !is_gauge => Some(self.count / (length_ms.max(1) as f64 / 1000.0)),
            Function::Sum => Some(self.sum),
            _ => None,
        }
        .filter(|value| value.is_finite())
    }
}

/// What the numbers of a rule and a series are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Unit {
    /// A number without a unit.
    #[default]
    None,
    /// Seconds, shown as `231 ms`.
    Seconds,
    /// A number per second.
    PerSecond,
    /// The unit of a histogram.
    Named(Box<str>),
}

impl Unit {
    pub(super) fn of(kind: Kind, function: Function, unit: Option<&str>) -> Self {
        match (function, kind, unit) {
            (Function::Count, ..) => Self::None,
            (Function::Rate, ..) => Self::PerSecond,
            (_, Kind::Timer, _) => Self::Seconds,
            (.., Some(unit)) => Self::Named(Box::from(unit)),
            (.., None) => Self::None,
        }
    }

    /// A number with its unit.
    pub(super) fn show(&self, value: f64) -> String {
        match self {
            Self::None => number(value),
            Self::Seconds => seconds(value),
            Self::PerSecond => format!("{}/s", number(value)),
            Self::Named(unit) => format!("{} {unit}", number(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Function, Kind, Reading, Unit};
    use zibrato::window::Window;
    use zibrato::wire::Line;

    fn reading(lines: &[&str]) -> Reading {
        let mut window = Window::new(0, 60_000, 10);
        for line in lines {
            window.fold_line(&Line::decode(format!("info|{line}").as_bytes()).unwrap());
        }
        Reading::of(&window.into_series()[0]).unwrap()
    }

    #[test]
    fn each_kind_has_its_functions() {
        use Function::{Average, Count, Last, Max, Min, P99, Rate, Sum};
        let counter = reading(&["c|n|90|1|a", "c|n|30|1|a"]);
        let gauge = reading(&["g|n|4|1|a", "g|n|2|2|a"]);
        let timer = reading(&["t|n|1|1|a", "t|n|3|1|a"]);
        let set = reading(&["s|n|ann|1|a", "s|n|bob|1|a"]);
        for (of, function, value) in [
            (&counter, Sum, Some(120.0)),
            (&counter, Rate, Some(2.0)),
            (&counter, Average, None),
            (&counter, P99, None),
            (&gauge, Last, Some(2.0)),
            (&gauge, Max, Some(4.0)),
            (&gauge, Average, Some(3.0)),
            (&gauge, Rate, None),
            (&timer, Average, Some(2.0)),
            (&timer, Min, Some(1.0)),
            (&timer, Count, Some(2.0)),
            (&timer, Last, None),
            (&set, Count, Some(2.0)),
        ] {
            assert_eq!(of.value(function, 60_000), value, "{function:?} of {:?}", of.kind);
        }
    }

    #[test]
    fn silence_is_zero_where_things_are_counted() {
        assert_eq!(Function::Sum.of_silence(Kind::Counter), Some(0.0));
        assert_eq!(Function::Count.of_silence(Kind::Timer), Some(0.0));
        assert_eq!(Function::Average.of_silence(Kind::Timer), None);
        assert_eq!(Function::Last.of_silence(Kind::Gauge), None);
    }

    #[test]
    fn numbers_have_the_unit_of_their_series() {
        let unit = |kind, function, unit| Unit::of(kind, function, unit);
        assert_eq!(unit(Kind::Timer, Function::P99, None).show(0.231), "231 ms");
        assert_eq!(unit(Kind::Timer, Function::Count, None).show(7.0), "7");
        assert_eq!(unit(Kind::Counter, Function::Rate, None).show(2.5), "2.5/s");
        assert_eq!(unit(Kind::Histogram, Function::Max, Some("kB")).show(2.5), "2.5 kB");
        assert_eq!(unit(Kind::Gauge, Function::Last, None).show(231.0), "231");
    }
}
