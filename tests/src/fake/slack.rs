//! A fake of Slack: an incoming webhook, and the methods of the Web API that the project and its tests
//! use, with the rights of apps, pages, limits and Slack's ways with long texts.

mod faults;
mod files;
mod methods;
mod workspace;

use super::blocks;
use super::http::{Reply, Request, Server, Service};
use faults::Faults;
use files::Files;
pub use files::Shared;
use serde_json::{Map, Value, json};
use std::time::{Duration, UNIX_EPOCH};
pub use workspace::Stored;
use workspace::{Refusal, Workspace};

const WEBHOOK_PATH: &str = "/services/T0TEAM/B0HOOK/hushhush";

/// Accepts messages like Slack. Dropping it stops it.
///
/// Its workspace has two apps and four channels: `#metrics`; `#archive`, which is archived; `#strange`,
/// of which the apps are not members; and `#private`, which is private.
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

    /// The token of another app, which cannot delete the messages of the first.
    pub const OTHER_TOKEN: &str = "xoxb-hushother";

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

    /// A person writes a message. Returns its `ts`.
    pub fn say(&self, channel: &str, text: &str) -> String {
        self.change(|workspace| workspace.add(channel, "U0PERSON", text, None))
    }

    /// A bot posts a message, as it would with its token. Returns its `ts`.
    pub fn post_as(&self, token: &str, channel: &str, text: &str) -> String {
        self.change(|workspace| {
            let by = workspace.apps.get(token).map_or("B0UNKNOWN", |app| app.bot_id);
            workspace.add(channel, by, text, None)
        })
    }

    /// Replaces the text of a message, as its author does.
    pub fn edit(&self, channel: &str, ts: &str, text: &str) {
        self.change(|workspace| {
            let edited = workspace.next_ts();
            if let Some(stored) = workspace.stored(channel, ts) {
                (stored.text, stored.edited) = (text.to_owned(), Some(edited));
            }
        });
    }

    /// A person answers in a thread. Returns the `ts` of the reply.
    pub fn reply(&self, channel: &str, thread: &str, text: &str) -> String {
        self.change(|workspace| {
            let ts = workspace.add(channel, "U0PERSON", text, Some(thread));
            if let Some(first) = workspace.stored(channel, thread) {
                first.thread_ts = Some(thread.to_owned());
            }
            ts
        })
    }

    /// What is in a channel, the oldest first.
    #[must_use]
    pub fn stored(&self, channel: &str) -> Vec<Stored> {
        self.change(|workspace| {
            let found = workspace.channels.iter().find(|known| known.id == channel);
            found.map(|known| known.messages.clone()).unwrap_or_default()
        })
    }

    /// The number of messages that were deleted.
    #[must_use]
    pub fn deleted(&self) -> usize {
        self.server.look(|state| state.deleted)
    }

    /// Revokes a token, or makes it valid again.
    pub fn revoke(&self, token: &'static str, revoked: bool) {
        self.change(|workspace| workspace.app_of(token).revoked = revoked);
    }

    /// The scopes of a token, instead of all.
    pub fn set_scopes(&self, token: &'static str, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.change(|workspace| workspace.app_of(token).scopes = scopes);
    }

    /// Archives a channel, or restores it.
    pub fn archive(&self, channel: &str, archived: bool) {
        self.change(|workspace| {
            if let Ok(channel) = workspace.channel(channel) {
                channel.is_archived = archived;
            }
        });
    }

    /// A method may be called so often within a time. Further calls are answered with 429.
    pub fn limit(&self, method: &'static str, calls: usize, within: Duration) {
        self.change(|workspace| workspace.limit(method, calls, within));
    }

    /// The most messages in a page, as for apps that are distributed outside the Marketplace.
    pub fn set_longest_page(&self, messages: usize) {
        self.change(|workspace| workspace.longest_page = messages);
    }

    /// How far its clock is ahead of this machine's, in milliseconds.
    pub fn set_clock_ahead(&self, ms: i64) {
        self.change(|workspace| workspace.ahead_ms = ms);
    }

    /// Whether the workspace allows files. It does at first.
    pub fn allow_uploads(&self, allowed: bool) {
        self.server.change(|state| state.files.are_forbidden = !allowed);
    }

    /// Answers each upload of bytes with an error.
    pub fn refuse_uploads(&self) {
        self.server.change(|state| state.files.answer = Some(Reply::status(400).body("broken")));
    }

    /// Answers no upload of bytes, until the fake is dropped.
    pub fn hang_uploads(&self) {
        self.server.change(|state| state.files.answer = Some(Reply::hang()));
    }

    /// The files that were uploaded and posted.
    #[must_use]
    pub fn files(&self) -> Vec<Shared> {
        self.server.look(|state| state.files.shared.clone())
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

    /// The messages that were accepted through the API or the webhook.
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

    fn change<T: Default>(&self, change: impl FnOnce(&mut Workspace) -> T) -> T {
        let mut changed = T::default();
        self.server.change(|state| changed = change(&mut state.workspace));
        changed
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
    /// The messages that were accepted through the API or the webhook.
    pub messages: Vec<Message>,
    /// The number of messages that were deleted.
    pub deleted: usize,
    faults: Faults,
    files: Files,
    workspace: Workspace,
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
        if request.path.starts_with(files::UPLOADS) {
            return self.files.upload(request);
        }
        let Some(method) = request.path.strip_prefix("/api/") else {
            return Reply::status(404);
        };
        let at_ms = Duration::from_millis(self.workspace.now_ms());
        let date = httpdate::fmt_http_date(UNIX_EPOCH + at_ms);
        let reply = match self.faults.answer(method) {
            Some(reply) => reply,
            None => self.reply(method, request),
        };
        self.faults.arrives(method, reply, &date)
    }

    fn record(&mut self, request: Request) {
        self.requests.push(request);
    }
}

/// The token of the request.
fn token(request: &Request) -> Result<String, &'static str> {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    bearer.map(str::to_owned).ok_or("not_authed")
}

impl SlackState {
    /// The answer of the Web API.
    fn reply(&mut self, method: &str, request: &Request) -> Reply {
        if let Err(seconds) = self.workspace.count(method) {
            let body = json!({"ok": false, "error": "ratelimited"});
            return Reply::json(429, &body).header("Retry-After", &seconds.to_string());
        }
        let answered = token(request)
            .map_err(Refusal::from)
            .and_then(|token| self.call(&token, method, request));
        let body = answered.unwrap_or_else(|refusal| {
            let mut body = json!({"ok": false, "error": refusal.word});
            for (name, value) in refusal.more.as_object().into_iter().flatten() {
                body[name] = value.clone();
            }
            body
        });
        Reply::json(200, &body)
    }

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

    fn message(&self, fields: &Map<String, Value>) -> Result<(String, Value), &'static str> {
        let (text, blocks) = message(fields)?;
        let shown = blocks.to_string();
        match &self.refused {
            Some(refused) if shown.contains(&**refused) => Err("invalid_blocks"),
            _ => Ok((text, blocks)),
        }
    }
}

/// The fields of a call, from a JSON or a form body; in a form, lists are JSON texts.
fn fields(request: &Request) -> Result<Map<String, Value>, &'static str> {
    if request.body.is_empty() {
        return Ok(Map::new());
    }
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
        let value =
            if key == "blocks" || key == "files" { serde_json::from_str(&text).ok() } else { None };
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
