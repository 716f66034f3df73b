//! Calls of the Web API that slack_sdk made, and those that the client makes.
//!
//! Each is made against a server that gives the recorded answers. Its requests must be the recorded
//! ones. The client makes a call again where slack_sdk does not, so no attempt but the first is
//! compared unless more were recorded.

use crate::compare::{Differences, Outcome};
use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zibrato_tests::fake::{Reply, Request, ScriptedServer};
use zibrato_workers::slack::bus::Ts;
use zibrato_workers::slack::client::{
    ChannelQuery, Client, ClientBuilder, Error, HistoryQuery, Post, RetryPolicy, Webhook,
};

/// A call that is only in other languages' clients, or that this one makes otherwise.
const NO_UNKNOWN_FIELDS: &str = "a query has only the fields that the client knows";

pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let server = ScriptedServer::start()?;
    let more = case["more_requests"].as_array().map(Vec::as_slice).unwrap_or_default();
    let recorded: Vec<&Value> = std::iter::once(case).chain(more).collect();
    for request in &recorded {
        server.answer_with(reply(&request["response"])?);
    }
    let waits = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&waits);
    let handled = case["call"].as_str().is_some_and(|call| call.contains("retry handler"));
    let retries = if handled { RetryPolicy::default().attempts(2) } else { RetryPolicy::never() };
    let builder = Client::builder("xoxb-test")
        .url(format!("{}/api", server.url()))
        .retries(retries)
        .pause(move |wait: Duration| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(wait);
            true
        });
    let mut differences = Differences::default();
    let ended = call(case, builder, &server, &mut differences)?;
    compare_ends(&case["result"], &ended, &mut differences);
    let sent = server.requests();
    if sent.len() != recorded.len() {
        differences.fail(format!("expected {} requests, found {}", recorded.len(), sent.len()));
    }
    for (recorded, sent) in recorded.iter().zip(&sent) {
        compare_requests(recorded, sent, &mut differences);
    }
    let waits = waits.lock().unwrap_or_else(PoisonError::into_inner);
    let floors = case["sleep_floor_seconds"].as_array().map(Vec::as_slice).unwrap_or_default();
    for floor in floors {
        if !waits.iter().any(|wait| wait.as_secs() >= floor.as_u64().unwrap_or(u64::MAX)) {
            differences.fail(format!("expected a wait of {floor} s, found {waits:?}"));
        }
    }
    Ok(differences.outcome())
}

fn reply(response: &Value) -> anyhow::Result<Reply> {
    let status = response["status"].as_u64().context("the response has no status")?;
    let body = response["body"].as_str().unwrap_or_default();
    let headers = response["headers"].as_object().into_iter().flatten();
    let reply = Reply::status(u16::try_from(status)?).body(body);
    Ok(headers
        .fold(reply, |reply, (name, value)| reply.header(name, value.as_str().unwrap_or_default())))
}

/// Makes the call. Its result is what the typed answer says, in the words of the answer.
fn call(
    case: &Value,
    builder: ClientBuilder,
    server: &ScriptedServer,
    differences: &mut Differences,
) -> anyhow::Result<Result<Value, Error>> {
    let args = case["args"].as_object().context("the case has no object `args`")?;
    let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
    let flag = |name: &str| args.get(name).and_then(Value::as_bool);
    let ts = |name: &str| text(name).parse::<Ts>().ok();
    let limit = args.get("limit").and_then(Value::as_u64).and_then(|limit| limit.try_into().ok());
    let cursor = args.get("cursor").and_then(Value::as_str);
    let mut post = Post::new(text("channel"), text("text"));
    for (name, value) in args {
        if !matches!(&**name, "channel" | "text" | "ts") {
            post = post.field(name, value.clone());
        }
    }
    let name = case["call"].as_str().unwrap_or_default();
    if name.starts_with("incoming webhook") {
        let path = case["path"].as_str().unwrap_or_default();
        let webhook = Webhook::with(format!("{}{path}", server.url()), &builder)?;
        let status = case["result"]["returns"]["status_code"].as_u64().unwrap_or_default();
        // The SDK returns the answer, whatever it says.
        return Ok(match webhook.post(&post) {
            Ok(()) => Ok(json!({"status_code": 200, "body": "ok"})),
            Err(Error::Refused(refused)) => {
                Ok(json!({"status_code": refused.status, "body": refused.word}))
            }
            Err(Error::Unreadable { status: found, .. }) if u64::from(found) == status => {
                Ok(case["result"]["returns"].clone())
            }
            Err(error) => Err(error),
        });
    }
    let client = builder.build()?;
    let method = name.split(' ').next().unwrap_or_default();
    let known: &[&str] = match method {
        "conversations.list" => &["limit", "types", "exclude_archived", "cursor"],
        "conversations.history" => &["channel", "oldest", "latest", "inclusive", "limit", "cursor"],
        _ => &[],
    };
    if !known.is_empty() && args.keys().any(|name| !known.contains(&&**name)) {
        differences.by_design(NO_UNKNOWN_FIELDS);
    }
    let named = |id: String| json!({"channel": {"id": id}});
    Ok(match method {
        "auth.test" => client.auth_test().map(|me| json!({"team": me.team, "user": me.user})),
        "conversations.list" => {
            let mut query = ChannelQuery::new().limit(limit.unwrap_or(100));
            if !text("types").is_empty() {
                query = query.types(text("types"));
            }
            if let Some(exclude) = flag("exclude_archived") {
                query = query.exclude_archived(exclude);
            }
            client.channel_page(&query, cursor).map(|page| {
                let ids: Vec<_> = page.items.into_iter().map(|channel| channel.id).collect();
                json!({"ids": ids, "next_cursor": page.next_cursor})
            })
        }
        "conversations.info" => client.channel(text("channel")).map(|one| named(one.id)),
        "conversations.join" => client.join(text("channel")).map(|one| named(one.id)),
        "conversations.history" => {
            let mut query = HistoryQuery::of(text("channel")).limit(limit.unwrap_or(100));
            if let Some(ts) = ts("oldest") {
                query = query.oldest(ts);
            }
            if let Some(ts) = ts("latest") {
                query = query.latest(ts);
            }
            if let Some(inclusive) = flag("inclusive") {
                query = query.inclusive(inclusive);
            }
            client.history_page(&query, cursor).map(|page| {
                let texts = page.items.iter().map(|m| json!([m.ts.as_str(), m.text]));
                json!({"messages": texts.collect::<Vec<_>>()})
            })
        }
        "chat.postMessage" => client.post(&post).map(|one| json!({"ts": one.ts.as_str()})),
        "chat.update" => {
            let ts = ts("ts").context("the case has no ts")?;
            client.update(&ts, &post).map(|one| json!({"ts": one.ts.as_str()}))
        }
        "chat.delete" => {
            let ts = ts("ts").context("the case has no ts")?;
            client.delete(text("channel"), &ts).map(|()| json!({}))
        }
        "users.info" => client.user(text("user")).map(|user| json!({"user": {"id": user.id}})),
        other => bail!("the call `{other}` is unknown"),
    })
}

/// What of the recorded answer the typed one has too.
fn compare_ends(result: &Value, ended: &Result<Value, Error>, differences: &mut Differences) {
    let returns = &result["returns"];
    match ended {
        Ok(found) => {
            let list = |name: &str| returns[name].as_array().cloned().unwrap_or_default();
            for (name, found) in found.as_object().into_iter().flatten() {
                let expected = match &**name {
                    "ids" => list("channels").iter().map(|one| one["id"].clone()).collect(),
                    "messages" => {
                        list("messages").iter().map(|m| json!([m["ts"], m["text"]])).collect()
                    }
                    "next_cursor" => match &returns["response_metadata"]["next_cursor"] {
                        Value::String(cursor) if cursor.is_empty() => Value::Null,
                        cursor => cursor.clone(),
                    },
                    "channel" | "user" if found["id"].is_string() => {
                        json!({"id": returns[name]["id"]})
                    }
                    _ => returns[name].clone(),
                };
                // The client reads nothing as an empty text.
                let is_nothing = expected.is_null() && found == "";
                if *found != expected && !is_nothing {
                    differences.fail(format!("{name}: expected {expected}, found {found}"));
                }
            }
            if result.get("raises").is_some() {
                differences.fail(format!("expected {result}, found a success"));
            }
        }
        Err(error) => {
            let word = result["error"].as_str().unwrap_or_default();
            let is_same = match error {
                Error::Refused(refused) => {
                    refused.word == word && result["status"] == refused.status
                }
                Error::Unreadable { status, .. } => {
                    word.contains("non-JSON") && result["status"] == *status
                }
                _ => false,
            };
            if !is_same || result.get("raises").is_none() {
                differences.fail(format!("expected {result}, found {error}"));
            }
        }
    }
}

fn compare_requests(recorded: &Value, sent: &Request, differences: &mut Differences) {
    let mut compare = |what: &str, expected: &Value, found: Value| {
        if *expected != found {
            differences.fail(format!("{what}: expected {expected}, found {found}"));
        }
    };
    compare("method", &recorded["method"], json!(sent.method));
    compare("path", &recorded["path"], json!(sent.path));
    compare("query", &recorded["query"], json!(sent.query));
    let plain = |value: &str| value.to_lowercase().replace("; ", ";");
    for (name, value) in recorded["headers"].as_object().into_iter().flatten() {
        let found = sent.header(&name.to_lowercase()).unwrap_or_default();
        let expected = value.as_str().unwrap_or_default();
        compare(name, &json!(plain(expected)), json!(plain(found)));
    }
    match &recorded["body"] {
        Value::String(form) => {
            compare("body", &fields(form), fields(&String::from_utf8_lossy(&sent.body)));
        }
        Value::Null => compare("body", &json!(0), json!(sent.body.len())),
        body => compare("body", body, sent.json.clone().unwrap_or_default()),
    }
}

/// The fields of a form, without an order.
fn fields(form: &str) -> Value {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    Value::from(pairs.map(|(k, v)| (k.to_owned(), json!(v))).collect::<Map<_, _>>())
}
