//! Formats a window as a message: series that changed most come first, and Slack's limits are
//! respected.
//!
//! Pure.

use super::blocks::{context, header, section};
use super::format::{
    MAX_NAME, MAX_TAGS, escape, grouped, number, seconds, shown, tags_text, window as window_text,
};
use crate::rows::{Row, Rows};
use serde_json::Value;
use std::cmp::Reverse;
use zibrato::window::{Fold, Series, Window};
use zibrato::{MAX_UNIT_BYTES as MAX_UNIT, Percentile, Summary};

/// Maximum number of series in one message. With header and context it stays below Slack's limit of
/// 50 blocks.
const MAX_SECTIONS: usize = 45;

/// Maximum number of characters in all sections. Slack rejects messages above about 13,000.
const MAX_CHARACTERS: usize = 11_000;

/// The beginning of the names of what Zibrato measures about itself.
const OWN: &str = "zibrato.";

/// Formats windows as messages, and remembers earlier values.
#[derive(Debug)]
pub(super) struct Digester {
    title: String,
    rows: Rows,
    /// Whether messages show what Zibrato measures about itself.
    pub(super) shows_own: bool,
}

/// A message without its destination.
#[derive(Debug, PartialEq)]
pub(super) struct Digest {
    /// The text of notifications.
    pub(super) text: String,
    /// The message, in blocks.
    pub(super) blocks: Vec<Value>,
    /// Number of series that it is about, shown or counted.
    pub(super) series: usize,
}

impl Digester {
    pub(super) fn new(title: String) -> Self {
        Self { title, rows: Rows::new(), shows_own: true }
    }

    /// The message for a window; none if there is nothing to show.
    ///
    /// The series whose values have changed most, relative to the mean of their earlier windows,
    /// come first. Series with equal changes are ordered by name, source and kind.
    pub(super) fn digest(&mut self, window: Window) -> Option<Digest> {
        let (start_ms, length_ms) = (window.start_ms(), window.length_ms().max(1));
        let mut rows = self.rows.add(&window);
        let is_shown = |series: &Series| self.shows_own || !series.name.starts_with(OWN);
        rows.retain(|row| is_shown(row.series));
        let all = window.series().iter().filter(|series| is_shown(series)).count();
        if all == 0 {
            return None;
        }
        rows.sort_by_key(|row| Reverse(row.past.change));
        let changed = rows.iter().filter(|row| row.past.change > 0).count();
        let totals = format!("{} series, {} changed", grouped(all), grouped(changed));
        let mut blocks = vec![
            header(&self.title),
            context([format!("{} · {totals}", window_text(start_ms, length_ms))]),
        ];
        let shown = sections(&rows, length_ms, &mut blocks);
        if shown < all {
            blocks.push(context([format!("{} more series not shown", grouped(all - shown))]));
        }
        let text = format!("{}: {} series", escape(&self.title), grouped(all));
        Some(Digest { text, blocks, series: all })
    }
}

/// Adds a section for each series that fits, and returns their number.
fn sections(rows: &[Row<'_>], length_ms: u64, blocks: &mut Vec<Value>) -> usize {
    let mut characters = 0;
    for (i, row) in rows.iter().take(MAX_SECTIONS).enumerate() {
        let text = described(row, length_ms);
        characters += text.chars().count();
        if characters > MAX_CHARACTERS {
            return i;
        }
        blocks.push(section(&text));
    }
    rows.len().min(MAX_SECTIONS)
}

/// One series: `*name* _source_ tag=value ˋ▁▅█ˋ values`.
fn described(row: &Row<'_>, length_ms: u64) -> String {
    let series = row.series;
    let (name, source) = (shown(&series.name, MAX_NAME), shown(&series.source, MAX_NAME));
    let mut text = format!("*{name}* _{source}_ ");
    if !series.tags.is_empty() {
        text.extend([&*shown(&tags_text(&series.tags), MAX_TAGS), " "]);
    }
    text.extend(["`", &row.sparkline(), "` ", &values(&series.value, length_ms)]);
    text
}

fn values(value: &Fold, length_ms: u64) -> String {
    match value {
        Fold::Histogram(histogram) => {
            let unit = histogram.unit.as_deref();
            let unit = unit.map_or_else(String::new, |unit| format!(" {}", shown(unit, MAX_UNIT)));
            statistics(&histogram.summary, |value| format!("{}{unit}", number(value)))
        }
        Fold::Counter(sum) => {
            let rate = sum / (length_ms as f64 / 1000.0);
            format!("{} ({}/s)", number(*sum), number(rate))
        }
        // One reading is all of them.
        Fold::Gauge(Some(g)) if g.count <= 1 => number(g.last),
        Fold::Gauge(Some(g)) => {
            let (min, max) = (number(g.min), number(g.max));
            format!("{} (min {min}, max {max}, n {})", number(g.last), grouped(g.count))
        }
        Fold::Set(members) => format!("{} distinct", grouped(members.len())),
        Fold::Timer(summary) => statistics(summary, seconds),
        _ => String::new(), // a gauge without a reading is not drawn
    }
}

fn statistics(summary: &Summary, shown: impl Fn(f64) -> String) -> String {
    let p99 = summary.percentile(Percentile::P99).unwrap_or_else(|| summary.max());
    let (mean, p99, max) = (shown(summary.mean()), shown(p99), shown(summary.max()));
    format!("n {}, mean {mean}, p99 {p99}, max {max}", grouped(summary.count()))
}

#[cfg(test)]
mod tests;
