//! Histograms: from call sites and handles to the broker, with their units.

use super::{Acknowledges, Broker, at, finish, installations_end_while_threads_record, place};
use crate::sdk::{Family, Shape, Site, histogram};
use crate::summary::Summary;
use crate::wire::{BatchReader, Value};
use crate::{Builder, Loss, Zibrato, testing};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

/// An instrument that sends only at a flush, and ends without waiting.
fn rarely(broker: &Broker) -> Builder {
    broker.builder().interval(Duration::from_secs(3600)).flush_deadline(Duration::ZERO)
}

/// Flushes, and returns the histograms of the next batch by name, tags and unit.
fn flushed(z: &Zibrato, broker: &mut Broker) -> BTreeMap<String, Summary> {
    let before = broker.bodies.len();
    z.flush(Duration::ZERO);
    broker.serve_until(|broker| broker.bodies.len() > before);
    let mut all = BTreeMap::new();
    for entry in BatchReader::new(&broker.bodies[before]).unwrap().entries().map(Result::unwrap) {
        let tags: String = entry.tags.map(|(tag, value)| format!(";{tag}={value}")).collect();
        let unit = entry.unit.map_or_else(String::new, |unit| format!(" in {unit}"));
        let summary: &mut Summary = all.entry(format!("{}{tags}{unit}", entry.name)).or_default();
        match entry.value {
            Value::Histogram(more) => more.merge_into(summary),
            Value::HistogramReadings(readings) => readings.for_each(|value| summary.record(value)),
            other => panic!("{other:?}"),
        }
    }
    all
}

#[test]
fn what_threads_record_arrives_as_one_histogram_with_its_unit() {
    static SIZE: Site = Site::new(Shape::Histogram(Some("bytes")), at("size"));
    static PLAIN: Site = Site::new(Shape::Histogram(None), at("size"));
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).install().unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || (0..1000).for_each(|n| histogram(&SIZE, thread * 1000 + n)));
        }
    });
    histogram(&SIZE, -7.5);
    histogram(&PLAIN, 1e308);
    histogram(&PLAIN, -1e308);
    let histograms = flushed(&guard.handle(), &mut broker);
    let wanted: Summary = (0..4000).map(f64::from).chain([-7.5]).collect();
    let got = &histograms["size in bytes"];
    assert_eq!((got.count(), got.sum(), got.min(), got.max()), (4001, wanted.sum(), -7.5, 3999.0));
    assert_eq!(got.sketch(), wanted.sketch());
    assert!((got.stddev() / wanted.stddev() - 1.0).abs() < 1e-12);
    let huge = &histograms["size"];
    assert_eq!((huge.count(), huge.min(), huge.max()), (2, -1e308, 1e308));
    assert_eq!(histograms.len(), 2);
}

#[test]
fn numbers_that_are_not_finite_are_counted_as_lost() {
    static SIZE: Site = Site::new(Shape::Histogram(None), at("size"));
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).install().unwrap();
    [1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2.0]
        .into_iter()
        .for_each(|value| histogram(&SIZE, value));
    assert_eq!(flushed(&guard.handle(), &mut broker)["size"].sum(), 3.0);
    let stats = guard.handle().stats();
    assert_eq!((stats.recorded, stats.lost), (5, BTreeMap::from([(Loss::NotFinite, 3)])));
}

#[test]
fn handles_have_tags_and_units() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = rarely(&broker).build().unwrap();
    let size = z.histogram("info", "size").unit("bytes");
    (1..=3).for_each(|n| size.record(n));
    size.with("route", "/").record(7);
    size.unit("kB").record(0.5);
    z.histogram("info", "size").record(1);
    z.histogram("info", "rows").with("t|", "a").unit("ro|ws\n").record(1);
    z.histogram("info", "rows").unit(&"ü".repeat(20)).record(2);
    z.histogram("info", "rows").unit("").record(f64::NAN);
    let histograms = flushed(&z, &mut broker);
    let sums: Vec<_> = histograms.iter().map(|(name, all)| (&**name, all.sum())).collect();
    assert_eq!(
        sums,
        [
            ("rows in üüüüüüüüüüüüüüüü", 2.0),
            ("rows;t_=a in ro_ws_", 1.0),
            ("size", 1.0),
            ("size in bytes", 6.0),
            ("size in kB", 0.5),
            ("size;route=/ in bytes", 7.0),
        ]
    );
    let stats = z.stats();
    assert_eq!((stats.recorded, stats.renamed), (9, 4));
    assert_eq!(stats.lost, BTreeMap::from([(Loss::NotFinite, 1)]));
    drop(z);
    size.record(1);
}

#[test]
fn a_handle_of_an_invalid_level_counts_its_losses() {
    let mut broker = Broker::new(Acknowledges::Everything);
    let z = broker.builder().build().unwrap();
    let size = z.histogram("in|fo", "size").unit("bytes");
    size.record(1);
    size.with("route", "/").record(1);
    let stats = finish(z, &mut broker);
    assert!(stats.balances(), "{stats:?}");
    assert_eq!(stats.lost, BTreeMap::from([(Loss::Name, 2)]));
}

#[test]
fn call_sites_with_tags_are_distinct_and_keep_their_unit() {
    static ROWS: Family =
        Family::new(Site::new(Shape::Histogram(Some("rows")), at("rows")), &["table"], 0);
    let _place = place();
    let mut broker = Broker::new(Acknowledges::Everything);
    let guard = rarely(&broker).install().unwrap();
    for (table, rows) in [("users", 3), ("orders", 5), ("users", 4)] {
        ROWS.histogram((crate::sdk::tag(&table).__zibrato_tag(),), rows);
    }
    let histograms = flushed(&guard.handle(), &mut broker);
    let sums: Vec<_> = histograms.iter().map(|(name, all)| (&**name, all.sum())).collect();
    assert_eq!(sums, [("rows;table=orders in rows", 5.0), ("rows;table=users in rows", 7.0)]);
}

#[test]
fn a_capture_has_the_readings_and_the_unit() {
    static SIZE: Site = Site::new(Shape::Histogram(Some("bytes")), at("captured.size"));
    let capture = testing::capture();
    histogram(&SIZE, 5_u8);
    histogram(&SIZE, f64::NAN);
    assert_eq!(capture.histogram("info", "captured.size"), [5.0]);
    assert_eq!(capture.measurements()[0].unit.as_ref().map(crate::Unit::as_str), Some("bytes"));
}

#[test]
fn installations_end_with_every_reading_while_threads_record_a_histogram() {
    static BUSY: Site = Site::new(Shape::Histogram(Some("rows")), at("busy"));
    installations_end_while_threads_record(
        || histogram(&BUSY, 1),
        |value| match value {
            Value::Histogram(summary) => {
                let buckets: Vec<_> = summary.buckets().map(|(_, count)| count).collect();
                assert_eq!((summary.sum, buckets), (summary.count as f64, vec![summary.count]));
                summary.count
            }
            Value::HistogramReadings(readings) => readings.count() as u64,
            other => panic!("{other:?}"),
        },
    );
}
