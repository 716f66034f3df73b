//! The lines of a window, byte by byte.

mod annotations;
mod histograms;

mod gauges;
mod names;

use super::{Encoder, PAYLOAD_BYTES};
use crate::backend::Payload;
use proptest::prelude::*;
use std::collections::HashMap;
use zibrato::window::{Fold, Window};
use zibrato::wire::{BatchReader, BatchWriter, Line};
use zibrato::{Gauge, Summary};

const START: u64 = 1_700_000_040_000;

fn window(lines: &[&str]) -> Window {
    let mut window = Window::new(START, 60_000, 1_000_000);
    for line in lines {
        window.fold_line(&Line::decode(line.as_bytes()).unwrap());
    }
    window
}

fn fold(window: &mut Window, batch: BatchWriter) {
    let body = batch.finish();
    window.fold_batch(&BatchReader::new(&body).unwrap(), |error| panic!("{error}"));
}

fn text(payloads: &[Payload]) -> String {
    let bodies: Vec<_> = payloads.iter().flat_map(|p| p.body.iter().copied()).collect();
    String::from_utf8(bodies).unwrap()
}

fn encode(window: Window) -> String {
    text(&Encoder::default().encode(window).payloads)
}

#[test]
fn each_kind_has_its_lines() {
    let lines = [
        "info|c|logins|1|1|web-1",
        "info|c|logins|2|1|web-1",
        "info|g|queue.depth|4.5|20|web-1",
        "info|g|queue.depth|2|10|web-1",
        "info|s|users|ann|1|web-1",
        "info|s|users|bob|1|web-1",
        "info|s|users|ann|1|web-1",
        "info|t|db.query|1|1|web-1",
        "info|t|db.query|3|1|web-1",
        "info|c|total|7|1|",
    ];
    assert_eq!(
        encode(window(&lines)),
        "total 7 1700000040\n\
         web-1.db.query.count 2 1700000040\n\
         web-1.db.query.sum 4 1700000040\n\
         web-1.db.query.mean 2 1700000040\n\
         web-1.db.query.min 1 1700000040\n\
         web-1.db.query.max 3 1700000040\n\
         web-1.db.query.p50 1.0078125 1700000040\n\
         web-1.db.query.p95 3 1700000040\n\
         web-1.db.query.p99 3 1700000040\n\
         web-1.db.query.stddev 1 1700000040\n\
         web-1.logins 3 1700000040\n\
         web-1.queue.depth 4.5 1700000040\n\
         web-1.users 2 1700000040\n"
    );
}

#[test]
fn prefix_tags_and_timer_parts_make_the_name() {
    let mut window = window(&[]);
    let mut batch = BatchWriter::new("web-1", 0, 1000);
    batch.counter("logins", &[("z", "1"), ("dc", "fra-1")], 3.0);
    batch.timer_readings("db", &[("t", "a-b")], &[0.25]);
    fold(&mut window, batch);
    let timer_parts = "count,p99.9".parse().unwrap();
    let mut encoder = Encoder { timer_parts, ..Encoder::default() };
    encoder.naming.set_prefix("zibrato");
    assert_eq!(
        text(&encoder.encode(window).payloads),
        "zibrato.web-1.db.count;t=a-b 1 1700000040\n\
         zibrato.web-1.db.p99_9;t=a-b 0.25 1700000040\n\
         zibrato.web-1.logins;dc=fra-1;z=1 3 1700000040\n"
    );
}

#[test]
fn a_value_is_written_as_the_shortest_exact_text() {
    for (value, text) in [
        (0.0, "0"),
        (-0.0, "0"),
        (-3.0, "-3"),
        (0.1, "0.1"),
        (1.0 / 3.0, "0.3333333333333333"),
        (1e-7, "1e-7"),
        (123_456_789.25, "123456789.25"),
        (9_007_199_254_740_991.0, "9007199254740991"),
        (1e16, "1e16"),
        (1.797e308, "1.797e308"),
    ] {
        let mut window = window(&[]);
        let mut batch = BatchWriter::new("s", 0, 1000);
        batch.counter("n", &[], value);
        fold(&mut window, batch);
        assert_eq!(encode(window), format!("s.n {text} 1700000040\n"));
        assert_eq!(text.parse::<f64>().unwrap(), value);
    }
}

#[test]
fn values_that_are_not_finite_are_omitted() {
    let written = |value: &Fold| {
        let mut lines = Vec::new();
        Encoder::default().write(["n", ""], "n", value, " 1\n", &mut lines);
        String::from_utf8(lines).unwrap()
    };
    for value in [
        Fold::Counter(f64::INFINITY),
        Fold::Counter(f64::NAN),
        Fold::Gauge(Some(Gauge::reading(f64::NEG_INFINITY, 1))),
        Fold::Gauge(None),
    ] {
        assert_eq!(written(&value), "", "{value:?}");
    }
    let huge = Summary::folded(2, f64::MAX, 1.0, f64::MAX, f64::INFINITY);
    let text = written(&Fold::Timer(Box::new(huge)));
    assert!(text.contains("n.count 2 1\n") && !text.contains("inf"), "{text}");
}

#[test]
fn series_without_a_value_or_with_too_long_a_name_are_omitted_and_counted() {
    let mut all = window(&["i|c|good|1|1|s"]);
    let mut batch = BatchWriter::new("s", 0, 1000);
    batch.gauge_readings("silent", &[], &[]);
    let long = "v".repeat(255);
    let tags: Vec<_> = (0..50).map(|n| format!("{n:0>255}")).collect();
    let tags: Vec<_> = tags.iter().map(|tag| (&**tag, &*long)).collect();
    batch.counter("tagged", &tags, 1.0);
    fold(&mut all, batch);
    let encoded = Encoder::default().encode(all);
    assert_eq!(text(&encoded.payloads), "s.good 1 1700000040\n");
    assert_eq!(
        (encoded.left_out.times, encoded.left_out.names.first().map(String::as_str)),
        (2, Some("s.silent"))
    );
    assert_eq!(encoded.payloads.iter().map(|p| p.series).sum::<usize>(), 1);
}

#[test]
fn series_of_one_kind_with_equal_names_are_distinguished() {
    let lines = [
        "i|c|a b|1|1|s",
        "i|c|a_b|2|1|s",
        "i|c|b|4|1|s.a.c",
        "i|c|c.b|8|1|s.a",
        "i|g|g/|1|20|s",
        "i|g|g_|2|10|s",
        "i|c|l.x|16|1|",
        "i|c|x|32|1|l",
        "i|c|.x.|64|1|l",
        "i|t|t t|1|1|s",
        "i|t|t_t|1|1|s",
    ];
    let mut encoder = Encoder { timer_parts: "count".parse().unwrap(), ..Encoder::default() };
    let encoded = encoder.encode(window(&lines));
    let got = received(&encoded.payloads);
    let mut values: Vec<_> = got.iter().map(|(_, value, _)| *value as u64).collect();
    values.sort_unstable();
    assert_eq!(values, [1, 1, 1, 1, 2, 2, 4, 8, 16, 32, 64]);
    let plain: Vec<_> = got.iter().map(|(name, ..)| &**name).filter(|n| n.len() < 16).collect();
    assert_eq!(plain, ["l.x", "s.a.c.b", "s.a_b", "s.g_", "s.t_t.count"]);
    assert_eq!(encoded.merged.times, 0);
    let reported = format!("{:?}", encoded.alike);
    for pair in
        [r#"["b of s.a.c", "c.b of s.a", "s.a.c.b_"#, r#"["l.x of not_specified", "x of l", "l.x_"#]
    {
        assert!(reported.contains(pair), "{reported}");
    }
    // The series that has the name keeps it, even while it has no readings; and the conflict is
    // reported once.
    let encoded = encoder.encode(window(&["i|c|c.b|8|1|s.a"]));
    let again = received(&encoded.payloads);
    assert!(again[0].0 != "s.a.c.b" && got.contains(&again[0]), "{again:?}");
    assert_eq!(format!("{:?}", encoded.alike), "Alike([])");
}

#[test]
fn long_names_with_a_common_prefix_are_distinguished_in_every_window() {
    let long = "n".repeat(250);
    let mut seen = HashMap::new();
    for (outcome, sum) in [("ok", 1), ("err", 2), ("ok", 1), ("err", 2)] {
        let line = format!("i|c|{long}.{outcome}|{sum}|1|s");
        let (name, value, _) =
            received(&Encoder::default().encode(window(&[&line])).payloads).remove(0);
        assert_eq!(*seen.entry(name).or_insert(value), f64::from(sum));
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn series_of_several_kinds_with_equal_names_are_distinguished() {
    let lines = [
        "i|c|n|1|1|s",
        "i|g|n|2|1|s",
        "i|s|n|x|1|s",
        "i|t|n|3|1|s",
        "i|c|n.gauge|9|1|s",
        "i|c|t.count|5|1|s",
        "i|t|t|6|1|s",
        "i|c|t.other|7|1|s",
    ];
    let mut encoder = Encoder { timer_parts: "count".parse().unwrap(), ..Encoder::default() };
    let encoded = encoder.encode(window(&lines));
    let mut names: Vec<_> = text(&encoded.payloads)
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "s.n 1",
            "s.n.gauge 9",
            "s.n.gauge.gauge 2",
            "s.n.set 1",
            "s.n.timer.count 1",
            "s.t.count 1",
            "s.t.count.counter 5",
            "s.t.other 7",
        ]
    );
    assert_eq!(
        (encoded.renamed.times, encoded.renamed.names.first().map(String::as_str)),
        (4, Some("s.n"))
    );
}

#[test]
fn payloads_are_whole_lines_of_about_64_kib() {
    let lines: Vec<_> = (0..5000).map(|n| format!("i|c|{n:0>50}|1|1|s")).collect();
    let lines: Vec<_> = lines.iter().map(|line| &**line).collect();
    let payloads = Encoder::default().encode(window(&lines)).payloads;
    assert_eq!(payloads.len(), 6);
    for payload in &payloads {
        assert!(payload.body.len() <= PAYLOAD_BYTES && payload.body.ends_with(b"\n"));
        assert_eq!(payload.body.iter().filter(|b| **b == b'\n').count(), payload.series);
    }
    assert_eq!(payloads.iter().map(|p| p.series).sum::<usize>(), 5000);
}

#[test]
fn an_empty_window_has_no_payload() {
    assert!(Encoder::default().encode(window(&[])).payloads.is_empty());
}

/// Reads lines like Carbon's receiver: three fields, the last two are numbers, and nothing makes it
/// close the connection.
fn received(payloads: &[Payload]) -> Vec<(String, f64, f64)> {
    let text = text(payloads);
    assert!(text.is_empty() || text.ends_with('\n'));
    text.split_terminator('\n')
        .map(|line| {
            assert!(line.len() < 16_384);
            let fields: Vec<_> = line.split_whitespace().collect();
            let [name, value, time] = fields[..] else { panic!("{line:?}") };
            (name.to_owned(), value.parse().unwrap(), time.parse().unwrap())
        })
        .collect()
}

proptest! {
    /// Whatever the names are, Carbon accepts every line, no name occurs twice, and nothing is
    /// lost.
    #[test]
    fn carbon_accepts_every_line_once(
        gauge_parts in prop::sample::select(vec!["last", "max,last", "count,min"]),
        series in prop::collection::vec(
            ("[cgt]", "[ab ./;~\\*é\u{a0}]{1,4}", "[ab. ]{1,3}", 1..100_u32),
            1..40,
        ),
    ) {
        let lines: Vec<_> =
            series.iter().map(|(k, name, source, v)| format!("i|{k}|{name}|{v}|1|{source}")).collect();
        let lines: Vec<_> = lines.iter().map(|line| &**line).collect();
        let window = window(&lines);
        let folded = window.len();
        let gauge_parts = gauge_parts.parse().unwrap();
        let encoded = Encoder { gauge_parts, ..Encoder::default() }.encode(window);
        let mut seen = HashMap::new();
        for (name, value, time) in received(&encoded.payloads) {
            prop_assert!(value.is_finite() && time == 1_700_000_040.0);
            prop_assert!(seen.insert(name.clone(), value).is_none(), "{name} occurs twice");
        }
        prop_assert_eq!(encoded.payloads.iter().map(|p| p.series).sum::<usize>(), folded);
        prop_assert_eq!(encoded.left_out.times, 0);
        prop_assert_eq!(encoded.merged.times, 0);
    }

    /// Distinct series have distinct names, in one window as well as in separate windows.
    #[test]
    fn no_two_series_share_a_name(
        series in prop::collection::btree_set(
            ("([ab ./;~_]{1,4}|n{230,240}[ab]{0,3})", "([ab. ]{1,3}|not_specified)", "[ab ./;~=]{0,3}"),
            2..30,
        ),
    ) {
        let mut encoder = Encoder::default();
        let of = |series: &[&(String, String, String)]| {
            let mut window = window(&[]);
            for (name, source, tag) in series {
                let mut batch = BatchWriter::new(source, 0, 1000);
                let tags = [("t", &**tag)];
                batch.counter(name, if tag.is_empty() { &[] } else { &tags }, 1.0);
                fold(&mut window, batch);
            }
            window
        };
        let all: Vec<_> = series.iter().collect();
        let names = |encoded: &super::Encoded| -> Vec<String> {
            received(&encoded.payloads).into_iter().map(|(name, ..)| name).collect()
        };
        let mut together = names(&encoder.encode(of(&all)));
        let mut alone: Vec<_> =
            all.iter().flat_map(|one| names(&encoder.encode(of(&[*one])))).collect();
        prop_assert_eq!(together.len(), series.len());
        together.sort();
        alone.sort();
        prop_assert_eq!(&together, &alone);
        together.dedup();
        prop_assert_eq!(together.len(), series.len());
        // No later series gets an existing name, whatever the order of arrival.
        let mut encoder = Encoder::default();
        let mut first: Vec<_> =
            all.iter().rev().flat_map(|one| names(&encoder.encode(of(&[*one])))).collect();
        let mut later = names(&encoder.encode(of(&all)));
        first.sort();
        later.sort();
        prop_assert_eq!(first, later);
    }
}

#[test]
fn a_series_that_got_its_kind_as_a_part_keeps_it() {
    let (both, alone) = (
        ["i|t|t|0.5|1|s", "i|g|t.mean|7|1|s", "i|c|x|1|1|s", "i|g|x|8|1|s"],
        ["i|g|t.mean|7|1|s", "i|g|x|8|1|s"],
    );
    let mut encoder = Encoder::default();
    for lines in [&both[..], &alone[..]] {
        let written = text(&encoder.encode(window(lines)).payloads);
        for line in ["s.t.mean.gauge 7 1700000040\n", "s.x.gauge 8 1700000040\n"] {
            assert!(written.contains(line), "{line} is not in {written}");
        }
    }
    // The first of a kind keeps the name.
    let mut encoder = Encoder::default();
    assert!(text(&encoder.encode(window(&alone)).payloads).contains("s.x 8"));
}
