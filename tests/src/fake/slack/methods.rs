//! The methods of the Web API.

use super::SlackState;
use super::workspace::{Refusal, Stored};
use crate::fake::http::Request;
use serde_json::{Map, Value, json};

/// The default number of objects in a page.
const PAGE: usize = 100;

/// Longer texts are truncated, with a warning.
const MAX_TEXT: usize = 40_000;

/// A longer text cannot replace another one.
const MAX_UPDATE: usize = 4_000;

type Fields = Map<String, Value>;

/// The scope that a method needs, for a public or a private channel.
fn scope(method: &str, is_private: bool) -> Option<&'static str> {
    match method {
        "chat.postMessage" | "chat.update" | "chat.delete" => Some("chat:write"),
        "conversations.history" if is_private => Some("groups:history"),
        "conversations.history" => Some("channels:history"),
        "conversations.info" if is_private => Some("groups:read"),
        "conversations.info" | "conversations.list" => Some("channels:read"),
        "conversations.join" => Some("channels:join"),
        "files.completeUploadExternal" | "files.getUploadURLExternal" => Some("files:write"),
        "users.info" => Some("users:read"),
        _ => None,
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A boolean of JSON or of a form.
fn is(fields: &Fields, name: &str) -> bool {
    matches!(fields.get(name), Some(Value::Bool(true)))
        || matches!(text(fields, name), "1" | "true" | "True")
}

fn number(fields: &Fields, name: &str) -> Option<usize> {
    let value = fields.get(name)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    usize::try_from(number).ok()
}

impl SlackState {
    /// Calls a method of the Web API.
    pub(super) fn call(
        &mut self,
        token: &str,
        method: &str,
        request: &Request,
    ) -> Result<Value, Refusal> {
        self.workspace.app(token, None)?;
        let about = super::fields(request)?;
        let is_private = self.workspace.is_private(text(&about, "channel"));
        let app = self.workspace.app(token, scope(method, is_private))?.clone();
        let by = app.bot_id;
        match method {
            "auth.test" => Ok(json!({
                "ok": true, "url": "https://test.slack.com/", "team": "Test", "user": "zibrato",
                "team_id": "T0TEAM", "user_id": app.user_id, "bot_id": app.bot_id,
            })),
            "chat.postMessage" => self.post(by, &super::fields(request)?),
            "chat.update" => self.update(by, &super::fields(request)?),
            "chat.delete" => self.delete(by, &super::fields(request)?),
            "conversations.history" => self.history(&super::fields(request)?),
            "conversations.info" => {
                let fields = super::fields(request)?;
                let channel = self.workspace.channel(text(&fields, "channel"))?;
                Ok(json!({"ok": true, "channel": channel.shown()}))
            }
            "conversations.join" => self.join(&super::fields(request)?),
            "conversations.list" => {
                let fields = super::fields(request)?;
                let sees_private = app.scopes.contains("groups:read");
                if text(&fields, "types").contains("private") && !sees_private {
                    let more = json!({"needed": "groups:read", "provided": "channels:read"});
                    return Err(Refusal { word: "missing_scope", more });
                }
                self.list(&fields)
            }
            "files.getUploadURLExternal" => {
                let host = request.header("host").unwrap_or_default().to_owned();
                self.files.begin(&super::fields(request)?, &host)
            }
            "files.completeUploadExternal" => {
                let fields = super::fields(request)?;
                let channel = text(&fields, "channel_id").to_owned();
                if !channel.is_empty() {
                    self.workspace.own_channel(&channel)?;
                }
                let thread = fields.get("thread_ts").and_then(Value::as_str);
                if let Some(thread) = thread
                    && self.workspace.stored(&channel, thread).is_none()
                {
                    return Err("thread_not_found".into());
                }
                let answer = self.files.complete(&fields)?;
                if !channel.is_empty() {
                    self.workspace.add(&channel, by, "", thread);
                }
                Ok(answer)
            }
            "users.info" => {
                let fields = super::fields(request)?;
                let id = text(&fields, "user");
                if !id.starts_with('U') {
                    return Err("user_not_found".into());
                }
                let name = id.trim_start_matches("U0").to_lowercase();
                let user = json!({"id": id, "name": name, "real_name": name, "is_bot": false});
                Ok(json!({"ok": true, "user": user}))
            }
            _ => Err("unknown_method".into()),
        }
    }

    fn post(&mut self, by: &str, fields: &Fields) -> Result<Value, Refusal> {
        let wanted = text(fields, "channel");
        let name = wanted.strip_prefix('#').unwrap_or(wanted);
        let mut known = self.workspace.channels.iter();
        let found = known.find(|known| known.id == wanted || known.name == name);
        let id = found.map(|known| known.id).ok_or("channel_not_found")?;
        self.workspace.own_channel(id)?;
        let (whole, blocks) = self.message(fields)?;
        let text: String = whole.chars().take(MAX_TEXT).collect();
        let thread = fields.get("thread_ts").and_then(Value::as_str);
        let ts = self.workspace.add(id, by, &text, thread);
        let mut answer = json!({"ok": true, "channel": id, "ts": ts,
            "message": {"type": "message", "text": text, "ts": ts}});
        if whole.len() > text.len() {
            answer["warning"] = "message_truncated".into();
        }
        self.messages.push(super::Message { channel: Some(id.to_owned()), text, blocks });
        Ok(answer)
    }

    /// A message of this app, in a channel of which it is a member, and which is not archived. The
    /// message of another app is there, but cannot be changed.
    fn own<'a>(
        &'a mut self,
        by: &str,
        fields: &Fields,
        refusal: &'static str,
    ) -> Result<(&'a mut Vec<Stored>, usize), Refusal> {
        let channel = self.workspace.own_channel(text(fields, "channel"))?;
        let at = channel.messages.iter().position(|known| known.ts == text(fields, "ts"));
        let at = at.ok_or("message_not_found")?;
        if channel.messages[at].by != by {
            return Err(refusal.into());
        }
        Ok((&mut channel.messages, at))
    }

    fn update(&mut self, by: &str, fields: &Fields) -> Result<Value, Refusal> {
        let (new, _) = self.message(fields)?;
        if new.chars().count() > MAX_UPDATE {
            return Err("msg_too_long".into());
        }
        let edited = self.workspace.next_ts();
        let (messages, at) = self.own(by, fields, "cant_update_message").map_err(|refusal| {
            // Only this method calls it so.
            if refusal.word == "is_archived" { "is_inactive".into() } else { refusal }
        })?;
        messages[at].text.clone_from(&new);
        messages[at].edited = Some(edited);
        let (channel, ts) = (text(fields, "channel"), text(fields, "ts"));
        Ok(json!({"ok": true, "channel": channel, "ts": ts, "text": new}))
    }

    fn delete(&mut self, by: &str, fields: &Fields) -> Result<Value, Refusal> {
        let refused = self.faults.deletion(text(fields, "ts"));
        let (messages, at) = self.own(by, fields, "cant_delete_message")?;
        if let Some(word) = refused {
            return Err(word.into());
        }
        messages.remove(at);
        self.deleted += 1;
        Ok(json!({"ok": true, "channel": text(fields, "channel"), "ts": text(fields, "ts")}))
    }

    fn join(&mut self, fields: &Fields) -> Result<Value, Refusal> {
        let channel = self.workspace.channel(text(fields, "channel"))?;
        if channel.is_private {
            return Err("method_not_supported_for_channel_type".into());
        }
        if channel.is_archived {
            return Err("is_archived".into());
        }
        let mut answer = json!({"ok": true});
        if std::mem::replace(&mut channel.is_member, true) {
            answer["warning"] = "already_in_channel".into();
        }
        answer["channel"] = channel.shown();
        Ok(answer)
    }

    fn list(&self, fields: &Fields) -> Result<Value, Refusal> {
        let types =
            if text(fields, "types").is_empty() { "public_channel" } else { text(fields, "types") };
        let shown = self.workspace.channels.iter().filter(|channel| {
            let kind = if channel.is_private { "private_channel" } else { "public_channel" };
            types.split(',').any(|wanted| wanted == kind)
                && !(channel.is_archived && is(fields, "exclude_archived"))
                && (channel.is_member || !channel.is_private)
        });
        let shown: Vec<_> = shown.map(super::workspace::Channel::shown).collect();
        let from: usize = match text(fields, "cursor") {
            "" => 0,
            cursor => cursor
                .strip_prefix("channel:")
                .and_then(|at| at.parse().ok())
                .ok_or("invalid_cursor")?,
        };
        let to = from.saturating_add(number(fields, "limit").unwrap_or(PAGE)).min(shown.len());
        let next = if to < shown.len() { format!("channel:{to}") } else { String::new() };
        let page = shown.get(from..to).unwrap_or_default();
        Ok(json!({"ok": true, "channels": page, "response_metadata": {"next_cursor": next}}))
    }

    /// The newest first. With `oldest` alone, the page is the one that is closest to it.
    fn history(&mut self, fields: &Fields) -> Result<Value, Refusal> {
        let bound = |name: &str, word: &'static str| match text(fields, name) {
            "" => Ok(None),
            ts => Stored::key(ts).map(Some).ok_or(word),
        };
        let (oldest, latest) =
            (bound("oldest", "invalid_ts_oldest")?, bound("latest", "invalid_ts_latest")?);
        let before = match text(fields, "cursor") {
            "" => None,
            cursor => {
                let ts = cursor.strip_prefix("next_ts:").and_then(Stored::key);
                Some(ts.ok_or("invalid_cursor")?)
            }
        };
        let inclusive = is(fields, "inclusive");
        let most = number(fields, "limit").unwrap_or(PAGE).clamp(1, self.workspace.longest_page);
        let channel = self.workspace.channel(text(fields, "channel"))?;
        if !channel.is_member {
            return Err("not_in_channel".into());
        }
        let in_bounds = |stored: &&Stored| {
            let Some(key) = Stored::key(&stored.ts) else { return false };
            let is_reply = stored.thread_ts.as_ref().is_some_and(|thread| *thread != stored.ts);
            !is_reply
                && oldest.is_none_or(|oldest| key > oldest || (inclusive && key == oldest))
                && latest.is_none_or(|latest| key < latest || (inclusive && key == latest))
                && before.is_none_or(|before| key < before)
        };
        let mut found: Vec<_> = channel.messages.iter().filter(in_bounds).collect();
        found.reverse();
        let has_more = found.len() > most;
        let page: Vec<_> = if oldest.is_some() && latest.is_none() && before.is_none() {
            found.split_off(found.len().saturating_sub(most))
        } else {
            found.truncate(most);
            found
        };
        let has_cursor = has_more && !self.faults.has_no_cursors;
        let mut answer = json!({"ok": true, "has_more": has_more,
            "messages": page.iter().map(|stored| stored.shown()).collect::<Vec<_>>()});
        if let Some(last) = page.last().filter(|_| has_cursor) {
            answer["response_metadata"] = json!({"next_cursor": format!("next_ts:{}", last.ts)});
        }
        Ok(answer)
    }
}
