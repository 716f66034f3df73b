//! The pages that the broker serves over HTTP.

use crate::counters::{Counters, IntakeCounters, PeerCounters, REASONS};
use crate::intake::rules::RulesStore;
use crate::journal::Health;
use crate::libzmq::descriptors::in_use;
use crate::libzmq::reserve::limit;
use crate::replay::ReplayHealth;
use crate::shared::Shared;
use zibrato::daemon::{Exposition, Page, log_metrics};
use zibrato::wire::{CursorState, WantedLevels};

/// Maximum number of wanted levels that are listed.
const MAX_LISTED_LEVELS: usize = 1_000;

/// The page for a path. `rules` are those of intakes, if there are any.
pub(crate) fn page(path: &str, shared: &Shared, rules: Option<&RulesStore>) -> Page {
    match path {
        "/healthz" => Page::text(200, "ok\n"),
        "/readyz" => match shared.unready() {
            None => Page::text(200, "ready\n"),
            Some(why) => Page::text(503, format!("{why}\n")),
        },
        "/metrics" => {
            let readers = (&*shared.cursors(), &shared.replay_health());
            let mut text = metrics(&shared.counters(), &shared.wanted(), readers);
            text.push_str(&descriptors(shared.descriptors().refused));
            text.push_str(&rules.map(rule_reloads).unwrap_or_default());
            Page::metrics(text)
        }
        _ => Page::text(404, "no such page; the pages are /healthz, /readyz and /metrics\n"),
    }
}

fn metrics(
    counters: &Counters,
    wanted: &WantedLevels,
    (cursors, replay): (&[CursorState], &ReplayHealth),
) -> String {
    let mut to = Exposition::new();
    intakes(&mut to, counters);
    outlets(&mut to, counters);
    peers(&mut to, counters);
    if let Some(health) = &counters.journal {
        journal(&mut to, health);
        readers(&mut to, cursors);
        saving(&mut to, replay);
    }
    to.gauge(
        "zibrato_broker_clock_ahead_seconds",
        "How far the broker's clock, which never goes back, is ahead of the machine's clock.",
    )
    .sample(&[], counters.ahead_ms as f64 / 1000.0);
    to.gauge("zibrato_broker_subscriptions", "Topics that have subscribers.")
        .sample(&[], counters.subscriptions as f64);
    let mut family = to.gauge(
        "zibrato_broker_wanted_level",
        "1 for each level that a subscriber wants; * means all.",
    );
    if wanted.all {
        family.sample(&[("level", "*")], 1.0);
    }
    for level in wanted.levels.iter().take(MAX_LISTED_LEVELS) {
        family.sample(&[("level", level.as_str())], 1.0);
    }
    to.gauge(
        "zibrato_broker_remembered",
        "Pairs of publisher and level that are remembered, to \
                                           recognize duplicates.",
    )
    .sample(&[], counters.remembered as f64);
    to.gauge("zibrato_broker_info", "The version of the broker.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    log_metrics(&mut to);
    to.finish()
}

/// The file descriptors of the process, which may be more than those of the broker.
fn descriptors(refused: u64) -> String {
    let mut to = Exposition::new();
    // Unknown values are omitted.
    let (open, limit) = (in_use().map(|open| open as f64), Some(f64::from(limit())));
    for (name, help, value) in [
        ("process_open_fds", "Number of open file descriptors.", open),
        ("process_max_fds", "Maximum number of open file descriptors.", limit),
        ("zibrato_broker_fd_open", "The same as process_open_fds.", open),
        ("zibrato_broker_fd_limit", "The same as process_max_fds.", limit),
    ] {
        if let Some(value) = value {
            to.gauge(name, help).sample(&[], value);
        }
    }
    to.counter(
        "zibrato_broker_accepts_refused_total",
        "Connections refused because nearly all file descriptors were in use.",
    )
    .sample(&[], refused as f64);
    to.finish()
}

fn rule_reloads(rules: &RulesStore) -> String {
    let mut to = Exposition::new();
    let [used, refused] = rules.reloads();
    to.counter("zibrato_broker_rules_reloads_total", "Reloads of the rules, by result.")
        .sample(&[("result", "used")], used as f64)
        .sample(&[("result", "refused")], refused as f64);
    to.finish()
}

fn intakes(to: &mut Exposition, counters: &Counters) {
    let mut each = |name: &str, help: &str, of: fn(&IntakeCounters) -> u64| {
        let mut family = to.counter(name, help);
        for intake in &counters.intakes {
            family.sample(&[("intake", intake.name)], of(intake) as f64);
        }
    };
    each("zibrato_broker_lines_total", "Lines taken.", |intake| intake.lines);
    each("zibrato_broker_batches_total", "Batches taken.", |intake| intake.batches);
    each("zibrato_broker_bytes_total", "Bytes received.", |intake| intake.bytes);
    let help = "How often an intake ended by itself.";
    each("zibrato_broker_intake_failures_total", help, |intake| intake.failures);
    let help = "Errors of the script in the rules.";
    each("zibrato_broker_script_errors_total", help, |intake| intake.script_errors);
    let help = "Samples for which the script was not called, because it took too much time.";
    each("zibrato_broker_script_skips_total", help, |intake| intake.script_skips);
    let help = "Measurements and packets that an intake could not use, by reason.";
    let mut family = to.counter("zibrato_broker_rejected_total", help);
    for intake in &counters.intakes {
        for (reason, count) in &*intake.rejected {
            family.sample(&[("intake", intake.name), ("reason", reason)], *count as f64);
        }
    }
    to.counter("zibrato_broker_duplicates_total", "Batches dropped as duplicates.")
        .sample(&[], counters.duplicates as f64);
    let mut family = to.counter(
        "zibrato_broker_dropped_total",
        "Messages and entries dropped, by \
                                                                 reason.",
    );
    for reason in REASONS {
        family.sample(&[("reason", reason)], counters.dropped.of(reason) as f64);
    }
    to.counter(
        "zibrato_broker_overflowed_total",
        "Lines summed up as _overflow because their level had too many series.",
    )
    .sample(&[], counters.overflowed() as f64);
    to.counter(
        "zibrato_broker_forgotten_total",
        "Publishers forgotten because there were too many.",
    )
    .sample(&[], counters.forgotten as f64);
}

fn outlets(to: &mut Exposition, counters: &Counters) {
    to.counter("zibrato_broker_published_total", "Messages published, by form.")
        .sample(&[("form", "batch")], counters.published_batches as f64)
        .sample(&[("form", "line")], counters.published_lines as f64);
    to.counter(
        "zibrato_broker_unwanted_total",
        "Messages of levels without a subscriber, which were not published, by form.",
    )
    .sample(&[("form", "batch")], counters.unwanted_batches as f64)
    .sample(&[("form", "line")], counters.unwanted_lines as f64);
    let mut family = to.counter(
        "zibrato_broker_subscriber_drops_total",
        "How often the queue of a subscriber was full. That subscriber gets nothing until it has \
         read half of its queue.",
    );
    for (level, count) in &*counters.subscriber_drops {
        family.sample(&[("level", level)], *count as f64);
    }
    to.counter(
        "zibrato_broker_memory_cuts_total",
        "Connections closed because the broker used too much memory.",
    )
    .sample(&[], counters.memory_cuts as f64);
    to.counter(
        "zibrato_broker_strange_subscriptions_total",
        "Messages from subscribers that were not valid subscriptions, or exceeded the maximum \
         number of subscriptions.",
    )
    .sample(&[], counters.strange_subscriptions as f64);
}

fn journal(to: &mut Exposition, health: &Health) {
    let mut one = |name: &str, help: &str, value: u64| {
        to.counter(name, help).sample(&[], value as f64);
    };
    one("zibrato_broker_journal_batches_total", "Batches written to disk.", health.batches);
    one("zibrato_broker_journal_bytes_total", "Bytes written to disk.", health.bytes);
    one("zibrato_broker_journal_commits_total", "Writes to disk that succeeded.", health.commits);
    one("zibrato_broker_journal_failures_total", "Writes to disk that failed.", health.failures);
    one(
        "zibrato_broker_journal_expired_total",
        "Batches deleted because of their age or the journal's size.",
        health.expired,
    );
    one(
        "zibrato_broker_journal_damaged_total",
        "Damaged places that were skipped when the journal was opened.",
        health.damaged,
    );
    one(
        "zibrato_broker_journal_cut_bytes_total",
        "Bytes of incomplete records that were cut from the end when the journal was opened.",
        health.cut_bytes,
    );
    one(
        "zibrato_broker_journal_lost_bytes_total",
        "Bytes of batches in segments that were deleted or truncated by another program.",
        health.lost_bytes,
    );
    to.gauge(
        "zibrato_broker_journal_writable",
        "1 while the journal can be written. Otherwise nothing is accepted.",
    )
    .sample(&[], f64::from(u8::from(health.problem.is_none())));
    to.gauge("zibrato_broker_journal_waiting_bytes", "Bytes queued to be written.")
        .sample(&[], health.waiting_bytes as f64);
    to.gauge("zibrato_broker_journal_kept_bytes", "Size of the journal on disk, in bytes.")
        .sample(&[], health.kept_bytes as f64);
    to.gauge("zibrato_broker_journal_offset", "The offset of the last batch.")
        .sample(&[], health.end as f64);
}

fn readers(to: &mut Exposition, cursors: &[CursorState]) {
    let mut each = |name: &str, help: &str, of: fn(&CursorState) -> f64| {
        let mut family = to.gauge(name, help);
        for cursor in cursors {
            family.sample(&[("cursor", cursor.name.as_str())], of(cursor));
        }
    };
    each("zibrato_broker_cursor_offset", "Offset up to which a reader has delivered.", |c| {
        c.offset as f64
    });
    each(
        "zibrato_broker_cursor_behind",
        "Batches of any level that the reader has not delivered.",
        |c| c.behind as f64,
    );
    each(
        "zibrato_broker_cursor_lag_seconds",
        "Age of the oldest batch that the reader has not \
                                               delivered, in seconds.",
        |c| c.lag_ms as f64 / 1000.0,
    );
    each(
        "zibrato_broker_cursor_gone",
        "Batches that were deleted or damaged before the reader read them.",
        |c| c.gone as f64,
    );
    each("zibrato_broker_cursor_owned", "1 while a reader uses the cursor.", |c| {
        f64::from(u8::from(!c.reader.is_empty()))
    });
}

fn saving(to: &mut Exposition, replay: &ReplayHealth) {
    to.counter("zibrato_broker_cursor_save_failures_total", "Failed attempts to save cursors.")
        .sample(&[], replay.failures as f64);
    let help = "1 while cursors can be saved. Otherwise delivery continues, and is repeated after a \
                restart.";
    to.gauge("zibrato_broker_cursors_writable", help)
        .sample(&[], f64::from(u8::from(replay.unsaved.is_none())));
    let help = "1 while the journal can be read. Otherwise workers get nothing.";
    to.gauge("zibrato_broker_journal_readable", help)
        .sample(&[], f64::from(u8::from(replay.unreadable.is_none())));
}

fn peers(to: &mut Exposition, counters: &Counters) {
    let mut family = to.gauge("zibrato_broker_peers", "Open connections.");
    for peers in &counters.peers {
        family.sample(&[("socket", peers.socket)], peers.open() as f64);
    }
    let mut each = |name: &str, help: &str, of: fn(&PeerCounters) -> u64| {
        let mut family = to.counter(name, help);
        for peers in &counters.peers {
            family.sample(&[("socket", peers.socket)], of(peers) as f64);
        }
    };
    each("zibrato_broker_connects_total", "Connections accepted.", |peers| peers.connects);
    each("zibrato_broker_disconnects_total", "Connections closed.", |peers| peers.disconnects);
    let name = "zibrato_broker_handshakes_refused_total";
    let mut family = to.counter(name, "Connections refused, by reason.");
    for (reason, count) in counters.refused() {
        family.sample(&[("reason", reason)], count as f64);
    }
    if let Some(keys) = counters.keys {
        to.counter(
            "zibrato_broker_handshakes_admitted_total",
            "Connections whose key was allowed.",
        )
        .sample(&[], keys.admitted as f64);
        let help = "Requests to the journal dropped because their key was revoked.";
        to.counter("zibrato_broker_revoked_requests_total", help)
            .sample(&[], keys.dropped_requests as f64);
        to.gauge("zibrato_broker_allowed_keys", "Allowed keys.").sample(&[], keys.allowed as f64);
        to.counter("zibrato_broker_key_reloads_total", "Reloads of the list of keys, by result.")
            .sample(&[("result", "used")], keys.reloads as f64)
            .sample(&[("result", "refused")], keys.failed_reloads as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::metrics;
    use crate::counters::Counters;
    use crate::journal::Health;
    use crate::replay::ReplayHealth;
    use std::collections::BTreeSet;
    use zibrato::wire::{CursorState, WantedLevels};

    #[test]
    fn every_metric_is_explained_once_before_its_samples() {
        let mut counters = Counters::new(["zmq", "legacy"].into_iter(), ["publish"].into_iter());
        counters.intakes[1].reject("name", 3);
        counters.count_subscriber_drop("a\"b");
        counters.intakes[1].lines = 7;
        counters.unwanted_batches = 6;
        counters.journal = Some(Health { batches: 8, ..Health::default() });
        let cursor = CursorState { name: "a".to_owned(), lag_ms: 1_500, ..CursorState::default() };
        let wanted = WantedLevels { all: true, levels: ["info".parse().unwrap()].into() };
        let text = metrics(&counters, &wanted, (&[cursor], &ReplayHealth::default()));
        let (mut known, mut current) = (BTreeSet::new(), "");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                current = rest.split_once(' ').unwrap().0;
                assert!(known.insert(current), "{current} twice");
            } else if !line.starts_with("# HELP ") {
                let (name, _) = line.split_once(['{', ' ']).unwrap();
                assert_eq!(name, current, "{line}");
            }
        }
        for sample in [
            "zibrato_broker_lines_total{intake=\"legacy\"} 7",
            "zibrato_broker_rejected_total{intake=\"legacy\",reason=\"name\"} 3",
            "zibrato_broker_peers{socket=\"publish\"} 0",
            "zibrato_broker_subscriber_drops_total{level=\"a\\\"b\"} 1",
            "zibrato_broker_wanted_level{level=\"*\"} 1",
            "zibrato_broker_wanted_level{level=\"info\"} 1",
            "zibrato_broker_dropped_total{reason=\"fields\"} 0",
            "zibrato_broker_unwanted_total{form=\"batch\"} 6",
            "zibrato_broker_journal_batches_total 8",
            "zibrato_broker_cursor_lag_seconds{cursor=\"a\"} 1.5",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        }
    }
}
