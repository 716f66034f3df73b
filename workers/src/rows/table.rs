//! Rows as a table for a terminal.

use super::{Row, text};
use std::fmt::Write as _;
use zibrato::Percentile;
use zibrato::window::Window;

/// The widths of the column for the series: at least, and at most.
const LABEL_WIDTHS: std::ops::RangeInclusive<usize> = 24..=48;

/// The columns between the series and its last windows.
const COLUMNS: [&str; 7] = ["count", "rate", "last", "mean", "p50", "p99", "max"];

/// The width of a column.
const WIDTH: usize = 10;

/// A table of rows: count, rate, last reading, mean, percentiles, largest reading, and a line of
/// small bars for the last windows.
///
/// ```text
/// 12:00:10 UTC, 10 s           count      rate      last      mean       p50       p99       max  last windows
/// logins                          50       5/s         –         –         –         –         –  ▁▅█
/// db.query                         2     0.2/s         –     300ms     200ms     400ms     400ms  ▄▄▄
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    title: String,
    most: usize,
}

impl Table {
    /// A table with a title, above the names of the series.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), most: usize::MAX }
    }

    /// A table whose title is the start of a window and its length: `12:00:10 UTC, 10 s`.
    #[must_use]
    pub fn of_window(window: &Window) -> Self {
        let day = window.stamp() % 86_400;
        let (hour, minute, second) = (day / 3600, day / 60 % 60, day % 60);
        let length = window.length_ms() as f64 / 1e3;
        Self::new(format!("{hour:02}:{minute:02}:{second:02} UTC, {length} s"))
    }

    /// Shows only the first rows, and says how many are left. Defaults to all rows.
    #[must_use]
    pub const fn most(mut self, rows: usize) -> Self {
        self.most = rows;
        self
    }

    /// The table, which ends in a new line. Series have their source if there are several sources.
    #[must_use]
    pub fn text(&self, rows: &[Row<'_>]) -> String {
        let first = rows.first().map(|row| &row.series.source);
        let several = rows.iter().any(|row| Some(&row.series.source) != first);
        let shown = rows.get(..self.most).unwrap_or(rows);
        let label = |row: &Row<'_>| match several {
            true => format!("{} @{}", row.label(), row.series.source),
            false => row.label().into_owned(),
        };
        let labels: Vec<_> = shown.iter().map(label).collect();
        let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
        let width = longest
            .max(self.title.chars().count())
            .clamp(*LABEL_WIDTHS.start(), *LABEL_WIDTHS.end());
        let mut table = padded(&self.title, width);
        COLUMNS.iter().for_each(|column| push(&mut table, column));
        table.push_str("  last windows\n");
        for (row, label) in shown.iter().zip(&labels) {
            table.push_str(&padded(label, width));
            cells(row).iter().for_each(|cell| push(&mut table, cell));
            table.push_str("  ");
            table.push_str(&row.sparkline());
            table.push('\n');
        }
        if shown.len() < rows.len() {
            let more = rows.len() - shown.len();
            // Writing to a String cannot fail.
            writeln!(table, "and {more} more").ok();
        }
        table
    }
}

fn cells(row: &Row<'_>) -> [String; 7] {
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| row.shown(value));
    let rate = row.rate.map_or_else(|| "–".to_owned(), |rate| format!("{}/s", text::number(rate)));
    let (p50, p99) = (row.percentile(Percentile::MEDIAN), row.percentile(Percentile::P99));
    [
        text::number(row.count),
        rate,
        shown(row.last),
        shown(row.mean),
        shown(p50),
        shown(p99),
        shown(row.max),
    ]
}

/// A text with this width. A longer one loses its middle, because the ends of names differ.
fn padded(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return format!("{text:<width$}");
    }
    let head = (width - 1) / 2;
    let tail = width - 1 - head;
    text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

fn push(table: &mut String, cell: &str) {
    // Writing to a String cannot fail.
    write!(table, "{cell:>WIDTH$}").ok();
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::rows::Rows;
    use zibrato::window::Window;
    use zibrato::wire::Line;

    fn table(table: &Table, lines: &[&str]) -> String {
        let mut window = Window::new(0, 10_000, 100);
        lines.iter().for_each(|line| window.fold_line(&Line::decode(line.as_bytes()).unwrap()));
        table.text(&Rows::new().add(&window))
    }

    #[test]
    fn columns_are_aligned() {
        let lines = [
            "info|t|db.query|0.2|1|web-1",
            "info|c|logins|50|1|web-1",
            "info|g|depth|3|1|web-1",
            "info|s|users|ann|1|web-1",
        ];
        insta::assert_snapshot!(table(&Table::new("logins and queries"), &lines));
    }

    #[test]
    fn several_sources_are_told_apart() {
        let table = table(&Table::new(""), &["info|c|n|1|1|web-1", "info|c|n|2|1|web-2"]);
        let labels: Vec<_> = table.lines().skip(1).filter_map(|line| line.get(..8)).collect();
        assert_eq!(labels, ["n @web-1", "n @web-2"]);
    }

    #[test]
    fn long_names_lose_their_middle_and_rows_beyond_the_limit_are_counted() {
        let long = format!("info|c|{}end|1|1|a", "x".repeat(200));
        let table = table(&Table::new("").most(1), &[&long, "info|c|y|1|1|a", "info|c|z|1|1|a"]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!((lines.len(), lines[2]), (3, "and 2 more"));
        assert!(lines[1].contains("x…x") && lines[1].contains("xend "), "{table}");
    }
}
