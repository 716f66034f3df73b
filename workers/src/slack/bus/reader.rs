//! Reads a channel for a relay: the oldest messages first, a page at a time.

use super::backlog::{Backlog, Read};
use super::failing::Trouble;
use super::ts::Ts;
use crate::slack::client::{Channel, Client, ErrorKind, HistoryQuery, Message, Page};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::LogLimit;

/// Messages of a page, as Slack recommends it.
const PAGE: u16 = 200;

/// If the clock of this machine differs more from Slack's, the log says so.
const CLOCK_SECONDS: u64 = 60;

/// Reads a channel.
#[derive(Debug)]
pub(super) struct Reader {
    client: Client,
    channel: Channel,
    /// Messages that are younger are left for later, because they may still be edited.
    grace: Duration,
    backlog: Backlog,
    /// The number of messages whose `ts` is not valid.
    pub(super) unreadable: u64,
    limits: Limits,
}

/// Limits of log lines.
#[derive(Debug, Default)]
struct Limits {
    backlog: LogLimit,
    unreadable: LogLimit,
    clock_is_told: bool,
}

/// What a reader has done.
#[derive(Debug)]
pub(super) enum Step {
    /// It has read messages, the oldest first, and whether there are no later ones. There may be none.
    Messages(VecDeque<Message>, bool),
    /// It has read a page, and further ones are needed.
    Page,
}

impl Reader {
    pub(super) fn new(client: Client, channel: Channel, grace: Duration) -> Self {
        let (backlog, limits) = (Backlog::default(), Limits::default());
        Self { client, channel, grace, backlog, unreadable: 0, limits }
    }

    /// The wait before the next page may be asked for.
    pub(super) fn wait(&self) -> Duration {
        self.client.history_wait()
    }

    /// Reads a page of the messages after the cursor. If a batch is pending, whose last message is
    /// given, only its messages are read, all of them together.
    pub(super) fn read(
        &mut self,
        cursor: Option<&Ts>,
        pending: Option<&Ts>,
    ) -> Result<Step, Trouble> {
        let latest = self.latest();
        let cursor = cursor.cloned().unwrap_or_else(|| Ts::at_ms(0));
        let wanted = self.backlog.next(&cursor, &latest, pending);
        let query = HistoryQuery::of(&self.channel.id).oldest(wanted.from).latest(wanted.to);
        let page = self.client.history_page(&query.limit(PAGE), wanted.cursor.as_deref());
        let page = page.inspect_err(|error| {
            if error.kind() == ErrorKind::Cursor {
                self.backlog.begin_again();
            }
        })?;
        self.count_unreadable(&page);
        match self.backlog.add(page) {
            Read::Page => {
                if self.backlog.is_long() && self.limits.backlog.admits() {
                    let what = "many messages wait; the oldest are looked for and delivered first";
                    tracing::info!(event = "backlog", channel = self.channel.name, what);
                }
                Ok(Step::Page)
            }
            Read::Part { messages, is_last } => Ok(Step::Messages(messages, is_last)),
            Read::Stuck => {
                let why = "Slack's answers lead from a page to the same page".to_owned();
                Err(Trouble::Later(why, None))
            }
        }
    }

    fn count_unreadable(&mut self, page: &Page<Message>) {
        let messages = page.unreadable;
        self.unreadable += messages as u64;
        if messages > 0
            && let Some(left_out) = self.limits.unreadable.admit(Instant::now())
        {
            let what = "messages without a valid ts are left alone";
            tracing::warn!(event = "unreadable", messages, left_out, what);
        }
    }

    /// The time before which messages are read: Slack's, less the grace.
    fn latest(&mut self) -> Ts {
        let (here_ms, there_ms) = (clock::unix_ms(), self.client.server_ms());
        let seconds = there_ms.unwrap_or(here_ms).abs_diff(here_ms) / 1000;
        let what = match there_ms {
            None => {
                "Slack's answers do not say the time, perhaps because of a proxy, so messages are read up \
                 to the time of this machine; if its clock is behind, they come late"
            }
            Some(_) => {
                "the clock of this machine differs from Slack's; messages are read up to Slack's time"
            }
        };
        let is_odd = there_ms.is_none() || seconds > CLOCK_SECONDS;
        if is_odd && !std::mem::replace(&mut self.limits.clock_is_told, true) {
            tracing::warn!(event = "clock", seconds, what);
        }
        let grace_ms = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        Ts::at_ms(there_ms.unwrap_or(here_ms).saturating_sub(grace_ms))
    }
}
