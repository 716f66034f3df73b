//! The relay: delivers the metrics of a channel to Carbon or a broker, and deletes their messages.
//!
//! A message is settled in three steps: its lines are written to Carbon, which confirms that it has
//! read them; its `ts` is written to disk; it is deleted in Slack. After a crash between the first
//! two, its lines are delivered again, which changes nothing in Carbon: it keeps one value for a name
//! and a time. A broker would count them twice, so the id and the last message of a batch are written
//! to disk before it is sent: after a crash the same messages are sent with the same id, which the
//! broker drops if it has it. After a crash later, only the deletion is made again.
//!
//! Reading, delivering and deleting take turns, one call at a time, so that none of them waits for the
//! others. Messages that were read are held until they are delivered: while Carbon is down, nothing
//! more is read.

use super::batch::Batch;
use super::deletions::{Deletions, MAX_WAITING};
use super::failing::{Trouble, Troubles};
use super::reader::{Reader, Step};
use super::readings::Readings;
use super::state::State;
use super::to_broker::{LinkError, ToBroker};
use super::ts::Ts;
use crate::backend::{Payload, SendError};
use crate::carbon::Carbon;
use crate::deliver::causes;
use crate::slack::client::{Channel, Client, Error, ErrorKind, Message};
use std::collections::VecDeque;
use std::error::Error as _;
use std::time::{Duration, Instant};
use zibrato::daemon::{Exit, Failure, Stop};

/// Deletions are written to disk after this time, together. After a crash they are made again, and
/// Slack says that the messages are gone.
const DELETIONS_TO_DISK: Duration = Duration::from_secs(10);

/// What a relay needs, and what it holds.
#[derive(Debug)]
pub(super) struct Relay {
    client: Client,
    channel: Channel,
    state: State,
    target: Target,
    settings: Settings,
    reader: Reader,
    /// Messages that were read and are not settled, the oldest first.
    held: VecDeque<Message>,
    /// The wait after they are settled.
    rest: Duration,
    deletions: Deletions,
    /// When the state must be written, if it has changed.
    save_at: Option<Instant>,
    /// Whether the state could not be written. Then nothing else is done.
    is_unsaved: bool,
    is_full: bool,
    progress: Progress,
    troubles: Troubles,
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

/// What was done.
#[derive(Debug, Default)]
struct Progress {
    points: u64,
    messages: u64,
    rejected: u64,
    deleted: u64,
    undeletable: u64,
}

/// What a relay does next.
#[derive(Debug, Clone, Copy)]
enum Task {
    Save,
    Relay,
    Delete,
}

impl Relay {
    pub(super) fn new(
        client: Client,
        channel: Channel,
        state: State,
        target: Target,
        settings: Settings,
    ) -> Self {
        let deletes = settings.deletion.is_some();
        let sent = state.sent.iter().filter(|_| deletes).cloned();
        let deletions = Deletions::of_before(sent, Instant::now());
        let reader = Reader::new(client.clone(), channel.clone(), settings.grace);
        Self {
            client,
            channel,
            state,
            target,
            settings,
            reader,
            held: VecDeque::new(),
            rest: Duration::ZERO,
            deletions,
            save_at: None,
            is_unsaved: false,
            is_full: false,
            progress: Progress::default(),
            troubles: Troubles::default(),
        }
    }

    /// Relays until the token is raised.
    ///
    /// # Errors
    /// If the token of the app is not valid any more or lacks a scope.
    pub(super) fn run(mut self, stop: &Stop) -> Result<(), Failure> {
        let ended = self.work(stop);
        if self.save_at.is_some()
            && let Err(why) = self.state.save()
        {
            let why = format!("--state: cannot be written: {why}");
            tracing::warn!(event = "relay_failed", task = "save", channel = self.channel.name, why);
        }
        let Progress { points, messages, rejected, deleted, undeletable } = self.progress;
        let (unreadable, left) = (self.reader.unreadable, self.state.sent.len());
        tracing::info!(
            event = "ended",
            points,
            messages,
            rejected,
            deleted,
            undeletable,
            unreadable,
            left
        );
        ended
    }

    fn work(&mut self, stop: &Stop) -> Result<(), Failure> {
        let (mut relay, mut delete) = (Instant::now(), Instant::now());
        while !stop.raised() {
            let now = Instant::now();
            let save = self.save_at.map(|at| (at, Task::Save));
            let limit = if self.held.is_empty() { self.reader.wait() } else { Duration::ZERO };
            if !limit.is_zero() {
                relay = relay.max(now + limit);
            }
            let may_relay = !self.is_full() && !self.is_unsaved;
            let relays = may_relay.then_some((relay, Task::Relay));
            let due = self.deletions.due().filter(|_| !self.is_unsaved);
            let deletes = due.map(|due| (due.max(delete), Task::Delete));
            // What was due first is done first, so that a long backlog holds up no deletion.
            let next = [save, relays, deletes].into_iter().flatten().min_by_key(|(at, _)| *at);
            let (at, task) = next.unwrap_or((now + self.settings.poll, Task::Relay));
            if at > now {
                // A clock that stands still must not make this a loop without waits.
                let wait = at.saturating_duration_since(now).max(Duration::from_millis(1));
                if stop.wait(wait) {
                    break;
                }
                continue;
            }
            match task {
                Task::Save => {
                    if let Err(trouble) = self.save() {
                        self.wait_after(Task::Save, trouble)?;
                    }
                }
                Task::Relay => {
                    let wait = match self.relay() {
                        Ok(wait) => {
                            self.troubles.relaying.succeeded(&self.channel.name);
                            wait
                        }
                        Err(trouble) => self.wait_after(task, trouble)?,
                    };
                    relay = Instant::now() + wait;
                }
                Task::Delete => {
                    let pace = self.settings.deletion.unwrap_or_default();
                    delete = match self.delete() {
                        Ok(()) => now + pace,
                        Err(trouble) => Instant::now() + self.wait_after(task, trouble)?.max(pace),
                    };
                }
            }
        }
        Ok(())
    }

    /// Whether too many messages wait for their deletion.
    fn is_full(&mut self) -> bool {
        let (waiting, was_full) = (self.deletions.len(), self.is_full);
        self.is_full = waiting >= MAX_WAITING || (was_full && waiting > MAX_WAITING / 2);
        self.is_full
    }

    /// Logs a failure, and returns the wait before the next attempt.
    fn wait_after(&mut self, task: Task, trouble: Trouble) -> Result<Duration, Failure> {
        let channel = &self.channel.name;
        match (trouble, task) {
            (Trouble::Stopped, _) => Ok(Duration::ZERO),
            (Trouble::End(why), _) => Err(Failure::new(Exit::Config, why)),
            (Trouble::Later(why, asked), Task::Delete) => {
                Ok(self.troubles.deleting.failed(channel, &why, asked))
            }
            (Trouble::Later(why, asked), Task::Relay | Task::Save) => {
                Ok(self.troubles.relaying.failed(channel, &why, asked))
            }
            (Trouble::Unsaved(why), _) => {
                let why = format!(
                    "--state: cannot be written: {why}; nothing is delivered or deleted until it can"
                );
                let wait = self.troubles.saving.failed(channel, &why, None);
                (self.save_at, self.is_unsaved) = (Some(Instant::now() + wait), true);
                Ok(Duration::ZERO)
            }
        }
    }

    /// Delivers messages that are held, or reads a page. Returns the wait before the next step.
    fn relay(&mut self) -> Result<Duration, Trouble> {
        if self.held.is_empty() {
            let pending = self.state.pending().map(|pending| pending.last.clone());
            match self.reader.read(self.state.cursor.as_ref(), pending.as_ref())? {
                Step::Page => return Ok(Duration::ZERO),
                Step::Messages(messages, is_last) => {
                    self.held = messages;
                    self.rest = if is_last { self.settings.poll } else { Duration::ZERO };
                }
            }
        }
        self.settle()?;
        Ok(if self.held.is_empty() { self.rest } else { Duration::ZERO })
    }

    /// The next batch of the messages that are held.
    fn next_batch(&mut self) -> Batch {
        let room = MAX_WAITING.saturating_sub(self.deletions.len()).max(1);
        let pending = self.state.pending().map(|pending| pending.last.clone());
        let batch = Batch::next(&self.held, pending.as_ref(), room);
        if batch.last.is_some() {
            return batch;
        }
        // Somebody has deleted all messages of the batch that was pending.
        self.state.end();
        Batch::next(&self.held, None, room)
    }

    /// Delivers a batch, and writes to disk that it is delivered. After an error, its messages are held
    /// unless they were delivered.
    fn settle(&mut self) -> Result<(), Trouble> {
        let mut batch = self.next_batch();
        // If nothing is there, somebody has deleted the batch that was pending.
        let Some(last) = batch.last.clone() else { return Ok(()) };
        let (messages, points) = (batch.messages(), batch.points);
        if points > 0 {
            let payload = Payload::new(std::mem::take(&mut batch.lines), points);
            self.deliver(payload, &last)?;
        }
        self.held.drain(..messages);
        self.state.end();
        self.state.cursor = Some(last);
        if self.settings.deletion.is_some() {
            self.deletions.add(&batch.whole, Instant::now());
            self.state.sent.extend(batch.whole);
        }
        let rejected: usize = batch.rejected.values().sum();
        let progress = &mut self.progress;
        progress.points += points as u64;
        progress.messages += messages as u64;
        progress.rejected += rejected as u64;
        if points > 0 {
            let reasons = batch.rejected.iter().map(|(why, n)| format!("{}={n}", why.word()));
            let rejected = reasons.collect::<Vec<_>>().join(" ");
            let (mixed, others) = (batch.mixed, batch.others);
            tracing::info!(event = "relayed", points, messages, mixed, others, rejected);
        }
        self.save()
    }

    /// Delivers lines, the last of which are those of this message.
    fn deliver(&mut self, payload: Payload, last: &Ts) -> Result<(), Trouble> {
        let level = match &mut self.target {
            Target::Broker(broker) => broker.level.clone(),
            Target::Carbon(carbon) => return write(carbon, &payload),
        };
        let Readings { body, changed } = Readings::of(&payload.body);
        let (id, level) = self.state.begin(&level, last);
        self.save()?;
        if changed > 0
            && let Some(left_out) = self.troubles.renamed.admit(Instant::now())
        {
            let what = "a broker takes no | in names, at most 50 tags, and at most 255 bytes each";
            tracing::warn!(event = "renamed", points = changed, left_out, what);
        }
        let Target::Broker(broker) = &mut self.target else { return Ok(()) };
        broker.deliver(&level, id, &body).map_err(|why| match why {
            LinkError::Stopped => Trouble::Stopped,
            why => {
                Trouble::Later(format!("the broker at {}: {}", broker.address, causes(&why)), None)
            }
        })
    }

    /// Deletes a message that was delivered.
    fn delete(&mut self) -> Result<(), Trouble> {
        let Some((ts, is_first)) = self.deletions.next() else { return Ok(()) };
        match self.client.delete(&self.channel.id, &ts) {
            Ok(()) => self.progress.deleted += 1,
            Err(error) if error.kind() == ErrorKind::Gone => {
                self.progress.deleted += 1;
                let limit = &mut self.troubles.elsewhere;
                if is_first && let Some(left_out) = limit.admit(Instant::now()) {
                    let what = "somebody else has deleted a message that this relay has delivered; does \
                                another relay read this channel? Then both deliver the same points";
                    tracing::warn!(event = "deleted_elsewhere", ts = ts.as_str(), left_out, what);
                }
            }
            Err(error) if error.kind() == ErrorKind::Undeletable => self.leave(&ts, &error),
            Err(error) if is_about_one(&error) => {
                if self.deletions.set_aside(Instant::now()) {
                    let why = causes(&error);
                    tracing::debug!(event = "set_aside", ts = ts.as_str(), why);
                    return Ok(());
                }
                self.leave(&ts, &error);
            }
            Err(error) => return Err(error.into()),
        }
        self.troubles.deleting.succeeded(&self.channel.name);
        self.deletions.end();
        self.state.sent.remove(&ts);
        self.save_at.get_or_insert_with(|| Instant::now() + DELETIONS_TO_DISK);
        Ok(())
    }

    /// A message stays in the channel.
    fn leave(&mut self, ts: &Ts, error: &Error) {
        self.progress.undeletable += 1;
        if let Some(left_out) = self.troubles.undeletable.admit(Instant::now()) {
            let why = causes(error);
            tracing::warn!(event = "undeletable", ts = ts.as_str(), why, left_out);
        }
    }

    /// Writes the state to disk.
    fn save(&mut self) -> Result<(), Trouble> {
        self.state.save().map_err(Trouble::Unsaved)?;
        (self.save_at, self.is_unsaved) = (None, false);
        self.troubles.saving.succeeded(&self.channel.name);
        Ok(())
    }
}

/// Whether Slack has refused to delete one message, for a reason that is not known. Other refusals are
/// about all messages.
fn is_about_one(error: &Error) -> bool {
    let is_unknown =
        matches!(error.kind(), ErrorKind::Other | ErrorKind::Message | ErrorKind::Cursor);
    is_unknown && matches!(error, Error::Refused(_))
}

fn write(carbon: &mut Carbon, payload: &Payload) -> Result<(), Trouble> {
    let Err(error) = carbon.deliver_confirmed(payload) else { return Ok(()) };
    let why = match &error {
        SendError::Stop { why } => causes(&**why),
        error => error.source().map_or_else(|| error.to_string(), causes),
    };
    Err(Trouble::Later(format!("Carbon: {why}"), None))
}
