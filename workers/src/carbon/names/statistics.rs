//! The lists of flags about StatsD's names: statistics, percentiles, prefixes, bins.
//!
//! Pure.

use super::words::StatsdLike;
use crate::carbon::name;
use std::fmt;
use std::str::FromStr;

/// Maximum number of percentiles, and of limits of bins in all.
const MAX_THRESHOLDS: usize = 16;
const MAX_LIMITS: usize = 256;

/// A statistic of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statistic {
    Count,
    CountPs,
    Lower,
    Mean,
    Median,
    Std,
    Sum,
    SumSquares,
    Upper,
}

impl Statistic {
    const ALL: [Self; 9] = [
        Self::Count,
        Self::CountPs,
        Self::Lower,
        Self::Mean,
        Self::Median,
        Self::Std,
        Self::Sum,
        Self::SumSquares,
        Self::Upper,
    ];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::CountPs => "count_ps",
            Self::Lower => "lower",
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Std => "std",
            Self::Sum => "sum",
            Self::SumSquares => "sum_squares",
            Self::Upper => "upper",
        }
    }
}

/// The statistics that StatsD's names have for each timer, such as `mean,upper,count_ps`.
///
/// ```
/// use zibrato_workers::carbon::Statistics;
/// assert!("mean, upper".parse::<Statistics>().is_ok());
/// assert!("p99".parse::<Statistics>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics(Vec<Statistic>);

impl Statistics {
    /// Those of a program.
    pub(super) fn of(like: StatsdLike) -> Self {
        use Statistic::{Count, CountPs, Lower, Mean, Upper};
        match like {
            StatsdLike::Bucky => Self(vec![Mean, Upper, Lower, Count, CountPs]),
            StatsdLike::BuckyNext | StatsdLike::Statsd => Self(Statistic::ALL.to_vec()),
        }
    }

    pub(super) fn has(&self, statistic: Statistic) -> bool {
        self.0.contains(&statistic)
    }
}

impl FromStr for Statistics {
    type Err = StatsdListError;

    fn from_str(text: &str) -> Result<Self, StatsdListError> {
        let read = |word: &str| {
            let found = Statistic::ALL.into_iter().find(|statistic| statistic.word() == word);
            found.ok_or_else(|| StatsdListError::Statistic { word: word.to_owned() })
        };
        text.split(',').map(str::trim).map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|one| one.word()).collect::<Vec<_>>().join(","))
    }
}

/// The share of the smallest readings that has statistics of its own, in percent. A negative one is
/// a share of the largest readings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Threshold {
    text: String,
    pub(super) percent: f64,
}

impl Threshold {
    /// As a part of names: `90`, `99_9`, `top10`.
    pub(super) fn word(&self, like: StatsdLike) -> String {
        match like {
            StatsdLike::Bucky | StatsdLike::BuckyNext => {
                self.text.split('.').next().unwrap_or_default().to_owned()
            }
            StatsdLike::Statsd => self.text.replace('.', "_").replace('-', "top"),
        }
    }
}

/// A list of percentiles of StatsD's names, such as `90,99.9`. Defaults to `90`.
#[derive(Debug, Clone, PartialEq)]
pub struct Percentiles(pub(super) Vec<Threshold>);

impl Default for Percentiles {
    fn default() -> Self {
        Self(vec![Threshold { text: "90".to_owned(), percent: 90.0 }])
    }
}

impl FromStr for Percentiles {
    type Err = StatsdListError;

    fn from_str(text: &str) -> Result<Self, StatsdListError> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let mut all: Vec<Threshold> = Vec::new();
        for word in text.split(',').map(str::trim) {
            let wrong = || StatsdListError::Percentile { word: word.to_owned() };
            let is_decimal =
                word.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
            let percent: f64 = word.parse().map_err(|_| wrong())?;
            if !is_decimal || percent == 0.0 || percent.abs() > 100.0 {
                return Err(wrong());
            }
            all.push(Threshold { text: word.to_owned(), percent });
        }
        if all.len() > MAX_THRESHOLDS { Err(StatsdListError::TooMany) } else { Ok(Self(all)) }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.0.iter().map(|one| &*one.text).collect::<Vec<_>>().join(","))
    }
}

/// The parts before names in StatsD's newer namespace.
///
/// Defaults to `global=stats,counter=counters,timer=timers,gauge=gauges,set=sets`. A list changes
/// the parts that it names; an empty part is omitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefixes {
    pub(super) global: String,
    pub(super) all: KindPrefixes,
}

/// The parts that depend on the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KindPrefixes {
    pub(super) counter: String,
    pub(super) gauge: String,
    pub(super) set: String,
    pub(super) timer: String,
}

impl Default for Prefixes {
    fn default() -> Self {
        let [counter, gauge, set, timer] =
            ["counters", "gauges", "sets", "timers"].map(str::to_owned);
        Self { global: "stats".to_owned(), all: KindPrefixes { counter, gauge, set, timer } }
    }
}

impl FromStr for Prefixes {
    type Err = StatsdListError;

    fn from_str(text: &str) -> Result<Self, StatsdListError> {
        let mut prefixes = Self::default();
        for item in text.split(',').map(str::trim) {
            let wrong = || StatsdListError::Prefix { item: item.to_owned() };
            let (word, part) = item.split_once('=').ok_or_else(wrong)?;
            if name::prefix(part) != part {
                return Err(wrong());
            }
            *match word {
                "global" => &mut prefixes.global,
                "counter" => &mut prefixes.all.counter,
                "gauge" => &mut prefixes.all.gauge,
                "set" => &mut prefixes.all.set,
                "timer" => &mut prefixes.all.timer,
                _ => return Err(wrong()),
            } = part.to_owned();
        }
        Ok(prefixes)
    }
}

impl fmt::Display for Prefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { global, all: KindPrefixes { counter, gauge, set, timer } } = self;
        write!(f, "global={global},counter={counter},timer={timer},gauge={gauge},set={set}")
    }
}

/// The bins in which readings of timers are counted, such as `api=50:100:inf`: for timers whose name
/// contains `api`, the readings below 50, those from 50 to below 100, and the rest. The first entry
/// that applies is used. Defaults to none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bins(Vec<(String, Vec<(f64, String)>)>);

impl Bins {
    /// The upper limits of the bins of a timer, ascending, and how they are written in names.
    pub(super) fn of(&self, name: &str) -> &[(f64, String)] {
        let found = self.0.iter().find(|(part, _)| name.contains(&**part));
        found.map_or(&[], |(_, limits)| limits)
    }
}

impl FromStr for Bins {
    type Err = StatsdListError;

    fn from_str(text: &str) -> Result<Self, StatsdListError> {
        let mut bins = Vec::new();
        for item in text.split(',').map(str::trim) {
            let wrong = || StatsdListError::Bins { item: item.to_owned() };
            let (part, limits) = item.split_once('=').ok_or_else(wrong)?;
            let read = |word: &str| match word {
                "inf" => Some((f64::INFINITY, word.to_owned())),
                _ => {
                    let limit = word.parse().ok().filter(|limit: &f64| limit.is_finite())?;
                    let written = word.replace('.', "_");
                    (name::prefix(&written) == written).then_some((limit, written))
                }
            };
            let limits: Option<Vec<_>> = limits.split(':').map(read).collect();
            let limits = limits.ok_or_else(wrong)?;
            if !limits.is_sorted_by(|a, b| a.0 < b.0) {
                return Err(wrong());
            }
            bins.push((part.to_owned(), limits));
        }
        let all: usize = bins.iter().map(|(_, limits)| limits.len()).sum();
        if all > MAX_LIMITS { Err(StatsdListError::TooMany) } else { Ok(Self(bins)) }
    }
}

/// Why a text is not a list for StatsD's names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatsdListError {
    /// It is not an entry of bins.
    #[error(
        "`{item}` is not an entry; write TEXT=LIMIT:LIMIT with ascending numbers, such as \
         api=50:100:inf"
    )]
    Bins {
        /// The entry.
        item: String,
    },
    /// It is not a percentile.
    #[error(
        "`{word}` is not a percentile; write numbers up to 100, such as 90,99.9, or negative ones \
         for the largest readings, or `none`"
    )]
    Percentile {
        /// The word.
        word: String,
    },
    /// It is not a prefix.
    #[error(
        "`{item}` is not a prefix; write global=, counter=, timer=, gauge= or set=, and a text that \
         is valid in a path"
    )]
    Prefix {
        /// The item.
        item: String,
    },
    /// There is no such statistic.
    #[error(
        "unknown statistic `{word}`; statistics are mean, upper, lower, count, count_ps, sum, \
         sum_squares, median and std"
    )]
    Statistic {
        /// The word.
        word: String,
    },
    /// There are more than 16 percentiles, or 256 limits of bins.
    #[error("too many; at most 16 percentiles and 256 limits of bins are possible")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::super::words::StatsdLike;
    use super::{Bins, Percentiles, Prefixes, Statistics};

    #[test]
    fn lists_are_displayed_as_they_were_parsed() {
        assert_eq!("upper, mean".parse::<Statistics>().unwrap().to_string(), "upper,mean");
        for text in ["90", "90,99.9,-10", "none"] {
            assert_eq!(text.parse::<Percentiles>().unwrap().to_string(), text);
        }
        assert_eq!(Percentiles::default().to_string(), "90");
        let changed = "global=,set=s.t".parse::<Prefixes>().unwrap().to_string();
        assert_eq!(changed, "global=,counter=counters,timer=timers,gauge=gauges,set=s.t");
        let all = Prefixes::default();
        assert_eq!(all.to_string().parse(), Ok(all));
    }

    #[test]
    fn a_percentile_is_written_as_each_program_writes_it() {
        let all: Percentiles = "90,99.9,-10".parse().unwrap();
        let words = |like| all.0.iter().map(|one| one.word(like)).collect::<Vec<_>>();
        assert_eq!(words(StatsdLike::Statsd), ["90", "99_9", "top10"]);
        assert_eq!(words(StatsdLike::BuckyNext), ["90", "99", "-10"]);
    }

    #[test]
    fn bins_belong_to_the_first_entry_that_applies() {
        let bins: Bins = "api=50:100.5:inf,=10".parse().unwrap();
        let words = |name| bins.of(name).iter().map(|(_, word)| &**word).collect::<Vec<_>>();
        assert_eq!((words("my.api.get"), words("db")), (vec!["50", "100_5", "inf"], vec!["10"]));
        assert!(Bins::default().of("db").is_empty());
    }

    #[test]
    fn errors_say_what_is_valid() {
        let many = |item: &str, times| vec![item; times].join(",");
        let limits: Vec<_> = (0..257).map(|limit| limit.to_string()).collect();
        for (error, part) in [
            ("".parse::<Statistics>().map(drop), "mean, upper, lower"),
            ("mean,p90".parse::<Statistics>().map(drop), "unknown statistic `p90`"),
            ("".parse::<Percentiles>().map(drop), "such as 90,99.9"),
            ("90,".parse::<Percentiles>().map(drop), "such as 90,99.9"),
            ("101".parse::<Percentiles>().map(drop), "`101` is not"),
            ("0".parse::<Percentiles>().map(drop), "`0` is not"),
            ("nan".parse::<Percentiles>().map(drop), "`nan` is not"),
            ("1e1".parse::<Percentiles>().map(drop), "`1e1` is not"),
            ("p90".parse::<Percentiles>().map(drop), "`p90` is not"),
            (many("90", 17).parse::<Percentiles>().map(drop), "at most 16"),
            ("stats".parse::<Prefixes>().map(drop), "global=, counter="),
            ("timers=x".parse::<Prefixes>().map(drop), "`timers=x` is not"),
            ("timer=a b".parse::<Prefixes>().map(drop), "`timer=a b` is not"),
            ("50:100".parse::<Bins>().map(drop), "api=50:100:inf"),
            ("a=100:50".parse::<Bins>().map(drop), "ascending"),
            ("a=50:50".parse::<Bins>().map(drop), "ascending"),
            ("a=x".parse::<Bins>().map(drop), "`a=x` is not"),
            ("a=nan".parse::<Bins>().map(drop), "`a=nan` is not"),
            (format!("a={}", limits.join(":")).parse::<Bins>().map(drop), "256 limits"),
        ] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
