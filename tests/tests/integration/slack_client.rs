//! The client of Slack's Web API against the fake that slack_sdk has proved.

use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zibrato_tests::fake::{FakeSlack, Reply};
use zibrato_workers::slack::bus::Ts;
use zibrato_workers::slack::client::{
    ChannelQuery, Client, ClientBuilder, Error, ErrorKind, HistoryQuery, Post, RetryPolicy, Webhook,
};

fn builder(fake: &FakeSlack, token: &str) -> ClientBuilder {
    Client::builder(token).url(fake.api_url()).timeout(Duration::from_secs(2))
}

/// A client that waits for nothing, and the waits.
fn hasty(fake: &FakeSlack) -> (Client, Arc<Mutex<Vec<Duration>>>) {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&waits);
    let pause = move |wait| {
        heard.lock().unwrap().push(wait);
        true
    };
    (builder(fake, FakeSlack::TOKEN).pause(pause).build().unwrap(), waits)
}

fn client(fake: &FakeSlack) -> Client {
    builder(fake, FakeSlack::TOKEN).retries(RetryPolicy::never()).build().unwrap()
}

#[test]
fn every_method_does_what_it_is_for() {
    let fake = FakeSlack::start().unwrap();
    let client = client(&fake);
    assert_eq!(client.server_ms(), None);
    let me = client.auth_test().unwrap();
    assert_eq!((&*me.team, me.bot_id.as_deref()), ("Test", Some("B0ZIBRATO")));
    let ahead = client.server_ms().unwrap().abs_diff(zibrato::clock::unix_ms());
    assert!(ahead < 60_000, "{ahead}");
    let all: Vec<_> = client.channels(&ChannelQuery::new().limit(1)).map(Result::unwrap).collect();
    let names: Vec<_> = all.iter().map(|channel| &*channel.name).collect();
    assert_eq!(names, ["metrics", "archive", "strange"]);
    assert!(all[1].is_archived && !all[1].is_member && all[0].is_member);
    for name in ["metrics", "#metrics", " #metrics ", "C0METRICS", "old-metrics"] {
        assert_eq!(client.find_channel(name).unwrap().id, "C0METRICS", "{name}");
    }
    assert_eq!(client.find_channel("private").unwrap().id, "G0PRIVATE");
    assert!(client.join("C0STRANGE").unwrap().is_member);
    let posted = client.post(&Post::new("#metrics", "a &amp; b")).unwrap();
    assert_eq!(posted.channel, "C0METRICS");
    client.update(&posted.ts, &Post::new("C0METRICS", "c")).unwrap();
    let messages: Vec<_> =
        client.history(&HistoryQuery::of("C0METRICS")).map(Result::unwrap).collect();
    assert_eq!((&*messages[0].text, messages[0].ts.clone()), ("c", posted.ts.clone()));
    assert!(messages[0].edited.is_some() && !messages[0].is_reply());
    client.delete("C0METRICS", &posted.ts).unwrap();
    let gone = client.delete("C0METRICS", &posted.ts).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Gone);
    assert_eq!(client.user("U0PERSON").unwrap().name, "person");
    Webhook::new(fake.webhook_url()).unwrap().post(&Post::new("", "hello")).unwrap();
    assert_eq!(fake.messages().last().unwrap().text, "hello");
    for request in fake.requests() {
        assert!(!request.path.contains("xoxb") && !request.query.contains("xoxb"));
        assert!(request.header("user-agent").unwrap().starts_with("zibrato-slack-client/"));
    }
}

#[test]
fn pages_are_followed_within_both_bounds() {
    let fake = FakeSlack::start().unwrap();
    let sent: Vec<Ts> =
        (0..25).map(|i| fake.say("C0METRICS", &format!("a {i} 1")).parse().unwrap()).collect();
    let client = client(&fake);
    let query = HistoryQuery::of("C0METRICS").oldest(sent[2].clone()).latest(sent[24].clone());
    let found: Vec<_> = client.history(&query.limit(4)).map(|m| m.unwrap().ts).collect();
    let mut expected = sent[3..24].to_vec();
    expected.reverse();
    assert_eq!(found, expected);
    assert!(!client.has_low_limit());
}

#[test]
fn each_error_has_its_kind_and_says_what_helps() {
    let fake = FakeSlack::start().unwrap();
    fake.set_scopes("xoxb-hushfew", &["chat:write"]);
    fake.revoke("xoxb-hushgone", true);
    let with = |token| builder(&fake, token).retries(RetryPolicy::never()).build().unwrap();
    let ours = client(&fake);
    let few = with("xoxb-hushfew");
    let first = |client: &Client, channel| {
        client.history(&HistoryQuery::of(channel)).next().unwrap().unwrap_err()
    };
    let other = with(FakeSlack::OTHER_TOKEN).post(&Post::new("C0METRICS", "x")).unwrap().ts;
    for (error, kind, says) in [
        (few.find_channel("metrics").unwrap_err(), ErrorKind::Access, "needs channels:read"),
        (first(&few, "C0METRICS"), ErrorKind::Access, "has chat:write and needs channels:history"),
        (with("xoxb-hushgone").auth_test().unwrap_err(), ErrorKind::Access, "create a new token"),
        (with("xoxb-hushwrong").auth_test().unwrap_err(), ErrorKind::Access, "invalid_auth"),
        (ours.find_channel("nowhere").unwrap_err(), ErrorKind::Channel, "among 3; check --channel"),
        (ours.find_channel("C0NOWHERE").unwrap_err(), ErrorKind::Channel, "channel_not_found"),
        (first(&ours, "C0STRANGE"), ErrorKind::Channel, "invite the app"),
        (ours.join("C0ARCHIVE").unwrap_err(), ErrorKind::Channel, "is archived"),
        (ours.delete("C0METRICS", &other).unwrap_err(), ErrorKind::Undeletable, "same app"),
        (ours.post(&Post::new("C0METRICS", "")).unwrap_err(), ErrorKind::Message, "no_text"),
    ] {
        let shown = format!("{error} {error:?}");
        assert_eq!(error.kind(), kind, "{shown}");
        assert!(shown.contains(says) && !shown.contains("hush"), "{shown}");
    }
    let few_groups: &[&str] = &["channels:read"];
    fake.set_scopes("xoxb-hushfew", few_groups);
    assert_eq!(few.find_channel("metrics").unwrap().id, "C0METRICS");
}

#[test]
fn limits_and_problems_of_slack_are_waited_for() {
    let fake = FakeSlack::start().unwrap();
    let (client, waits) = hasty(&fake);
    let limited = json!({"ok": false, "error": "ratelimited"});
    fake.answer_with(Reply::json(429, &limited).header("Retry-After", "1"));
    fake.answer_with(Reply::status(502).body("<html>bad gateway</html>"));
    fake.answer_with(Reply::json(200, &json!({"ok": false, "error": "internal_error"})));
    client.auth_test().unwrap();
    assert_eq!(fake.requests().len(), 4);
    assert!(waits.lock().unwrap().iter().any(|wait| *wait >= Duration::from_secs(1)));
    // A message is not posted twice unless that is allowed.
    let post = Post::new("C0METRICS", "once");
    fake.answer_with(Reply::status(200).body("<html>"));
    let error = client.post(&post).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    fake.answer_with(Reply::status(200).body("<html>"));
    client.post(&post.repeat()).unwrap();
    assert_eq!(fake.messages().len(), 1);
    fake.answer_with(Reply::status(302).header("Location", "https://portal.example/hush"));
    let error = client.auth_test().unwrap_err().to_string();
    assert!(error.contains("redirect to portal.example,") && !error.contains("hush"), "{error}");
}

#[test]
fn a_wait_ends_when_the_program_does() {
    let fake = FakeSlack::start().unwrap();
    let client = builder(&fake, FakeSlack::TOKEN).pause(|_| false).build().unwrap();
    fake.answer_always(Some(Reply::status(503)));
    assert!(matches!(client.auth_test(), Err(Error::Stopped)));
    assert_eq!(fake.requests().len(), 1);
}

#[test]
fn the_limit_of_distributed_apps_is_noticed() {
    let fake = FakeSlack::start().unwrap();
    fake.set_longest_page(15);
    for i in 0..20 {
        fake.say("C0METRICS", &format!("a {i} 1"));
    }
    let (client, waits) = hasty(&fake);
    let first = client.history_page(&HistoryQuery::of("C0METRICS"), None).unwrap();
    assert_eq!((first.items.len(), client.has_low_limit()), (15, true));
    assert_eq!(client.history_interval(), Duration::from_secs(60));
    assert!(waits.lock().unwrap().is_empty());
}
