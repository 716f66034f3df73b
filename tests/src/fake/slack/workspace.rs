//! The workspace of the fake: apps with tokens and scopes, channels, and what is in them.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use zibrato::clock;

/// Slack splits longer texts into several messages.
const SPLIT_AT: usize = 4_000;

/// An error code, such as `channel_not_found`, and fields of the answer beside it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) word: &'static str,
    pub(super) more: Value,
}

impl From<&'static str> for Refusal {
    fn from(word: &'static str) -> Self {
        Self { word, more: Value::Null }
    }
}

/// What a token is allowed.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) bot_id: &'static str,
    pub(super) user_id: &'static str,
    pub(super) scopes: BTreeSet<String>,
    pub(super) revoked: bool,
}

/// A channel.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) previous_names: &'static [&'static str],
    pub(super) is_private: bool,
    pub(super) is_archived: bool,
    /// Whether the apps are members.
    pub(super) is_member: bool,
    pub(super) messages: Vec<Stored>,
}

/// A message in a channel.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stored {
    /// Its identifier.
    pub ts: String,
    /// The text as it is read back.
    pub text: String,
    /// The user who wrote it, or the bot.
    pub by: String,
    pub(super) subtype: Option<&'static str>,
    /// The message whose thread it is in, if any.
    pub thread_ts: Option<String>,
    /// When it was last edited, if ever.
    pub edited: Option<String>,
}

/// How often a method may be called.
#[derive(Debug, Clone)]
struct Limit {
    calls: usize,
    within: Duration,
    made: Vec<Instant>,
}

/// Everything in the workspace.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) apps: BTreeMap<&'static str, App>,
    pub(super) channels: Vec<Channel>,
    limits: BTreeMap<&'static str, Limit>,
    last_us: u64,
    /// How far its clock is ahead.
    pub(super) ahead_ms: i64,
    /// The most messages in a page.
    pub(super) longest_page: usize,
}

/// The scopes of an app for a metric bus.
const SCOPES: &[&str] = &[
    "channels:history",
    "channels:join",
    "channels:read",
    "chat:write",
    "files:write",
    "groups:history",
    "groups:read",
    "users:read",
];

impl App {
    fn new(bot_id: &'static str, user_id: &'static str) -> Self {
        let scopes = SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
        Self { bot_id, user_id, scopes, revoked: false }
    }
}

impl Default for Workspace {
    fn default() -> Self {
        let channel = |id, name| Channel {
            id,
            name,
            previous_names: &[],
            is_private: false,
            is_archived: false,
            is_member: true,
            messages: Vec::new(),
        };
        Self {
            apps: [
                (super::FakeSlack::TOKEN, App::new("B0ZIBRATO", "U0ZIBRATO")),
                (super::FakeSlack::OTHER_TOKEN, App::new("B0OTHER", "U0OTHER")),
            ]
            .into(),
            channels: vec![
                Channel { previous_names: &["old-metrics"], ..channel("C0METRICS", "metrics") },
                Channel { is_archived: true, is_member: false, ..channel("C0ARCHIVE", "archive") },
                Channel { is_member: false, ..channel("C0STRANGE", "strange") },
                Channel { is_private: true, ..channel("G0PRIVATE", "private") },
            ],
            limits: BTreeMap::new(),
            last_us: 0,
            ahead_ms: 0,
            longest_page: 999,
        }
    }
}

impl Workspace {
    /// Its clock.
    pub(super) fn now_ms(&self) -> u64 {
        clock::unix_ms().saturating_add_signed(self.ahead_ms)
    }

    pub(super) fn limit(&mut self, method: &'static str, calls: usize, within: Duration) {
        self.limits.insert(method, Limit { calls, within, made: Vec::new() });
    }

    /// Counts a call. Over the limit it is the time to wait, in whole seconds.
    pub(super) fn count(&mut self, method: &str) -> Result<(), u64> {
        let Some(limit) = self.limits.get_mut(method) else { return Ok(()) };
        limit.made.retain(|made| made.elapsed() < limit.within);
        if let Some(first) = limit.made.first().filter(|_| limit.made.len() >= limit.calls) {
            return Err(limit.within.saturating_sub(first.elapsed()).as_secs() + 1);
        }
        limit.made.push(Instant::now());
        Ok(())
    }

    /// The app of a token; a new one has a new app.
    pub(super) fn app_of(&mut self, token: &'static str) -> &mut App {
        self.apps.entry(token).or_insert_with(|| App::new("B0NEW", "U0NEW"))
    }

    /// A message, by its channel and `ts`.
    pub(super) fn stored(&mut self, channel: &str, ts: &str) -> Option<&mut Stored> {
        self.channel(channel).ok()?.messages.iter_mut().find(|stored| stored.ts == ts)
    }

    /// The app with a token that is valid and has the scope.
    pub(super) fn app(&self, token: &str, scope: Option<&str>) -> Result<&App, Refusal> {
        let app = self.apps.get(token).ok_or("invalid_auth")?;
        if app.revoked {
            return Err("token_revoked".into());
        }
        match scope {
            Some(scope) if !app.scopes.contains(scope) => {
                let provided: Vec<_> = app.scopes.iter().map(String::as_str).collect();
                let more = json!({"needed": scope, "provided": provided.join(",")});
                Err(Refusal { word: "missing_scope", more })
            }
            _ => Ok(app),
        }
    }

    /// Whether a channel is private, and known to the apps.
    pub(super) fn is_private(&self, id: &str) -> bool {
        self.channels
            .iter()
            .any(|channel| channel.id == id && channel.is_private && channel.is_member)
    }

    /// A channel by id. Private ones are hidden from those who are not members.
    pub(super) fn channel(&mut self, id: &str) -> Result<&mut Channel, &'static str> {
        let found = self.channels.iter_mut().find(|channel| channel.id == id);
        found.filter(|channel| channel.is_member || !channel.is_private).ok_or("channel_not_found")
    }

    /// A channel of which the app is a member.
    pub(super) fn own_channel(&mut self, id: &str) -> Result<&mut Channel, &'static str> {
        let channel = self.channel(id)?;
        if channel.is_archived {
            return Err("is_archived");
        }
        if channel.is_member { Ok(channel) } else { Err("not_in_channel") }
    }

    /// Adds a message, or several if it is too long, and returns the `ts` of the first.
    pub(super) fn add(
        &mut self,
        channel: &str,
        by: &str,
        text: &str,
        thread: Option<&str>,
    ) -> String {
        let chars: Vec<char> = text.chars().collect();
        let parts: Vec<String> = if chars.is_empty() {
            vec![String::new()]
        } else {
            chars.chunks(SPLIT_AT).map(|part| part.iter().collect()).collect()
        };
        let mut first = None;
        for text in parts {
            let ts = self.next_ts();
            first.get_or_insert_with(|| ts.clone());
            let (by, thread_ts) = (by.to_owned(), thread.map(str::to_owned));
            let stored = Stored { ts, text, by, subtype: None, thread_ts, edited: None };
            if let Ok(channel) = self.channel(channel) {
                channel.messages.push(stored);
            }
        }
        first.unwrap_or_default()
    }

    pub(super) fn next_ts(&mut self) -> String {
        self.last_us = (self.last_us + 1).max(self.now_ms() * 1000);
        format!("{}.{:06}", self.last_us / 1_000_000, self.last_us % 1_000_000)
    }
}

impl Channel {
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "name_normalized": self.name,
            "previous_names": self.previous_names, "is_channel": !self.is_private,
            "is_private": self.is_private, "is_archived": self.is_archived,
            "is_member": self.is_member,
        })
    }
}

impl Stored {
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({"type": "message", "ts": self.ts, "text": self.text});
        let by = if self.by.starts_with('B') { "bot_id" } else { "user" };
        shown[by] = self.by.clone().into();
        if let Some(subtype) = self.subtype {
            shown["subtype"] = subtype.into();
        }
        if let Some(thread_ts) = &self.thread_ts {
            shown["thread_ts"] = thread_ts.clone().into();
        }
        if let Some(ts) = &self.edited {
            shown["edited"] = json!({"user": self.by, "ts": ts});
        }
        shown
    }

    /// As a pair of numbers.
    pub(super) fn key(ts: &str) -> Option<(u64, u32)> {
        let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, "0"));
        Some((seconds.parse().ok()?, format!("{fraction:0<6}").parse().ok()?))
    }
}
