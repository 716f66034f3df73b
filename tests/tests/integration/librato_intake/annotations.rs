//! Annotations: from the intake to a real Carbon, and by `zibrato-librato` to the intake of another
//! broker.

use super::post::{Outcome, post};
use super::{Service, TOKEN, USER};
use serde_json::{Value, json};
use zibrato_tests::{Carbon, DEADLINE, Running, Signal, wait_until};

/// The titles, times and other fields of the annotations that `zibrato-tail --json` has printed.
fn printed(tail: &Running) -> Vec<Value> {
    let output = tail.output();
    // The last line may not be complete.
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let annotations = lines.filter(|line| line["kind"] == "annotation");
    let fields = ["source", "name", "title", "description", "start_ms", "end_ms", "links"];
    annotations.map(|line| fields.iter().map(|field| line[*field].clone()).collect()).collect()
}

#[test]
fn annotations_are_counted_in_carbon_and_posted_once_to_another_intake() {
    let (carbon, near, far) = (Carbon::start(), Service::start(&[]), Service::start(&[]));
    let _to_carbon = near.worker(&carbon);
    let tail = far.broker.worker("zibrato-tail", &["--levels", "librato", "--json"]);
    let url = format!("http://{}", far.address());
    let letters = near.folder().display().to_string();
    let flags = ["--username", USER, "--apitoken", TOKEN, "--api-url", &url, "--levels", "librato"];
    let flags = [&flags[..], &["--flush", "1", "--dead-letters", &letters]].concat();
    let mut worker = near.broker.worker("zibrato-librato", &flags);
    let deploy = r#"{"title":"version 7 ✓","source":"web-1","description":"by\nAnn",
        "start_time":1700000000,"end_time":1700000042,
        "links":[{"rel":"ci","href":"https://ci.example.com/7","label":"the build"}]}"#;
    assert_eq!(post(&near.address(), "/v1/annotations/deploys", deploy), Outcome::Answered(201));
    wait_until(DEADLINE, "the first annotation", || !printed(&tail).is_empty());
    // It may or may not have committed.
    worker.stop(Signal::KILL);
    let panic = r#"{"title":"panicked","source":"web-1","start_time":1700000100}"#;
    assert_eq!(post(&near.address(), "/v1/annotations/panics", panic), Outcome::Answered(201));
    let mut worker = near.broker.worker("zibrato-librato", &flags);
    wait_until(DEADLINE, "the second annotation", || printed(&tail).len() > 1);
    assert!(worker.stop(Signal::TERM).success());
    let link = json!({ "rel": "ci", "href": "https://ci.example.com/7", "label": "the build" });
    let (start, end) = (1_700_000_000_000_u64, 1_700_000_042_000_u64);
    let deploy = json!(["web-1", "deploys", "version 7 ✓", "by\nAnn", start, end, [link]]);
    let panic = json!(["web-1", "panics", "panicked", null, start + 100_000, null, []]);
    assert_eq!(printed(&tail), [deploy, panic]);
    for stream in ["deploys", "panics"] {
        let series = format!("web-1.annotations.{stream}");
        wait_until(DEADLINE, "the event series", || carbon.fetch_all().contains_key(&series));
        assert_eq!(carbon.sum(&series), 1.0, "{series}");
    }
}
