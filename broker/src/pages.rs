//! The pages that the broker serves over HTTP.

use crate::counters::{Counters, INTAKES, REASONS, SOCKETS};
use crate::shared::Shared;
use zibrato::daemon::{Exposition, Page};
use zibrato::wire::WantedLevels;

/// The most levels that are listed as wanted.
const MAX_LISTED_LEVELS: usize = 1_000;

/// The page for a path.
pub(crate) fn page(path: &str, shared: &Shared) -> Page {
    match path {
        "/healthz" => Page::text(200, "ok\n"),
        "/readyz" => match shared.unready() {
            None => Page::text(200, "ready\n"),
            Some(why) => Page::text(503, format!("{why}\n")),
        },
        "/metrics" => Page::metrics(metrics(&shared.counters(), &shared.wanted())),
        _ => Page::text(404, "no such page; there are /healthz, /readyz and /metrics\n"),
    }
}

fn metrics(counters: &Counters, wanted: &WantedLevels) -> String {
    let mut to = Exposition::new();
    intakes(&mut to, counters);
    outlets(&mut to, counters);
    peers(&mut to, counters);
    to.gauge("zibrato_broker_subscriptions", "Topics that subscribers have asked for.")
        .sample(&[], counters.subscriptions as f64);
    let mut family = to.gauge(
        "zibrato_broker_wanted_level",
        "1 for each level that a subscriber wants; * is every level.",
    );
    if wanted.all {
        family.sample(&[("level", "*")], 1.0);
    }
    for level in wanted.levels.iter().take(MAX_LISTED_LEVELS) {
        family.sample(&[("level", level.as_str())], 1.0);
    }
    to.gauge("zibrato_broker_remembered", "Pairs of publisher and level that are remembered.")
        .sample(&[], counters.remembered as f64);
    to.gauge("zibrato_broker_info", "The version of the broker.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    to.finish()
}

fn intakes(to: &mut Exposition, counters: &Counters) {
    let mut intake = |name: &str, help: &str, of: fn(&Counters, usize) -> u64| {
        let mut family = to.counter(name, help);
        for (at, word) in INTAKES.iter().enumerate() {
            family.sample(&[("intake", word)], of(counters, at) as f64);
        }
    };
    intake("zibrato_broker_lines_total", "Lines taken.", |c, at| c.intakes[at].lines);
    intake("zibrato_broker_batches_total", "Batches taken.", |c, at| c.intakes[at].batches);
    intake("zibrato_broker_bytes_total", "Bytes received.", |c, at| c.intakes[at].bytes);
    to.counter("zibrato_broker_duplicates_total", "Batches that had been taken before.")
        .sample(&[], counters.duplicates as f64);
    let mut family = to.counter("zibrato_broker_dropped_total", "What was dropped, by reason.");
    for reason in REASONS {
        family.sample(&[("reason", reason)], counters.dropped.of(reason) as f64);
    }
    to.counter(
        "zibrato_broker_overflowed_total",
        "Lines folded together with others because their level had too many series.",
    )
    .sample(&[], counters.overflowed as f64);
    to.counter("zibrato_broker_forgotten_total", "Publishers forgotten because of their number.")
        .sample(&[], counters.forgotten as f64);
}

fn outlets(to: &mut Exposition, counters: &Counters) {
    to.counter("zibrato_broker_published_total", "What was handed on, by form.")
        .sample(&[("form", "batch")], counters.published_batches as f64)
        .sample(&[("form", "line")], counters.published_lines as f64);
    to.counter(
        "zibrato_broker_unwanted_total",
        "What was taken of levels that no subscriber wanted, by form.",
    )
    .sample(&[("form", "batch")], counters.unwanted_batches as f64)
    .sample(&[("form", "line")], counters.unwanted_lines as f64);
    let mut family = to.counter(
        "zibrato_broker_subscriber_drops_total",
        "How often a message found the queue of a subscriber full. That subscriber then gets \
         nothing until it has read half of its queue.",
    );
    for (level, count) in &*counters.subscriber_drops {
        family.sample(&[("level", level)], *count as f64);
    }
    to.counter(
        "zibrato_broker_strange_subscriptions_total",
        "Messages from subscribers that were no subscriptions, or too many to keep.",
    )
    .sample(&[], counters.strange_subscriptions as f64);
}

fn peers(to: &mut Exposition, counters: &Counters) {
    let of = |at: usize| &counters.peers[at];
    let mut family = to.gauge("zibrato_broker_peers", "Connections that are open.");
    for (at, socket) in SOCKETS.iter().enumerate() {
        family.sample(&[("socket", socket)], of(at).open() as f64);
    }
    let mut family = to.counter("zibrato_broker_connects_total", "Connections accepted.");
    for (at, socket) in SOCKETS.iter().enumerate() {
        family.sample(&[("socket", socket)], of(at).connects as f64);
    }
    let name = "zibrato_broker_handshakes_refused_total";
    let mut family = to.counter(name, "Connections that were refused, by reason.");
    for (reason, count) in counters.refused() {
        family.sample(&[("reason", reason)], count as f64);
    }
    if let Some(keys) = counters.keys {
        to.counter(
            "zibrato_broker_handshakes_admitted_total",
            "Connections whose key was allowed.",
        )
        .sample(&[], keys.admitted as f64);
        to.gauge("zibrato_broker_allowed_keys", "Keys that are allowed.")
            .sample(&[], keys.allowed as f64);
        to.counter("zibrato_broker_key_reloads_total", "Lists of keys that were read, by result.")
            .sample(&[("result", "used")], keys.reloads as f64)
            .sample(&[("result", "refused")], keys.failed_reloads as f64);
    }
    let mut family = to.counter("zibrato_broker_disconnects_total", "Connections that ended.");
    for (at, socket) in SOCKETS.iter().enumerate() {
        family.sample(&[("socket", socket)], of(at).disconnects as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::metrics;
    use crate::counters::Counters;
    use std::collections::BTreeSet;
    use zibrato::wire::WantedLevels;

    #[test]
    fn every_metric_is_explained_once_before_its_samples() {
        let mut counters = Counters::default();
        counters.count_subscriber_drop("a\"b");
        counters.intakes[1].lines = 7;
        counters.unwanted_batches = 6;
        let wanted = WantedLevels { all: true, levels: ["info".parse().unwrap()].into() };
        let text = metrics(&counters, &wanted);
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
            "zibrato_broker_subscriber_drops_total{level=\"a\\\"b\"} 1",
            "zibrato_broker_wanted_level{level=\"*\"} 1",
            "zibrato_broker_wanted_level{level=\"info\"} 1",
            "zibrato_broker_dropped_total{reason=\"fields\"} 0",
            "zibrato_broker_unwanted_total{form=\"batch\"} 6",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        }
    }
}
