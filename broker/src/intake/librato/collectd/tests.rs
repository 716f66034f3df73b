//! Value lists of each kind, and invalid ones beside valid ones.

use super::{Taken, take};
use crate::intake::collectd::Converter;
use crate::intake::librato::checked::Clock;
use crate::intake::librato::value_lists::ValueLists;
use serde_json::json;

const NOW: u64 = 1_700_000_042;
const CLOCK: Clock = Clock { now_ms: NOW * 1_000, max_age: 7_200 };

/// A list of the plugin `p`, with these fields instead of the usual ones.
fn list(fields: &str) -> String {
    let mut list = json!({
        "values": [1], "dstypes": ["gauge"], "dsnames": ["value"], "time": NOW, "interval": 10.0,
        "host": "web-1", "plugin": "p", "plugin_instance": "", "type": "gauge", "type_instance": "a"
    });
    let fields: serde_json::Map<_, _> = serde_json::from_str(fields).unwrap();
    list.as_object_mut().unwrap().extend(fields);
    list.to_string()
}

/// What is taken of lists, and the values that they give.
fn taken(converter: &mut Converter, lists: &[String]) -> (Taken, Vec<String>) {
    let text = format!("[{}]", lists.join(","));
    let lists = ValueLists::of_json(&text).unwrap();
    let mut values = Vec::new();
    let taken = take(converter, &lists, (CLOCK, 0), |sample| {
        if sample.name == "p.gauge.refused" {
            return Err(("name", "refused".to_owned()));
        }
        values.push(format!("{} {} {}", sample.list.host, sample.name, sample.value));
        Ok(())
    });
    assert_eq!(taken.accepted + taken.unknown + taken.failed, lists.values);
    (taken, values)
}

#[test]
fn gauges_are_values_and_other_kinds_become_rates_with_all_digits() {
    let mut converter = Converter::default();
    let at = |seconds: f64, [counter, derive, absolute]: [&str; 3]| {
        let kinds = r#"["counter", "derive", "absolute", "gauge"]"#;
        list(&format!(
            r#"{{"values": [{counter}, {derive}, {absolute}, -0.5], "dstypes": {kinds},
                "dsnames": ["c", "d", "a", "g"], "time": {seconds}}}"#
        ))
    };
    let first = at(NOW as f64, ["18446744073709551610", "-9007199254740993", "7"]);
    let (result, values) = taken(&mut converter, &[first]);
    assert_eq!((values, result.accepted), (vec!["web-1 p.gauge.a.g -0.5".to_owned()], 4));
    let second = at(NOW as f64 + 0.5, ["4", "-9007199254740992", "7"]);
    let (result, values) = taken(&mut converter, &[second]);
    let expected = ["c 20", "d 2", "a 14", "g -0.5"].map(|end| format!("web-1 p.gauge.a.{end}"));
    assert_eq!((values.as_slice(), result.accepted), (&expected[..], 4));
    assert!(result.faults.is_empty());
    // A list that was sent twice.
    let second = at(NOW as f64 + 0.5, ["5", "6", "7"]);
    let (result, values) = taken(&mut converter, &[second]);
    assert_eq!((values.len(), result.failed, result.faults.reasons["late"].0), (1, 3, 3));
}

#[test]
fn a_value_that_collectd_does_not_know_is_omitted() {
    let fields = r#"{"values": [null, 2], "dstypes": ["gauge", "GAUGE"], "dsnames": ["x", "y"]}"#;
    let (result, values) = taken(&mut Converter::default(), &[list(fields)]);
    assert_eq!(values, ["web-1 p.gauge.a.y 2"]);
    assert_eq!((result.accepted, result.unknown, result.faults.is_empty()), (1, 1, true));
    assert_eq!(result.answer(2).status, 200);
    assert_eq!(result.sample, "web-1/p/gauge-a: x");
}

#[test]
fn an_invalid_list_is_named_and_does_not_affect_the_others() {
    let long = format!(r#"{{"plugin": "{}"}}"#, "x".repeat(256));
    let many = format!(
        r#"{{"values": {0}, "dstypes": {0}, "dsnames": {0}}}"#,
        serde_json::Value::from(vec![1; 101])
    );
    for (fields, reason, label, why) in [
        (r#"{"values": ["1"]}"#, "value", "web-1/p/gauge-a", "value: is not a number"),
        (r#"{"values": []}"#, "value", "web-1/p/gauge-a", "values: are missing"),
        (r#"{"values": 1}"#, "type", "web-1/p/gauge-a", "values: are not a list"),
        (
            r#"{"values": [1, 2]}"#,
            "value",
            "web-1/p/gauge-a",
            "values, dstypes and dsnames: differ in number",
        ),
        (&many, "value", "web-1/p/gauge-a", "values: are more than 100"),
        (r#"{"dsnames": [1]}"#, "name", "web-1/p/gauge-a", "dsnames: is not a text"),
        (
            r#"{"dstypes": ["sum"]}"#,
            "type",
            "web-1/p/gauge-a",
            "dstypes: must be absolute, counter, derive or gauge",
        ),
        (
            r#"{"dstypes": ["derive"], "values": [0.5]}"#,
            "value",
            "web-1/p/gauge-a",
            "value: is not a whole number; write_http needs StoreRates false",
        ),
        (
            r#"{"dstypes": ["counter"], "values": [null]}"#,
            "value",
            "web-1/p/gauge-a",
            "value: is not a whole number; write_http needs StoreRates false",
        ),
        (r#"{"time": null}"#, "time", "web-1/p/gauge-a", "time: is missing"),
        (r#"{"time": 1}"#, "time", "web-1/p/gauge-a", "time: is too far in the past"),
        (r#"{"time": 1700000343}"#, "time", "web-1/p/gauge-a", "time: is too far in the future"),
        (
            r#"{"time": []}"#,
            "time",
            "web-1/p/gauge-a",
            "time: is not a number of seconds since 1970",
        ),
        (r#"{"interval": {}}"#, "type", "web-1/p/gauge-a", "interval: is not a number of seconds"),
        (r#"{"host": 1}"#, "source", "[1]", "host: is not a text"),
        (r#"{"plugin": ""}"#, "name", "[1]", "plugin: is missing"),
        (r#"{"type": null}"#, "name", "[1]", "type: is missing"),
        (&long, "name", "[1]", "plugin: is longer than 255 bytes"),
        (
            r#"{"type_instance": "a\u0000"}"#,
            "name",
            "[1]",
            "type_instance: is not UTF-8, or contains NUL",
        ),
        (
            r#"{"plugin_instance": "\ufffd"}"#,
            "name",
            "[1]",
            "plugin_instance: is not UTF-8, or contains NUL",
        ),
        (r#"{"type_instance": "refused"}"#, "name", "web-1/p/gauge-refused", "refused"),
    ] {
        let neighbours =
            ["before", "after"].map(|name| list(&format!(r#"{{"type_instance": "{name}"}}"#)));
        let [before, after] = neighbours;
        let (result, values) = taken(&mut Converter::default(), &[before, list(fields), after]);
        assert_eq!(values, ["web-1 p.gauge.before 1", "web-1 p.gauge.after 1"], "{fields}");
        let answer = result.answer(3);
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, &body["errors"]), (200, &json!({"params": {label: [why]}})));
        assert_eq!(result.faults.reasons.keys().collect::<Vec<_>>(), [&reason], "{fields}");
    }
    // Not even an object, and nothing else beside it.
    let (result, _) = taken(&mut Converter::default(), &["7".to_owned(), "[]".to_owned()]);
    assert_eq!((result.failed, result.answer(2).status), (2, 400));
    let (result, values) = taken(&mut Converter::default(), &[list(r#"{"host": null}"#)]);
    assert_eq!((values, result.failed), (vec![" p.gauge.a 1".to_owned()], 0));
}
