//! The relay: delivers the metrics of a channel to Carbon or a broker, and deletes their messages.
//!
//! A message is settled in three steps: its lines are written to Carbon, which confirms that it has
//! read them; its `ts` is written to disk; it is deleted in Slack. After a crash between the first
//! two, its lines are delivered again, which changes nothing in Carbon: it keeps one value for a name
//! and a time. A broker would count them twice, so the id and the last message of a batch are written
//! to disk before it is sent: after a crash the same messages are sent with the same id, which the
//! broker drops if it has it. After a crash later, only the deletion is made again.

use super::batch::{Batch, Oldest};
use super::readings::Readings;
use super::state::State;
use super::to_broker::{LinkError, ToBroker};
use super::ts::Ts;
use crate::backend::{Payload, SendError};
use crate::carbon::Carbon;
use crate::deliver::causes;
use crate::slack::client::{Channel, Client, Error, ErrorKind, HistoryQuery};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::error::Error as _;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::{Exit, Failure, LogLimit, Stop};

/// Messages of a page, as Slack recommends it.
const PAGE: u16 = 200;

/// Messages are delivered together up to so many bytes of lines.
const MAX_BATCH_BYTES: usize = 256 << 10;

/// So many messages may wait for their deletion. Beyond that nothing is delivered until half of them
/// are deleted, so that the state stays small, and a long backlog is seldom read.
const MAX_SENT: usize = 5_000;

/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a relay needs.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) client: Client,
    pub(super) channel: Channel,
    pub(super) state: State,
    pub(super) target: Target,
    pub(super) settings: Settings,
    pub(super) progress: Progress,
}

/// Where a relay delivers.
#[derive(Debug)]
pub(super) enum Target {
    Broker(Box<ToBroker>),
    Carbon(Box<Carbon>),
}

impl Target {
    /// For log lines.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Broker(broker) => format!("the broker at {}", broker.address),
            Self::Carbon(carbon) => crate::Backend::destination(&**carbon).unwrap_or_default(),
        }
    }
}

/// How a relay works.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// Time between two looks at the channel.
    pub(super) poll: Duration,
    /// Messages that are younger are left for the next look, because they may still be edited.
    pub(super) grace: Duration,
    /// Time between two deletions. `None` deletes nothing.
    pub(super) deletion: Option<Duration>,
}

/// What was done, and what fails.
#[derive(Debug, Default)]
pub(super) struct Progress {
    points: u64,
    messages: u64,
    rejected: u64,
    deleted: u64,
    undeletable: u64,
    failures: u32,
    is_full: bool,
    /// Messages that this process has delivered and not tried to delete.
    fresh: BTreeSet<Ts>,
    limit: LogLimit,
    elsewhere: LogLimit,
    renamed: LogLimit,
}

/// Why a look at the channel, or a deletion, did not succeed.
enum Trouble {
    /// Somebody has to fix it, and nothing works until then.
    End(String),
    /// It is tried again after a wait.
    Later(String, Option<Duration>),
    Stopped,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let why = causes(&error);
        match (error.kind(), &error) {
            (_, Error::Stopped) => Self::Stopped,
            (ErrorKind::Access, _) => Self::End(why),
            _ => Self::Later(why, error.retry_after()),
        }
    }
}

impl Relay {
    /// Relays until the token is raised.
    ///
    /// # Errors
    /// If the token of the app is not valid any more or lacks a scope, or the state cannot be
    /// written.
    pub(super) fn run(mut self, stop: &Stop) -> Result<(), Failure> {
        let (mut look, mut delete) = (Instant::now(), Instant::now());
        while !stop.raised() {
            let now = Instant::now();
            let is_full = self.is_full();
            let can_delete = self.settings.deletion.is_some() && !self.state.sent.is_empty();
            if look <= now && !is_full {
                look = match self.look() {
                    Ok(is_cut) => {
                        self.progress.failures = 0;
                        if is_cut { now } else { Instant::now() + self.settings.poll }
                    }
                    Err(trouble) => Instant::now() + self.wait_after(trouble)?,
                };
            } else if can_delete && delete <= now {
                let pace = self.settings.deletion.unwrap_or_default();
                delete = match self.delete() {
                    Ok(()) => now + pace,
                    Err(trouble) => Instant::now() + self.wait_after(trouble)?.max(pace),
                };
            } else {
                let next = match (is_full, can_delete) {
                    (false, true) => look.min(delete),
                    (false, false) => look,
                    (true, _) => delete,
                };
                // A clock that stands still must not make this a loop without waits.
                let wait = next.saturating_duration_since(now).max(Duration::from_millis(1));
                if stop.wait(wait) {
                    break;
                }
            }
        }
        self.log_end();
        Ok(())
    }

    /// Whether too many messages wait for their deletion.
    fn is_full(&mut self) -> bool {
        let (sent, was_full) = (self.state.sent.len(), self.progress.is_full);
        self.progress.is_full = sent >= MAX_SENT || (was_full && sent > MAX_SENT / 2);
        self.progress.is_full
    }

    /// Logs a failure, and returns the wait before the next attempt.
    fn wait_after(&mut self, trouble: Trouble) -> Result<Duration, Failure> {
        let (why, asked) = match trouble {
            Trouble::Stopped => return Ok(Duration::ZERO),
            Trouble::End(why) => {
                self.log_end();
                return Err(Failure::new(Exit::Config, why));
            }
            Trouble::Later(why, asked) => (why, asked),
        };
        let failures = &mut self.progress.failures;
        let wait = Duration::from_secs(1 << (*failures).min(6)).min(LONGEST_WAIT);
        *failures = failures.saturating_add(1);
        let wait = wait.max(asked.unwrap_or_default());
        if let Some(left_out) = self.progress.limit.admit(Instant::now()) {
            let (channel, retry_s) = (&*self.channel.name, wait.as_secs());
            tracing::warn!(event = "relay_failed", channel, why, retry_s, left_out);
        }
        Ok(wait)
    }

    /// Delivers what is new in the channel. Returns whether there is more.
    fn look(&mut self) -> Result<bool, Trouble> {
        let oldest = self.read()?;
        let is_cut = oldest.is_cut;
        let mut batch = Batch::default();
        for message in oldest.into_messages() {
            // A batch that may have arrived at a broker is sent again with the same messages.
            let pending = self.state.pending().map(|pending| pending.last.cmp(&message.ts));
            if pending == Some(Ordering::Less) {
                self.settle(std::mem::take(&mut batch))?;
                self.state.end();
            }
            batch.add(&message);
            if pending == Some(Ordering::Greater) {
                continue;
            }
            if pending == Some(Ordering::Equal) || batch.lines.len() >= MAX_BATCH_BYTES {
                self.settle(std::mem::take(&mut batch))?;
            }
            if self.state.sent.len() + batch.whole.len() >= MAX_SENT {
                self.settle(batch)?;
                return Ok(true);
            }
        }
        self.settle(batch).map(|()| is_cut)
    }

    /// Reads the messages after the cursor, of all pages and within both bounds.
    fn read(&self) -> Result<Oldest, Trouble> {
        let now_ms = match self.client.server_ms() {
            Some(now_ms) => now_ms,
            None => {
                self.client.auth_test()?;
                self.client.server_ms().unwrap_or_else(clock::unix_ms)
            }
        };
        let grace_ms = u64::try_from(self.settings.grace.as_millis()).unwrap_or(u64::MAX);
        let latest = Ts::at_ms(now_ms.saturating_sub(grace_ms));
        let begin = self.state.cursor.clone().unwrap_or_else(|| Ts::at_ms(0));
        let query = HistoryQuery::of(&self.channel.id).oldest(begin).latest(latest).limit(PAGE);
        let mut oldest = Oldest::default();
        for message in self.client.history(&query) {
            oldest.add(message?);
        }
        Ok(oldest)
    }

    /// Delivers a batch, and writes to disk that it is delivered.
    fn settle(&mut self, batch: Batch) -> Result<(), Trouble> {
        let Some(last) = batch.last.clone() else { return Ok(()) };
        let messages = batch.messages();
        if batch.points > 0 {
            self.deliver(Payload::new(batch.lines, batch.points), &last)?;
        }
        self.state.end();
        self.state.cursor = Some(last);
        if self.settings.deletion.is_some() {
            self.progress.fresh.extend(batch.whole.iter().cloned());
            self.state.sent.extend(batch.whole);
        }
        self.save()?;
        let progress = &mut self.progress;
        progress.points += batch.points as u64;
        progress.messages += messages as u64;
        let rejected: usize = batch.rejected.values().sum();
        progress.rejected += rejected as u64;
        let reasons: Vec<_> =
            batch.rejected.iter().map(|(why, lines)| format!("{}={lines}", why.word())).collect();
        let (points, mixed, others) = (batch.points, batch.mixed, batch.others);
        if points > 0 {
            tracing::info!(
                event = "relayed",
                points,
                messages,
                mixed,
                others,
                rejected = reasons.join(" ")
            );
        }
        Ok(())
    }

    /// Delivers lines, the last of which are those of this message.
    fn deliver(&mut self, payload: Payload, last: &Ts) -> Result<(), Trouble> {
        let broker = match &mut self.target {
            Target::Broker(broker) => broker,
            Target::Carbon(carbon) => return write(carbon, &payload),
        };
        let Readings { body, changed } = Readings::of(&payload.body);
        let (id, level) = self.state.begin(&broker.level, last);
        self.state.save().map_err(not_saved)?;
        if changed > 0
            && let Some(left_out) = self.progress.renamed.admit(Instant::now())
        {
            let what = "a broker takes no | in names, at most 50 tags, and at most 255 bytes each";
            tracing::warn!(event = "renamed", points = changed, left_out, what);
        }
        broker.deliver(&level, id, &body).map_err(|why| match why {
            LinkError::Stopped => Trouble::Stopped,
            why => {
                Trouble::Later(format!("the broker at {}: {}", broker.address, causes(&why)), None)
            }
        })
    }

    /// Deletes the oldest message that was delivered.
    fn delete(&mut self) -> Result<(), Trouble> {
        let Some(ts) = self.state.sent.first().cloned() else { return Ok(()) };
        let is_fresh = self.progress.fresh.remove(&ts);
        match self.client.delete(&self.channel.id, &ts) {
            Ok(()) => self.progress.deleted += 1,
            Err(error) if error.kind() == ErrorKind::Gone => {
                self.progress.deleted += 1;
                if is_fresh && let Some(left_out) = self.progress.elsewhere.admit(Instant::now()) {
                    let what = "somebody else has deleted a message that this relay has delivered; does \
                                another relay read this channel? Then both deliver the same points";
                    tracing::warn!(event = "deleted_elsewhere", ts = ts.as_str(), left_out, what);
                }
            }
            Err(error) if error.kind() == ErrorKind::Undeletable => {
                self.progress.undeletable += 1;
                if let Some(left_out) = self.progress.limit.admit(Instant::now()) {
                    let why = causes(&error);
                    tracing::warn!(event = "undeletable", ts = ts.as_str(), why, left_out);
                }
            }
            Err(error) => return Err(error.into()),
        }
        self.state.sent.remove(&ts);
        self.save()
    }

    fn save(&self) -> Result<(), Trouble> {
        self.state.save().map_err(not_saved)
    }

    fn log_end(&self) {
        let Progress { points, messages, rejected, deleted, undeletable, .. } = self.progress;
        let left = self.state.sent.len();
        tracing::info!(event = "ended", points, messages, rejected, deleted, undeletable, left);
    }
}

/// What is not on disk would be forgotten by a crash.
fn not_saved(why: std::io::Error) -> Trouble {
    Trouble::End(format!("--state: cannot be written: {why}"))
}

fn write(carbon: &mut Carbon, payload: &Payload) -> Result<(), Trouble> {
    match carbon.deliver_confirmed(payload) {
        Ok(()) => Ok(()),
        Err(SendError::Stop { why }) => Err(Trouble::End(causes(&*why))),
        Err(error) => {
            let why = error.source().map_or_else(|| error.to_string(), causes);
            Err(Trouble::Later(format!("Carbon: {why}"), None))
        }
    }
}
