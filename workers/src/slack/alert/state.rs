//! What is known about each series of each rule, and which messages say so. It survives a restart.
//!
//! Pure.

use super::fate::Fate;
use super::rules::{Condition, Rule, Rules};
use super::value::{Unit, kind_word};
use crate::slack::format::tags_text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use zibrato::Kind;
use zibrato::window::Series;

/// The version of the format.
const VERSION: u32 = 1;

/// Maximum number of series of all rules.
pub(super) const MAX_TRACKS: usize = 50_000;

/// Number of windows in a sparkline.
pub(super) const WINDOWS: usize = 24;

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) version: u32,
    /// The channel to which the messages were sent, as it was configured; empty for a webhook.
    #[serde(default)]
    pub(super) to: Option<String>,
    /// The end of the last window that was evaluated, in Unix milliseconds. A window that does not
    /// end later is delivered again.
    pub(super) through_ms: u64,
    /// The number of the next message.
    pub(super) next: u64,
    /// By rule, kind, metric, source, tags and unit.
    pub(super) tracks: BTreeMap<String, Track>,
    /// The messages about alerts that have not ended.
    pub(super) posts: BTreeMap<u64, Post>,
    /// Messages that Slack has not accepted yet.
    pub(super) outbox: Vec<Outgoing>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: VERSION,
            to: None,
            through_ms: 0,
            next: 0,
            tracks: BTreeMap::new(),
            posts: BTreeMap::new(),
            outbox: Vec::new(),
        }
    }
}

/// A series of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    pub(super) rule: String,
    pub(super) metric: String,
    pub(super) source: String,
    /// The tags as a text, which is made of the pairs.
    #[serde(default, skip_serializing)]
    pub(super) tags: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pairs: Vec<(Box<str>, Box<str>)>,
    /// A word such as `timer`.
    kind: String,
    pub(super) unit: Unit,
    /// The end of the last window that had the series.
    pub(super) seen_ms: u64,
    /// The start of the first window in which the condition held, if it has held since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) breach_ms: Option<u64>,
    /// The time of long gaps without windows since `breach_ms`, or since `seen_ms` for an absent
    /// series.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) gap_ms: u64,
    /// The time since which the alert fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) firing_ms: Option<u64>,
    /// How the last alert ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<End>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<f64>,
    /// The message that says that it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) told: Option<u64>,
    /// When that was said last; 0 for never.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) told_ms: u64,
    /// Alerts since then that nobody was told of.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) missed: u32,
    /// The last windows, oldest first; none for one without a value.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) values: VecDeque<Option<f64>>,
}

/// How an alert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) since_ms: u64,
    pub(super) at_ms: u64,
    pub(super) why: Why,
}

/// Why an alert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Why {
    /// The condition no longer holds.
    Recovered,
    /// The series is silent.
    NoData,
    /// An absent series is no longer expected.
    Forgotten,
    /// The rule was removed from the file, or is no longer about the series.
    NoRule,
}

/// A message about one or several alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Post {
    /// Keys of its series.
    pub(super) members: Vec<String>,
    /// Its channel and its timestamp there, once Slack has told them.
    pub(super) place: Option<(String, String)>,
    /// When it was last changed.
    pub(super) updated_ms: u64,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Outgoing {
    /// Its place in the outbox after the last window, and in the file.
    #[serde(skip)]
    pub(super) number: usize,
    /// The message whose place is to be kept, for a new one that may be updated.
    pub(super) post: Option<u64>,
    /// The request.
    pub(super) body: Value,
    /// Number of alerts that it is about.
    pub(super) alerts: usize,
    /// Whether an attempt to send it has begun.
    pub(super) tried: bool,
}

impl State {
    /// Reads a state that was [written](Self::to_json).
    pub(super) fn from_json(text: &[u8]) -> Result<Self, String> {
        let mut state: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if state.version != VERSION {
            return Err(format!("its version is {}, and this one reads {VERSION}", state.version));
        }
        for track in state.tracks.values_mut().filter(|track| !track.pairs.is_empty()) {
            track.tags = tags_text(&track.pairs);
        }
        state.number();
        Ok(state)
    }

    /// Numbers the messages in the outbox. The state must be saved next.
    pub(super) fn number(&mut self) {
        self.outbox.iter_mut().enumerate().for_each(|(number, message)| message.number = number);
    }

    /// Something has become of the message with this number.
    pub(super) fn becomes(&mut self, number: usize, fate: &Fate) {
        let Some(at) = self.outbox.iter().position(|message| message.number == number) else {
            return;
        };
        let Fate::Over { place } = fate else {
            self.outbox.iter_mut().skip(at).take(1).for_each(|it| it.tried = *fate == Fate::Tried);
            return;
        };
        let message = self.outbox.remove(at);
        let post = message.post.and_then(|id| self.posts.get_mut(&id));
        if let (Some(post), Some(place)) = (post, place) {
            post.place = Some(place.clone());
        }
    }

    /// Messages go to this channel, or to a webhook if there is none, from now on. If they went
    /// elsewhere, alerts that fire are told anew there, and messages that wait go there.
    pub(super) fn send_to(&mut self, channel: Option<&str>) {
        let to = channel.unwrap_or_default().to_owned();
        if self.to.replace(to.clone()).is_none_or(|before| before == to) {
            return;
        }
        let is_new = |key: &str, body: &Value| body.get(key).is_none();
        self.outbox.retain(|message| {
            ["ts", "thread_ts"].into_iter().all(|key| is_new(key, &message.body))
        });
        // Those that wait to be sent as messages of a channel remain messages of a channel.
        self.posts.retain(|id, _| {
            channel.is_some() && self.outbox.iter().any(|message| message.post == Some(*id))
        });
        for message in &mut self.outbox {
            message.post = message.post.filter(|id| self.posts.contains_key(id));
            message.tried = false;
            if let Some(fields) = message.body.as_object_mut() {
                match channel {
                    Some(channel) => drop(fields.insert("channel".to_owned(), channel.into())),
                    None => drop(fields.remove("channel")),
                }
            }
        }
        for track in self.tracks.values_mut() {
            if track.told.take_if(|id| !self.posts.contains_key(id)).is_some() {
                track.told_ms = 0;
            }
        }
    }

    /// The clock was set back to this time: nothing has happened later.
    pub(super) fn set_back(&mut self, to_ms: u64) {
        let earlier = |at_ms: &mut u64| *at_ms = to_ms.min(*at_ms);
        earlier(&mut self.through_ms);
        for track in self.tracks.values_mut() {
            earlier(&mut track.seen_ms);
            earlier(&mut track.told_ms);
            [&mut track.breach_ms, &mut track.firing_ms].into_iter().flatten().for_each(earlier);
        }
        self.posts.values_mut().for_each(|post| earlier(&mut post.updated_ms));
    }

    /// The state as JSON, without what a restart does not need.
    pub(super) fn to_json(&self, rules: &Rules) -> Vec<u8> {
        let rule_of: BTreeMap<_, _> = rules.rules.iter().map(|rule| (&*rule.name, rule)).collect();
        let kept = |track: &&Track| track.survives(rule_of.get(&*track.rule), self.through_ms);
        let listed: BTreeSet<_> = self.posts.values().flat_map(|post| &post.members).collect();
        let tracks = self.tracks.iter().filter(|(key, track)| kept(track) || listed.contains(key));
        let tracks = tracks.map(|(key, track)| (&**key, track.saved())).collect();
        let Self { through_ms, next, .. } = *self;
        let (to, posts, outbox) = (&self.to, &self.posts, &*self.outbox);
        let saved = Saved { version: VERSION, to, through_ms, next, tracks, posts, outbox };
        // All keys are texts, so this does not fail.
        serde_json::to_vec(&saved).unwrap_or_default()
    }
}

/// The state as the file has it.
#[derive(Serialize)]
struct Saved<'a> {
    version: u32,
    to: &'a Option<String>,
    through_ms: u64,
    next: u64,
    tracks: BTreeMap<&'a str, Cow<'a, Track>>,
    posts: &'a BTreeMap<u64, Post>,
    outbox: &'a [Outgoing],
}

/// Whether it can be left out of the file.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The same for a smaller number.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_none(number: &u32) -> bool {
    *number == 0
}

impl Track {
    /// The key of a series of a rule. No name contains a bar.
    pub(super) fn key(rule: &Rule, series: &Series, tags: &str) -> String {
        let (kind, unit) = (kind_word(series.value.kind()), series.value.unit().unwrap_or(""));
        let Series { name, source, .. } = series;
        format!("{}|{kind}|{name}|{source}|{tags}|{unit}", rule.name)
    }

    pub(super) fn new(rule: &Rule, series: &Series, tags: String) -> Self {
        let kind = series.value.kind();
        Self {
            rule: rule.name.clone(),
            metric: series.name.to_string(),
            source: series.source.to_string(),
            tags,
            pairs: series.tags.to_vec(),
            kind: kind_word(kind).to_owned(),
            unit: Unit::of(kind, rule.function(kind), series.value.unit()),
            seen_ms: 0,
            breach_ms: None,
            gap_ms: 0,
            firing_ms: None,
            ended: None,
            value: None,
            told: None,
            told_ms: 0,
            missed: 0,
            values: VecDeque::new(),
        }
    }

    /// The tags of a series, as a key and a message contain them.
    pub(super) fn tags(series: &Series) -> String {
        tags_text(&series.tags)
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        super::value::KINDS.iter().find(|(word, _)| *word == self.kind).map(|(_, kind)| *kind)
    }

    /// Whether the rule is still about the series.
    pub(super) fn is_of(&self, rule: &Rule) -> bool {
        rule.matches.fit(&self.metric, &self.source, self.kind(), &self.pairs)
    }

    /// Appends the value of a window.
    pub(super) fn push(&mut self, value: Option<f64>) {
        self.values.push_back(value);
        if self.values.len() > WINDOWS {
            self.values.pop_front();
        }
    }

    /// The values for a sparkline.
    pub(super) fn curve(&self) -> Vec<f64> {
        self.values.iter().map(|value| value.unwrap_or(f64::NAN)).collect()
    }

    /// The track as the file has it. Only a series that is in an alert, or close to one, keeps its last
    /// windows.
    fn saved(&self) -> Cow<'_, Self> {
        if self.breach_ms.is_some() || self.firing_ms.is_some() || self.told.is_some() {
            return Cow::Borrowed(self);
        }
        let mut quiet = self.clone();
        quiet.values.clear();
        Cow::Owned(quiet)
    }

    /// Whether a restart needs it: an alert that begins, fires or was told of, or a series whose
    /// silence means something.
    fn survives(&self, rule: Option<&&Rule>, now_ms: u64) -> bool {
        let is_watched = rule.is_some_and(|rule| {
            !matches!(rule.condition, Condition::Above { .. })
                || self.told_ms.saturating_add(rule.rearm_ms) > now_ms
        });
        is_watched || self.breach_ms.is_some() || self.firing_ms.is_some() || self.told.is_some()
    }
}
