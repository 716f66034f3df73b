//! A backend that draws a table on the terminal at each flush.
//!
//! It also adds up everything that it receives, so that the totals can be compared with the true
//! ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zibrato::window::{Fold, Series, Window, sparkline};
use zibrato::{Gauge, Summary};
use zibrato_workers::{Backend, Payload, SendError};

/// Number of windows in a sparkline.
const HISTORY: usize = 24;

/// Everything that was received, by name.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) counters: BTreeMap<String, f64>,
    pub(crate) timers: BTreeMap<String, Summary>,
    /// Number of windows that were not empty.
    pub(crate) windows: usize,
    gauges: BTreeMap<String, Gauge>,
    history: BTreeMap<String, Vec<f64>>,
}

/// Draws a table at each flush, unless it is silent.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    totals: Arc<Mutex<Totals>>,
    output: Output,
}

/// The output for the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Nowhere,
    Stdout,
}

impl Console {
    pub(crate) fn new(output: Output) -> Self {
        Self { totals: Arc::default(), output }
    }

    pub(crate) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Console {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let (stamp, length) = (window.stamp(), window.length_ms() as f64 / 1e3);
        let series = window.into_series();
        let mut totals = self.totals();
        series.iter().for_each(|series| totals.add(series));
        totals.windows += usize::from(!series.is_empty());
        let table = table(stamp, length, &series, &totals.history);
        vec![Payload::new(table.into_bytes(), series.len())]
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        if self.output == Output::Nowhere {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(&payload.body).and_then(|()| stdout.flush()) {
            // A reader that has closed stdout, such as `head`, has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(SendError::Reject { why: error.into() })
            }
            _ => Ok(()),
        }
    }
}

impl Totals {
    fn add(&mut self, series: &Series) {
        let name = series.name.to_string();
        let shown = match &series.value {
            Fold::Counter(sum) => {
                *self.counters.entry(name.clone()).or_default() += sum;
                *sum
            }
            Fold::Timer(summary) => {
                self.timers.entry(name.clone()).or_default().merge(summary);
                summary.quantile(0.99).unwrap_or_default()
            }
            Fold::Gauge(Some(gauge)) => {
                self.gauges
                    .entry(name.clone())
                    .and_modify(|all| all.merge(gauge))
                    .or_insert(*gauge);
                gauge.last
            }
            _ => return,
        };
        let history = self.history.entry(name).or_default();
        history.push(shown);
        if history.len() > HISTORY {
            history.remove(0);
        }
    }

    /// The last table: everything since the start.
    pub(crate) fn table(&self, seconds: f64) -> String {
        let mut text = heading(&format!("total, {seconds:.1} s"));
        for (name, sum) in &self.counters {
            counter_row(&mut text, name, *sum, seconds, self.history.get(name));
        }
        for (name, gauge) in &self.gauges {
            gauge_row(&mut text, name, gauge, self.history.get(name));
        }
        for (name, summary) in &self.timers {
            timer_row(&mut text, name, summary, seconds, self.history.get(name));
        }
        text
    }
}

type History = BTreeMap<String, Vec<f64>>;

fn table(stamp: u64, seconds: f64, series: &[Series], history: &History) -> String {
    let day = stamp % 86_400;
    let (hour, minute, second) = (day / 3600, day / 60 % 60, day % 60);
    let mut text = heading(&format!("{hour:02}:{minute:02}:{second:02} UTC, {seconds} s"));
    for one in series {
        let (name, past) = (&*one.name, history.get(&*one.name));
        match &one.value {
            Fold::Counter(sum) => counter_row(&mut text, name, *sum, seconds, past),
            Fold::Timer(summary) => timer_row(&mut text, name, summary, seconds, past),
            Fold::Gauge(Some(gauge)) => gauge_row(&mut text, name, gauge, past),
            _ => {}
        }
    }
    text
}

fn heading(title: &str) -> String {
    let columns = ["count", "rate", "mean", "p50", "p99", "max"];
    let mut text = format!("\n{title:<24}");
    for column in columns {
        push(&mut text, column);
    }
    text.push_str("  last windows\n");
    text
}

fn counter_row(text: &mut String, name: &str, sum: f64, seconds: f64, past: Option<&Vec<f64>>) {
    let cells = [number(sum), rate(sum, seconds), dash(), dash(), dash(), dash()];
    row(text, name, &cells, past);
}

fn timer_row(
    text: &mut String,
    name: &str,
    summary: &Summary,
    seconds: f64,
    past: Option<&Vec<f64>>,
) {
    let count = summary.count() as f64;
    let at = |q| summary.quantile(q).map_or_else(dash, duration);
    let (mean, max) = (duration(summary.mean()), duration(summary.max()));
    row(text, name, &[number(count), rate(count, seconds), mean, at(0.5), at(0.99), max], past);
}

fn gauge_row(text: &mut String, name: &str, gauge: &Gauge, past: Option<&Vec<f64>>) {
    let count = number(gauge.count as f64);
    let cells = [count, dash(), number(gauge.mean()), dash(), dash(), number(gauge.max)];
    row(text, name, &cells, past);
}

fn row(text: &mut String, name: &str, cells: &[String], past: Option<&Vec<f64>>) {
    let short: String = name.chars().take(24).collect();
    // Writing to a String cannot fail.
    write!(text, "{short:<24}").ok();
    cells.iter().for_each(|cell| push(text, cell));
    text.push_str("  ");
    text.push_str(&sparkline(past.map_or(&[], Vec::as_slice)));
    text.push('\n');
}

fn push(text: &mut String, cell: &str) {
    write!(text, "{cell:>10}").ok();
}

fn dash() -> String {
    "–".to_owned()
}

fn rate(sum: f64, seconds: f64) -> String {
    format!("{}/s", number(sum / seconds))
}

/// At most four significant digits, with k, M, G or T.
fn number(value: f64) -> String {
    let units = ["", "k", "M", "G", "T"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled.abs() >= 9999.5 && unit + 1 < units.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    let unit = units.get(unit).unwrap_or(&"");
    if scaled.fract() == 0.0 || scaled.abs() >= 100.0 {
        format!("{scaled:.0}{unit}")
    } else {
        format!("{scaled:.1}{unit}")
    }
}

/// A duration in the most readable unit.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2}s"),
        s if s >= 1e-3 => format!("{:.1}ms", s * 1e3),
        s if s >= 1e-6 => format!("{:.1}µs", s * 1e6),
        s => format!("{:.0}ns", s * 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, number};

    #[test]
    fn numbers_and_durations_read_at_a_glance() {
        let numbers = [0.0, 7.0, 9999.0, 10_000.0, 12_345.0, 1.5, 2_500_000.0, 1e18];
        let texts = ["0", "7", "9999", "10k", "12.3k", "1.5", "2500k", "1000000T"];
        assert_eq!(numbers.map(number), texts);
        let durations = [2.0, 0.0125, 1.3e-5, 2e-8].map(duration);
        assert_eq!(durations, ["2.00s", "12.5ms", "13.0µs", "20ns"]);
    }
}
