//! The client of Slack's Web API against the fake that slack_sdk has proved.

use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zibrato_tests::fake::{FakeSlack, Reply, Request};
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
    for status in [200, 502, 503] {
        fake.answer_with(Reply::status(status).body("<html>"));
        let error = client.post(&post).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
    }
    let is_post = |request: &Request| request.path.ends_with("chat.postMessage");
    assert_eq!(fake.requests().iter().filter(|request| is_post(request)).count(), 3);
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
fn the_limit_of_distributed_apps_is_learned_from_refusals_and_short_pages() {
    let fake = FakeSlack::start().unwrap();
    for i in 0..50 {
        fake.say("C0METRICS", &format!("a {i} 1"));
    }
    let (client, waits) = hasty(&fake);
    let query = HistoryQuery::of("C0METRICS").limit(50);
    let read = || client.history(&query).map(Result::unwrap).count();
    // Pages of fifteen messages alone are no limit.
    fake.set_longest_page(15);
    assert_eq!(read(), 50);
    assert!(waits.lock().unwrap().is_empty());
    let limited = json!({"ok": false, "error": "ratelimited"});
    fake.answer_with(Reply::json(429, &limited).header("Retry-After", "59"));
    assert_eq!(read(), 50);
    let waits = waits.lock().unwrap();
    let long = waits.iter().filter(|wait| wait.as_secs() >= 58).count();
    assert!(long >= 4, "{waits:?}");
    let last = fake.requests().last().unwrap().form();
    assert!(last.contains(&("limit".to_owned(), "15".to_owned())), "{last:?}");
}

#[test]
fn pages_without_a_cursor_are_followed_by_time() {
    let fake = FakeSlack::start().unwrap();
    let sent: Vec<Ts> =
        (0..25).map(|i| fake.say("C0METRICS", &format!("a {i} 1")).parse().unwrap()).collect();
    fake.hide_cursors(true);
    let client = client(&fake);
    for inclusive in [false, true] {
        let query = HistoryQuery::of("C0METRICS").oldest(sent[2].clone()).latest(sent[24].clone());
        let query = query.inclusive(inclusive).limit(4);
        let mut found: Vec<_> = client.history(&query).map(|m| m.unwrap().ts).collect();
        found.reverse();
        let expected = if inclusive { &sent[2..] } else { &sent[3..24] };
        assert_eq!(found, expected);
    }
    // There is nothing to go on from.
    let odd = json!({"ok": true, "messages": [], "has_more": true});
    fake.answer_with(Reply::json(200, &odd));
    let error = client.history_page(&HistoryQuery::of("C0METRICS"), None).unwrap_err();
    assert!(error.to_string().contains("neither one nor a cursor"), "{error}");
}

#[test]
fn what_slack_remarks_about_a_message_is_returned() {
    let fake = FakeSlack::start().unwrap();
    let posted = client(&fake).post(&Post::new("C0METRICS", "y".repeat(40_001))).unwrap();
    assert_eq!(posted.warning.as_deref(), Some("message_truncated"));
}
