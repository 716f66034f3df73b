//! The messages of a channel.

use super::channels::next_cursor;
use super::connection::{Client, Fields};
use super::error::Error;
use super::method::HISTORY;
use super::page::{Page, Pages};
use crate::http::retry::Repeat;
use crate::slack::bus::Ts;
use serde_json::Value;
use std::time::{Duration, Instant};

/// The number of messages in a page, as Slack recommends it.
const PAGE: u16 = 200;

/// The most messages in a page for apps that are distributed outside Slack's Marketplace, which may ask
/// for one page a minute.
const RESTRICTED_PAGE: u16 = 15;

/// Lines of metrics in a message of the bus.
const LINES: u64 = 100;

/// The beginning of a cursor that this client makes, if an answer has more messages but no cursor. The
/// next page has the messages before the `ts` that follows.
const BEFORE: &str = "before:";

/// A message of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its identifier in the channel.
    pub ts: Ts,
    /// Its text, with Slack's mark-up: see [`decode`](crate::slack::bus::decode).
    pub text: String,
    /// The id of the user who wrote it.
    pub user: Option<String>,
    /// The id of the bot that posted it.
    pub bot_id: Option<String>,
    /// Its kind, such as `channel_join`; none for a plain message.
    pub subtype: Option<String>,
    /// The message whose thread it belongs to. The first message of a thread has its own.
    pub thread_ts: Option<Ts>,
    /// Who edited it last, and when. The text is the new one.
    pub edited: Option<Edited>,
}

/// Who edited a message, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edited {
    /// The id of the user.
    pub user: Option<String>,
    /// The time.
    pub ts: Ts,
}

impl Message {
    /// A message of a user, for tests of what reads messages.
    #[must_use]
    pub fn new(ts: Ts, text: impl Into<String>) -> Self {
        let (user, bot_id, subtype, thread_ts, edited) = (None, None, None, None, None);
        Self { ts, text: text.into(), user, bot_id, subtype, thread_ts, edited }
    }

    /// Whether it is a reply in a thread, and not the first message of one.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.thread_ts.as_ref().is_some_and(|thread| *thread != self.ts)
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |field: &str| value[field].as_str().map(str::to_owned);
        let ts = |value: &Value| value.as_str()?.parse().ok();
        let edited = &value["edited"];
        Some(Self {
            ts: ts(&value["ts"])?,
            text: text("text").unwrap_or_default(),
            user: text("user"),
            bot_id: text("bot_id"),
            subtype: text("subtype"),
            thread_ts: ts(&value["thread_ts"]),
            edited: ts(&edited["ts"])
                .map(|ts| Edited { user: edited["user"].as_str().map(str::to_owned), ts }),
        })
    }
}

/// Which messages to read.
///
/// ```
/// use zibrato_workers::slack::bus::Ts;
/// use zibrato_workers::slack::client::HistoryQuery;
/// let query = HistoryQuery::of("C0123456789").oldest(Ts::at_ms(1_700_000_000_000)).limit(100);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct HistoryQuery {
    channel: String,
    oldest: Option<Ts>,
    latest: Option<Ts>,
    inclusive: Option<bool>,
    limit: u16,
}

impl HistoryQuery {
    /// All messages of a channel, by its id.
    pub fn of(channel: impl Into<String>) -> Self {
        let channel = channel.into();
        Self { channel, oldest: None, latest: None, inclusive: None, limit: PAGE }
    }

    /// Only messages after this one.
    pub fn oldest(mut self, ts: Ts) -> Self {
        self.oldest = Some(ts);
        self
    }

    /// Only messages before this one.
    pub fn latest(mut self, ts: Ts) -> Self {
        self.latest = Some(ts);
        self
    }

    /// Whether the messages at the bounds are included.
    pub const fn inclusive(mut self, inclusive: bool) -> Self {
        self.inclusive = Some(inclusive);
        self
    }

    /// The number of messages in a page, at most 999. Defaults to 200.
    pub const fn limit(mut self, limit: u16) -> Self {
        self.limit = limit;
        self
    }
}

impl Client {
    /// A page of messages: `conversations.history`. The order within and between pages is Slack's.
    ///
    /// If Slack gives pages of 15 messages, and has refused calls because of a limit, the app is one that
    /// is distributed outside its Marketplace. The client then asks as often as Slack allows it, which is
    /// once a minute, and logs `low_limit`. An app that a workspace has made for itself has no such limit.
    ///
    /// # Errors
    /// If the app is not in the channel, the token has not the scope, or Slack does not answer.
    pub fn history_page(
        &self,
        query: &HistoryQuery,
        cursor: Option<&str>,
    ) -> Result<Page<Message>, Error> {
        let before = cursor.and_then(|cursor| cursor.strip_prefix(BEFORE));
        let cursor = cursor.filter(|_| before.is_none());
        let is_slow = self.pacer().is_slow(HISTORY);
        let limit = if is_slow { query.limit.min(RESTRICTED_PAGE) } else { query.limit };
        let fields = Fields::default()
            .with("channel", &*query.channel)
            .with("limit", limit)
            .with_any("inclusive", query.inclusive)
            .with_any("latest", before.or_else(|| query.latest.as_ref().map(Ts::as_str)))
            .with_any("oldest", query.oldest.as_ref().map(Ts::as_str))
            .with_any("cursor", cursor);
        let answer = self.call(HISTORY, &fields, Repeat::Safe)?;
        let Some(all) = answer["messages"].as_array() else {
            return Err(Error::Unreadable { status: 200, why: "it has no messages".to_owned() });
        };
        let items: Vec<_> = all.iter().filter_map(Message::read).collect();
        let unreadable = all.len() - items.len();
        let mut next_cursor = next_cursor(&answer);
        let has_more = answer["has_more"] == Value::Bool(true);
        if has_more && all.len() == usize::from(RESTRICTED_PAGE) && limit > RESTRICTED_PAGE {
            self.has_short_page();
        }
        if has_more && next_cursor.is_none() {
            let Some(first) = items.iter().map(|message| &message.ts).min() else {
                let why = "it has more messages, but neither one nor a cursor".to_owned();
                return Err(Error::Unreadable { status: 200, why });
            };
            // A bound that is included would give the same message again.
            let shift = u128::from(query.inclusive == Some(true));
            let first = Ts::at_micros(first.micros().saturating_sub(shift));
            next_cursor = Some(format!("{BEFORE}{first}"));
        }
        Ok(Page { items, next_cursor, unreadable })
    }

    /// All messages, in Slack's order.
    pub fn history(&self, query: &HistoryQuery) -> impl Iterator<Item = Result<Message, Error>> {
        Pages::new(move |cursor| self.history_page(query, cursor))
    }

    /// The wait before the next page may be asked for.
    pub(crate) fn history_wait(&self) -> Duration {
        self.pacer().wait(HISTORY, "", Instant::now())
    }

    /// A page was as short as those of apps with the low limit.
    fn has_short_page(&self) {
        let Some(every) = self.pacer().slow_down(HISTORY) else { return };
        let (page, every_s) = (RESTRICTED_PAGE, every.as_secs().max(1));
        let lines_per_minute = u64::from(page) * LINES * 60 / every_s;
        let what = "Slack gives this app one page of 15 messages a minute, as it does to apps that are \
                    distributed outside its Marketplace; a relay carries about 1,500 lines a minute then; \
                    create an app in the workspace instead";
        tracing::warn!(event = "low_limit", page, every_s, lines_per_minute, what);
    }
}
