//! The fakes against third-party clients, and this project's backends against the fakes.

mod librato;
mod slack;

use std::error::Error;
use std::process::Command;
use std::time::Duration;
use zibrato::window::Window;
use zibrato::wire::Line;
use zibrato_tests::fake::{FakeLibrato, FakeSlack, Reply};
use zibrato_tests::{python, repository};
use zibrato_workers::SendError;

/// The start of the windows in these tests, in Unix seconds.
const STAMP: u64 = 1_700_000_040;

/// Runs one of the scripts against a fake, and returns the names of its checks.
fn prove(script: &str, url: &str) -> Vec<String> {
    let script = repository().join("tests/python").join(script);
    let output = Command::new(python()).arg(script).arg(url).output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout.lines().map(|line| line.strip_prefix("proved ").unwrap().to_owned()).collect()
}

fn window<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> Window {
    let mut window = Window::new(STAMP * 1000, 60_000, 1_000_000);
    for line in lines {
        let line = format!("info|{}", line.as_ref());
        window.fold_line(&Line::decode(line.as_bytes()).unwrap());
    }
    window
}

/// The class of an error, the requested wait, and its complete text, including causes.
fn class_of(sent: Result<(), SendError>) -> (&'static str, Option<u64>, String) {
    let error = sent.unwrap_err();
    let mut says = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        says.push_str(&format!(" {inner} {inner:?}"));
        cause = inner.source();
    }
    match error {
        SendError::Reject { .. } => ("reject", None, says),
        SendError::Retry { after, .. } => ("retry", after.map(|after| after.as_secs()), says),
        SendError::Stop { .. } => ("stop", None, says),
        SendError::Unknown { after, .. } => ("unknown", after.map(|after| after.as_secs()), says),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_client_of_librato_works_with_the_fake() {
    let fake = FakeLibrato::start().unwrap();
    assert_eq!(
        prove("prove_librato.py", &fake.url()),
        [
            "gauge",
            "counter",
            "queue_of_301",
            "aggregate",
            "bad_auth",
            "bad_name",
            "bad_source",
            "one_bad_entry_spoils_all",
        ]
    );
    let (requests, gauges) = (fake.requests(), fake.gauges());
    let sizes: Vec<usize> = requests[2..4]
        .iter()
        .map(|request| request.json.as_ref().unwrap()["gauges"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [300, 1]);
    let of = |source: &str, name: &str| gauges[&(source.to_owned(), name.to_owned())].clone();
    assert_eq!(of("attic", "temperature")[&STAMP].sum, 10.0);
    assert_eq!(of("queue", "series.300")[&STAMP].sum, 300.0);
    let humidity = of("attic", "humidity")[&STAMP];
    assert_eq!((humidity.count, humidity.sum, humidity.min, humidity.max), (3, 9.0, 1.0, 6.0));
    assert!(!gauges.keys().any(|(_, name)| name == "spoiled"));
}

#[test]
fn the_client_of_slack_works_with_the_fake() {
    let fake = FakeSlack::start().unwrap();
    let limited = serde_json::json!({"ok": false, "error": "ratelimited"});
    fake.answer_with(Reply::json(429, &limited).header("Retry-After", "7"));
    fake.limit("users.info", 50, Duration::from_secs(60));
    fake.set_scopes("xoxb-hushfew", &["chat:write"]);
    fake.revoke("xoxb-hushgone", true);
    assert_eq!(
        prove("prove_slack.py", &fake.url()),
        [
            "ratelimited",
            "auth_test",
            "invalid_auth",
            "not_authed",
            "post",
            "post_by_name",
            "post_elsewhere",
            "post_too_much",
            "list_channels",
            "info_and_join",
            "history",
            "threads",
            "update_and_delete",
            "change_elsewhere",
            "long_texts",
            "users",
            "scopes",
            "scopes_of_private_channels",
            "revoked",
            "upload",
            "upload_errors",
            "too_many",
            "webhook",
            "webhook_errors",
        ]
    );
    let mut messages = fake.messages();
    messages.retain(|message| message.channel.as_deref() != Some("G0PRIVATE"));
    let texts: Vec<&str> = messages.iter().map(|message| &*message.text).collect();
    assert_eq!(texts, ["Digest: cpu", "hello", "fallback"]);
    assert_eq!(messages[0].blocks[1]["text"]["text"], "*cpu* `▁▅█`");
    assert_eq!(messages[2].channel, None);
}
