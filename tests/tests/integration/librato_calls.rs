//! What clients of Librato's API and Python Zibrato did, and what this project does: `tests/vectors`
//! with the cases of `librato_calls.jsonl`.

use serde_json::{Value, json};
use std::process::{Command, Output};
use zibrato_tests::program;

const CASES: &str = include_str!("librato_calls.jsonl");

fn cases() -> Vec<Value> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The cases of clients, or those of Python Zibrato.
fn cases_of(clients: bool) -> Vec<Value> {
    let mut cases = cases();
    cases.retain(|case| (case["group"] != "zibrato") == clients);
    cases
}

/// Runs `tests/vectors` with these cases.
fn vectors(cases: &[Value]) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.jsonl");
    let lines: Vec<_> = cases.iter().map(ToString::to_string).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let output = Command::new(program("vectors")).arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

/// All cases fail.
fn all_fail(cases: &[Value]) {
    let (output, text) = vectors(cases);
    let passed: Vec<_> = cases
        .iter()
        .filter_map(|case| case["id"].as_str())
        .filter(|id| !text.contains(&format!(" {id} ")))
        .collect();
    assert_eq!(passed, [""; 0], "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn calls_send_and_return_what_was_recorded_or_differ_by_design() {
    let cases = cases();
    let (output, text) = vectors(&cases);
    let last = text.lines().last().unwrap_or_default();
    let numbers: Vec<usize> = last
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    let [passed, 0, by_design] = numbers[..] else { panic!("{text}") };
    assert_eq!(last, format!("{passed} passed, 0 failed, {by_design} by design"));
    assert_eq!(passed + by_design, cases.len(), "{text}");
    assert!(passed > by_design, "{text}");
    assert!(output.status.success());
}

#[test]
fn a_wrong_result_of_a_call_fails_in_each_case() {
    let mut cases = cases_of(true);
    for case in &mut cases {
        case["result"] = json!({ "returns": { "class": "Wrong" } });
    }
    all_fail(&cases);
}

#[test]
fn a_wrong_request_of_a_call_fails_in_each_case() {
    for (field, wrong) in [
        ("method", json!("PATCH")),
        ("path", json!("/v1/wrong")),
        ("query", json!("wrong=1")),
        ("body", json!({ "wrong": 1 })),
    ] {
        let mut cases = cases_of(true);
        cases.retain(|case| case["method"].is_string());
        for case in &mut cases {
            let last = case["more_requests"].as_array_mut().and_then(|more| more.last_mut());
            match last {
                Some(last) => last[field] = wrong.clone(),
                None => case[field] = wrong.clone(),
            }
        }
        all_fail(&cases);
    }
}

#[test]
fn a_wrong_result_of_python_zibrato_fails_in_each_case() {
    let mut cases = cases_of(false);
    for case in &mut cases {
        let fields = case.as_object_mut().unwrap();
        for (field, wrong) in [
            ("wire", json!("info|Gauge|wrong|77|1|s")),
            ("librato_worker", json!("wrong")),
            ("hex", json!("0005")),
            ("delivered", json!(["wrong"])),
            (
                "body",
                json!({ "gauges": [{ "name": "wrong", "source": "s", "value": 7, "measure_time": "1" }] }),
            ),
        ] {
            if fields.contains_key(field) {
                fields.insert(field.to_owned(), wrong);
            }
        }
        if !fields.contains_key("body") && fields.contains_key("result") {
            let read = json!({ "type": "gauges", "name": "wrong", "value": 7, "measure_time": "1", "source": "s" });
            let is_text = fields["result"].is_string();
            fields.insert("result".to_owned(), if is_text { json!("wrong") } else { read });
        }
    }
    all_fail(&cases);
}

#[test]
fn an_unknown_call_is_named() {
    let case = json!({ "group": "python-librato 3.1.0", "id": "x-1", "call": "x", "args": {}, "result": { "returns": null } });
    let (output, text) = vectors(&[case]);
    assert!(text.contains("x-1") && text.contains("the call `x` is unknown"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}
