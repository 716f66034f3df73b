//! Messages about alerts, in Block Kit, within Slack's limits.
//!
//! Pure.

use super::rules::Rule;
use super::state::{Track, Why};
use crate::slack::blocks::{context, header, mrkdwn, section};
use crate::slack::format::{MAX_NAME, MAX_TAGS, escape, grouped, shorten, shown, time_span};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use zibrato::window::sparkline;

/// Maximum number of alerts that one message lists, and a reply, whose message lists them too.
pub(super) const MAX_ROWS: usize = 20;
pub(super) const REPLY_ROWS: usize = 3;

/// Maximum number of characters of a section. Slack's limit is 3,000.
const MAX_SECTION: usize = 2_900;

/// Maximum number of sources that the text of a list names, and of characters of each.
const MAX_SOURCES: usize = 3;
const MAX_SOURCE: usize = 60;

/// Maximum number of characters of a name in a list, and of all rows. Slack rejects messages above
/// about 13,000.
const MAX_ROW_NAME: usize = 80;
const MAX_CHARACTERS: usize = 11_000;

/// A message without its destination.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// The text of notifications.
    pub(crate) text: String,
    pub(crate) blocks: Vec<Value>,
}

/// What a message says about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Firing,
    /// A reminder.
    Still,
    Resolved,
    /// It ended for a reason other than its value, which may still be beyond the threshold.
    Ended(Why),
}

impl Status {
    /// The status of a track: what it is, and what it was if it has ended.
    pub(super) fn of(track: &Track) -> Self {
        match (track.firing_ms, track.ended) {
            (Some(_), _) | (None, None) => Self::Firing,
            (None, Some(end)) if end.why == Why::Recovered => Self::Resolved,
            (None, Some(end)) => Self::Ended(end.why),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Firing => "FIRING",
            Self::Still => "STILL FIRING",
            Self::Resolved => "RESOLVED",
            Self::Ended(_) => "ENDED",
        }
    }

    const fn light(self) -> &'static str {
        match self {
            Self::Firing | Self::Still => ":red_circle:",
            Self::Resolved => ":large_green_circle:",
            Self::Ended(_) => ":white_circle:",
        }
    }

    /// Why it ended, if that needs an explanation.
    const fn remark(self) -> Option<&'static str> {
        match self {
            Self::Ended(Why::NoData) => Some("no data any more"),
            Self::Ended(Why::Forgotten) => Some("silent for too long, no longer watched"),
            Self::Ended(Why::NoRule) => Some("the rule was removed or changed"),
            _ => None,
        }
    }
}

/// An alert as a message shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Alert<'a> {
    pub(crate) status: Status,
    pub(crate) rule: &'a str,
    pub(crate) metric: &'a str,
    pub(crate) source: &'a str,
    pub(crate) tags: &'a str,
    /// The value with its unit; none for a series that is absent.
    pub(crate) value: Option<String>,
    /// Such as `threshold > 200`.
    pub(crate) threshold: String,
    /// Unix seconds.
    pub(crate) since: u64,
    /// How long it fired, in milliseconds.
    pub(crate) lasted_ms: Option<u64>,
    pub(crate) curve: Vec<f64>,
    pub(crate) runbook: Option<&'a str>,
    /// As Slack reads them.
    pub(crate) mentions: &'a [String],
    /// Alerts since the last message that nobody was told of.
    pub(crate) missed: u32,
}

impl<'a> Alert<'a> {
    /// The alert of a track. `rule` is none if it was removed.
    pub(super) fn of(track: &'a Track, rule: Option<&'a Rule>) -> Self {
        let end = track.ended.filter(|_| track.firing_ms.is_none());
        let since_ms = track.firing_ms.or(end.map(|end| end.since_ms)).unwrap_or_default();
        Self {
            status: Status::of(track),
            rule: &track.rule,
            metric: &track.metric,
            source: &track.source,
            tags: &track.tags,
            value: track.value.map(|value| track.unit.show(value)),
            threshold: rule.map_or_else(String::new, |rule| rule.condition.shown(&track.unit)),
            since: since_ms / 1000,
            lasted_ms: end.map(|end| end.at_ms.saturating_sub(since_ms)),
            curve: track.curve(),
            runbook: rule.and_then(|rule| rule.runbook.as_deref()),
            mentions: &[],
            missed: track.missed,
        }
    }

    /// `231 (threshold > 200)`, or that there is no value.
    fn measured(&self, firing: &str, over: &str) -> String {
        let is_firing = matches!(self.status, Status::Firing | Status::Still);
        match &self.value {
            None if is_firing => firing.to_owned(),
            None => over.to_owned(),
            Some(value) if self.threshold.is_empty() => value.clone(),
            Some(value) => format!("{value} ({})", self.threshold),
        }
    }

    /// A message about this alert alone.
    pub(crate) fn message(&self) -> Message {
        let (word, light) = (self.status.word(), self.status.light());
        let name = |text: &str| shown(text, MAX_NAME);
        let value = escape(&self.measured("no data", "back again"));
        let text = match (&self.value, self.status, self.status.remark()) {
            (_, _, Some(remark)) => format!(": {remark}"),
            (None, Status::Resolved | Status::Ended(_), None) => " is back again".to_owned(),
            (None, ..) => format!(" has {value}"),
            (Some(_), ..) => format!(" is {value}"),
        };
        let rule = escape(&shorten(self.rule, MAX_NAME));
        let (metric, source) = (name(self.metric), name(self.source));
        let text = format!("{light} {word} {rule}: {metric} on {source}{text}");
        let mut fields = vec![field("Metric", &metric), field("Source", &source)];
        if !self.tags.is_empty() {
            fields.push(field("Tags", &shown(self.tags, MAX_TAGS)));
        }
        fields.push(field("Value", &value));
        fields.push(field("Since", &date(self.since)));
        let mut blocks = vec![header(&format!("{light} {word} {}", self.rule))];
        blocks.extend(self.mentioned());
        blocks.push(json!({"type": "section", "fields": fields}));
        if !self.curve.is_empty() {
            blocks.push(section(&format!("`{}`", sparkline(&self.curve))));
        }
        let texts = self.remarks();
        if !texts.is_empty() {
            blocks.push(context(texts));
        }
        Message { text: self.with_mentions(text), blocks }
    }

    fn mentioned(&self) -> Option<Value> {
        (!self.mentions.is_empty()).then(|| section(&self.mentions.join(" ")))
    }

    fn with_mentions(&self, text: String) -> String {
        if self.mentions.is_empty() { text } else { format!("{} {text}", self.mentions.join(" ")) }
    }

    fn remarks(&self) -> Vec<String> {
        let lasted = self.lasted_ms.map(|ms| format!("lasted {}", time_span(ms)));
        let remark = self.status.remark().map(str::to_owned);
        let missed = (self.missed > 0 && self.status == Status::Firing).then(|| {
            let times = if self.missed == 1 { "once" } else { "times" };
            let number = if self.missed == 1 { String::new() } else { format!("{} ", self.missed) };
            format!("began and ended {number}{times} before, without a message")
        });
        let runbook = self.runbook.map(|link| format!("<{}|Runbook>", escape(link)));
        let all = [remark, lasted, missed, runbook];
        all.into_iter().flatten().collect()
    }

    /// The alert in a list: `:red_circle: *metric* _source_ ˋ▁▂█ˋ 231 (threshold > 200)`.
    fn row(&self, with: Columns) -> String {
        let name = |text: &str| shown(text, MAX_ROW_NAME);
        let light = self.status.light();
        let mut row = format!("{light} *{}*", name(self.metric));
        if with.source {
            row = format!("{row} _{}_", name(self.source));
        }
        if !self.tags.is_empty() {
            row = format!("{row} {}", name(self.tags));
        }
        if !self.curve.is_empty() {
            row = format!("{row} `{}`", sparkline(&self.curve));
        }
        let value = self
            .status
            .remark()
            .map_or_else(|| self.measured("no data", "back again"), str::to_owned);
        row = format!("{row} {}", escape(&value));
        if let Some(ms) = self.lasted_ms {
            row = format!("{row}, lasted {}", time_span(ms));
        }
        if with.rule { format!("{row} · {}", name(self.rule)) } else { row }
    }
}

/// What the alerts of a list do not have in common, so that each row says it.
#[derive(Debug, Clone, Copy)]
struct Columns {
    rule: bool,
    source: bool,
}

/// A message about several alerts, of which it lists `most`: `total`, of which `firing` fire. What all
/// have in common, such as the source, is said once.
pub(crate) fn list(
    alerts: &[Alert<'_>],
    (firing, total): (usize, usize),
    (status, most): (Status, usize),
    mentions: &[String],
) -> Message {
    let (first, source) = alerts.first().map_or(("", ""), |alert| (alert.rule, alert.source));
    let is_one_rule = alerts.iter().all(|alert| alert.rule == first);
    let is_one_source = alerts.iter().all(|alert| alert.source == source);
    let about = if is_one_rule { first } else { "several rules" };
    let (word, light) = (status.word(), status.light());
    let numbers = match status {
        Status::Firing | Status::Still if firing < total => {
            format!("{} of {} alerts", grouped(firing), grouped(total))
        }
        _ => format!("{} alerts", grouped(total)),
    };
    let on = sources(alerts);
    let with = Columns { rule: !is_one_rule, source: !is_one_source };
    let mut text = format!("{light} {word} {}: {numbers} {on}", escape(about));
    let mut blocks = vec![header(&format!("{light} {word} {about}: {numbers}"))];
    if !mentions.is_empty() {
        text = format!("{} {text}", mentions.join(" "));
        blocks.push(section(&mentions.join(" ")));
    }
    let mut characters = 0;
    let rows = alerts.iter().take(most).map(|one| one.row(with));
    let rows = rows.take_while(|row| {
        characters += row.chars().count();
        characters <= MAX_CHARACTERS
    });
    let rows: Vec<_> = rows.collect();
    let hidden = total.saturating_sub(rows.len());
    blocks.extend(packed(&rows).iter().map(|text| section(text)));
    let more = (hidden > 0).then(|| format!("and {} more", grouped(hidden)));
    let on = is_one_source.then_some(on);
    let runbook = alerts.first().and_then(|alert| alert.runbook).filter(|_| is_one_rule);
    let runbook = runbook.map(|link| format!("<{}|Runbook>", escape(link)));
    let texts: Vec<_> = [more, on, runbook].into_iter().flatten().collect();
    if !texts.is_empty() {
        blocks.push(context(texts));
    }
    Message { text, blocks }
}

/// The sources of alerts, each once: `on web-1`, `on web-1, web-2, web-3, …`.
fn sources(alerts: &[Alert<'_>]) -> String {
    let sources: BTreeSet<&str> = alerts.iter().map(|alert| alert.source).collect();
    let named = sources.iter().take(MAX_SOURCES).map(|source| shown(source, MAX_SOURCE));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if sources.len() > MAX_SOURCES { ", …" } else { "" };
    format!("on {named}{more}")
}

/// Rows in as few sections as possible.
fn packed(rows: &[String]) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for row in rows {
        match sections.last_mut() {
            Some(last) if last.chars().count() + row.chars().count() < MAX_SECTION => {
                last.push('\n');
                last.push_str(row);
            }
            _ => sections.push(row.clone()),
        }
    }
    sections
}

fn date(seconds: u64) -> String {
    format!("<!date^{seconds}^{{date_short_pretty}} {{time_secs}}|{seconds}>")
}

fn field(title: &str, text: &str) -> Value {
    mrkdwn(&format!("*{title}*\n{text}"))
}

#[cfg(test)]
mod tests;
