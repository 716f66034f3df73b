//! The rules of alerts.
//!
//! Pure.

use super::mute::Mute;
use super::pattern::Pattern;
use super::value::{Function, Unit};
use crate::slack::format::seconds;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::time::Duration;
use zibrato::Kind;
use zibrato::window::Series;

/// What a rules file says.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) mutes: Vec<Mute>,
    /// The zone of the times in `mutes`.
    pub(super) zone: TimeZone,
    /// More alerts of a rule than this within ten seconds become one message.
    pub(super) group_above: usize,
}

impl Rules {
    /// What may be a mistake, with windows of this length.
    pub(super) fn doubts(&self, flush: Duration) -> Vec<String> {
        let least_ms = u64::try_from(flush.as_millis()).unwrap_or(u64::MAX).saturating_mul(2);
        let is_hasty = |rule: &&Rule| rule.condition == Condition::Absent && rule.for_ms < least_ms;
        let doubt = |rule: &Rule| {
            format!(
                "the rule {}: a measurement that comes late is taken for absence, because `for` is \
                 {} and a window (--flush) {}; give for = {} or more",
                rule.name,
                seconds(rule.for_ms as f64 / 1000.0),
                seconds(flush.as_secs_f64()),
                least_ms as f64 / 1000.0,
            )
        };
        self.rules.iter().filter(is_hasty).map(doubt).collect()
    }
}

/// One rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) matches: Matches,
    pub(super) condition: Condition,
    /// How long the condition must hold, in milliseconds; 0 for one window.
    pub(super) for_ms: u64,
    pub(super) summary: Option<Function>,
    /// The shortest time between two alerts of a series, and that between reminders, in
    /// milliseconds; 0 for no limit and no reminders.
    pub(super) rearm_ms: u64,
    /// As Slack reads them, such as `<!here>`.
    pub(super) mentions: Vec<String>,
    pub(super) runbook: Option<String>,
}

/// The series of a rule.
#[derive(Debug, Clone)]
pub(super) struct Matches {
    pub(super) metric: Pattern,
    pub(super) source: Option<Pattern>,
    pub(super) kind: Option<Kind>,
    pub(super) tags: BTreeMap<String, Pattern>,
}

impl Matches {
    /// Whether they match a series of this name, source, kind and tags.
    pub(super) fn fit(
        &self,
        name: &str,
        of: &str,
        is: Option<Kind>,
        pairs: &[(Box<str>, Box<str>)],
    ) -> bool {
        let Self { metric, source, kind, tags } = self;
        let has = |tag: &str, value: &Pattern| {
            pairs.iter().any(|(name, is)| **name == *tag && value.matches(is))
        };
        kind.is_none_or(|kind| Some(kind) == is)
            && metric.matches(name)
            && source.as_ref().is_none_or(|source| source.matches(of))
            && tags.iter().all(|(tag, value)| has(tag, value))
    }
}

/// When an alert begins and when it ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Condition {
    /// It begins above `limit`, and ends at `clear` or below.
    Above { limit: f64, clear: f64 },
    /// It begins below `limit`, and ends at `clear` or above.
    Below { limit: f64, clear: f64 },
    /// It begins when a series that was seen is silent.
    Absent,
}

impl Condition {
    /// Whether an alert may begin with this value.
    pub(super) fn begins(self, value: f64) -> bool {
        match self {
            Self::Above { limit, .. } => value > limit,
            Self::Below { limit, .. } => value < limit,
            Self::Absent => false,
        }
    }

    /// Whether an alert ends with this value.
    pub(super) fn ends(self, value: f64) -> bool {
        match self {
            Self::Above { clear, .. } => value <= clear,
            Self::Below { clear, .. } => value >= clear,
            Self::Absent => true,
        }
    }

    /// Such as `threshold > 200`.
    pub(super) fn shown(self, unit: &Unit) -> String {
        match self {
            Self::Above { limit, .. } => format!("threshold > {}", unit.show(limit)),
            Self::Below { limit, .. } => format!("threshold < {}", unit.show(limit)),
            Self::Absent => "absent".to_owned(),
        }
    }
}

impl Rule {
    /// Whether the rule is about this series.
    pub(super) fn is_about(&self, series: &Series) -> bool {
        let Series { name, source, tags, .. } = series;
        self.matches.fit(name, source, Some(series.value.kind()), tags)
    }

    /// The function for series of this kind.
    pub(super) fn function(&self, kind: Kind) -> Function {
        self.summary.unwrap_or(Function::of_kind(kind))
    }
}
