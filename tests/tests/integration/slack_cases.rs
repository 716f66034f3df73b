//! Messages with metrics, calls of slack_sdk and runs of carbon-slack, and what this project does:
//! `tests/vectors` with the cases of `slack_cases.jsonl` and `slack_originals.jsonl`.

use serde_json::{Value, json};
use std::process::{Command, Output};
use zibrato_tests::program;

const CASES: &str = include_str!("slack_cases.jsonl");
const ORIGINALS: &str = include_str!("slack_originals.jsonl");

fn cases() -> Vec<Value> {
    parsed(CASES)
}

fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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

#[test]
fn messages_and_calls_are_those_that_were_recorded() {
    let cases = cases();
    let (output, text) = vectors(&cases);
    let last = text.lines().last().unwrap_or_default();
    assert_eq!(last, format!("{} passed, 0 failed, 0 by design", cases.len()), "{text}");
    assert!(output.status.success());
}

#[test]
fn a_name_that_carbon_drops_differs_by_design() {
    let case = |text: &str, points: Value| {
        json!({
            "id": "x", "kind": "message-parse", "text": text, "message_ts": "1.0",
            "strict": {"points": points, "rejected": [], "delete": true},
        })
    };
    let tag = case("a;b 1 1\nc 1 1", json!([["a;b", 1.0, 1], ["c", 1.0, 1]]));
    let blank = case("a\u{a0}b 1 1", json!([["a\u{a0}b", 1.0, 1]]));
    let (_, text) = vectors(&[tag, blank]);
    assert!(text.ends_with("0 passed, 0 failed, 2 by design\n"), "{text}");
    let wrong = case("a 1 1", json!([["a;b", 1.0, 1]]));
    assert!(vectors(&[wrong]).1.ends_with("0 passed, 1 failed, 0 by design\n"));
}

/// Makes what was recorded something that this project cannot do.
fn make_wrong(case: &mut Value) {
    match case["kind"].as_str().unwrap() {
        "message-parse" => {
            let wrong = json!(["wrong", 77, 1]);
            case["strict"]["points"].as_array_mut().unwrap().push(wrong);
        }
        "ts-compare" => case["output"] = json!(7),
        "chunk-outbound" => case["messages"] = json!(77),
        "web-api" => {
            case["body"] = json!({"wrong": true});
        }
        _ => case["output"] = json!("wrong"),
    }
}

#[test]
fn a_wrong_result_fails_in_each_case() {
    let mut cases = cases();
    cases.iter_mut().for_each(make_wrong);
    let (output, text) = vectors(&cases);
    let failed = text.lines().filter(|line| line.starts_with("failed ")).count();
    assert_eq!(failed, cases.len(), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_mistakes_of_carbon_slack_are_not_made() {
    let cases = parsed(ORIGINALS);
    let (output, text) = vectors(&cases);
    let last = text.lines().last().unwrap_or_default();
    assert_eq!(last, format!("0 passed, 0 failed, {} by design", cases.len()), "{text}");
    assert!(output.status.success());
}

/// Makes a run of carbon-slack one that this project cannot have.
fn make_original_wrong(case: &mut Value) {
    let is_success = |one: &Value| {
        let body = one["response"]["body"].as_str().unwrap_or_default();
        serde_json::from_str::<Value>(body).is_ok_and(|body| body["ok"] == true)
    };
    let is_plain = case["result"]["raises"].is_null()
        && case["requests"].as_array().unwrap().iter().all(is_success);
    let requests = case["requests"].as_array_mut().unwrap();
    let is_about = |one: &Value, method: &str| one["path"].as_str().unwrap().ends_with(method);
    let posts = requests.iter_mut().find(|one| is_about(one, "chat.postMessage"));
    if let Some(post) = posts.filter(|_| is_plain) {
        post["form"]["text"] = json!("wrong 77 1");
    } else if is_plain && requests.iter().any(|one| is_about(one, "history")) {
        case["carbon_bytes"] = json!("wrong 77 1\n\n");
    } else {
        requests.push(json!({"path": "/api/wrong"}));
    }
}

#[test]
fn a_wrong_run_of_carbon_slack_fails() {
    let mut cases = parsed(ORIGINALS);
    // What it printed is not recorded.
    cases.retain(|case| !case["call"].as_str().unwrap().contains("recv"));
    cases.iter_mut().for_each(make_original_wrong);
    let (output, text) = vectors(&cases);
    let failed = text.lines().filter(|line| line.starts_with("failed ")).count();
    assert_eq!(failed, cases.len(), "{text}");
    assert_eq!(output.status.code(), Some(1));
}
