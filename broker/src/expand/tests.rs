//! A batch becomes the lines that its readings would have been.

use super::{Expanded, MAX_BATCH_LINES, MAX_TIMER_LINES, expand, expand_with_tags};
use proptest::prelude::*;
use zibrato::wire::{BatchWriter, Line, LineValue};
use zibrato::{Annotation, Gauge, Kind, Summary};

const START: u64 = 1_700_000_000_000;

fn batch() -> BatchWriter {
    BatchWriter::new("web-1", START, 1_500)
}

fn lines(batch: BatchWriter) -> Vec<String> {
    let mut lines = Vec::new();
    let done = expand("info", &batch.finish(), |line| lines.push(line.to_string())).unwrap();
    assert_eq!(done, Expanded { lines: lines.len() as u64, ..Expanded::default() });
    lines
}

fn timer_values(batch: BatchWriter) -> Vec<f64> {
    let mut values = Vec::new();
    expand("info", &batch.finish(), |line| {
        assert_eq!(line.kind, Kind::Timer);
        if let LineValue::Number(value) = line.value {
            values.push(value);
        }
    })
    .unwrap();
    values
}

#[test]
fn every_kind_of_entry_becomes_its_lines() {
    let mut gauge = Gauge::reading(4.0, START + 200);
    gauge.merge(&Gauge::reading(2.5, START + 1_250));
    let mut batch = batch();
    batch.counter("logins", &[("dc", "x")], 3.0);
    batch.gauge("depth", &[], &gauge);
    batch.gauge("idle", &[], &Gauge::idle(7.0, START));
    batch.gauge_readings("temp", &[], &[(START, 20.0), (START + 500, 20.5)]);
    batch.set("users", &[], ["alice", "bob"].into_iter());
    batch.timer_readings("query", &[], &[0.25, 0.5]);
    batch.timer("render", &[], &[0.1, 0.3, 0.2].into_iter().collect());
    batch.histogram_readings("size", &[], Some("bytes"), &[512.0, -0.5]);
    batch.histogram("rows", &[], None, &[7.0, 9.0].into_iter().collect());
    let lines = lines(batch);
    assert_eq!(
        lines[..8],
        [
            "info|Counter|logins|3|1700000001.5|web-1",
            "info|Gauge|depth|2.5|1700000001.25|web-1",
            "info|Gauge|temp|20|1700000000|web-1",
            "info|Gauge|temp|20.5|1700000000.5|web-1",
            "info|Set|users|alice|1700000001.5|web-1",
            "info|Set|users|bob|1700000001.5|web-1",
            "info|Timer|query|0.25|1700000001.5|web-1",
            "info|Timer|query|0.5|1700000001.5|web-1",
        ]
    );
    assert_eq!(
        lines[11..],
        [
            "info|Histogram|size|512|1700000001.5|web-1",
            "info|Histogram|size|-0.5|1700000001.5|web-1",
            "info|Histogram|rows|7|1700000001.5|web-1",
            "info|Histogram|rows|9|1700000001.5|web-1",
        ]
    );
    assert_eq!(lines[8], "info|Timer|render|0.1|1700000001.5|web-1");
    assert_eq!(lines[10], "info|Timer|render|0.3|1700000001.5|web-1");
}

#[test]
fn an_annotation_has_no_line_and_is_counted() {
    let deploy = Annotation::new("deploys", "version 7 is live", START).unwrap();
    let mut batch = batch();
    batch.annotation(&deploy);
    batch.counter("logins", &[], 3.0);
    batch.annotation(&deploy);
    let mut lines = Vec::new();
    let done = expand("info", &batch.finish(), |line| lines.push(line.to_string())).unwrap();
    assert_eq!(done, Expanded { lines: 1, annotations: 2, refused: 0 });
    assert_eq!(lines, ["info|Counter|logins|3|1700000001.5|web-1"]);
}

#[test]
fn a_folded_timer_becomes_a_thousand_lines_at_most() {
    for (count, expected) in
        [(1, 1), (2, 2), (3, 3), (1_000, 1_000), (1_001, 1_000), (9_999, 1_000)]
    {
        let readings = (1..=count).map(f64::from);
        let mut batch = batch();
        batch.timer("t", &[], &readings.collect());
        let values = timer_values(batch);
        assert_eq!(values.len(), expected, "{count}");
        assert_eq!((values[0], values[expected - 1]), (1.0, f64::from(count)));
        let middle = f64::from(count + 1) / 2.0;
        assert!((values[expected / 2] - middle).abs() <= 1.0 + middle * 0.01, "{count}");
    }
}

#[test]
fn times_that_no_line_can_name_become_the_latest_that_can_be() {
    let mut late = BatchWriter::new("s", u64::MAX, u64::MAX);
    late.counter("n", &[], 1.0);
    late.gauge_readings("g", &[], &[(u64::MAX, 1.0), (5_000, 2.0)]);
    let lines = lines(late);
    assert_eq!(lines[2], "info|Gauge|g|2|5|s");
    for line in lines {
        assert!(Line::decode(line.as_bytes()).is_ok(), "{line}");
    }
}

#[test]
fn a_batch_cannot_become_a_flood() {
    let mut batch = batch();
    let more = MAX_BATCH_LINES as usize + 7;
    batch.timer_readings("t", &[], &vec![1.0; more]);
    let done = expand("info", &batch.finish(), |_| ()).unwrap();
    assert_eq!(done, Expanded { lines: MAX_BATCH_LINES, annotations: 0, refused: 7 });
}

#[test]
fn bad_entries_are_counted_and_the_others_become_lines() {
    let mut batch = batch();
    batch.counter("a|b", &[], 1.0);
    batch.counter("n", &[], f64::NAN);
    batch.counter("ok", &[], 1.0);
    let mut lines = Vec::new();
    let done = expand("info", &batch.finish(), |line| lines.push(line.to_string())).unwrap();
    assert_eq!(done, Expanded { lines: 1, annotations: 0, refused: 2 });
    assert_eq!(lines, ["info|Counter|ok|1|1700000001.5|web-1"]);
    assert!(expand("info", b"\xc1", |_| ()).is_err());
}

#[test]
fn buckets_that_contradict_the_count_harm_nobody() {
    // {"s": "s", "t": 0, "l": 0, "e": [{k: t, n: t, c: 2^64-1, s: 1, m: 0, x: 9, q: 1, b: […]}]}
    for buckets in [&b"\x90"[..], b"\x92\xd2\x7f\xff\xff\xff\x05", b"\x92\x05\x00"] {
        let head = b"\x84\xa1s\xa1s\xa1t\x00\xa1l\x00\xa1e\x91";
        let entry = b"\x88\xa1k\xa1t\xa1n\xa1t\xa1c\xcf\xff\xff\xff\xff\xff\xff\xff\xff\
                      \xa1s\x01\xa1m\x00\xa1x\x09\xa1q\x01\xa1b";
        let body = [&head[..], entry, buckets].concat();
        let mut values = Vec::new();
        expand("info", &body, |line| values.push(line.value == LineValue::Number(9.0))).unwrap();
        assert_eq!(values.len() as u64, MAX_TIMER_LINES);
        assert!(!values[0] && values[500] && values[999]);
    }
}

proptest! {
    /// Checks that there are as many lines as readings, each within a hundredth of the reading of
    /// its rank.
    #[test]
    fn a_timer_comes_back_reading_by_reading(
        mut readings in prop::collection::vec(1e-6..1e4, 1..600),
    ) {
        let mut batch = batch();
        let summary: Summary = readings.iter().copied().collect();
        batch.timer("t", &[], &summary);
        let values = timer_values(batch);
        readings.sort_by(f64::total_cmp);
        prop_assert_eq!(values.len(), readings.len());
        for (value, reading) in values.iter().zip(&readings) {
            prop_assert!((value - reading).abs() <= reading * 0.008, "{} for {}", value, reading);
        }
        prop_assert_eq!((values[0], values.last()), (readings[0], readings.last()));
    }

    /// Checks that each line of any batch is valid, and has the values of its entry.
    #[test]
    fn every_line_can_be_read(
        name in "[a-z é.]{1,30}", sum in -1e12..1e12, last in -1e12..1e12,
        at in 0..4_000_000_000_000_u64, members in prop::collection::vec("[a-z]{1,9}", 0..9),
    ) {
        let mut batch = batch();
        batch.counter(&name, &[], sum);
        batch.gauge(&name, &[], &Gauge::reading(last, at));
        batch.set(&name, &[], members.iter().map(|m| &**m));
        let lines = lines(batch);
        let read: Vec<_> =
            lines.iter().map(|line| Line::decode(line.as_bytes()).unwrap()).collect();
        prop_assert!(read.iter().all(|l| l.name == name && l.level == "info" && l.source == "web-1"));
        prop_assert_eq!(read[0].value, LineValue::Number(sum));
        prop_assert_eq!((read[1].value, read[1].timestamp_ms()), (LineValue::Number(last), at));
        let back: Vec<_> = read[2..].iter().map(|l| l.value).collect();
        let expected: Vec<_> = members.iter().map(|m| LineValue::Member(m)).collect();
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        expand("info", &body, |line| drop(line.to_string())).ok();
    }
}

#[test]
fn tags_that_have_no_place_in_a_line_come_beside_it() {
    let mut batch = batch();
    batch.counter("logins", &[("dc", "x"), ("shard", "3")], 3.0);
    batch.set("users", &[], ["alice"].into_iter());
    let mut found = Vec::new();
    let tags = |line: &Line<'_>, tags: &zibrato::wire::Tags<'_>| {
        let tags: Vec<_> = tags.clone().map(|(tag, value)| format!("{tag}={value}")).collect();
        found.push((line.name.to_owned(), tags.join(" ")));
    };
    expand_with_tags("info", &batch.finish(), tags).unwrap();
    let expected = [("logins", "dc=x shard=3"), ("users", "")];
    assert_eq!(found, expected.map(|(name, tags)| (name.to_owned(), tags.to_owned())));
}
