//! The recorded requests with their answers, and a server that gives these answers.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use std::process::Command;
use zibrato_tests::fake::{Reply, Request, ScriptedServer};
use zibrato_tests::program;

/// The names of methods then and now.
const METHODS: &[(&str, &str)] = &[
    ("auth.test", "auth.test"),
    ("channels.history", "conversations.history"),
    ("channels.info", "conversations.info"),
    ("channels.join", "conversations.join"),
    ("channels.list", "conversations.list"),
    ("chat.delete", "chat.delete"),
    ("chat.postMessage", "chat.postMessage"),
    ("users.info", "users.info"),
];

/// The token if none was recorded.
const TOKEN: &str = "xoxp-1";

/// A recorded request.
#[derive(Debug)]
pub(super) struct Call {
    old: String,
    /// The method, as it is called today.
    pub(super) method: &'static str,
    pub(super) form: Map<String, Value>,
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    body: String,
}

/// An answer of Slack that is no success.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal<'a> {
    pub(super) call: &'a Call,
    /// The error code; none if the answer does not come from the API.
    pub(super) word: Option<&'a str>,
}

/// All requests of a case.
#[derive(Debug)]
pub(super) struct Recorded {
    calls: Vec<Call>,
    bodies: Vec<Value>,
    token: String,
}

impl Recorded {
    pub(super) fn of(case: &Value) -> anyhow::Result<Self> {
        let mut recorded = Self { calls: Vec::new(), bodies: Vec::new(), token: TOKEN.to_owned() };
        for request in case["requests"].as_array().context("the case has no list `requests`")? {
            let path = request["path"].as_str().unwrap_or_default();
            let old = path.strip_prefix("/api/").unwrap_or(path);
            let Some((_, method)) = METHODS.iter().find(|(known, _)| *known == old) else {
                bail!("no rule explains a request for `{path}`");
            };
            let answer = &request["response"];
            let body = answer["body"].as_str().unwrap_or_default().to_owned();
            let status = answer["status"].as_u64().context("an answer has no status")?;
            let retry_after = answer["headers"]["Retry-After"].as_str();
            let bearer = request["headers"]["authorization"].as_str().unwrap_or_default();
            if let Some(token) = bearer.strip_prefix("Bearer ") {
                token.clone_into(&mut recorded.token);
            }
            recorded.bodies.push(serde_json::from_str(&body).unwrap_or_default());
            recorded.calls.push(Call {
                old: old.to_owned(),
                method,
                form: request["form"].as_object().cloned().unwrap_or_default(),
                status: u16::try_from(status)?,
                retry_after: retry_after.and_then(|seconds| seconds.parse().ok()),
                body,
            });
        }
        Ok(recorded)
    }

    /// The methods then and now.
    pub(super) fn calls(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.calls.iter().map(|call| (&*call.old, call.method))
    }

    /// The calls of a method.
    pub(super) fn all(&self, method: &'static str) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.method == method)
    }

    pub(super) fn has(&self, method: &'static str) -> bool {
        self.all(method).next().is_some()
    }

    /// The first answer that is no success, except those about single messages and users.
    pub(super) fn refusal(&self) -> Option<Refusal<'_>> {
        let is_general = |call: &Call| !matches!(call.method, "chat.delete" | "users.info");
        let mut all = self.calls.iter().zip(&self.bodies);
        let (call, body) = all
            .find(|(call, body)| is_general(call) && (call.status >= 300 || body["ok"] != true))?;
        Some(Refusal { call, word: body["error"].as_str() })
    }

    /// The messages that a history had, the oldest first.
    pub(super) fn messages(&self) -> Vec<Value> {
        let pages = self.calls.iter().zip(&self.bodies);
        let pages = pages.filter(|(call, _)| call.method == "conversations.history");
        let mut all: Vec<Value> =
            pages.flat_map(|(_, body)| body["messages"].as_array().cloned()).flatten().collect();
        let key = |message: &Value| message["ts"].as_str().unwrap_or_default().to_owned();
        all.sort_by_key(|message| (key(message).len(), key(message)));
        all.dedup_by_key(|message| key(message));
        all
    }

    /// The channel: the name that is looked up, or the id in the requests.
    pub(super) fn channel(&self, case: &Value) -> String {
        let named = case["args"]["channel"].as_str();
        if self.has("conversations.list") {
            return named.unwrap_or("metrics").to_owned();
        }
        let mut ids = self.calls.iter().filter_map(|call| call.form.get("channel")?.as_str());
        ids.next().unwrap_or("C1").to_owned()
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// A server with the recorded answers. Calls that were not recorded succeed.
    pub(super) fn server(&self, channel: &str) -> anyhow::Result<ScriptedServer> {
        let server = ScriptedServer::start()?;
        for (call, body) in self.calls.iter().zip(&self.bodies) {
            let mut reply = Reply::status(call.status);
            if let Some(seconds) = call.retry_after {
                reply = reply.header("Retry-After", &seconds.to_string());
            }
            let mut body = body.clone();
            // The recorded stand-in left out what Slack always says.
            if call.method == "chat.postMessage" && body["ok"] == true && body["ts"].is_null() {
                (body["ts"], body["channel"]) = (json!("1500000000.000100"), json!(channel));
            }
            let next = &body["response_metadata"]["next_cursor"];
            if body["has_more"] == true && next.as_str().is_none_or(str::is_empty) {
                body["response_metadata"] = json!({"next_cursor": "next"});
            }
            let text = if body.is_null() { call.body.clone() } else { body.to_string() };
            server.answer_path(&path(call.method), reply.body(text));
        }
        let known = json!({"id": channel, "name": "metrics", "is_member": true});
        let defaults = [
            ("auth.test", json!({"team": "T", "user": "relay", "user_id": "U0"})),
            ("chat.delete", json!({})),
            ("chat.postMessage", json!({"ts": "1500000000.000100", "channel": channel})),
            ("conversations.info", json!({"channel": known})),
            ("conversations.join", json!({"channel": known})),
            ("conversations.list", json!({"channels": [known]})),
            ("users.info", json!({"user": {"id": "U1", "name": "someone"}})),
        ];
        for (method, mut body) in defaults {
            if !self.has(method) {
                body["ok"] = json!(true);
                server.answer_path(&path(method), Reply::json(200, &body));
            }
        }
        if self.refusal().is_none() {
            let nothing = json!({"ok": true, "messages": [], "has_more": false});
            server.answer_path(&path("conversations.history"), Reply::json(200, &nothing));
        }
        Ok(server)
    }
}

pub(super) fn path(method: &str) -> String {
    format!("/api/{method}")
}

/// The requests of a method, as their fields.
pub(super) fn made(requests: &[Request], method: &str) -> Vec<Map<String, Value>> {
    let all = requests.iter().filter(|request| request.path == path(method));
    let fields = |request: &Request| match &request.json {
        Some(Value::Object(fields)) => fields.clone(),
        _ => request.form().into_iter().map(|(name, text)| (name, text.into())).collect(),
    };
    all.map(fields).collect()
}

/// A command of `zibrato-slack` that uses this server.
pub(super) fn command(
    name: &str,
    server: &ScriptedServer,
    channel: &str,
    recorded: &Recorded,
) -> Command {
    let mut command = Command::new(program("zibrato-slack"));
    command.arg(name).arg("--api-url").arg(format!("{}/api", server.url()));
    command.args(["--token", recorded.token(), "--channel", channel]);
    command.args(["--config", "/dev/null"]);
    command
}
