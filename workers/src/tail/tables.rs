//! A table of each window.
//!
//! Pure: frames and times are arguments.

use super::names::Names;
use crate::fold::Folder;
use crate::idle_gauges::IdleGauges;
use crate::rows::{Rows, Table};
use std::time::Duration;
use zibrato::window::Window;

/// Maximum number of series in a window. Further ones are added up as `_overflow`.
const MAX_SERIES: usize = 100_000;

/// Maximum number of rows in a table.
const MAX_ROWS: usize = 1_000;

/// Adds up what arrives by window, and prints a table for each.
#[derive(Debug)]
pub(super) struct Tables {
    folder: Folder,
    rows: Rows,
    names: Names,
}

impl Tables {
    pub(super) fn new(flush: Duration, names: Names) -> Self {
        let folder = Folder::by_clock(flush, MAX_SERIES, IdleGauges::default());
        Self { folder, rows: Rows::new(), names }
    }

    pub(super) fn take(&mut self, frames: &[&[u8]], now_ms: u64) {
        if frames.first().is_some_and(|topic| topic.starts_with(b"zb!")) {
            return;
        }
        // Windows of the clock are returned by `due`.
        let window = self.folder.take(frames, now_ms);
        debug_assert!(window.is_none(), "windows end by the clock");
    }

    /// Appends a table for each window that has ended.
    pub(super) fn print(&mut self, now_ms: u64, text: &mut Vec<u8>) {
        for window in self.folder.due(now_ms) {
            self.print_window(&window, text);
        }
        for (reason, (times, why)) in self.folder.take_counts().refused {
            tracing::warn!(event = "refused", reason, times, %why);
        }
    }

    fn print_window(&mut self, window: &Window, text: &mut Vec<u8>) {
        let mut rows = self.rows.add(window);
        rows.retain(|row| self.names.include(&row.series.name));
        if !rows.is_empty() {
            text.push(b'\n');
            text.extend(Table::of_window(window).most(MAX_ROWS).text(&rows).into_bytes());
        }
    }

    /// The time until the next window ends.
    pub(super) fn next(&self, now_ms: u64) -> Duration {
        let next_ms = self.folder.next_due_ms(now_ms).unwrap_or(now_ms);
        Duration::from_millis(next_ms.saturating_sub(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::Tables;
    use crate::tail::names::Names;
    use std::time::Duration;
    use zibrato::wire::{BatchId, BatchWriter, PublisherId};

    fn tables(prefix: &str, own: bool) -> String {
        let mut tables =
            Tables::new(Duration::from_secs(5), Names { prefix: prefix.to_owned(), own });
        let mut batch = BatchWriter::new("web-1", 0, 1_000);
        batch.counter("logins", &[], 3.0);
        batch.counter("zibrato.sdk.recorded", &[], 3.0);
        let body = batch.finish();
        let id = BatchId { publisher: PublisherId([1; 16]), sequence: 1 }.encode();
        tables.take(&[b"zb1|info|", &id, &body], 1_000);
        let mut text = Vec::new();
        tables.print(4_999, &mut text);
        assert!(text.is_empty());
        tables.print(8_000, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_window_is_printed_when_it_has_ended() {
        let text = tables("", false);
        assert!(text.starts_with("\n00:00:00 UTC, 5 s"), "{text}");
        assert!(text.contains("logins") && !text.contains("zibrato."), "{text}");
    }

    #[test]
    fn what_zibrato_measures_about_itself_is_shown_if_asked_for() {
        assert!(tables("", true).contains("zibrato.sdk.recorded"));
        assert_eq!(tables("other", true), "");
    }
}
