//! Tables of windows and the gauges that they become.

mod parts;

use super::{Encoded, Encoder};
use crate::librato::accept::Omitted;
use crate::librato::bodies::MAX_POINTS;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zibrato::window::Window;
use zibrato::wire::Line;

/// Shortly after that window.
const NOW: u64 = 1_700_000_101_000;

fn encoder() -> Encoder {
    Encoder::new("")
}

/// Series that are not sent.
fn dropped(encoded: &Encoded) -> u64 {
    encoded.homeless + encoded.omitted_for(Omitted::Number)
}

/// A window that starts at 1700000040 and holds the given lines, without their level.
fn window<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> Window {
    let mut window = Window::new(1_700_000_040_000, 60_000, 1_000_000);
    for line in lines {
        let line = format!("info|{}", line.as_ref());
        window.fold_line(&Line::decode(line.as_bytes()).unwrap());
    }
    window
}

pub(super) fn gauges(encoded: &Encoded) -> Vec<Value> {
    let bodies = encoded.payloads.iter().map(|payload| {
        let body: Value = serde_json::from_slice(&payload.body).unwrap();
        let gauges = body
            .get("gauges")
            .or_else(|| body.get("measurements"))
            .unwrap()
            .as_array()
            .unwrap()
            .clone();
        assert!((1..=MAX_POINTS).contains(&gauges.len()));
        assert_eq!(body.as_object().unwrap().len(), 1, "nothing but gauges");
        gauges
    });
    bodies.flatten().collect()
}

#[track_caller]
fn check(lines: &[&str], expected: &Value) {
    let encoded = encoder().encode(window(lines), NOW);
    assert_eq!(&Value::from(gauges(&encoded)), expected, "{lines:?}");
    assert_eq!(dropped(&encoded), 0);
}

#[test]
fn an_empty_window_gives_nothing() {
    let encoded = encoder().encode(window(&[] as &[&str]), NOW);
    assert!(encoded.payloads.is_empty() && dropped(&encoded) == 0);
}

#[test]
fn a_body_is_what_the_api_documents() {
    let encoded = encoder().encode(window(["Gauge|g|5|1700000042|prog"]), NOW);
    let body =
        br#"{"gauges":[{"name":"g","source":"prog","measure_time":1700000040,"value":5.0}]}"#;
    assert_eq!(encoded.payloads[0].body, body);
}

#[test]
fn a_histogram_is_a_gauge_of_many_readings() {
    check(
        &["h|size|-2|1|a", "h|size|6|1|a", "Histogram|one|0.5|1|a", "t|size|1|1|a"],
        &json!([
            {"name": "one", "source": "a", "measure_time": 1_700_000_040, "value": 0.5},
            {"name": "size", "source": "a", "measure_time": 1_700_000_040,
             "count": 2, "sum": 4.0, "min": -2.0, "max": 6.0, "sum_squares": 40.0},
            {"name": "size.timer", "source": "a", "measure_time": 1_700_000_040, "value": 1.0},
        ]),
    );
}

#[test]
fn a_histogram_of_numbers_that_librato_rejects_is_dropped_alone() {
    let encoded = encoder().encode(window(["h|a|1e308|1|s", "h|a|1|1|s", "h|b|1|1|s"]), NOW);
    assert_eq!((dropped(&encoded), gauges(&encoded).len()), (1, 1));
}

#[test]
fn counters_are_summed_by_name_and_source() {
    check(
        &[
            "Counter|c|1|1700000042|a",
            "Counter|c|4|1700000043|a",
            "Counter|c|2|1700000043|b",
            "Counter|d|1|1700000043|a",
        ],
        &json!([
            {"name": "c", "source": "a", "measure_time": 1700000040, "value": 5.0},
            {"name": "c", "source": "b", "measure_time": 1700000040, "value": 2.0},
            {"name": "d", "source": "a", "measure_time": 1700000040, "value": 1.0},
        ]),
    );
}

#[test]
fn sums_keep_all_their_digits() {
    check(
        &["Counter|c|123456789012.5|1|a", "Counter|c|1|1|a"],
        &json!([{"name": "c", "source": "a", "measure_time": 1700000040, "value": 123456789013.5}]),
    );
}

#[test]
fn timers_are_summaries_whatever_the_case_of_their_kind() {
    check(
        &["timer|t|0.25|1700000042|prog", "Timer|t|0.5|1700000043|prog"],
        &json!([{
            "name": "t", "source": "prog", "measure_time": 1700000040,
            "count": 2, "sum": 0.75, "min": 0.25, "max": 0.5, "sum_squares": 0.3125,
        }]),
    );
    check(
        &["Timer|t|0.012345|1700000042|prog"],
        &json!([{"name": "t", "source": "prog", "measure_time": 1700000040, "value": 0.012345}]),
    );
}

#[test]
fn gauges_with_several_readings_are_folded() {
    check(
        &["Gauge|g|7|1700000041|a", "Gauge|g|3|1700000042|a", "Gauge|g|5|1700000043|a"],
        &json!([{
            "name": "g", "source": "a", "measure_time": 1700000040,
            "count": 3, "sum": 15.0, "min": 3.0, "max": 7.0,
        }]),
    );
}

#[test]
fn sets_are_the_number_of_their_members() {
    check(
        &["Set|users|ann|1|a", "Set|users|bob|1|a", "Set|users|ann|1|a"],
        &json!([{"name": "users", "source": "a", "measure_time": 1700000040, "value": 2.0}]),
    );
}

#[test]
fn names_and_sources_are_made_legal() {
    check(
        &["Gauge|my metric/x|1|1700000042|all"],
        &json!([{
            "name": marked("my-metric-x", "my metric/x"), "source": "all_",
            "measure_time": 1700000040, "value": 1.0,
        }]),
    );
}

/// The result of changing a name.
fn marked(clean: &str, name: &str) -> String {
    crate::naming::marked(clean, crate::hash::fnv1a(name.as_bytes()), 255)
}

#[test]
fn series_whose_names_become_equal_are_distinguished() {
    for lines in [
        ["c|n|1|1|a/b", "c|n|2|1|a-b"],
        ["c|N|1|1|Web", "c|n|2|1|web"],
        ["s|n|x|1|all", "s|n|x|1|all_"],
        ["g|n|1|1|a/b", "g|n|3|1|a-b"],
        ["t|n|1|1|a/b", "t|n|3|1|a-b"],
    ] {
        let encoded = encoder().encode(window(lines), NOW);
        assert_eq!(gauges(&encoded).len(), 2, "{lines:?}");
        assert_eq!((encoded.merged, dropped(&encoded)), (0, 0));
    }
    let same = encoder().encode(window(["c|n|1|1|a-b", "c|n|2|1|a-b"]), NOW);
    assert_eq!(gauges(&same).len(), 1);
}

#[test]
fn the_first_series_keeps_a_name_and_the_conflict_is_reported_once() {
    let mut encoder = encoder();
    let both = encoder.encode(window(["c|Logins|1|1|a", "c|logins|2|1|a"]), NOW);
    let [first, second] = &names(&both)[..] else { panic!("{both:?}") };
    assert!(first == "logins" && second.starts_with("Logins_"), "{both:?}");
    let reported = format!("{:?}", both.alike);
    assert!(
        reported.contains(&format!(r#"["logins of a", "Logins of a", "{second}"]"#)),
        "{reported}"
    );
    // Also while the series that has the name has no readings.
    let alone = encoder.encode(window(["c|Logins|2|1|a"]), NOW);
    assert_eq!(
        (names(&alone), format!("{:?}", alone.alike)),
        (vec![second.clone()], "Alike([])".into())
    );
}

#[test]
fn a_later_series_never_takes_a_name() {
    for (early, late) in [("c|Logins|1|1|a", "c|logins|2|1|a"), ("t|db|1|1|a", "c|db|1|1|a")] {
        let mut encoder = encoder();
        let first = names(&encoder.encode(window([early]), NOW));
        let both = names(&encoder.encode(window([early, late]), NOW));
        assert!(both.len() == 2 && both.contains(&first[0]), "{first:?} {both:?}");
        assert_eq!(names(&encoder.encode(window([early]), NOW)), first);
        let late = names(&encoder.encode(window([late]), NOW));
        assert!(late != first && both.contains(&late[0]), "{late:?} {both:?}");
    }
}

#[test]
fn a_tag_is_distinguished_from_a_part_of_a_name() {
    let mut window = window(["c|a.b.c|1|1|s"]);
    let mut batch = zibrato::wire::BatchWriter::new("s", 0, 1000);
    batch.counter("a", &[("b", "c")], 2.0);
    let body = batch.finish();
    window.fold_batch(&zibrato::wire::BatchReader::new(&body).unwrap(), |error| panic!("{error}"));
    let encoded = encoder().encode(window, NOW);
    let got = gauges(&encoded);
    assert_eq!(got.len(), 2);
    let reported = format!("{:?}", encoded.alike);
    assert!(reported.contains(r#"["a.b.c of s", "a{b=c} of s", "a.b.c_"#), "{reported}");
}

fn names(encoded: &Encoded) -> Vec<String> {
    gauges(encoded).iter().map(|gauge| gauge["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn two_kinds_of_one_name_never_share_a_gauge() {
    let mut encoder = encoder();
    let both = encoder.encode(window(["c|db|1|1|a", "t|db|0.5|1|a"]), NOW);
    assert_eq!((names(&both), both.renamed), (vec!["db".into(), "db.timer".into()], 1));
    // Also while the series that has the name has no readings.
    let timed = encoder.encode(window(["t|db|0.5|1|a"]), NOW);
    assert_eq!((names(&timed), timed.renamed), (vec!["db.timer".into()], 1));
    let elsewhere = encoder.encode(window(["t|db|0.5|1|b"]), NOW);
    assert_eq!((names(&elsewhere), elsewhere.renamed), (vec!["db".into()], 0));
}

/// A name that is truncated to this number of bytes.
fn cut(name: &str, most: usize) -> String {
    crate::naming::marked(name, crate::hash::fnv1a(name.as_bytes()), most)
}

#[test]
fn long_names_with_a_common_prefix_are_distinguished_in_every_window() {
    let mut seen = BTreeMap::new();
    for (outcome, sum) in [("ok", 1), ("err", 2), ("ok", 1), ("err", 2)] {
        // With the prefix they are equal in their first 255 bytes; without it they are not
        // truncated.
        for prefix in ["", "prefix.of.the.company"] {
            let name = format!("{}{outcome}", "n".repeat(252));
            let lines = [format!("c|{name}|{sum}|1|a")];
            let encoded = Encoder::new(prefix).encode(window(&lines), NOW);
            assert_eq!(*seen.entry(names(&encoded).remove(0)).or_insert(sum), sum);
        }
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_long_name_is_truncated_for_its_kind() {
    let name = "n".repeat(255);
    let lines = [format!("c|{name}|1|1|a"), format!("g|{name}|1|1|a")];
    let encoded = encoder().encode(window(&lines), NOW);
    let all = names(&encoded);
    assert_eq!(all.len(), 2);
    assert!(all.contains(&name) && all.contains(&format!("{}.gauge", cut(&name, 249))), "{all:?}");
}

#[test]
fn a_name_with_its_kind_that_is_already_used_gets_a_hash() {
    let encoded = encoder().encode(window(["c|db|1|1|a", "c|db.timer|1|1|a", "t|db|0.5|1|a"]), NOW);
    // In the order of names, the timer gets `db.timer` before the counter with that name.
    assert_eq!(names(&encoded), ["db", "db.timer", "db.timer.counter"]);
    assert_eq!(dropped(&encoded), 0);
    let lines = ["c|DB.timer|1|1|a", "c|db|1|1|a", "t|db|0.5|1|a"];
    let encoded = encoder().encode(window(lines), NOW);
    let all = names(&encoded);
    assert!(all[0] == "db" && all[1] == "db.timer" && all[2].starts_with("DB."), "{all:?}");
    assert_eq!((dropped(&encoded), encoded.merged), (0, 0));
}

#[test]
fn only_numbers_that_are_too_large_are_omitted() {
    let lines = ["g|big|1.1e126|1|a", "c|neg|-1e200|1|a", "c|edge|1e126|1|a", "t|t|1e70|1|a"];
    let encoded = encoder().encode(window(lines), NOW);
    assert_eq!(names(&encoded), ["edge", "t"]);
    assert_eq!(
        (dropped(&encoded), encoded.omitted[Omitted::Number as usize].1.as_deref()),
        (2, Some("big"))
    );
    // The squares of two readings are too large, although the readings are not.
    let squares = encoder().encode(window(["t|t|1e70|1|a", "t|t|1e70|1|a"]), NOW);
    assert_eq!((squares.payloads.len(), dropped(&squares)), (0, 1));
}

#[test]
fn every_name_has_the_prefix() {
    for prefix in ["staging", "staging."] {
        let encoded = Encoder::new(prefix).encode(window(["c|logins|1|1|a"]), NOW);
        assert_eq!(names(&encoded), ["staging.logins"]);
    }
    assert_eq!(names(&Encoder::new("").encode(window(["c|logins|1|1|a"]), NOW)), ["logins"]);
}

#[test]
fn bodies_hold_at_most_300_gauges() {
    for (series, bodies) in
        [(1, vec![1]), (300, vec![300]), (301, vec![300, 1]), (601, vec![300, 300, 1])]
    {
        let encoded = encoder().encode(window((0..series).map(|i| format!("c|n{i}|1|1|a"))), NOW);
        let sizes: Vec<usize> = encoded.payloads.iter().map(|payload| payload.series).collect();
        assert_eq!(sizes, bodies);
    }
}

proptest! {
    #[test]
    fn every_counter_is_in_exactly_one_gauge(
        counts in prop::collection::vec(("([a-cA-C/ -]{1,3}|n{253,255})", "[ab/-]{1,2}", 1..100_u32), 0..700),
    ) {
        let lines = counts.iter().map(|(name, source, n)| format!("c|{name}|{n}|1|{source}"));
        let window = window(lines);
        let series = window.len();
        let encoded = encoder().encode(window, NOW);
        let mut got = BTreeMap::new();
        for gauge in gauges(&encoded) {
            let key = (gauge["name"].to_string(), gauge["source"].to_string());
            let lower = (key.0.to_lowercase(), key.1.to_lowercase());
            prop_assert!(got.insert(lower, gauge["value"].as_f64().unwrap()).is_none());
        }
        let sent: f64 = got.values().sum();
        prop_assert_eq!((got.len(), encoded.merged), (series, 0));
        prop_assert_eq!(sent, counts.iter().map(|(_, _, n)| f64::from(*n)).sum::<f64>());
        prop_assert_eq!(encoded.payloads.iter().map(|payload| payload.series).sum::<usize>(), series);
    }
}
