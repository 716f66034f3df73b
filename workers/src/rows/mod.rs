//! Windows for people: a row for each series, with its rate, its percentiles and its last windows.
//!
//! ```
//! use zibrato::window::Window;
//! use zibrato::wire::Line;
//! use zibrato_workers::rows::{Rows, Table};
//!
//! let mut rows = Rows::new();
//! let mut window = Window::new(0, 10_000, 100);
//! window.fold_line(&Line::decode(b"info|c|logins|50|1|web-1").unwrap());
//! let all = rows.add(&window);
//! assert_eq!((all[0].count, all[0].rate), (50.0, Some(5.0)));
//! println!("{}", Table::of_window(&window).text(&all));
//! ```

mod history;
mod table;
pub mod text;

pub use self::history::Past;
pub use self::table::Table;

use self::history::History;
use std::borrow::Cow;
use std::cmp::Ordering;
use zibrato::window::{Fold, Series, Window, sparkline};
use zibrato::{Gauge, Kind, Percentile};

/// The readings of one series in a window.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Row<'a> {
    /// The series.
    pub series: &'a Series,
    /// The sum of a counter, the number of members of a set, or the number of readings.
    pub count: f64,
    /// The [`count`](Self::count) per second, of a counter, a timer or a histogram.
    pub rate: Option<f64>,
    /// The last reading of a gauge.
    pub last: Option<f64>,
    /// The mean of the readings; of a timer in seconds, of a histogram in its unit.
    pub mean: Option<f64>,
    /// The smallest reading.
    pub min: Option<f64>,
    /// The largest reading.
    pub max: Option<f64>,
    /// The last windows, including this one.
    pub past: Past,
}

impl<'a> Row<'a> {
    fn of(series: &'a Series, seconds: f64, past: Past) -> Self {
        let nothing = Row {
            series,
            count: 0.0,
            rate: None,
            last: None,
            mean: None,
            min: None,
            max: None,
            past,
        };
        let rate = |count: f64| (seconds > 0.0).then(|| count / seconds);
        if let Some(summary) = series.value.summary() {
            let count = summary.count() as f64;
            let some = |value: f64| (!summary.is_empty()).then_some(value);
            let (mean, min, max) = (some(summary.mean()), some(summary.min()), some(summary.max()));
            return Row { count, rate: rate(count), mean, min, max, ..nothing };
        }
        match &series.value {
            Fold::Counter(sum) => Row { count: *sum, rate: rate(*sum), ..nothing },
            Fold::Set(members) => Row { count: members.len() as f64, ..nothing },
            value => match gauge(value) {
                Some(gauge) => Row {
                    count: gauge.count as f64,
                    last: Some(gauge.last),
                    mean: Some(gauge.mean()),
                    min: Some(gauge.min),
                    max: Some(gauge.max),
                    ..nothing
                },
                None => nothing,
            },
        }
    }

    /// A percentile of a timer, in seconds, or of a histogram, in its unit.
    #[must_use]
    pub fn percentile(&self, percentile: Percentile) -> Option<f64> {
        self.series.value.summary()?.percentile(percentile)
    }

    /// The last windows as small bars; see [`sparkline`].
    #[must_use]
    pub fn sparkline(&self) -> String {
        sparkline(&self.past.values)
    }

    /// A value of this series for people: a timer's with a unit of time.
    #[must_use]
    pub fn shown(&self, value: f64) -> String {
        match self.series.value.kind() {
            Kind::Timer => text::duration(value),
            _ => text::number(value),
        }
    }

    /// The name, tags and unit: `db.query table=users`, `rows (bytes)`.
    #[must_use]
    pub fn label(&self) -> Cow<'a, str> {
        let Series { name, tags, value, .. } = self.series;
        if tags.is_empty() && value.unit().is_none() {
            return Cow::Borrowed(name);
        }
        let tags = tags.iter().map(|(tag, value)| format!(" {tag}={value}"));
        let unit = value.unit().map_or_else(String::new, |unit| format!(" ({unit})"));
        Cow::Owned(format!("{name}{}{unit}", tags.collect::<String>()))
    }
}

/// The readings of a gauge.
fn gauge(value: &Fold) -> Option<Gauge> {
    match value {
        Fold::Gauge(gauge) => *gauge,
        Fold::GaugeSeconds(seconds) => seconds.whole(),
        _ => None,
    }
}

/// Makes rows of windows, and remembers the values of earlier windows.
///
/// The values of 24 windows are kept, for at most 10,000 series. Further series have no history. A
/// series without a reading in 24 windows is forgotten.
#[derive(Debug, Default)]
pub struct Rows {
    history: History,
}

impl Rows {
    /// Without any history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The rows of a window, ordered by name. A gauge without a reading has none.
    pub fn add<'a>(&mut self, window: &'a Window) -> Vec<Row<'a>> {
        let (start_ms, length_ms) = (window.start_ms(), window.length_ms().max(1));
        let number = start_ms / length_ms;
        self.history.begin(number);
        let seconds = length_ms as f64 / 1e3;
        let rows = window.series().iter().filter_map(|series| {
            let past = self.history.record(series, number, drawn(&series.value)?);
            Some(Row::of(series, seconds, past))
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(order);
        rows
    }

    /// The rows of all readings of `seconds`, which may be several windows, with the history as it
    /// is.
    #[must_use]
    pub fn of_all<'a>(&self, all: &'a [Series], seconds: f64) -> Vec<Row<'a>> {
        let rows = all.iter().map(|series| Row::of(series, seconds, self.history.of(series)));
        let mut rows: Vec<_> = rows.filter(|row| drawn(&row.series.value).is_some()).collect();
        rows.sort_by(order);
        rows
    }
}

/// By name, then by source, kind and tags.
fn order(a: &Row<'_>, b: &Row<'_>) -> Ordering {
    let (a, b) = (a.series, b.series);
    let names = (&a.name, &a.source).cmp(&(&b.name, &b.source));
    names.then_with(|| (a.value.kind(), &a.tags).cmp(&(b.value.kind(), &b.tags)))
}

/// The value that stands for a window in the history: the sum of a counter, the number of members
/// of a set, the last reading of a gauge, or the mean of the readings. None if there was no reading.
fn drawn(value: &Fold) -> Option<f64> {
    if let Some(summary) = value.summary() {
        return (!summary.is_empty()).then(|| summary.mean());
    }
    match value {
        Fold::Counter(sum) => Some(*sum),
        Fold::Set(members) => Some(members.len() as f64),
        value => gauge(value).map(|gauge| gauge.last),
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;
    use zibrato::Percentile;
    use zibrato::window::Window;
    use zibrato::wire::Line;

    fn window(start_ms: u64, lines: &[&str]) -> Window {
        let mut window = Window::new(start_ms, 10_000, 100);
        lines.iter().for_each(|line| window.fold_line(&Line::decode(line.as_bytes()).unwrap()));
        window
    }

    #[test]
    fn each_kind_has_its_values() {
        let lines = [
            "info|t|db.query|0.2|1|web-1",
            "info|t|db.query|0.4|1|web-1",
            "info|g|depth|3|1|web-1",
            "info|g|depth|1|1|web-1",
            "info|c|logins|50|1|web-1",
            "info|s|users|ann|1|web-1",
            "info|h|size|512|1|web-1",
        ];
        let window = window(0, &lines);
        let mut rows = Rows::new();
        let rows = rows.add(&window);
        let labels: Vec<_> = rows.iter().map(|row| row.label().into_owned()).collect();
        assert_eq!(labels, ["db.query", "depth", "logins", "size", "users"]);
        let counts = rows.iter().map(|row| (row.count, row.rate));
        let expected =
            [(2.0, Some(0.2)), (2.0, None), (50.0, Some(5.0)), (1.0, Some(0.1)), (1.0, None)];
        assert_eq!(counts.collect::<Vec<_>>(), expected);
        let median = rows[0].percentile(Percentile::MEDIAN).unwrap();
        assert!((0.198..0.202).contains(&median), "{median}");
        assert!(rows[0].shown(median).ends_with("ms"));
        assert_eq!((rows[1].last, rows[1].max), (Some(1.0), Some(3.0)));
        assert_eq!(rows[2].percentile(Percentile::P99), None);
        assert_eq!((rows[3].mean, rows[3].min), (Some(512.0), Some(512.0)));
    }

    #[test]
    fn the_totals_have_the_history_of_the_windows() {
        let mut rows = Rows::new();
        let mut all = Window::new(0, 20_000, 100);
        for (start_ms, value) in [(0, 1), (10_000, 3)] {
            let window = window(start_ms, &[&format!("info|c|logins|{value}|1|web-1")]);
            rows.add(&window);
            for series in window.series() {
                all.fold_series(&series.source, &series.name, &[], &series.value);
            }
        }
        let totals = rows.of_all(all.series(), 20.0);
        assert_eq!((totals[0].count, totals[0].rate), (4.0, Some(0.2)));
        assert_eq!(totals[0].sparkline(), "▁█");
    }
}
