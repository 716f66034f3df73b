//! Metrics over time: publishing, expiry, limits and invalid changes.

use super::{AllMetrics, MAX_STATISTICS, Statistic};
use crate::intake::metricsd::decode::{Action, Change};
use crate::intake::metricsd::handlers::Handlers;
use crate::intake::metricsd::metrics::MetricKind;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn metrics(handlers: &[&str], expire: Duration, max_statistics: usize) -> AllMetrics {
    let handlers = handlers.iter().map(|text| text.parse().unwrap()).collect();
    AllMetrics::new(Handlers::new(handlers, Duration::from_secs(10)), expire, max_statistics, 1_000)
}

fn update(
    metrics: &mut AllMetrics,
    kind: MetricKind,
    name: &str,
    value: f64,
) -> Result<(), &'static str> {
    at(metrics, kind, name, value, 2_000)
}

fn at(
    metrics: &mut AllMetrics,
    kind: MetricKind,
    name: &str,
    value: f64,
    now_ms: u64,
) -> Result<(), &'static str> {
    metrics.apply("web-1", &Change { kind, name, action: Action::Update(value) }, now_ms)
}

/// What is published, as `source name value`.
fn published(metrics: &mut AllMetrics, now_ms: u64) -> Vec<String> {
    published_at(metrics, now_ms, now_ms)
}

fn published_at(metrics: &mut AllMetrics, now_ms: u64, uptime_ms: u64) -> Vec<String> {
    let mut all = Vec::new();
    metrics.publish_due(now_ms, uptime_ms, &mut |Statistic { source, name, value }| {
        all.push(format!("{source} {name} {value}"));
    });
    all.sort();
    all
}

#[test]
fn each_metric_is_published_at_the_multiples_of_its_interval() {
    let mut metrics = metrics(&["web-1.fast=2"], HOUR, MAX_STATISTICS);
    update(&mut metrics, MetricKind::Gauge, "fast", 1.0).unwrap();
    update(&mut metrics, MetricKind::Counter, "slow", 2.0).unwrap();
    let (fast, slow) = ("web-1 fast 1".to_owned(), "web-1 slow 2".to_owned());
    assert_eq!(metrics.next_ms(), 2_000);
    assert_eq!(published(&mut metrics, 1_999), [""; 0]);
    assert_eq!(published(&mut metrics, 2_500), [&*fast]);
    assert_eq!(metrics.next_ms(), 4_000);
    assert_eq!(published(&mut metrics, 3_999), [""; 0]);
    // Late, and a time that was missed is not made up for.
    assert_eq!(published(&mut metrics, 9_000), [&*fast]);
    assert_eq!(published(&mut metrics, 10_000), [fast.clone(), slow.clone()]);
    // Values stay until they change.
    update(&mut metrics, MetricKind::Counter, "slow", 3.0).unwrap();
    assert_eq!(published(&mut metrics, 20_000), [&*fast, "web-1 slow 5"]);
    // A clock that was put back.
    assert_eq!(published(&mut metrics, 1_000), [&*fast, "web-1 slow 5"]);
    assert_eq!(metrics.next_ms(), 2_000);
}

#[test]
fn a_metric_is_created_by_an_update_only() {
    let mut metrics = metrics(&[], HOUR, MAX_STATISTICS);
    let change = |action| Change { kind: MetricKind::Counter, name: "a", action };
    for action in [Action::Clear, Action::Delete] {
        assert_eq!(metrics.apply("", &change(action), 2_000), Ok(()));
        assert_eq!(published(&mut metrics, 10_000), [""; 0]);
    }
    metrics.apply("", &change(Action::Update(4.0)), 2_000).unwrap();
    assert_eq!(published(&mut metrics, 20_000), ["not_specified a 4"]);
    metrics.apply("", &change(Action::Clear), 2_000).unwrap();
    assert_eq!(published(&mut metrics, 30_000), ["not_specified a 0"]);
    metrics.apply("", &change(Action::Delete), 2_000).unwrap();
    assert_eq!(published(&mut metrics, 40_000), [""; 0]);
    assert!(metrics.hosts.is_empty() && metrics.statistics == 0);
}

#[test]
fn a_change_that_is_invalid_has_its_reason_and_harms_nothing() {
    let mut metrics = metrics(&[], HOUR, MAX_STATISTICS);
    update(&mut metrics, MetricKind::Gauge, "a", 1.0).unwrap();
    let long = "n".repeat(250);
    for (kind, name, value, reason) in [
        (MetricKind::Gauge, "a", f64::NAN, "value"),
        (MetricKind::Gauge, "a", f64::INFINITY, "value"),
        (MetricKind::Counter, "a", 1.0, "other_type"),
        (MetricKind::Gauge, "", 1.0, "name"),
        (MetricKind::Gauge, "a|b", 1.0, "name"),
        (MetricKind::Gauge, "a\nb", 1.0, "name"),
        // Its statistics would have names that are too long.
        (MetricKind::Histogram, &long, 1.0, "name"),
    ] {
        assert_eq!(update(&mut metrics, kind, name, value), Err(reason), "{name:?}");
    }
    let change = Change { kind: MetricKind::Gauge, name: "a", action: Action::Update(1.0) };
    assert_eq!(metrics.apply("a|b", &change, 2_000), Err("source"));
    assert_eq!(published(&mut metrics, 10_000), ["web-1 a 1"]);
    assert_eq!(metrics.statistics, 1);
    // Another type is accepted after a delete.
    let delete = Change { kind: MetricKind::Counter, name: "a", action: Action::Delete };
    metrics.apply("web-1", &delete, 2_000).unwrap();
    assert_eq!(update(&mut metrics, MetricKind::Counter, "a", 2.0), Ok(()));
    assert_eq!(update(&mut metrics, MetricKind::Gauge, &long, 2.0), Ok(()));
}

#[test]
fn the_number_of_statistics_is_bounded_and_the_known_ones_go_on() {
    let mut metrics = metrics(&[], HOUR, 17 + 12 + 1);
    assert_eq!(update(&mut metrics, MetricKind::Timer, "t", 1.0), Ok(()));
    assert_eq!(update(&mut metrics, MetricKind::Timer, "t2", 1.0), Err("series"));
    assert_eq!(update(&mut metrics, MetricKind::Histogram, "h", 1.0), Ok(()));
    assert_eq!(update(&mut metrics, MetricKind::Meter, "m", 1.0), Err("series"));
    assert_eq!(update(&mut metrics, MetricKind::Counter, "c", 1.0), Ok(()));
    assert_eq!(update(&mut metrics, MetricKind::Gauge, "g", 1.0), Err("series"));
    for (kind, name) in [(MetricKind::Timer, "t"), (MetricKind::Counter, "c")] {
        assert_eq!(update(&mut metrics, kind, name, 1.0), Ok(()));
    }
    let delete = Change { kind: MetricKind::Timer, name: "t", action: Action::Delete };
    metrics.apply("web-1", &delete, 2_000).unwrap();
    assert_eq!(update(&mut metrics, MetricKind::Timer, "t2", 1.0), Ok(()));
}

#[test]
fn a_metric_without_a_change_is_forgotten_after_a_time() {
    let mut metrics = metrics(&[], Duration::from_secs(60), 18);
    update(&mut metrics, MetricKind::Timer, "t", 1.0).unwrap();
    update(&mut metrics, MetricKind::Counter, "c", 1.0).unwrap();
    at(&mut metrics, MetricKind::Counter, "c", 1.0, 30_000).unwrap();
    assert_eq!(published(&mut metrics, 60_000).len(), 5 + 12 + 1);
    assert_eq!(published(&mut metrics, 70_000).len(), 5 + 12 + 1);
    assert_eq!(published(&mut metrics, 80_000), ["web-1 c 2"]);
    assert_eq!(metrics.statistics, 1);
    assert_eq!(at(&mut metrics, MetricKind::Histogram, "h", 1.0, 81_000), Ok(()));
    assert_eq!(published(&mut metrics, 1_000_000).len(), 1 + 12);
    assert_eq!(published(&mut metrics, 1_010_000), [""; 0]);
    assert!(metrics.hosts.is_empty());
}

#[test]
fn a_clock_that_is_set_changes_neither_rates_nor_ages() {
    let mut metrics = metrics(&[], Duration::from_secs(60), MAX_STATISTICS);
    let mut all = Vec::new();
    // The clock is a day ahead, and then an hour behind.
    for (uptime_ms, now_ms) in [(10_000, 10_000), (20_000, 86_420_000), (30_000, 82_830_000)] {
        at(&mut metrics, MetricKind::Meter, "m", 50.0, uptime_ms - 4_000).unwrap();
        all = published_at(&mut metrics, now_ms, uptime_ms);
    }
    let expected = [
        "web-1 m.count 150",
        "web-1 m.rate_15m 9.88",
        "web-1 m.rate_1m 8.52",
        "web-1 m.rate_5m 9.67",
    ];
    for expected in expected {
        assert!(all.iter().any(|found| found.starts_with(expected)), "{expected}: {all:?}");
    }
    assert_eq!(published_at(&mut metrics, 82_840_000, 85_999).len(), 5);
    assert_eq!(published_at(&mut metrics, 82_850_000, 86_000).len(), 5);
    assert_eq!(published_at(&mut metrics, 82_860_000, 86_001), [""; 0]);
}
