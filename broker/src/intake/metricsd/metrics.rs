//! The five kinds of metrics, and the statistics that they publish.

use super::ewma::{Rates, finite};
use super::reservoir::Reservoir;
use fastrand::Rng;

/// The percentiles of a histogram, with the ends of their names.
const PERCENTILES: [(f64, &str); 6] = [
    (75.0, ".perc_75"),
    (85.0, ".perc_85"),
    (90.0, ".perc_90"),
    (95.0, ".perc_95"),
    (99.0, ".perc_99"),
    (99.9, ".perc_99_9"),
];

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
    Meter,
    Timer,
}

impl MetricKind {
    /// Its name, for people.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Meter => "meter",
            Self::Timer => "timer",
        }
    }

    #[cfg(test)]
    pub(super) const ALL: [Self; 5] =
        [Self::Counter, Self::Gauge, Self::Histogram, Self::Meter, Self::Timer];

    /// The longest text that a statistic of this kind appends to the name.
    pub(super) const fn longest_ending(self) -> &'static str {
        match self {
            Self::Counter | Self::Gauge => "",
            Self::Histogram => ".perc_99_9",
            Self::Meter => ".rate_15m",
            Self::Timer => ".histo.perc_99_9",
        }
    }

    /// The maximum number of statistics that it publishes.
    pub(super) const fn statistics(self) -> usize {
        match self {
            Self::Counter | Self::Gauge => 1,
            Self::Histogram => 6 + PERCENTILES.len(),
            Self::Meter => 5,
            Self::Timer => Self::Meter.statistics() + Self::Histogram.statistics(),
        }
    }
}

/// A metric. Publishing does not reset it.
#[derive(Debug, Clone)]
pub(super) enum Metric {
    /// The sum of all updates.
    Counter(f64),
    /// The last update.
    Gauge(f64),
    /// The statistics of all updates.
    Histogram(Box<Histogram>),
    /// The rate of events. An update adds events.
    Meter(Box<Meter>),
    /// The rate of updates and the statistics of their values.
    Timer(Box<(Meter, Histogram)>),
}

/// Where statistics go: a part of the name, the end of the name, and the value.
pub(super) type Put<'a> = dyn FnMut(&'static str, &'static str, f64) + 'a;

impl Metric {
    pub(super) fn new(kind: MetricKind, now_ms: u64) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter(0.0),
            MetricKind::Gauge => Self::Gauge(0.0),
            MetricKind::Histogram => Self::Histogram(Box::default()),
            MetricKind::Meter => Self::Meter(Box::new(Meter::new(now_ms))),
            MetricKind::Timer => Self::Timer(Box::new((Meter::new(now_ms), Histogram::default()))),
        }
    }

    pub(super) const fn kind(&self) -> MetricKind {
        match self {
            Self::Counter(_) => MetricKind::Counter,
            Self::Gauge(_) => MetricKind::Gauge,
            Self::Histogram(_) => MetricKind::Histogram,
            Self::Meter(_) => MetricKind::Meter,
            Self::Timer(_) => MetricKind::Timer,
        }
    }

    /// Adds a finite value.
    pub(super) fn update(&mut self, value: f64, now_ms: u64, random: &mut Rng) {
        match self {
            Self::Counter(sum) => *sum = finite(*sum + value),
            Self::Gauge(last) => *last = value,
            Self::Histogram(histogram) => histogram.add(value, now_ms, random),
            Self::Meter(meter) => meter.add(value, now_ms),
            Self::Timer(timer) => {
                timer.0.add(1.0, now_ms);
                timer.1.add(value, now_ms, random);
            }
        }
    }

    /// Starts anew. A gauge keeps its value, and a timer the rate of its updates.
    pub(super) fn clear(&mut self, now_ms: u64) {
        match self {
            Self::Counter(sum) => *sum = 0.0,
            Self::Gauge(_) => {}
            Self::Histogram(histogram) => **histogram = Histogram::default(),
            Self::Meter(meter) => **meter = Meter::new(now_ms),
            Self::Timer(timer) => timer.1 = Histogram::default(),
        }
    }

    /// Gives all statistics at `now_ms`. One that has no value yet is left out.
    pub(super) fn statistics(&mut self, now_ms: u64, put: &mut Put<'_>) {
        match self {
            Self::Counter(value) | Self::Gauge(value) => put("", "", *value),
            Self::Histogram(histogram) => histogram.statistics("", put),
            Self::Meter(meter) => meter.statistics("", now_ms, put),
            Self::Timer(timer) => {
                timer.0.statistics(".calls", now_ms, put);
                timer.1.statistics(".histo", put);
            }
        }
    }
}

/// The rate of events.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    count: f64,
    since_ms: u64,
    rates: Rates,
}

impl Meter {
    const fn new(now_ms: u64) -> Self {
        Self { count: 0.0, since_ms: now_ms, rates: Rates::new(now_ms) }
    }

    fn add(&mut self, events: f64, now_ms: u64) {
        self.count = finite(self.count + events);
        self.rates.add(events, now_ms);
    }

    fn statistics(&mut self, part: &'static str, now_ms: u64, put: &mut Put<'_>) {
        put(part, ".count", self.count);
        let seconds = now_ms.saturating_sub(self.since_ms) as f64 / 1e3;
        if seconds > 0.0 {
            put(part, ".rate_avg", finite(self.count / seconds));
        }
        let averages = self.rates.averages(now_ms);
        let names = [".rate_1m", ".rate_5m", ".rate_15m"];
        for (name, rate) in names.into_iter().zip(averages.into_iter().flatten()) {
            put(part, name, rate);
        }
    }
}

/// The statistics of readings.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    deviation: Deviation,
    sample: Reservoir,
}

impl Histogram {
    fn add(&mut self, reading: f64, now_ms: u64, random: &mut Rng) {
        self.min = if self.count == 0 { reading } else { self.min.min(reading) };
        self.max = if self.count == 0 { reading } else { self.max.max(reading) };
        self.count += 1;
        self.sum = finite(self.sum + reading);
        self.deviation.add(reading);
        self.sample.add(reading, now_ms, random);
    }

    fn statistics(&self, part: &'static str, put: &mut Put<'_>) {
        put(part, ".count", self.count as f64);
        put(part, ".sum", self.sum);
        if self.count == 0 {
            return;
        }
        put(part, ".min", self.min);
        put(part, ".max", self.max);
        put(part, ".mean", self.sum / self.count as f64);
        put(part, ".stddev", self.deviation.standard());
        let sorted = self.sample.sorted();
        for (percent, name) in PERCENTILES {
            if let Some(value) = percentile(&sorted, percent) {
                put(part, name, value);
            }
        }
    }
}

/// The standard deviation, by Welford's algorithm. It starts anew with a reading whose distance is
/// too large to be squared.
#[derive(Debug, Clone, Default)]
struct Deviation {
    count: u64,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
}

impl Deviation {
    fn add(&mut self, reading: f64) {
        self.count += 1;
        let before = reading - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (reading - self.mean);
        if !self.squares.is_finite() || !self.mean.is_finite() {
            *self = Self { count: 1, mean: reading, squares: 0.0 };
        }
    }

    fn standard(&self) -> f64 {
        (self.squares / self.count.saturating_sub(1).max(1) as f64).sqrt()
    }
}

/// The percentile of ascending values, between the two that are next to its place. `None` if there
/// is no value.
fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let place = percent / 100.0 * (sorted.len() + 1) as f64;
    // A place is at most the number of values plus one, so it fits.
    let Some(below) = (place.floor() as usize).checked_sub(1) else { return Some(first) };
    Some(match (sorted.get(below), sorted.get(below + 1)) {
        (Some(lower), Some(upper)) => lower + place.fract() * finite(upper - lower),
        _ => last,
    })
}

#[cfg(test)]
mod tests {
    use super::{Metric, MetricKind, percentile};
    use fastrand::Rng;

    fn statistics(metric: &mut Metric, now_ms: u64) -> Vec<(String, f64)> {
        let mut all = Vec::new();
        metric
            .statistics(now_ms, &mut |part, end, value| all.push((format!("{part}{end}"), value)));
        all
    }

    fn names(metric: &mut Metric, now_ms: u64) -> Vec<String> {
        statistics(metric, now_ms).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_longest_ending_and_the_number_are_those_of_the_statistics() {
        for kind in MetricKind::ALL {
            let mut metric = Metric::new(kind, 0);
            metric.update(1.0, 0, &mut Rng::with_seed(1));
            let all = names(&mut metric, 5_000);
            let longest = all.iter().max_by_key(|name| name.len()).unwrap();
            assert_eq!(longest.len(), kind.longest_ending().len(), "{all:?}");
            assert!(all.iter().any(|name| name == kind.longest_ending()));
            assert_eq!((metric.kind(), all.len()), (kind, kind.statistics()));
        }
    }

    #[test]
    fn what_has_no_value_yet_is_left_out() {
        for (kind, expected) in [
            (MetricKind::Counter, &[""][..]),
            (MetricKind::Gauge, &[""]),
            (MetricKind::Histogram, &[".count", ".sum"]),
            (MetricKind::Meter, &[".count"]),
            (MetricKind::Timer, &[".calls.count", ".histo.count", ".histo.sum"]),
        ] {
            assert_eq!(names(&mut Metric::new(kind, 9), 9), expected);
        }
        let mut meter = Metric::new(MetricKind::Meter, 0);
        assert_eq!(names(&mut meter, 4_999), [".count", ".rate_avg"]);
        // A clock that was put back.
        assert_eq!(names(&mut Metric::new(MetricKind::Meter, 9_000), 1_000), [".count"]);
    }

    #[test]
    fn clear_starts_anew_except_for_gauges_and_calls() {
        let mut random = Rng::with_seed(1);
        for (kind, expected) in [
            (MetricKind::Counter, &[0.0][..]),
            (MetricKind::Gauge, &[3.0]),
            (MetricKind::Histogram, &[0.0, 0.0]),
            (MetricKind::Meter, &[0.0]),
            (MetricKind::Timer, &[1.0, 0.25, 0.0, 0.0]),
        ] {
            let mut metric = Metric::new(kind, 0);
            metric.update(3.0, 0, &mut random);
            metric.clear(4_000);
            let values: Vec<_> =
                statistics(&mut metric, 4_000).into_iter().map(|(_, value)| value).collect();
            assert_eq!(values, expected, "{kind:?}");
        }
    }

    #[test]
    fn a_mean_of_minus_one_does_not_change_the_deviation() {
        let mut histogram = Metric::new(MetricKind::Histogram, 0);
        let mut random = Rng::with_seed(1);
        [-2.0, 0.0, 5.0].iter().for_each(|value| histogram.update(*value, 0, &mut random));
        let all = statistics(&mut histogram, 0);
        assert_eq!(all[5].0, ".stddev");
        assert!((all[5].1 - 13.0_f64.sqrt()).abs() < 1e-12, "{all:?}");
    }

    #[test]
    fn large_updates_leave_all_statistics_finite_and_do_not_stay() {
        let mut random = Rng::with_seed(1);
        for kind in MetricKind::ALL {
            for updates in [[f64::MAX; 4], [f64::MIN; 4], [f64::MAX, f64::MIN, f64::MAX, 1e200]] {
                let mut metric = Metric::new(kind, 0);
                for (value, at) in updates.into_iter().zip([0, 1, 5_000, 10_000]) {
                    metric.update(value, at, &mut random);
                    let all = statistics(&mut metric, at + 1);
                    assert!(all.iter().all(|(_, value)| value.is_finite()), "{all:?}");
                }
            }
        }
        let mut counter = Metric::new(MetricKind::Counter, 0);
        [f64::MAX, f64::MAX].iter().for_each(|v| counter.update(*v, 0, &mut random));
        counter.update(f64::MIN, 0, &mut random);
        assert_eq!(statistics(&mut counter, 0)[0].1, 0.0);
        let mut histogram = Metric::new(MetricKind::Histogram, 0);
        [1e200, -1.0, 1.0].iter().for_each(|v| histogram.update(*v, 0, &mut random));
        assert_eq!(statistics(&mut histogram, 0)[5], (".stddev".to_owned(), 2.0_f64.sqrt()));
    }

    #[test]
    fn a_percentile_lies_between_the_values_next_to_its_place() {
        let ten: Vec<_> = (1..=10).map(f64::from).collect();
        for (percent, expected) in [
            (0.0, 1.0),
            (5.0, 1.0),
            (50.0, 5.5),
            (75.0, 8.25),
            (90.0, 9.9),
            (95.0, 10.0),
            (100.0, 10.0),
        ] {
            let found = percentile(&ten, percent).unwrap();
            assert!((found - expected).abs() < 1e-12, "{percent}: {found}");
        }
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(percentile(&[7.0], 0.1), Some(7.0));
    }
}
