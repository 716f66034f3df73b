//! The fakes against the clients that others wrote, and our backends against the fakes.

use serde_json::Value;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use zibrato::window::Window;
use zibrato::wire::Line;
use zibrato_tests::fake::{FakeLibrato, FakeSlack, Reply};
use zibrato_workers::librato::{Librato, LibratoFlags};
use zibrato_workers::slack::{Slack, SlackFlags};
use zibrato_workers::{Backend, BackendProgram, Payload, SendError};

const DEADLINE: Duration = Duration::from_secs(10);

/// When the windows of these tests start, in unix seconds.
const STAMP: u64 = 1_700_000_040;

fn python() -> PathBuf {
    const HOW: &str = "run tests/run, which makes a virtual environment out of \
        tests/python/requirements.txt and names its Python in ZIBRATO_TEST_PYTHON";
    let python = std::env::var_os("ZIBRATO_TEST_PYTHON").map(PathBuf::from);
    let python = python.unwrap_or_else(|| panic!("ZIBRATO_TEST_PYTHON is not set; {HOW}"));
    assert!(python.exists(), "{} does not exist; {HOW}", python.display());
    python
}

/// Runs one of the scripts against a fake, and gives the names of what it proved.
fn prove(script: &str, url: &str) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script);
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

/// The class of an error and everything that it says, causes included.
fn told(sent: Result<(), SendError>) -> (&'static str, Option<u64>, String) {
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
        other => panic!("{other:?}"),
    }
}

#[test]
fn librato_s_own_client_takes_the_fake_for_librato() {
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
fn slack_s_own_client_takes_the_fake_for_slack() {
    let fake = FakeSlack::start().unwrap();
    let limited = serde_json::json!({"ok": false, "error": "ratelimited"});
    fake.answer_with(Reply::json(429, &limited).header("Retry-After", "7"));
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
            "webhook",
            "webhook_errors",
        ]
    );
    let messages = fake.messages();
    let texts: Vec<&str> = messages.iter().map(|message| &*message.text).collect();
    assert_eq!(texts, ["Digest: cpu", "hello", "fallback"]);
    assert_eq!(messages[0].blocks[1]["text"]["text"], "*cpu* `▁▅█`");
    assert_eq!(messages[2].channel, None);
}

fn librato(fake: &FakeLibrato) -> Librato {
    let mut flags = LibratoFlags::new(FakeLibrato::USERNAME, FakeLibrato::APITOKEN);
    flags.api_url = fake.url();
    flags.timeout = Duration::from_millis(500);
    Librato::open(flags).unwrap()
}

fn one_gauge() -> Payload {
    let body = r#"{"gauges":[{"name":"n","source":"s","measure_time":1700000040,"value":1.0}]}"#;
    Payload::new(body.into(), 1)
}

#[test]
fn a_window_of_every_kind_arrives_at_librato() {
    let fake = FakeLibrato::start().unwrap();
    let mut backend = librato(&fake);
    let payloads = backend.payloads(window([
        "c|logins|2|1|web 1",
        "c|logins|3|1|web 1",
        "g|depth|4|1|web-1",
        "g|depth|2|2|web-1",
        "t|query|0.25|1|web-1",
        "t|query|0.5|1|web-1",
        "s|users|ann|1|web-1",
        "c|two words|1|1|all",
    ]));
    assert_eq!(payloads.len(), 1);
    backend.send(&payloads[0]).unwrap();
    fake.wait_until(|state| state.requests.len() == 1, DEADLINE).unwrap();
    let requests = fake.requests();
    let request = &requests[0];
    assert_eq!((&*request.method, &*request.path), ("POST", "/v1/metrics"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let agent = request.header("user-agent").unwrap();
    assert!(agent.starts_with("zibrato-librato/") && agent.contains(" (rust; "), "{agent}");
    let got = fake.gauges();
    let expected = [
        (("all_", "two-words"), (1, 1.0, 1.0, 1.0)),
        (("web-1", "depth"), (2, 6.0, 2.0, 4.0)),
        (("web-1", "logins"), (1, 5.0, 5.0, 5.0)),
        (("web-1", "query"), (2, 0.75, 0.25, 0.5)),
        (("web-1", "users"), (1, 1.0, 1.0, 1.0)),
    ];
    let got: Vec<_> = got
        .iter()
        .map(|((source, name), times)| {
            let total = times[&STAMP];
            ((&**source, &**name), (total.count, total.sum, total.min, total.max))
        })
        .collect();
    assert_eq!(got, expected);
}

#[test]
fn six_hundred_and_one_series_are_three_requests_that_fail_each_on_its_own() {
    let fake = FakeLibrato::start().unwrap();
    let mut backend = librato(&fake);
    let payloads = backend.payloads(window((0..601).map(|i| format!("c|n{i}|1|1|a"))));
    fake.answer_with(Reply::status(200));
    fake.answer_with(Reply::status(503));
    let sent: Vec<bool> = payloads.iter().map(|payload| backend.send(payload).is_ok()).collect();
    assert_eq!(sent, [true, false, true]);
    let sizes: Vec<usize> = fake
        .requests()
        .iter()
        .map(|request| request.json.as_ref().unwrap()["gauges"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [300, 300, 1]);
}

#[test]
fn each_misfortune_at_librato_has_its_class() {
    let fake = FakeLibrato::start().unwrap();
    let mut backend = librato(&fake);
    let elsewhere = Reply::status(301).header("Location", "https://elsewhere/v1/metrics");
    let limit = serde_json::json!({"error": "You have hit the API limit for measurements"});
    for (reply, class, after, says) in [
        (Reply::status(500).body("oops"), "retry", None, "Librato answered 500: oops"),
        (Reply::status(503).header("Retry-After", "9"), "retry", Some(9), "503"),
        (Reply::status(429).header("Retry-After", "7"), "retry", Some(7), "429"),
        (Reply::json(403, &limit), "retry", None, "API limit"),
        (Reply::status(403), "stop", None, "403"),
        (Reply::status(401), "stop", None, "401"),
        (Reply::status(404), "reject", None, "404"),
        (elsewhere, "reject", None, "set --api-url"),
        (Reply::hang(), "retry", None, "no answer within 500ms"),
        (Reply::status(200).cut_after(0), "retry", None, ""),
        (Reply::status(200).cut_after(20), "retry", None, ""),
        (Reply::status(500).body("x".repeat(200_000)), "retry", None, "xxx…"),
        (Reply::status(200).header("X-Long", &"x".repeat(100_000)), "retry", None, ""),
    ] {
        fake.answer_with(reply.clone());
        let (got, wait, told) = told(backend.send(&one_gauge()));
        assert_eq!((got, wait), (class, after), "{reply:?} {told}");
        assert!(told.contains(says), "{told}");
        assert!(!told.contains(FakeLibrato::APITOKEN) && !told.contains("dXNlckBl"), "{told}");
        assert!(told.len() < 2000, "{} bytes", told.len());
    }
    assert!(fake.gauges().is_empty());
    backend.send(&one_gauge()).unwrap();
    assert_eq!(fake.gauges().len(), 1);
}

#[test]
fn an_answer_that_breaks_off_after_success_is_success() {
    let fake = FakeLibrato::start().unwrap();
    let reply = Reply::status(200).body("x".repeat(1000));
    fake.answer_with(reply.cut_after(100));
    librato(&fake).send(&one_gauge()).unwrap();
}

#[test]
fn what_librato_refuses_it_explains() {
    let fake = FakeLibrato::start().unwrap();
    let mut backend = librato(&fake);
    let bad = Payload::new(br#"{"gauges":[{"name":"two words","value":1}]}"#.to_vec(), 1);
    let (class, _, says) = told(backend.send(&bad));
    assert_eq!(class, "reject");
    assert!(says.contains("Librato answered 400: params: name: is invalid"), "{says}");
    let mut flags = LibratoFlags::new(FakeLibrato::USERNAME, "tok-wrong");
    flags.api_url = fake.url();
    let (class, _, says) = told(Librato::open(flags).unwrap().send(&one_gauge()));
    assert_eq!(class, "stop");
    assert!(says.contains("Authorization Required") && !says.contains("tok-wrong"), "{says}");
}

#[test]
fn a_librato_that_is_away_is_tried_again() {
    let fake = FakeLibrato::start().unwrap();
    let mut backend = librato(&fake);
    drop(fake);
    assert_eq!(told(backend.send(&one_gauge())).0, "retry");
}

#[test]
fn dropping_a_fake_ends_those_who_wait_for_it() {
    let fake = FakeLibrato::start().unwrap();
    let mut flags = LibratoFlags::new(FakeLibrato::USERNAME, FakeLibrato::APITOKEN);
    flags.api_url = fake.url();
    flags.timeout = Duration::from_secs(60);
    let mut backend = Librato::open(flags).unwrap();
    fake.answer_with(Reply::hang());
    let waiting = std::thread::Builder::new()
        .name("waiting".to_owned())
        .spawn(move || told(backend.send(&one_gauge())).0)
        .unwrap();
    fake.wait_until(|state| state.requests.len() == 1, DEADLINE).unwrap();
    let begun = Instant::now();
    drop(fake);
    assert_eq!(waiting.join().unwrap(), "retry");
    assert!(begun.elapsed() < DEADLINE);
}

fn to_channel(fake: &FakeSlack, channel: &str) -> Slack {
    let mut flags = SlackFlags::channel(FakeSlack::TOKEN, channel);
    flags.api_url = fake.api_url();
    open(flags)
}

fn to_webhook(fake: &FakeSlack) -> Slack {
    open(SlackFlags::webhook(fake.webhook_url()))
}

fn open(mut flags: SlackFlags) -> Slack {
    flags.timeout = Duration::from_millis(500);
    flags.pace = Duration::ZERO;
    Slack::open(flags).unwrap()
}

#[test]
fn a_digest_arrives_in_its_channel_and_through_its_webhook() {
    let fake = FakeSlack::start().unwrap();
    for mut backend in [to_channel(&fake, FakeSlack::CHANNEL), to_webhook(&fake)] {
        let lines = (0..100).map(|i| format!("c|<n&{i}>{}|1|1|web-1", "&".repeat(200)));
        let payloads = backend.payloads(window(lines));
        assert_eq!((payloads.len(), payloads[0].series), (1, 100));
        backend.send(&payloads[0]).unwrap();
    }
    let messages = fake.messages();
    assert_eq!(messages[0].channel.as_deref(), Some(FakeSlack::CHANNEL));
    assert_eq!(messages[1].channel, None);
    for message in &messages {
        assert_eq!(message.text, "Zibrato: 100 series");
        let blocks = message.blocks.as_array().unwrap();
        let context = &blocks[1]["elements"][0]["text"];
        assert_eq!(context, "2023-11-14 22:14–22:15 UTC, 60 s");
        assert!(blocks[2]["text"]["text"].as_str().unwrap().starts_with("*&lt;n&amp;"));
    }
    let requests = fake.requests();
    let bearer = format!("Bearer {}", FakeSlack::TOKEN);
    assert_eq!(requests[0].header("authorization"), Some(&*bearer));
    assert_eq!(requests[0].json.as_ref().unwrap()["unfurl_links"], Value::Bool(false));
    assert_eq!(requests[1].header("authorization"), None);
    for request in &requests {
        assert!(request.header("user-agent").unwrap().starts_with("zibrato-slack/"));
    }
}

#[test]
fn each_misfortune_at_slack_has_its_class() {
    let fake = FakeSlack::start().unwrap();
    let word =
        |status, word: &str| Reply::json(status, &serde_json::json!({"ok": false, "error": word}));
    let html = |status, word: &str| Reply::status(status).body(word);
    let mut channel = to_channel(&fake, "#metrics");
    let mut hook = to_webhook(&fake);
    let message = Payload::new(br##"{"channel":"#metrics","text":"x"}"##.to_vec(), 1);
    for (reply, class, after) in [
        (word(429, "ratelimited").header("Retry-After", "7"), "retry", Some(7)),
        (word(200, "internal_error"), "retry", None),
        (word(200, "token_revoked"), "stop", None),
        (word(200, "msg_too_long"), "reject", None),
        (html(500, "oops"), "retry", None),
        (Reply::hang(), "retry", None),
        (word(200, "x").cut_after(120), "retry", None),
    ] {
        fake.answer_with(reply.clone());
        let (got, wait, says) = told(channel.send(&message));
        assert_eq!((got, wait), (class, after), "{reply:?} {says}");
        assert!(!says.contains("hushhush"), "{says}");
    }
    for (reply, class, after) in [
        (html(429, "rate_limited").header("Retry-After", "7"), "retry", Some(7)),
        (html(500, "rollup_error"), "retry", None),
        (html(404, "no_service"), "stop", None),
        (html(400, "invalid_payload"), "reject", None),
        (html(302, "").header("Location", &fake.webhook_url()), "reject", None),
        (html(400, &fake.webhook_url()), "reject", None),
        (Reply::hang(), "retry", None),
        (Reply::status(200).cut_after(0), "retry", None),
    ] {
        fake.answer_with(reply.clone());
        let (got, wait, says) = told(hook.send(&message));
        assert_eq!((got, wait), (class, after), "{reply:?} {says}");
        assert!(!says.contains("hushhush"), "{says}");
    }
    assert!(fake.messages().is_empty());
    channel.send(&message).unwrap();
    hook.send(&message).unwrap();
    assert_eq!(fake.messages().len(), 2);
}

#[test]
fn a_channel_that_cannot_be_posted_to_stops_the_worker_with_a_hint() {
    let fake = FakeSlack::start().unwrap();
    for (channel, hint) in [
        ("C0NOWHERE", "check --channel"),
        ("#archive", "choose another by --channel"),
        ("#strange", "invite the app"),
    ] {
        let mut backend = to_channel(&fake, channel);
        let payloads = backend.payloads(window(["c|n|1|1|a"]));
        let (class, _, says) = told(backend.send(&payloads[0]));
        assert_eq!(class, "stop");
        assert!(says.contains(hint), "{says}");
    }
}

#[test]
fn messages_to_slack_keep_their_pace() {
    let fake = FakeSlack::start().unwrap();
    let mut flags = SlackFlags::webhook(fake.webhook_url());
    flags.pace = Duration::from_millis(200);
    let mut backend = Slack::open(flags).unwrap();
    let message = Payload::new(br#"{"text":"x"}"#.to_vec(), 1);
    let begun = Instant::now();
    for _ in 0..3 {
        backend.send(&message).unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(400));
}
