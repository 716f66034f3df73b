//! Alerts as a backend sends them: windows become messages, and each message is recorded before it
//! is sent and after it was accepted.
//!
//! The state is saved once per window, before its first message is sent and before the worker commits
//! it, so a window that is delivered again is recognized. What becomes of each message is noted. If the process ends between a post and the record of it, nobody knows whether Slack
//! has accepted it: the message is sent again, and says that it may be a repetition, because a lost
//! alert is worse.

use super::announce::{Announcer, Carrier, Room};
use super::engine::{Ended, evaluate, set_back_ms};
use super::fate::Fate;
use super::picture::{Job, Pictures};
use super::rules::Rules;
use super::state::{Outgoing, State};
use super::store::Store;
use crate::slack::blocks::context;
use crate::slack::client::ClientBuilder;
use crate::{Payload, SendError};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};
use zibrato::clock::unix_ms;
use zibrato::daemon::{Failure, LogLimit};
use zibrato::window::Window;

/// A window that ended longer ago than this, or two windows, is late: alerts of such windows are
/// posted if they still fire when the worker has caught up, so that a backlog is no storm.
const LATE_MS: u64 = 120_000;

/// Maximum time without messages because windows are late. The clocks of this machine and of the
/// broker may differ.
const MAX_SILENCE: Duration = Duration::from_secs(600);

/// The rules, their state, and what is being sent.
#[derive(Debug)]
pub(crate) struct Alerts {
    rules: Rules,
    carrier: Carrier,
    announcer: Announcer,
    store: Store,
    state: Option<State>,
    /// Since when the file lacks a part of the state.
    unsaved: Option<Instant>,
    /// Why it cannot be saved.
    trouble: Option<String>,
    late_since: Option<Instant>,
    /// The length of the last window.
    length_ms: u64,
    pictures: Option<Pictures>,
    no_room: LogLimit,
    failing: LogLimit,
}

impl Alerts {
    pub(super) fn new(rules: Rules, carrier: Carrier, store: Store) -> Self {
        Self {
            rules,
            carrier,
            announcer: Announcer::default(),
            store,
            state: None,
            unsaved: None,
            trouble: None,
            late_since: None,
            length_ms: 0,
            pictures: None,
            no_room: LogLimit::default(),
            failing: LogLimit::default(),
        }
    }

    /// Posts a picture in the thread of each alert.
    pub(super) fn with_pictures(self, settings: ClientBuilder) -> Result<Self, Failure> {
        Ok(Self { pictures: Some(Pictures::new(settings)?), ..self })
    }

    /// The file of the state.
    pub(crate) fn state_file(&self) -> &Path {
        self.store.path()
    }

    /// The messages that a window causes, after those that were not sent before.
    pub(crate) fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let (start_ms, length_ms) = (window.start_ms(), window.length_ms());
        self.length_ms = length_ms;
        let now_ms = unix_ms();
        let behind_ms = now_ms.saturating_sub(start_ms.saturating_add(length_ms));
        let is_late = behind_ms > LATE_MS.max(length_ms.saturating_mul(2));
        let room = if self.is_silent(is_late) { Room::Nothing } else { Room::in_window(length_ms) };
        let series = window.into_series();
        let window = Ended { start_ms, length_ms, series: &series };
        let state = loaded(&mut self.state, &mut self.store, &self.carrier);
        if let Some(back_ms) = set_back_ms(state, window) {
            let what =
                "the clock of the broker or of this machine was ahead; alerts go on from here";
            tracing::warn!(event = "clock_set_back", seconds = back_ms / 1000, what);
            state.set_back(start_ms);
            self.announcer = Announcer::default();
        }
        // Otherwise the window was evaluated before, but not committed.
        if window.end_ms() > state.through_ms {
            let no_room = evaluate(state, &self.rules, window);
            self.announcer.announce(state, &self.rules, &self.carrier, room);
            state.number();
            self.unsaved.get_or_insert_with(Instant::now);
            if no_room > 0
                && let Some(left_out) = self.no_room.admit(Instant::now())
            {
                let what = "they are not watched; make the patterns of the rules narrower";
                tracing::warn!(event = "alert_series", series = no_room, left_out, what);
            }
        }
        let payload = |message: &Outgoing| Payload::new(bytes(&message.body), message.alerts);
        state.outbox.iter().map(payload).collect()
    }

    /// Whether the worker is so late that it should say nothing yet.
    fn is_silent(&mut self, late: bool) -> bool {
        if !late {
            self.late_since = None;
            return false;
        }
        self.late_since.get_or_insert_with(Instant::now).elapsed() < MAX_SILENCE
    }

    /// Records that a payload is about to be sent, and returns what to send: if Slack may have
    /// accepted it before, it says so.
    pub(crate) fn begin(&mut self, payload: &Payload) -> Result<Payload, SendError> {
        let state = loaded(&mut self.state, &mut self.store, &self.carrier);
        let mut sent = payload.clone();
        let message = state.outbox.iter().find(|message| bytes(&message.body) == payload.body);
        if let Some(message) = message {
            if message.tried {
                let mut again = message.clone();
                mark(&mut again);
                sent.body = bytes(&again.body);
            }
            let number = message.number;
            self.becomes(number, Fate::Tried);
        }
        let saved = if self.unsaved.is_some() { self.save() } else { Ok(()) };
        match saved {
            Ok(()) => Ok(sent),
            // It is reported, and nothing is committed. A lost alert would be worse than one that is
            // repeated after a restart.
            Err(_) if self.store.is_locked() => Ok(sent),
            Err(why) => Err(SendError::Retry { after: None, why: why.into() }),
        }
    }

    /// Records what became of a payload: its channel and timestamp if Slack has told them.
    pub(crate) fn end(
        &mut self,
        payload: &Payload,
        sent: &Result<Option<(String, String)>, SendError>,
    ) {
        let state = loaded(&mut self.state, &mut self.store, &self.carrier);
        let message = state.outbox.iter().find(|message| bytes(&message.body) == payload.body);
        let Some(message) = message else { return };
        let fate = match sent {
            Ok(place) => {
                let post = message.post.and_then(|id| state.posts.get(&id));
                // A list of alerts has no picture.
                let track = match post.map(|post| &post.members[..]) {
                    Some([key]) => state.tracks.get(key),
                    _ => None,
                };
                if let (Some(pictures), Some(track), Some(place)) =
                    (&mut self.pictures, track, place)
                {
                    let through = (state.through_ms, self.length_ms);
                    pictures.offer(Job::new(track, &self.rules, place, through));
                }
                Fate::Over { place: place.clone() }
            }
            // It goes to a dead letter.
            Err(SendError::Reject { .. }) => Fate::Over { place: None },
            Err(SendError::Retry { .. } | SendError::Stop { .. }) => Fate::NotPosted,
            Err(_) => return,
        };
        let number = message.number;
        self.becomes(number, fate);
        if self.unsaved.is_some() {
            // An error is reported by `settle`.
            self.save().ok();
        }
    }

    /// Records what becomes of a message. If it cannot be noted, the whole state is to be saved.
    fn becomes(&mut self, number: usize, fate: Fate) {
        loaded(&mut self.state, &mut self.store, &self.carrier).becomes(number, &fate);
        if self.unsaved.is_none() && self.store.note(number, fate).is_err() {
            self.unsaved = Some(Instant::now());
        }
    }

    /// Saves the state, and returns since when it is not saved. Reserves the file at the start.
    pub(crate) fn settle(&mut self) -> Option<Instant> {
        if self.state.is_none() {
            match self.store.lock() {
                Ok(()) => drop(loaded(&mut self.state, &mut self.store, &self.carrier)),
                Err(why) => self.fails(&why.to_string()),
            }
        }
        if self.unsaved.is_some() {
            self.save().ok();
        }
        self.unsaved
    }

    /// What may be a mistake in the rules, with windows of this length.
    pub(crate) fn doubts(&self, flush: Duration) -> Vec<String> {
        self.rules.doubts(flush)
    }

    /// Why alerts cannot be recorded.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }

    fn save(&mut self) -> Result<(), String> {
        let state = loaded(&mut self.state, &mut self.store, &self.carrier);
        match self.store.save(state, &self.rules) {
            Ok(()) => {
                (self.unsaved, self.trouble) = (None, None);
                Ok(())
            }
            Err(why) => {
                let why = why.to_string();
                self.fails(&why);
                Err(format!("the state of alerts cannot be saved: {why}"))
            }
        }
    }

    fn fails(&mut self, why: &str) {
        let file = self.store.path().display();
        if let Some(left_out) = self.failing.admit(Instant::now()) {
            tracing::error!(event = "alert_state", %file, left_out, why);
        }
        self.trouble = Some(format!("the state of alerts cannot be saved in {file}: {why}"));
    }
}

/// The state, which is read when it is first needed.
fn loaded<'a>(state: &'a mut Option<State>, store: &mut Store, carrier: &Carrier) -> &'a mut State {
    state.get_or_insert_with(|| {
        let mut state = store.load();
        state.send_to(carrier.channel());
        state.outbox.iter_mut().filter(|message| message.tried).for_each(mark);
        state
    })
}

/// Says that a message may be a repetition. The update of a message may be repeated.
fn mark(message: &mut Outgoing) {
    if message.body.get("ts").is_some() {
        return;
    }
    if let Some(Value::Array(blocks)) = message.body.get_mut("blocks") {
        blocks.push(context([
            "This may be a repetition: Slack has not confirmed the first message.",
        ]));
    }
    message.tried = false;
}

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}
