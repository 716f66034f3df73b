//! The page `/metrics`: for each metric, one sample of each worker.

use super::super::crew::Views;
use crate::counters::Counters;
use crate::progress::Reading;
use crate::worker::View;
use zibrato::daemon::{Exposition, Family, log_metrics};

/// The state of one worker.
struct Row<'a> {
    destination: Option<&'a str>,
    counters: Counters,
    reading: Reading,
    view: &'a View,
}

impl<'a> Row<'a> {
    fn of((destination, view): &'a (Option<String>, View)) -> Self {
        let (counters, reading) = (view.counters(), view.progress().reading());
        Self { destination: destination.as_deref(), counters, reading, view }
    }

    fn sample(&self, family: &mut Family<'_>, labels: &[(&str, &str)], value: f64) {
        let mut labels = labels.to_vec();
        labels.extend(self.destination.map(|destination| ("destination", destination)));
        family.sample(&labels, value);
    }
}

/// One of a worker's counters.
type Count = fn(&Counters) -> u64;

/// A metric with samples of each worker.
struct Samples<'a> {
    family: Family<'a>,
    rows: &'a [Row<'a>],
}

impl Samples<'_> {
    /// Adds a sample of each worker.
    fn each(&mut self, labels: &[(&str, &str)], value: impl Fn(&Row<'_>) -> f64) -> &mut Self {
        for row in self.rows {
            row.sample(&mut self.family, labels, value(row));
        }
        self
    }
}

/// The page as it is written.
struct Sheet<'a> {
    to: &'a mut Exposition,
    rows: &'a [Row<'a>],
}

impl Sheet<'_> {
    fn counter<'s>(&'s mut self, name: &'s str, help: &str) -> Samples<'s> {
        Samples { family: self.to.counter(name, help), rows: self.rows }
    }

    fn gauge<'s>(&'s mut self, name: &'s str, help: &str) -> Samples<'s> {
        Samples { family: self.to.gauge(name, help), rows: self.rows }
    }
}

pub(super) fn metrics(program: &str, views: &Views) -> String {
    let rows: Vec<_> = views.0.iter().map(Row::of).collect();
    let mut to = Exposition::new();
    let mut sheet = Sheet { to: &mut to, rows: &rows };
    incoming(&mut sheet);
    series(&mut sheet);
    windows(&mut sheet);
    journal(&mut sheet);
    sheet
        .gauge("zibrato_worker_ready", "1 while nothing prevents delivery.")
        .each(&[], |row| yes(row.view.unready().is_none()));
    sheet
        .gauge(
            "zibrato_worker_broker_connected",
            "1 while the worker receives messages from the broker.",
        )
        .each(&[], |row| yes(row.counters.broker_connected));
    to.gauge("zibrato_worker_info", "The program and its version.")
        .sample(&[("program", program), ("version", env!("CARGO_PKG_VERSION"))], 1.0);
    log_metrics(&mut to);
    to.finish()
}

fn yes(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn incoming(to: &mut Sheet<'_>) {
    let metrics: [(_, _, Count); 6] = [
        ("zibrato_worker_batches_total", "Batches processed.", |counters| counters.batches),
        ("zibrato_worker_entries_total", "Entries processed.", |counters| counters.entries),
        ("zibrato_worker_duplicates_total", "Batches skipped as duplicates.", |counters| {
            counters.duplicates
        }),
        (
            "zibrato_worker_late_total",
            "Batches that arrived after their window was closed; they were added to the next one.",
            |counters| counters.late,
        ),
        (
            "zibrato_worker_overflowed_total",
            "Entries summed up as _overflow because a window had too many series.",
            |counters| counters.overflowed,
        ),
        (
            "zibrato_worker_gone_total",
            "Batches, of any level, that were deleted from the journal or damaged before they were \
             read.",
            |counters| counters.gone,
        ),
    ];
    for (name, help, value) in metrics {
        to.counter(name, help).each(&[], |row| value(&row.counters) as f64);
    }
    let mut family =
        to.counter("zibrato_worker_refused_total", "Messages and entries rejected, by reason.");
    for row in family.rows {
        for (reason, count) in &row.counters.refused {
            row.sample(&mut family.family, &[("reason", reason)], *count as f64);
        }
    }
}

fn series(to: &mut Sheet<'_>) {
    to.counter("zibrato_worker_series_flushed_total", "Series in windows that ended.")
        .each(&[], |row| row.counters.series_flushed as f64);
    to.counter("zibrato_worker_series_total", "Series, by outcome.")
        .each(&[("outcome", "delivered")], |row| row.counters.series_delivered as f64)
        .each(&[("outcome", "dropped")], |row| row.counters.series_dropped as f64)
        .each(&[("outcome", "left_out")], |row| row.counters.series_left_out as f64)
        .each(&[("outcome", "lost")], |row| row.counters.series_lost as f64)
        .each(&[("outcome", "rejected")], |row| row.counters.series_rejected as f64);
    to.gauge("zibrato_worker_series_waiting", "Series queued for the backend.")
        .each(&[], |row| row.counters.series_waiting() as f64);
    let mut family = to.counter("zibrato_worker_series_lost_total", "Series lost, by reason.");
    family.each(&[("reason", "queue_full")], |row| row.counters.series_dropped as f64);
    for reason in ["dead_letters_disk", "dead_letters_full", "no_time"] {
        let lost = |row: &Row<'_>| row.counters.lost.get(reason).copied().unwrap_or_default();
        family.each(&[("reason", reason)], |row| lost(row) as f64);
    }
    let mut family = to.counter(
        "zibrato_worker_omitted_total",
        "Points that were not sent because the backend would not accept them, by reason.",
    );
    for row in family.rows {
        for (reason, count) in &row.counters.omitted {
            row.sample(&mut family.family, &[("reason", reason)], *count as f64);
        }
    }
    to.counter(
        "zibrato_worker_dead_letters_total",
        "Payloads that the backend rejected, kept in \
                                                     files.",
    )
    .each(&[], |row| row.counters.dead_letters as f64);
    to.counter("zibrato_worker_retries_total", "Attempts to deliver that failed and are repeated.")
        .each(&[], |row| row.counters.retries as f64);
    to.counter(
        "zibrato_worker_split_total",
        "Rejected payloads that were sent in parts to find the bad series.",
    )
    .each(&[], |row| row.counters.payloads_split as f64);
    to.counter(
        "zibrato_worker_repeated_total",
        "Payloads sent again that the backend may already have accepted.",
    )
    .each(&[], |row| row.counters.payloads_repeated as f64);
}

fn windows(to: &mut Sheet<'_>) {
    to.counter("zibrato_worker_windows_flushed_total", "Windows that ended and were not empty.")
        .each(&[], |row| row.counters.windows_flushed as f64);
    to.counter(
        "zibrato_worker_windows_total",
        "Windows, by outcome. A window counts as lost if any of its series was lost or rejected.",
    )
    .each(&[("outcome", "delivered")], |row| row.counters.windows_delivered as f64)
    .each(&[("outcome", "lost")], |row| row.counters.windows_lost as f64);
    to.gauge("zibrato_worker_windows_waiting", "Windows queued for the backend.")
        .each(&[], |row| row.view.waiting() as f64);
}

fn journal(to: &mut Sheet<'_>) {
    to.gauge("zibrato_worker_replaying", "1 while the worker reads the broker's journal.")
        .each(&[], |row| yes(row.reading.replaying));
    if !to.rows.iter().any(|row| row.reading.replaying) {
        return;
    }
    to.counter("zibrato_worker_windows_committed_total", "Windows committed.")
        .each(&[], |row| row.counters.windows_committed as f64);
    to.counter(
        "zibrato_worker_cursors_forgotten_total",
        "How often the broker had deleted the worker's cursor.",
    )
    .each(&[], |row| row.counters.cursors_forgotten as f64);
    to.counter(
        "zibrato_worker_commits_failed_total",
        "Commits that the broker rejected or did not answer. They are retried.",
    )
    .each(&[], |row| row.counters.commits_failed as f64);
    to.gauge("zibrato_worker_lag_seconds", "How far delivery is behind the broker's clock.")
        .each(&[], |row| row.view.behind().as_secs_f64());
    let committed = |row: &Row<'_>| row.reading.offsets.committed.unwrap_or_default();
    to.gauge("zibrato_worker_offset", "Offsets in the journal.")
        .each(&[("place", "committed")], |row| committed(row) as f64)
        .each(&[("place", "end")], |row| row.reading.offsets.end as f64)
        .each(&[("place", "read")], |row| row.reading.offsets.read as f64);
    let mut lag = to
        .gauge("zibrato_worker_lag_offsets", "Batches, of any level, that are not committed yet.");
    for row in lag.rows.iter().filter(|row| row.reading.offsets.committed.is_some()) {
        let behind = row.reading.offsets.end.saturating_sub(committed(row));
        row.sample(&mut lag.family, &[], behind as f64);
    }
}
