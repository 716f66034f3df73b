//! A client of Slack's Web API, and of incoming webhooks.
//!
//! It has the methods that a metric bus and a worker need, and blocks the calling thread. It needs no
//! worker.
//!
//! ```no_run
//! use zibrato_workers::slack::client::{Client, HistoryQuery, Post};
//! let client = Client::new("xoxb-…")?;
//! let channel = client.find_channel("#metrics")?;
//! let posted = client.post(&Post::new(&channel.id, "deployed"))?;
//! for message in client.history(&HistoryQuery::of(&channel.id)) {
//!     println!("{}", message?.text);
//! }
//! client.delete(&channel.id, &posted.ts)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | method of the API | here |
//! |---|---|
//! | `auth.test` | [`Client::auth_test`] |
//! | `conversations.list` | [`Client::channels`], [`Client::find_channel`] |
//! | `conversations.info`, `conversations.join` | [`Client::channel`], [`Client::join`] |
//! | `conversations.history` | [`Client::history`], [`Client::history_page`] |
//! | `chat.postMessage`, `chat.update`, `chat.delete` | [`Client::post`], [`Client::update`], [`Client::delete`] |
//! | `users.info` | [`Client::user`] |
//! | `files.getUploadURLExternal`, `files.completeUploadExternal` | [`Client::upload`] |
//! | incoming webhooks | [`Webhook`] |
//!
//! # Limits, errors and retries
//!
//! Slack limits the number of calls of each method. The client stays below the published limits: it
//! waits before a call if necessary, and after an answer with 429 for as long as Slack asks. A
//! [`RetryPolicy`] says how often a call is made again. A message is posted again only if it was
//! certainly not accepted, unless [`Post::repeat`] allows it twice. After an error of a server or proxy
//! (500 and above), or without an answer, it may have been accepted.
//!
//! An [`Error`] has a [kind](Error::kind), and the [`ErrorKind`] of a refusal says what to do. No
//! error, log line or debug output shows the token or the URL of a webhook, and redirects are not
//! followed.

mod answer;
mod builder;
mod channels;
mod connection;
mod error;
mod files;
mod history;
mod messages;
mod method;
mod page;
mod pause;
mod users;
mod webhook;

/// The examples of the page, which are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/slack.md")]
mod examples_of_the_page {}

pub(super) use answer::{judge as judge_method, judge_webhook as judge_post};
pub(crate) use channels::is_id;

// The public interface is:
pub use super::words::ErrorKind;
pub use crate::http::retry::RetryPolicy;
pub use builder::{BuildError, ClientBuilder};
pub use channels::{Channel, ChannelQuery};
pub use connection::Client;
pub use error::{Error, Refused};
pub use files::Upload;
pub use history::{Edited, HistoryQuery, Message};
pub use messages::{Post, Posted};
pub use page::{Page, Pages};
pub use users::{Identity, User};
pub use webhook::Webhook;
