//! What other programs did with packets, names, configurations and scripts, and what Zibrato does:
//! `tests/vectors` with the cases of `vectors.jsonl`.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use zibrato_tests::program;

const CASES: &str = include_str!("vectors.jsonl");

fn vectors(files: &[&Path]) -> Output {
    let mut command = Command::new(program("vectors"));
    command.args(files).env("RUST_BACKTRACE", "1").output().unwrap()
}

/// A file in a folder.
fn file(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("cases.jsonl");
    std::fs::write(&path, text).unwrap();
    path
}

fn cases() -> Vec<Value> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn zibrato_does_what_was_recorded_or_differs_by_design() {
    let folder = tempfile::tempdir().unwrap();
    let output = vectors(&[&file(&folder, CASES)]);
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_default();
    let numbers: Vec<usize> = last
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    let [passed, 0, by_design] = numbers[..] else { panic!("{text}") };
    assert_eq!(last, format!("{passed} passed, 0 failed, {by_design} by design"));
    assert_eq!(passed + by_design, cases().len(), "{text}");
    assert!(output.status.success());
}

/// Makes the recorded result one that Zibrato cannot have.
fn make_wrong(case: &mut Value) {
    let kind = case["kind"].as_str().unwrap().to_owned();
    let steps = case["input"]["steps"].clone();
    let expect = &mut case["expect"];
    let push = |list: &mut Value, item: Value| list.as_array_mut().unwrap().push(item);
    let last = |list: &mut Value| -> usize { list.as_array_mut().unwrap().len() - 1 };
    match &*kind {
        "carbon_add_duplicate" => *expect = json!({ "result": [] }),
        "carbon_connect" => {
            let is_connected = expect["connected"] == true;
            expect["connected"] = json!(!is_connected);
        }
        "carbon_consistent_hash" | "carbon_fast_hash" => {
            let places = expect.as_object_mut().unwrap().values_mut();
            places.for_each(|place| *place = json!(["wrong:1"]));
        }
        "carbon_destination" => {
            let is_refused = expect.get("raised").is_some();
            *expect = if is_refused {
                json!({ "result": ["h", 1, null] })
            } else {
                json!({ "raised": "x" })
            };
        }
        "carbon_hash" => expect["position"] = json!(77),
        "carbon_hash_ring" => expect["first"] = json!([[77, ["h", null]]]),
        "carbon_out_pickle" => {
            push(&mut expect["decoded"], json!({ "decoded": [["wrong", [1, 77]]] }));
        }
        "carbon_out_plaintext" => push(&mut expect["writes"], json!("wrong 77 1\n")),
        "carbon_recv_line" | "carbon_recv_pickle" | "carbon_recv_udp" => {
            push(&mut expect["received"], json!(["wrong", [1, 77]]));
        }
        "carbon_relay_line" => expect["result"] = json!("wrong 77 1"),
        "carbon_relay_pickle" => {
            let wrong = "8002580500000077726f6e674b01474053400000000000868671012e";
            expect["result_hex"] = json!(format!("0000001b{wrong}"));
        }
        "carbon_relay_rules" if expect.get("raised").is_some() => {
            *expect = json!({ "result": { "x": ["wrong:1"] } });
        }
        "carbon_relay_rules" => {
            let places = expect["result"].as_object_mut().unwrap().values_mut();
            places.for_each(|place| *place = json!(["wrong:1"]));
        }
        "carbon_resend" => push(&mut expect["sent"], json!("m9 9 100\n")),
        "carbon_tags" | "carbon_tags_encode" => *expect = json!({ "result": "wrong" }),
        "cli" => {
            expect["_handler_level"] = json!(99);
            if expect.get("exit_code").is_some() {
                expect["exit_code"] = json!(0);
            }
        }
        "collectd" => {
            let result = last(&mut expect["out"]);
            push(&mut expect["out"][result]["samples"], json!(["h", "wrong", 77, 1]));
            push(&mut expect["out"][result]["lines"], json!("h.wrong 77 1"));
        }
        "collectd_auth" => *expect = json!({ "auth_db": { "eve": "1" } }),
        "collectd_types" => *expect = json!({ "types": { "wrong": [["x", 1]] } }),
        "metricsd_handlers" if expect.get("raised").is_some() => {
            *expect = json!({ "interval_by_name": { "a": 77 } });
        }
        "metricsd_handlers" => {
            expect["interval_by_name"].as_object_mut().unwrap().values_mut().for_each(|seconds| {
                *seconds = json!(77);
            });
        }
        "metricsd_intended" => {
            let result = last(expect);
            push(&mut expect[result]["samples"], json!(["h.wrong", 77, null]));
        }
        "names" => *expect = json!({ "stat": "wrong" }),
        "processor" => push(&mut expect["out"], json!(["h", "wrong", 77, 1])),
        "statsd" | "statsd_2.3.1_dev" => {
            let result = last(&mut expect["out"]);
            push(&mut expect["out"][result]["samples"], json!(["stats.gauges.wrong", 77, 1]));
            push(&mut expect["out"][result]["lines"], json!("stats.gauges.wrong 77 1"));
        }
        "statsd_js" => push(&mut expect["flushes"][0], json!("stats.gauges.wrong 77 1")),
        "statsd_prefix" => expect["prefix"] = json!("wrong."),
        other => panic!("{other}: {steps}"),
    }
}

#[test]
fn a_wrong_result_fails_in_each_case() {
    let mut cases = cases();
    // There is nothing to compare with.
    cases.retain(|case| case["kind"] != "metricsd_as_is");
    cases.iter_mut().for_each(make_wrong);
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<_> = cases.iter().map(ToString::to_string).collect();
    let output = vectors(&[&file(&folder, &lines.join("\n"))]);
    let text = String::from_utf8(output.stdout).unwrap();
    let failed = text.lines().filter(|line| line.starts_with("failed ")).count();
    assert_eq!(failed, cases.len(), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn files_and_cases_that_cannot_be_used_are_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let output = vectors(&[&missing]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        error,
        format!("vectors: {}: No such file or directory (os error 2)\n", missing.display())
    );
    assert_eq!(output.status.code(), Some(64));
    for (text, expected) in [
        ("\n{", "cases.jsonl:2: EOF while parsing"),
        ("[]", "cases.jsonl:1: a case is a JSON object"),
        ("{}", "cases.jsonl:1: the case has no field `kind`"),
    ] {
        let output = vectors(&[&file(&folder, text)]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.starts_with("vectors: ") && error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(output.status.code(), Some(64));
    }
    for (case, expected) in [
        (json!({ "kind": "x", "id": "x-1" }), ":1 x-1 x (): the kind `x` is unknown"),
        (json!({ "kind": "names", "input": {} }), "the case has no field `expect`"),
        (json!({ "kind": "names", "expect": {} }), "the case has no field `input` or `input_hex`"),
        (json!({ "kind": "statsd", "input": {}, "expect": { "out": [] } }), "`steps`"),
        (json!({ "kind": "collectd", "input_hex": "0", "expect": { "out": [] } }), "hexadecimal"),
    ] {
        let output = vectors(&[&file(&folder, &case.to_string())]);
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        assert!(first.starts_with("failed ") && first.contains(expected), "{text}");
        assert_eq!(lines.collect::<Vec<_>>(), ["0 passed, 1 failed, 0 by design"]);
        assert_eq!(output.status.code(), Some(1));
    }
    let output = vectors(&[Path::new("--help")]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("Usage: tests/vectors FILE"));
    assert!(output.status.success());
}
