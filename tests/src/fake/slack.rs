//! A fake of Slack: an incoming webhook, and the few methods of the Web API that the project and
//! its tests use.

use super::blocks;
use super::http::{Reply, Request, Server, Service};
use serde_json::{Map, Value, json};
use std::time::Duration;

const WEBHOOK_PATH: &str = "/services/T0TEAM/B0HOOK/hushhush";

/// Longer texts are truncated, with a warning.
const MAX_TEXT: usize = 40_000;

/// A channel of the workspace, and the result of a post to it.
struct Channel {
    id: &'static str,
    name: &'static str,
    refusal: Option<&'static str>,
}

const CHANNELS: &[Channel] = &[
    Channel { id: "C0METRICS", name: "metrics", refusal: None },
    Channel { id: "C0ARCHIVE", name: "archive", refusal: Some("is_archived") },
    Channel { id: "C0STRANGE", name: "strange", refusal: Some("not_in_channel") },
];

/// Accepts messages like Slack. Dropping it stops it.
///
/// Its workspace has three channels: `#metrics`; `#archive`, which is archived; and `#strange`, of
/// which the app is not a member.
///
/// ```
/// use zibrato_tests::fake::FakeSlack;
/// let slack = FakeSlack::start().unwrap();
/// assert!(slack.api_url().ends_with("/api"));
/// assert!(slack.messages().is_empty());
/// ```
#[derive(Debug)]
pub struct FakeSlack {
    server: Server<SlackState>,
}

impl FakeSlack {
    /// The token of the app.
    pub const TOKEN: &str = "xoxb-hushhush";

    /// The channel of which the app is a member.
    pub const CHANNEL: &str = "C0METRICS";

    /// Starts on a free port.
    ///
    /// # Errors
    /// If there is no free port, or no thread can be started.
    pub fn start() -> anyhow::Result<Self> {
        Ok(Self { server: Server::start(SlackState::default())? })
    }

    /// Its base URL, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The value for `--api-url`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api", self.url())
    }

    /// The value for `--webhook-url`.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        format!("{}{WEBHOOK_PATH}", self.url())
    }

    /// Answers the next request with this, whatever it is. Several answers are queued.
    pub fn answer_with(&self, reply: Reply) {
        self.server.answer_with(reply);
    }

    /// From now on, messages whose blocks contain `text` are rejected.
    pub fn refuse_blocks_with(&self, text: &str) {
        self.server.change(|state| state.refused = Some(text.to_owned()));
    }

    /// The answer to every request while the queue is empty; `None` answers like the service.
    pub fn answer_always(&self, reply: Option<Reply>) {
        self.server.answer_always(reply);
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.server.look(|state| state.requests.clone())
    }

    /// The accepted messages.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.server.look(|state| state.messages.clone())
    }

    /// Waits until `done` returns true. It is called with the state after each request.
    ///
    /// # Errors
    /// If the deadline passes first.
    pub fn wait_until(
        &self,
        done: impl Fn(&SlackState) -> bool,
        deadline: Duration,
    ) -> anyhow::Result<()> {
        self.server.wait_until(done, deadline)
    }
}

/// The records of the fake.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SlackState {
    /// Every request so far.
    pub requests: Vec<Request>,
    /// Messages that contain this are rejected.
    refused: Option<String>,
    /// The accepted messages.
    pub messages: Vec<Message>,
}

/// An accepted message.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// The id of the channel; none if it was posted through the webhook.
    pub channel: Option<String>,
    /// The text; empty if there are only blocks.
    pub text: String,
    /// The blocks; null if there are none.
    pub blocks: Value,
}

impl Service for SlackState {
    fn answer(&mut self, request: &Request) -> Reply {
        if request.path.starts_with("/services/") {
            return self.webhook(request);
        }
        let Some(method) = request.path.strip_prefix("/api/") else {
            return Reply::status(404);
        };
        let answered = match authorized(request) {
            Ok(()) => self.call(method, request),
            Err(word) => Err(word),
        };
        let body = answered.unwrap_or_else(|word| json!({"ok": false, "error": word}));
        Reply::json(200, &body)
    }

    fn record(&mut self, request: Request) {
        self.requests.push(request);
    }
}

/// Checks that the request has the token of the app.
fn authorized(request: &Request) -> Result<(), &'static str> {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    match bearer {
        None => Err("not_authed"),
        Some(token) if token == FakeSlack::TOKEN => Ok(()),
        Some(_) => Err("invalid_auth"),
    }
}

impl SlackState {
    fn webhook(&mut self, request: &Request) -> Reply {
        let reply = |status, word: &str| {
            Reply::status(status).header("Content-Type", "text/html").body(word)
        };
        if request.path != WEBHOOK_PATH || request.method != "POST" {
            return reply(404, "no_service");
        }
        let Some(Value::Object(fields)) = &request.json else {
            return reply(400, "invalid_payload");
        };
        match self.message(fields) {
            Ok((text, blocks)) => {
                self.messages.push(Message { channel: None, text, blocks });
                reply(200, "ok")
            }
            Err(word) => reply(400, word),
        }
    }

    /// Calls a method of the Web API.
    fn call(&mut self, method: &str, request: &Request) -> Result<Value, &'static str> {
        match method {
            "auth.test" => Ok(json!({
                "ok": true, "url": "https://test.slack.com/", "team": "Test", "user": "zibrato",
                "team_id": "T0TEAM", "user_id": "U0ZIBRATO", "bot_id": "B0ZIBRATO",
            })),
            "chat.postMessage" => self.post(&fields(request)?),
            "conversations.list" => {
                let shown = CHANNELS.iter().map(|channel| {
                    json!({"id": channel.id, "name": channel.name,
                        "is_archived": channel.refusal == Some("is_archived"),
                        "is_member": channel.refusal.is_none()})
                });
                let shown: Vec<_> = shown.collect();
                Ok(json!({"ok": true, "channels": shown,
                    "response_metadata": {"next_cursor": ""}}))
            }
            _ => Err("unknown_method"),
        }
    }

    fn message(&self, fields: &Map<String, Value>) -> Result<(String, Value), &'static str> {
        let (text, blocks) = message(fields)?;
        let shown = blocks.to_string();
        match &self.refused {
            Some(refused) if shown.contains(&**refused) => Err("invalid_blocks"),
            _ => Ok((text, blocks)),
        }
    }

    fn post(&mut self, fields: &Map<String, Value>) -> Result<Value, &'static str> {
        let wanted = fields.get("channel").and_then(Value::as_str).unwrap_or_default();
        let name = wanted.strip_prefix('#').unwrap_or(wanted);
        let channel = CHANNELS.iter().find(|known| known.id == wanted || known.name == name);
        let channel = channel.ok_or("channel_not_found")?;
        if let Some(word) = channel.refusal {
            return Err(word);
        }
        let (text, blocks) = self.message(fields)?;
        let ts = format!("1700000000.{:06}", self.messages.len() + 1);
        let mut answer = json!({"ok": true, "channel": channel.id, "ts": ts,
            "message": {"type": "message", "text": text, "ts": ts}});
        if text.chars().count() > MAX_TEXT {
            answer["warning"] = "message_truncated".into();
        }
        let text = text.chars().take(MAX_TEXT).collect();
        self.messages.push(Message { channel: Some(channel.id.to_owned()), text, blocks });
        Ok(answer)
    }
}

/// The fields of a call, from a JSON or a form body; in a form, lists are JSON texts.
fn fields(request: &Request) -> Result<Map<String, Value>, &'static str> {
    if request.is("application/json") {
        return match &request.json {
            Some(Value::Object(fields)) => Ok(fields.clone()),
            Some(_) => Err("json_not_object"),
            None => Err("invalid_json"),
        };
    }
    if !request.is("application/x-www-form-urlencoded") {
        return Err("invalid_post_type");
    }
    let pairs = request.form().into_iter().map(|(key, text)| {
        let value = if key == "blocks" { serde_json::from_str(&text).ok() } else { None };
        (key, value.unwrap_or(Value::String(text)))
    });
    Ok(pairs.collect())
}

/// Text and blocks of a message, or the error code of its rejection.
fn message(fields: &Map<String, Value>) -> Result<(String, Value), &'static str> {
    let text = fields.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    let blocks = fields.get("blocks").cloned().unwrap_or_default();
    match &blocks {
        Value::Null if text.is_empty() => return Err("no_text"),
        Value::Null => {}
        blocks => blocks::check(blocks)?,
    }
    Ok((text, blocks))
}
