//! Posting, changing and deleting messages.

use super::connection::{Client, Fields};
use super::error::Error;
use super::method::{DELETE, POST, UPDATE};
use crate::http::retry::Repeat;
use crate::slack::bus::Ts;
use serde_json::Value;

/// A message to post.
///
/// Its text is Slack's mark-up: [`escape`](crate::slack::bus::escape) what is not.
///
/// ```
/// use zibrato_workers::slack::client::Post;
/// let post = Post::new("C0123456789", "Digest").blocks(serde_json::json!([{"type": "divider"}]));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Post {
    channel: String,
    fields: Fields,
    repeat: Repeat,
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

/// A message that was posted or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Posted {
    /// The id of the channel.
    pub channel: String,
    /// Its identifier in the channel.
    pub ts: Ts,
    /// What Slack remarks, such as `message_truncated`.
    pub warning: Option<String>,
}

impl Post {
    /// A message to a channel, by id or name.
    pub fn new(channel: impl Into<String>, text: impl Into<String>) -> Self {
        let fields = Fields::default().with("text", text.into());
        Self { channel: channel.into(), fields, repeat: Repeat::Never }
    }

    /// Lines of metrics, escaped, which Slack is to leave as they are.
    pub fn plain(channel: impl Into<String>, text: impl Into<String>) -> Self {
        let post = Self::new(channel, text).field("mrkdwn", false).field("parse", "none");
        post.field("unfurl_links", false).field("unfurl_media", false)
    }

    /// The blocks, a list.
    pub fn blocks(self, blocks: Value) -> Self {
        self.field("blocks", blocks)
    }

    /// The message in whose thread it is a reply.
    pub fn thread(self, ts: &Ts) -> Self {
        self.field("thread_ts", ts.as_str())
    }

    /// Another field of `chat.postMessage`.
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields = self.fields.with(name, value);
        self
    }

    /// Allows to post it again if it is not known whether Slack has accepted it, so that it may be
    /// there twice.
    pub const fn repeat(mut self) -> Self {
        self.repeat = Repeat::Safe;
        self
    }

    pub(super) fn body(&self) -> Vec<u8> {
        self.fields.json()
    }

    pub(super) const fn repeated(&self) -> Repeat {
        self.repeat
    }

    fn fields(&self) -> Fields {
        self.fields.clone().with("channel", &*self.channel)
    }
}

impl Client {
    /// Posts a message: `chat.postMessage`.
    ///
    /// # Errors
    /// If Slack refuses it or does not answer.
    pub fn post(&self, post: &Post) -> Result<Posted, Error> {
        posted(&self.call(POST, &post.fields(), post.repeat)?)
    }

    /// Replaces a message: `chat.update`. The channel must be an id.
    ///
    /// # Errors
    /// If it is not there or is that of another app, or Slack does not answer.
    pub fn update(&self, ts: &Ts, post: &Post) -> Result<Posted, Error> {
        posted(&self.call(UPDATE, &post.fields().with("ts", ts.as_str()), Repeat::Safe)?)
    }

    /// Deletes a message: `chat.delete`. The channel must be an id.
    ///
    /// # Errors
    /// If it is not there ([`ErrorKind::Gone`](super::ErrorKind::Gone)) or is that of another app
    /// ([`ErrorKind::Undeletable`](super::ErrorKind::Undeletable)), or Slack does not answer.
    pub fn delete(&self, channel: &str, ts: &Ts) -> Result<(), Error> {
        let fields = Fields::default().with("channel", channel).with("ts", ts.as_str());
        self.call(DELETE, &fields, Repeat::Safe).map(drop)
    }
}

fn posted(answer: &Value) -> Result<Posted, Error> {
    let ts = answer["ts"].as_str().and_then(|ts| ts.parse().ok());
    let unreadable = || Error::Unreadable { status: 200, why: "it has no ts".to_owned() };
    Ok(Posted {
        channel: super::users::text(answer, "channel"),
        ts: ts.ok_or_else(unreadable)?,
        warning: answer["warning"].as_str().map(str::to_owned),
    })
}
