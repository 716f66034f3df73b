//! Decides which messages say what has changed: each alert once, in few messages.
//!
//! Pure. It compares what people were told with what is true. Whatever may not be said now, because
//! of the time of day or because too much was said, is said later if it is still true then. So all
//! numbers of messages are limited per window.

use super::message::{Alert, MAX_ROWS, Message, REPLY_ROWS, Status, list};
use super::mute::{Quiet, quiet};
use super::rules::{Rule, Rules};
use super::state::{Outgoing, Post, State};
use crate::slack::pace::UPDATE_PACE;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The time in which the alerts of a rule are counted, in milliseconds.
const GROUP_MS: u64 = 10_000;

/// Maximum number of new messages of a window. Beyond it, all rules share one message.
const MAX_POSTS: usize = 10;

/// The shortest time between two updates of a message with new values, in milliseconds, and maximum
/// number of them per window.
const UPDATE_MS: u64 = 30_000;
const MAX_UPDATES: usize = 10;

/// Maximum number of messages that are updated per window because alerts end or are due for a
/// reminder, each with a reply. Others follow after the next window.
const MAX_FOLLOW_UPS: usize = 20;

/// What may be said about a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Nothing: the window is so old that its alerts may have ended.
    Nothing,
    /// New messages, and this number of updates.
    Updates(usize),
}

impl Room {
    /// As many updates as Slack accepts while a window of this length lasts.
    pub(super) fn in_window(length_ms: u64) -> Self {
        let updates = u128::from(length_ms) / UPDATE_PACE.as_millis();
        let updates = usize::try_from(updates).unwrap_or(usize::MAX);
        Self::Updates(updates.clamp(1, MAX_FOLLOW_UPS))
    }
}

/// How messages are sent: that decides what can be done with one after it was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// Nothing is known about a message after it was sent.
    Webhook,
    /// A message in this channel can be changed, and can have replies.
    Channel(String),
}

impl Carrier {
    /// The channel, if there is one.
    pub(super) fn channel(&self) -> Option<&str> {
        match self {
            Self::Webhook => None,
            Self::Channel(channel) => Some(channel),
        }
    }
}

/// Decides what is said. It remembers what was said in the last seconds, to group what follows.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    /// By rule and whether alerts begin: since when, and the number of messages.
    recent: BTreeMap<(usize, bool), (u64, usize)>,
}

/// A change that people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Begins,
    Reminder,
    Ends,
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    New,
    Update,
    Reply,
}

impl Announcer {
    /// Adds messages to the outbox.
    pub(super) fn announce(
        &mut self,
        state: &mut State,
        rules: &Rules,
        carrier: &Carrier,
        room: Room,
    ) {
        let Room::Updates(updates) = room else { return };
        let now_ms = state.through_ms;
        let speech = Speech { rules, carrier, now_ms };
        let changes = speech.changes(state);
        if let Carrier::Channel(_) = carrier {
            speech.follow_up(state, &changes, updates);
        }
        let is_new = |change: Change| change == Change::Begins || *carrier == Carrier::Webhook;
        let mut planned: Vec<(Change, Vec<String>)> = Vec::new();
        for ((rule, change), keys) in changes.into_iter().filter(|((_, it), _)| is_new(*it)) {
            if change == Change::Reminder {
                planned.push((change, keys));
                continue;
            }
            let recent = self.recent.entry((rule, change == Change::Begins)).or_default();
            if now_ms.saturating_sub(recent.0) >= GROUP_MS {
                *recent = (now_ms, 0);
            }
            if recent.1 + keys.len() <= rules.group_above {
                recent.1 += keys.len();
                planned.extend(keys.into_iter().map(|key| (change, vec![key])));
            } else if recent.1 == 0 {
                recent.1 = rules.group_above + 1;
                planned.push((change, keys));
            } // Otherwise they wait until the time is over.
        }
        if planned.len() > MAX_POSTS {
            let mut all: BTreeMap<Change, Vec<String>> = BTreeMap::new();
            for (change, keys) in planned {
                all.entry(change).or_default().extend(keys);
            }
            planned = all.into_iter().collect();
        }
        for (change, keys) in planned {
            speech.say(state, change, keys);
        }
    }
}

/// Changes by the index of their rule.
type Changes = BTreeMap<(usize, Change), Vec<String>>;

/// One turn to speak, after a window: what decides how something is said.
struct Speech<'a> {
    rules: &'a Rules,
    carrier: &'a Carrier,
    now_ms: u64,
}

impl Speech<'_> {
    fn rule(&self, name: &str) -> Option<(usize, &Rule)> {
        self.rules.rules.iter().enumerate().find(|(_, rule)| rule.name == *name)
    }

    fn quiet(&self, rule: &str) -> Quiet {
        quiet(&self.rules.mutes, &self.rules.zone, rule, self.now_ms)
    }

    /// What may be said now, by rule. Alerts of removed rules have the index behind the last one.
    fn changes(&self, state: &mut State) -> Changes {
        let mut by_rule: BTreeMap<String, (usize, u64, Quiet)> = BTreeMap::new();
        let mut changes = Changes::new();
        for (key, track) in &mut state.tracks {
            if track.firing_ms.is_none() && track.told.is_none() {
                continue;
            }
            let (at, rearm_ms, quiet) = *by_rule.entry(track.rule.clone()).or_insert_with(|| {
                let (at, rearm_ms) = self
                    .rule(&track.rule)
                    .map_or((self.rules.rules.len(), 0), |(at, rule)| (at, rule.rearm_ms));
                (at, rearm_ms, self.quiet(&track.rule))
            });
            if quiet == Quiet::All {
                continue;
            }
            let is_due = self.now_ms >= track.told_ms.saturating_add(rearm_ms);
            let change = match (track.firing_ms, track.told) {
                (Some(_), None) if track.told_ms == 0 || is_due => Change::Begins,
                (Some(_), Some(_)) if rearm_ms > 0 && is_due => Change::Reminder,
                (None, Some(_)) => Change::Ends,
                _ => continue,
            };
            changes.entry((at, change)).or_default().push(key.clone());
        }
        changes
    }

    /// Updates messages in a channel, at most `room` of them, and replies to them. Those whose alerts
    /// end or are due for a reminder come first, then those that were not updated for longest.
    fn follow_up(&self, state: &mut State, changes: &Changes, mut room: usize) {
        let of = |change: Change| -> BTreeSet<String> {
            let keys = changes.iter().filter(|((_, it), _)| *it == change);
            keys.flat_map(|(_, keys)| keys.iter().cloned()).collect()
        };
        let (ended, due) = (of(Change::Ends), of(Change::Reminder));
        let is_urgent =
            |post: &Post| post.members.iter().any(|key| ended.contains(key) || due.contains(key));
        let mut posts: Vec<_> = state.posts.clone().into_iter().collect();
        posts.sort_by_cached_key(|(_, post)| (!is_urgent(post), post.updated_ms));
        let mut refreshed = 0;
        for (id, post) in posts {
            if state.outbox.iter().any(|waiting| waiting.post == Some(id)) {
                continue; // Slack has not accepted it yet.
            }
            let ends: Vec<_> = post.members.iter().filter(|key| ended.contains(*key)).collect();
            let reminds = post.members.iter().any(|key| due.contains(key));
            let is_old = self.now_ms >= post.updated_ms.saturating_add(UPDATE_MS);
            let is_quiet = || {
                let rules = post.members.iter().filter_map(|key| state.tracks.get(key));
                rules.map(|track| self.quiet(&track.rule)).max() == Some(Quiet::All)
            };
            let Some((channel, ts)) = post.place.clone() else {
                // Slack has rejected it. Its alerts end without further messages.
                self.finish(state, id, &ends);
                continue;
            };
            if ends.is_empty() && !reminds {
                if !is_old || refreshed >= MAX_UPDATES || is_quiet() {
                    continue;
                }
                refreshed += 1;
            }
            let Some(left) = room.checked_sub(1) else { break };
            room = left;
            let is_over =
                ends.len() == post.members.iter().filter(|key| told(state, key, id)).count();
            let status = match (is_over, ends.first().and_then(|key| state.tracks.get(*key))) {
                (true, Some(track)) => Status::of(track),
                _ => Status::Firing,
            };
            let update = self.describe(state, &post.members, status, Request::Update);
            push(
                state,
                None,
                ends.len(),
                json!({
                    "channel": channel, "ts": ts, "text": update.text, "blocks": update.blocks,
                }),
            );
            let reply = if !ends.is_empty() {
                let keys: Vec<String> = ends.iter().map(|key| (*key).clone()).collect();
                let status = state.tracks.get(&keys[0]).map_or(Status::Resolved, Status::of);
                Some(self.describe(state, &keys, status, Request::Reply))
            } else if reminds {
                let fires = |key: &&String| {
                    state.tracks.get(*key).is_some_and(|track| track.firing_ms.is_some())
                };
                let keys: Vec<_> = post.members.iter().filter(fires).cloned().collect();
                Some(self.describe(state, &keys, Status::Still, Request::Reply))
            } else {
                None
            };
            if let Some(reply) = reply {
                push(
                    state,
                    None,
                    ends.len(),
                    json!({
                        "channel": channel, "thread_ts": ts, "text": reply.text,
                        "blocks": reply.blocks, "unfurl_links": false, "unfurl_media": false,
                    }),
                );
            }
            if reminds {
                for key in post.members.iter().filter(|key| due.contains(*key)) {
                    if let Some(track) = state.tracks.get_mut(key) {
                        track.told_ms = self.now_ms;
                    }
                }
            }
            if let Some(post) = state.posts.get_mut(&id) {
                post.updated_ms = self.now_ms;
            }
            self.finish(state, id, &ends);
        }
    }

    /// The alerts of these series of a post are over.
    fn finish(&self, state: &mut State, id: u64, keys: &[&String]) {
        for key in keys {
            if let Some(track) = state.tracks.get_mut(*key) {
                track.told = None;
            }
        }
        let open = |key: &String| told(state, key, id);
        let is_over = state.posts.get(&id).is_none_or(|post| !post.members.iter().any(open));
        if is_over {
            state.posts.remove(&id);
        }
    }

    /// A new message.
    fn say(&self, state: &mut State, change: Change, keys: Vec<String>) {
        let status = match change {
            Change::Begins => Status::Firing,
            Change::Reminder => Status::Still,
            Change::Ends => match keys.first().and_then(|key| state.tracks.get(key)) {
                Some(track) => Status::of(track),
                None => return,
            },
        };
        // Only the beginning mentions anybody.
        let kind = if change == Change::Begins { Request::New } else { Request::Update };
        let message = self.describe(state, &keys, status, kind);
        let Message { text, blocks } = message;
        let (mut id, alerts) = (None, keys.len());
        for key in &keys {
            let Some(track) = state.tracks.get_mut(key) else { continue };
            match change {
                Change::Begins => {
                    (track.told, track.missed) = (Some(state.next), 0);
                    track.told_ms = self.now_ms;
                }
                Change::Reminder => track.told_ms = self.now_ms,
                Change::Ends => track.told = None,
            }
        }
        let body = match self.carrier {
            Carrier::Webhook => json!({"text": text, "blocks": blocks}),
            Carrier::Channel(channel) => {
                id = Some(state.next);
                let post = Post { members: keys, place: None, updated_ms: self.now_ms };
                state.posts.insert(state.next, post);
                json!({
                    "channel": channel, "text": text, "blocks": blocks,
                    "unfurl_links": false, "unfurl_media": false,
                })
            }
        };
        state.next += 1;
        push(state, id, alerts, body);
    }

    /// A message about these series.
    fn describe(&self, state: &State, keys: &[String], status: Status, kind: Request) -> Message {
        let is_new = kind == Request::New;
        let most = if kind == Request::Reply { REPLY_ROWS } else { MAX_ROWS };
        let mut alerts = Vec::new();
        let mut mentions = BTreeSet::new();
        for track in keys.iter().filter_map(|key| state.tracks.get(key)) {
            let rule = self.rule(&track.rule).map(|(_, rule)| rule);
            let allowed = is_new && self.quiet(&track.rule) == Quiet::No;
            let rule_mentions = rule.filter(|_| allowed).map(|rule| rule.mentions.clone());
            mentions.extend(rule_mentions.unwrap_or_default());
            alerts.push(Alert::of(track, rule));
        }
        let mentions: Vec<_> = mentions.into_iter().collect();
        if let ([alert], [_]) = (&alerts[..], keys) {
            let status = if alert.status == Status::Firing { status } else { alert.status };
            return Alert { mentions: &mentions, status, ..alert.clone() }.message();
        }
        let is_firing = |alert: &&Alert<'_>| alert.status == Status::Firing;
        let firing = alerts.iter().filter(is_firing).count();
        // Those that fire come first.
        alerts.sort_by_key(|alert| alert.status != Status::Firing);
        list(&alerts, (firing, keys.len()), (status, most), &mentions)
    }
}

/// Whether this message says that the series fires.
fn told(state: &State, key: &str, id: u64) -> bool {
    state.tracks.get(key).is_some_and(|track| track.told == Some(id))
}

fn push(state: &mut State, post: Option<u64>, alerts: usize, body: Value) {
    state.outbox.push(Outgoing { number: 0, post, body, alerts, tried: false });
}
