//! What bucky and StatsD make of packets, as recorded from them. `vectors.jsonl` has one case per
//! line: `steps` are packets and flushes, `expect` has the series of each flush by kind (`t` with
//! count, smallest and largest), and `bad` is the number of invalid lines. Where Zibrato differs by
//! design, `because` says why, and `ours` and `ours_bad` are its results.

use super::grammar::Dialect;
use super::shared::Shared;
use super::state::{Gauges, Series, Taken};
use serde_json::{Map, Value, json};
use zibrato::window::Fold;

/// What is skipped, and not invalid.
const SKIPPED: [&str; 2] = ["event", "service_check"];

fn packet(step: &Value) -> Option<Vec<u8>> {
    if let Some(text) = step["packet"].as_str() {
        return Some(text.as_bytes().to_vec());
    }
    let digits = step["packet_hex"].as_str()?.as_bytes().chunks(2);
    let byte = |two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
    Some(digits.map(byte).collect())
}

/// A name as Graphite has it.
fn name(series: Series<'_>) -> String {
    let tags = series.tags.iter().map(|(tag, value)| format!(";{tag}={value}"));
    series.name.to_owned() + &tags.collect::<String>()
}

fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e9).round() / 1e6
}

/// The series of a flush. Gauges are all that are known, because StatsD repeats them.
fn flush(shared: &Shared, gauges: &mut Gauges) -> Value {
    let mut all = Map::new();
    let mut add = |kind: &str, series: Series<'_>, value: Value| {
        let of_kind = all.entry(kind).or_insert_with(|| json!({}));
        let before = of_kind.as_object_mut().unwrap().entry(name(series)).or_insert(json!(0.0));
        *before = match (&before, &value) {
            (Value::Number(before), Value::Number(more)) => {
                json!(before.as_f64().unwrap() + more.as_f64().unwrap())
            }
            _ => value,
        };
    };
    shared.lock().table.end_interval();
    shared.lock().table.take(usize::MAX, |named, taken| {
        let series = named.series();
        match taken {
            Taken::Gauge(changes) => drop(gauges.readings(series, &changes, 1)),
            Taken::Fold(Fold::Counter(sum)) => add("c", series, json!(sum)),
            Taken::Fold(Fold::Set(members)) => add("s", series, json!(members.len() as f64)),
            Taken::Fold(Fold::Timer(summary)) => {
                let [least, most] = [summary.min(), summary.max()].map(milliseconds);
                add("t", series, json!([summary.count() as f64, least, most]));
            }
            Taken::Fold(other) => {
                let summary = other.summary().unwrap();
                add("h", series, json!([summary.count() as f64, summary.min(), summary.max()]));
            }
        }
    });
    gauges.all().for_each(|(series, value)| add("g", series, json!(value)));
    Value::Object(all)
}

/// All numbers as doubles.
fn doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(items) => items.iter().map(doubles).collect(),
        Value::Object(items) => items.iter().map(|(k, v)| (k.clone(), doubles(v))).collect(),
        other => other.clone(),
    }
}

fn run(case: &Value) -> (Value, u64) {
    let (shared, mut gauges) = (Shared::new(100), Gauges::new(100));
    let mut flushes = Vec::new();
    for step in case["steps"].as_array().unwrap() {
        match packet(step) {
            Some(packet) => shared.lock().take(&packet, Dialect::Statsd, &"x", 1),
            None => flushes.push(flush(&shared, &mut gauges)),
        }
    }
    let received = shared.lock();
    let invalid = received.counts.rejected.iter().filter(|(why, _)| !SKIPPED.contains(why));
    (Value::Array(flushes), invalid.map(|(_, rejected)| rejected.count).sum())
}

#[test]
fn packets_mean_what_they_mean_to_bucky_and_statsd() {
    let (mut same, mut by_design, mut failures) = (0, 0, Vec::new());
    for line in include_str!("vectors.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (found, bad) = run(&case);
        let differs = case.get("because").is_some();
        let (expect, expect_bad) = if differs {
            (&case["ours"], &case["ours_bad"])
        } else {
            (&case["expect"], &case["bad"])
        };
        if found == doubles(expect) && *expect_bad == bad {
            *(if differs { &mut by_design } else { &mut same }) += 1;
        } else {
            failures.push(format!("{found} {bad} bad: {line}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(same > 0 && by_design > 0);
}
