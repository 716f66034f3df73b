//! The backend for Librato against the fake.

use super::{STAMP, class_of, window};
use std::time::{Duration, Instant};
use zibrato_tests::DEADLINE;
use zibrato_tests::fake::{FakeLibrato, Reply};
use zibrato_workers::librato::{Librato, LibratoFlags};
use zibrato_workers::{Backend, BackendProgram, Payload};

fn librato(fake: &FakeLibrato) -> Librato {
    let mut flags = LibratoFlags::new(FakeLibrato::USERNAME, FakeLibrato::APITOKEN);
    flags.api_url = fake.url();
    flags.timeout = Duration::from_millis(500);
    // The windows of these tests are old.
    flags.accept_past = Duration::ZERO;
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
        (("all_", "two-words_ccb500272bebfeac"), (1, 1.0, 1.0, 1.0)),
        (("web-1", "depth"), (2, 6.0, 2.0, 4.0)),
        (("web-1", "query"), (2, 0.75, 0.25, 0.5)),
        (("web-1", "users"), (1, 1.0, 1.0, 1.0)),
        // A changed name gets a hash, so that `web 1` is distinguished from `web-1`.
        (("web-1_664a3e2e093c2596", "logins"), (1, 5.0, 5.0, 5.0)),
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
fn many_series_are_sent_in_requests_that_fail_independently() {
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
fn each_error_of_librato_has_its_class() {
    let fake = FakeLibrato::start().unwrap();
    let mut backend = librato(&fake);
    let elsewhere = Reply::status(301).header("Location", "https://elsewhere/v1/metrics");
    let limit = serde_json::json!({"error": "You have hit the API limit for measurements"});
    for (reply, class, after, says) in [
        (Reply::status(500).body("oops"), "retry", None, "Librato answered 500: oops"),
        (Reply::status(503).header("Retry-After", "9"), "retry", Some(9), "503"),
        (Reply::status(429).header("Retry-After", "7"), "retry", Some(7), "429"),
        (Reply::status(504).header("Retry-After", "7"), "unknown", Some(7), "504"),
        (Reply::json(403, &limit), "retry", None, "API limit"),
        (Reply::status(403), "stop", None, "403"),
        (Reply::status(401), "stop", None, "401"),
        (Reply::status(404), "stop", None, "check --api-url"),
        (elsewhere, "stop", None, "set --api-url"),
        (Reply::hang(), "unknown", None, "no answer within 500ms"),
        (Reply::status(200).cut_after(0), "unknown", None, ""),
        (Reply::status(200).cut_after(20), "unknown", None, ""),
        (Reply::status(500).body("x".repeat(200_000)), "retry", None, "xxx…"),
        (Reply::status(200).header("X-Long", &"x".repeat(100_000)), "unknown", None, ""),
    ] {
        fake.answer_with(reply.clone());
        let (got, wait, text) = class_of(backend.send(&one_gauge()));
        assert_eq!((got, wait), (class, after), "{reply:?} {text}");
        assert!(text.contains(says), "{text}");
        assert!(!text.contains(FakeLibrato::APITOKEN) && !text.contains("dXNlckBl"), "{text}");
        assert!(text.len() < 2000, "{} bytes", text.len());
    }
    assert!(fake.gauges().is_empty());
    backend.send(&one_gauge()).unwrap();
    assert_eq!(fake.gauges().len(), 1);
}

#[test]
fn a_truncated_successful_answer_is_a_success() {
    let fake = FakeLibrato::start().unwrap();
    let reply = Reply::status(200).body("x".repeat(1000));
    fake.answer_with(reply.cut_after(100));
    librato(&fake).send(&one_gauge()).unwrap();
}

#[test]
fn a_rejection_by_librato_contains_its_explanation() {
    let fake = FakeLibrato::start().unwrap();
    let mut backend = librato(&fake);
    let bad = Payload::new(br#"{"gauges":[{"name":"two words","value":1}]}"#.to_vec(), 1);
    let (class, _, says) = class_of(backend.send(&bad));
    assert_eq!(class, "reject");
    assert!(says.contains("Librato answered 400: params: name: is invalid"), "{says}");
    let mut flags = LibratoFlags::new(FakeLibrato::USERNAME, "tok-wrong");
    flags.api_url = fake.url();
    let (class, _, says) = class_of(Librato::open(flags).unwrap().send(&one_gauge()));
    assert_eq!(class, "stop");
    assert!(says.contains("Authorization Required") && !says.contains("tok-wrong"), "{says}");
}

#[test]
fn a_librato_that_is_down_is_retried() {
    let fake = FakeLibrato::start().unwrap();
    let mut backend = librato(&fake);
    drop(fake);
    assert_eq!(class_of(backend.send(&one_gauge())).0, "retry");
}

#[test]
fn dropping_a_fake_ends_waiting_requests() {
    let fake = FakeLibrato::start().unwrap();
    let mut flags = LibratoFlags::new(FakeLibrato::USERNAME, FakeLibrato::APITOKEN);
    flags.api_url = fake.url();
    flags.timeout = Duration::from_secs(60);
    let mut backend = Librato::open(flags).unwrap();
    fake.answer_with(Reply::hang());
    let waiting = std::thread::Builder::new()
        .name("waiting".to_owned())
        .spawn(move || class_of(backend.send(&one_gauge())).0)
        .unwrap();
    fake.wait_until(|state| state.requests.len() == 1, DEADLINE).unwrap();
    let begun = Instant::now();
    drop(fake);
    assert_eq!(waiting.join().unwrap(), "unknown");
    assert!(begun.elapsed() < DEADLINE);
}

#[test]
fn a_server_without_tls_is_retried() {
    let fake = FakeLibrato::start().unwrap();
    let mut flags = LibratoFlags::new(FakeLibrato::USERNAME, FakeLibrato::APITOKEN);
    flags.api_url = fake.url().replace("http:", "https:");
    flags.timeout = Duration::from_secs(5);
    let (class, _, says) = class_of(Librato::open(flags).unwrap().send(&one_gauge()));
    // Nothing was sent, so nothing is repeated.
    assert_eq!(class, "retry");
    assert!(!says.contains("Timeout"), "{says}");
    assert!(fake.requests().is_empty());
}
