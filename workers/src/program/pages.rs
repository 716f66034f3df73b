//! The HTTP pages of a worker.

use crate::counters::Counters;
use crate::worker::View;
use zibrato::daemon::{Exposition, Page, log_metrics};

/// The page for a path.
pub(super) fn page(path: &str, program: &str, view: &View) -> Page {
    match path {
        "/healthz" => match view.stuck() {
            None => Page::text(200, "ok\n"),
            Some(why) => Page::text(503, format!("{why}\n")),
        },
        "/readyz" => {
            let unready = view.unready();
            let code = if unready.is_none() { 200 } else { 503 };
            Page::text(code, format!("{}\n", words(view, unready)))
        }
        "/metrics" => Page::metrics(metrics(program, view)),
        _ => Page::text(404, "no such page; the pages are /healthz, /readyz and /metrics\n"),
    }
}

/// A short description of the worker's state.
pub(super) fn status(view: &View) -> String {
    words(view, view.unready())
}

fn words(view: &View, unready: Option<String>) -> String {
    if let Some(why) = unready {
        return why + &backlog(view);
    }
    if let Some(why) = view.live_because() {
        return format!("ready, on the live stream: {why}");
    }
    let (behind, waiting) = (view.behind().as_secs(), view.waiting());
    let mut said = match view.progress().reading().replaying {
        true => format!("ready, {behind} s behind, {waiting} windows waiting"),
        false => format!("ready, {waiting} windows waiting"),
    };
    let Counters { dead_letters: letters, gone, cursors_forgotten, .. } = view.counters();
    if cursors_forgotten > 0 {
        said += "; earlier measurements were not delivered, because the broker had deleted this \
                 worker's cursor";
    }
    if gone > 0 {
        said += &format!(
            "; {gone} batches were deleted from the journal or damaged before they were read"
        );
    }
    if letters > 0 {
        said += &format!(
            "; {letters} payloads were rejected since the start, and kept: see `deadletter list`"
        );
    }
    said
}

/// Says that undelivered windows are in the journal, for a worker that is not ready.
fn backlog(view: &View) -> String {
    let replaying = view.progress().reading().replaying;
    if !replaying || !view.counters().broker_connected {
        return String::new();
    }
    match view.behind().as_secs() {
        0 => String::new(),
        behind => format!(
            "; the broker's journal holds the last {behind} s, which are not \
                           delivered yet"
        ),
    }
}

fn metrics(program: &str, view: &View) -> String {
    let mut to = Exposition::new();
    let counters = view.counters();
    incoming(&mut to, &counters);
    series(&mut to, &counters);
    windows(&mut to, &counters, view);
    journal(&mut to, &counters, view);
    let ready = f64::from(u8::from(view.unready().is_none()));
    to.gauge("zibrato_worker_ready", "1 while nothing prevents delivery.").sample(&[], ready);
    let connected = f64::from(u8::from(counters.broker_connected));
    to.gauge(
        "zibrato_worker_broker_connected",
        "1 while the worker receives messages from the \
                                                 broker.",
    )
    .sample(&[], connected);
    to.gauge("zibrato_worker_info", "The program and its version.")
        .sample(&[("program", program), ("version", env!("CARGO_PKG_VERSION"))], 1.0);
    log_metrics(&mut to);
    to.finish()
}

fn incoming(to: &mut Exposition, counters: &Counters) {
    for (name, help, value) in [
        ("zibrato_worker_batches_total", "Batches processed.", counters.batches),
        ("zibrato_worker_entries_total", "Entries processed.", counters.entries),
        ("zibrato_worker_duplicates_total", "Batches skipped as duplicates.", counters.duplicates),
        (
            "zibrato_worker_late_total",
            "Batches that arrived after their window was closed; they were added to the next one.",
            counters.late,
        ),
        (
            "zibrato_worker_overflowed_total",
            "Entries summed up as _overflow because a window had too many series.",
            counters.overflowed,
        ),
        (
            "zibrato_worker_gone_total",
            "Batches, of any level, that were deleted from the journal or damaged before they were \
             read.",
            counters.gone,
        ),
    ] {
        to.counter(name, help).sample(&[], value as f64);
    }
    let mut family =
        to.counter("zibrato_worker_refused_total", "Messages and entries rejected, by reason.");
    for (reason, count) in &counters.refused {
        family.sample(&[("reason", reason)], *count as f64);
    }
}

fn series(to: &mut Exposition, counters: &Counters) {
    to.counter("zibrato_worker_series_flushed_total", "Series in windows that ended.")
        .sample(&[], counters.series_flushed as f64);
    to.counter("zibrato_worker_series_total", "Series, by outcome.")
        .sample(&[("outcome", "delivered")], counters.series_delivered as f64)
        .sample(&[("outcome", "dropped")], counters.series_dropped as f64)
        .sample(&[("outcome", "left_out")], counters.series_left_out as f64)
        .sample(&[("outcome", "lost")], counters.series_lost as f64)
        .sample(&[("outcome", "rejected")], counters.series_rejected as f64);
    to.gauge("zibrato_worker_series_waiting", "Series queued for the backend.")
        .sample(&[], counters.series_waiting() as f64);
    let mut family = to.counter("zibrato_worker_series_lost_total", "Series lost, by reason.");
    family.sample(&[("reason", "queue_full")], counters.series_dropped as f64);
    for reason in ["dead_letters_disk", "dead_letters_full", "no_time"] {
        let lost = counters.lost.get(reason).copied().unwrap_or_default();
        family.sample(&[("reason", reason)], lost as f64);
    }
    to.counter(
        "zibrato_worker_dead_letters_total",
        "Payloads that the backend rejected, kept in \
                                                     files.",
    )
    .sample(&[], counters.dead_letters as f64);
    to.counter("zibrato_worker_retries_total", "Attempts to deliver that failed and are repeated.")
        .sample(&[], counters.retries as f64);
    to.counter(
        "zibrato_worker_split_total",
        "Rejected payloads that were sent in parts to find the bad series.",
    )
    .sample(&[], counters.payloads_split as f64);
    to.counter(
        "zibrato_worker_repeated_total",
        "Payloads sent again that the backend may already have accepted.",
    )
    .sample(&[], counters.payloads_repeated as f64);
}

fn windows(to: &mut Exposition, counters: &Counters, view: &View) {
    to.counter("zibrato_worker_windows_flushed_total", "Windows that ended and were not empty.")
        .sample(&[], counters.windows_flushed as f64);
    to.counter(
        "zibrato_worker_windows_total",
        "Windows, by outcome. A window counts as lost if any of its series was lost or rejected.",
    )
    .sample(&[("outcome", "delivered")], counters.windows_delivered as f64)
    .sample(&[("outcome", "lost")], counters.windows_lost as f64);
    to.gauge("zibrato_worker_windows_waiting", "Windows queued for the backend.")
        .sample(&[], view.waiting() as f64);
}

fn journal(to: &mut Exposition, counters: &Counters, view: &View) {
    let reading = view.progress().reading();
    let replaying = f64::from(u8::from(reading.replaying));
    to.gauge("zibrato_worker_replaying", "1 while the worker reads the broker's journal.")
        .sample(&[], replaying);
    if !reading.replaying {
        return;
    }
    to.counter("zibrato_worker_windows_committed_total", "Windows committed.")
        .sample(&[], counters.windows_committed as f64);
    to.counter(
        "zibrato_worker_cursors_forgotten_total",
        "How often the broker had deleted the worker's cursor.",
    )
    .sample(&[], counters.cursors_forgotten as f64);
    to.counter(
        "zibrato_worker_commits_failed_total",
        "Commits that the broker rejected or did not answer. They are retried.",
    )
    .sample(&[], counters.commits_failed as f64);
    to.gauge("zibrato_worker_lag_seconds", "How far delivery is behind the broker's clock.")
        .sample(&[], view.behind().as_secs_f64());
    let committed = reading.offsets.committed.unwrap_or_default();
    to.gauge("zibrato_worker_offset", "Offsets in the journal.")
        .sample(&[("place", "committed")], committed as f64)
        .sample(&[("place", "end")], reading.offsets.end as f64)
        .sample(&[("place", "read")], reading.offsets.read as f64);
    if reading.offsets.committed.is_some() {
        let lag = reading.offsets.end.saturating_sub(committed);
        to.gauge(
            "zibrato_worker_lag_offsets",
            "Batches, of any level, that are not committed yet.",
        )
        .sample(&[], lag as f64);
    }
}
