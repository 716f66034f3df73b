//! The backend for Slack against the fake.

use super::{STAMP, class_of, window};
use serde_json::Value;
use std::time::{Duration, Instant};
use zibrato::Annotation;
use zibrato_tests::fake::{FakeSlack, Reply};
use zibrato_workers::slack::{Slack, SlackFlags};
use zibrato_workers::{Backend, BackendProgram, Payload};

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
        assert_eq!(context, "2023-11-14 22:14–22:15 UTC, 60 s · 100 series, 100 changed");
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
fn an_annotation_is_a_message_of_its_own() {
    let fake = FakeSlack::start().unwrap();
    let mut backend = to_channel(&fake, FakeSlack::CHANNEL);
    let mut window = window(&[] as &[&str]);
    let deploy = Annotation::new("deploys", "<!channel> version 7", STAMP * 1_000).unwrap();
    let deploy = deploy.with_link("ci", "https://ci.example.com/7", Some("the build")).unwrap();
    window.add_annotation("web-1", &deploy);
    for payload in backend.payloads(window) {
        backend.send(&payload).unwrap();
    }
    let messages = fake.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].text, "deploys: &lt;!channel&gt; version 7");
    assert_eq!(
        messages[0].blocks[0]["text"]["text"],
        "*&lt;!channel&gt; version 7* _web-1_ deploys, 2023-11-14 22:14:00 UTC\n\
         <https://ci.example.com/7|the build>"
    );
}

#[test]
fn each_error_of_slack_has_its_class() {
    let fake = FakeSlack::start().unwrap();
    let word =
        |status, word: &str| Reply::json(status, &serde_json::json!({"ok": false, "error": word}));
    let html = |status, word: &str| Reply::status(status).body(word);
    let mut channel = to_channel(&fake, "#metrics");
    let mut hook = to_webhook(&fake);
    let message = Payload::new(br##"{"channel":"#metrics","text":"x"}"##.to_vec(), 1);
    for (reply, class, after) in [
        (word(429, "ratelimited").header("Retry-After", "7"), "retry", Some(7)),
        (word(200, "internal_error"), "unknown", None),
        (word(200, "token_revoked"), "stop", None),
        (word(200, "msg_too_long"), "reject", None),
        (html(500, "oops"), "unknown", None),
        (Reply::hang(), "unknown", None),
        (word(200, "x").cut_after(120), "unknown", None),
    ] {
        fake.answer_with(reply.clone());
        let (got, wait, says) = class_of(channel.send(&message));
        assert_eq!((got, wait), (class, after), "{reply:?} {says}");
        assert!(!says.contains("hushhush"), "{says}");
    }
    for (reply, class, after) in [
        (html(429, "rate_limited").header("Retry-After", "7"), "retry", Some(7)),
        (html(500, "rollup_error"), "unknown", None),
        (html(404, "no_service"), "stop", None),
        (html(400, "invalid_payload"), "reject", None),
        (html(302, "").header("Location", &fake.webhook_url()), "stop", None),
        (html(400, &fake.webhook_url()), "reject", None),
        (Reply::hang(), "unknown", None),
        (Reply::status(200).cut_after(0), "unknown", None),
    ] {
        fake.answer_with(reply.clone());
        let (got, wait, says) = class_of(hook.send(&message));
        assert_eq!((got, wait), (class, after), "{reply:?} {says}");
        assert!(!says.contains("hushhush"), "{says}");
    }
    assert!(fake.messages().is_empty());
    channel.send(&message).unwrap();
    hook.send(&message).unwrap();
    assert_eq!(fake.messages().len(), 2);
}

#[test]
fn an_unusable_channel_holds_delivery_with_a_remedy() {
    let fake = FakeSlack::start().unwrap();
    for (channel, hint) in [
        ("C0NOWHERE", "check --channel"),
        ("#archive", "choose another one with --channel"),
        ("#strange", "invite the app"),
    ] {
        let mut backend = to_channel(&fake, channel);
        let payloads = backend.payloads(window(["c|n|1|1|a"]));
        let (class, _, says) = class_of(backend.send(&payloads[0]));
        assert_eq!(class, "stop");
        assert!(says.contains(hint), "{says}");
    }
}

#[test]
fn messages_to_slack_respect_the_minimum_interval() {
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
