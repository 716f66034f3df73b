//! The lines of a series as StatsD writes them, and its namespaces.
//!
//! Pure.
//!
//! ```text
//!            statsd                              statsd-legacy
//! counter    stats.counters.NAME.rate, .count    stats.NAME, stats_counts.NAME
//! timer      stats.timers.NAME.mean, …           the same
//! gauge      stats.gauges.NAME                   the same
//! set        stats.sets.NAME.count               the same
//! window     stats.numStats                      the same
//! ```

use super::distribution::{Distribution, Group};
use super::statistics::{Bins, Prefixes, Statistic, Statistics, Threshold};
use super::words::StatsdLike;
use zibrato::window::Fold;

/// One line: namespace, statistic, value.
pub(crate) type Line<'a> = (&'a str, String, f64);

/// How StatsD's lines are made.
#[derive(Debug, Clone)]
pub(crate) struct Statsd {
    pub(super) legacy: bool,
    pub(super) like: StatsdLike,
    pub(super) statistics: Statistics,
    pub(super) thresholds: Vec<Threshold>,
    pub(super) bins: Bins,
    pub(super) namespaces: Namespaces,
}

/// The texts before names.
#[derive(Debug, Clone)]
pub(super) struct Namespaces {
    /// In the older namespace, that of rates.
    counter: String,
    timer: String,
    gauge: String,
    set: String,
    numbers: String,
}

/// Prefix of the counts of counters in the older namespace.
const LEGACY_COUNTS: &str = "stats_counts";

impl Namespaces {
    pub(super) fn new(legacy: bool, like: StatsdLike, prefixes: &Prefixes) -> Self {
        if legacy {
            let [counter, timer, gauge, set] =
                ["stats", "stats.timers", "stats.gauges", "stats.sets"].map(str::to_owned);
            let numbers = if like == StatsdLike::Statsd { "statsd" } else { "stats" };
            return Self { counter, timer, gauge, set, numbers: numbers.to_owned() };
        }
        let all = &prefixes.all;
        let below = |part: &str| {
            let parts = [&*prefixes.global, part].into_iter().filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join(".")
        };
        let numbers = if like == StatsdLike::Statsd { below("statsd") } else { below("") };
        let [counter, gauge, set, timer] =
            [&all.counter, &all.gauge, &all.set, &all.timer].map(|part| below(part));
        Self { counter, timer, gauge, set, numbers }
    }
}

impl Statsd {
    /// The lines of a series with this name. `seconds` is the length of the window.
    pub(crate) fn lines(&self, name: &str, value: &Fold, seconds: f64) -> Vec<Line<'_>> {
        let of = &self.namespaces;
        match value {
            Fold::Counter(sum) if self.legacy => vec![
                (&of.counter, String::new(), sum / seconds),
                (LEGACY_COUNTS, String::new(), *sum),
            ],
            Fold::Counter(sum) => vec![
                (&of.counter, "rate".to_owned(), sum / seconds),
                (&of.counter, "count".to_owned(), *sum),
            ],
            Fold::Gauge(Some(gauge)) => vec![(&of.gauge, String::new(), gauge.last)],
            Fold::Set(members) => vec![(&of.set, "count".to_owned(), members.len() as f64)],
            _ => {
                let Some(summary) = value.summary() else { return Vec::new() };
                let in_seconds = matches!(value, Fold::Timer(_));
                let mut lines = Vec::new();
                let mut line = |statistic: String, number| {
                    lines.push((&*of.timer, statistic, number));
                };
                match Distribution::of(summary, in_seconds) {
                    Some(distribution) => self.timer(name, &distribution, seconds, &mut line),
                    None => self.counts(0.0, seconds, &mut line),
                }
                lines
            }
        }
    }

    /// The line that says how many series there are.
    pub(crate) fn number(&self, series: u64) -> Line<'_> {
        (&self.namespaces.numbers, "numStats".to_owned(), series as f64)
    }

    fn counts(&self, count: f64, seconds: f64, line: &mut impl FnMut(String, f64)) {
        for (statistic, number) in
            [(Statistic::Count, count), (Statistic::CountPs, count / seconds)]
        {
            if self.statistics.has(statistic) {
                line(statistic.word().to_owned(), number);
            }
        }
    }

    fn timer(
        &self,
        name: &str,
        all: &Distribution,
        seconds: f64,
        line: &mut impl FnMut(String, f64),
    ) {
        for threshold in &self.thresholds {
            if let Some(group) = self.group(threshold, all) {
                self.of_group(threshold, &group, line);
            }
        }
        let mut one = |statistic: Statistic, number| {
            if self.statistics.has(statistic) {
                line(statistic.word().to_owned(), number);
            }
        };
        // The old bucky ignores the largest readings here.
        let trimmed = self.thresholds.first().filter(|_| self.like == StatsdLike::Bucky);
        let trimmed = trimmed.and_then(|threshold| self.group(threshold, all));
        one(Statistic::Mean, trimmed.map_or_else(|| all.mean(), |group| group.mean()));
        one(Statistic::Upper, all.max);
        one(Statistic::Lower, all.min);
        one(Statistic::Sum, all.sum);
        one(Statistic::SumSquares, all.sum_squares);
        one(Statistic::Median, all.median());
        one(Statistic::Std, all.std);
        self.counts(all.count as f64, seconds, line);
        let mut from = f64::NEG_INFINITY;
        for (limit, word) in self.bins.of(name) {
            line(format!("histogram.bin_{word}"), all.between(from, *limit) as f64);
            from = *limit;
        }
    }

    /// The smallest readings, up to a threshold.
    fn group(&self, threshold: &Threshold, all: &Distribution) -> Option<Group> {
        let share = threshold.percent / 100.0 * all.count as f64;
        // Casts saturate, and there is no group if the number is below 1.
        match self.like {
            StatsdLike::Statsd | StatsdLike::Bucky if all.count == 1 => all.smallest(1),
            StatsdLike::Statsd if share < 0.0 => all.largest((-share + 0.5).floor() as u64),
            StatsdLike::Statsd => all.smallest((share + 0.5).floor() as u64),
            StatsdLike::Bucky | StatsdLike::BuckyNext => all.smallest(share.floor() as u64),
        }
    }

    fn of_group(&self, threshold: &Threshold, group: &Group, line: &mut impl FnMut(String, f64)) {
        let word = threshold.word(self.like);
        let upper = if threshold.percent < 0.0 { "lower" } else { "upper" };
        for (statistic, name, number) in [
            (Statistic::Count, "count", group.count as f64),
            (Statistic::Mean, "mean", group.mean()),
            (Statistic::Upper, upper, group.limit),
            (Statistic::Sum, "sum", group.sum),
            (Statistic::SumSquares, "sum_squares", group.sum_squares),
        ] {
            let is_known = self.like != StatsdLike::Bucky || statistic == Statistic::Upper;
            if is_known && self.statistics.has(statistic) {
                line(format!("{name}_{word}"), number);
            }
        }
    }
}

#[cfg(test)]
mod tests;
