//! One rule: which series it matches, and what becomes of them.

use super::pattern::Pattern;
use super::sample::{Collectd, Series};
use super::script_time::SHARE;
use super::template::Template;
use regex::Captures;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use zibrato::{Level, check_name};

/// A rule of the file.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Its name and its line in the file, for people.
    pub(super) title: String,
    /// Rules with a higher priority are tried first.
    pub(super) priority: i64,
    pub(super) matches: Matcher,
    pub(super) action: Action,
}

/// What a series must have. Anything that is not given may be anything.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    pub(super) name: Option<Pattern>,
    /// Patterns for other texts.
    pub(super) others: Vec<(Of, Pattern)>,
    /// Patterns for the values of tags. A series without the tag does not match.
    pub(super) tags: BTreeMap<String, Pattern>,
}

impl Matcher {
    pub(super) fn is_everything(&self) -> bool {
        self.name.is_none() && self.others.is_empty() && self.tags.is_empty()
    }
}

/// A text of a series.
pub(super) type Of = for<'a> fn(&Series<'a>, &Collectd<'a>) -> &'a str;

/// What a rule does with the series that it matches.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Change(Box<Edit>),
    Drop,
    Keep,
}

/// The changes of a rule.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) rename: Option<Template>,
    pub(super) host: Option<Template>,
    pub(super) scale: Option<f64>,
    pub(super) level: Option<Level>,
    pub(super) tags: BTreeMap<String, Template>,
}

/// How a series is changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) level: Option<Level>,
    /// All tags of the series, if they change.
    pub(crate) tags: Option<Vec<(String, String)>>,
    /// What values are multiplied by.
    pub(crate) scale: f64,
}

impl Change {
    /// No change.
    pub(crate) const NONE: Self =
        Self { name: None, host: None, level: None, tags: None, scale: 1.0 };
}

/// Why a sample is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// A rule says so.
    Rule,
    /// The name, the host or a tag that a rule or a script gives is not valid.
    Invalid(Cow<'static, str>),
    /// A script returned nothing.
    #[cfg_attr(not(feature = "scripts"), expect(dead_code, reason = "only scripts do that"))]
    Script,
    /// A script failed.
    Failed(String),
    /// Scripts have used up their time in this second.
    OutOfTime,
}

impl Dropped {
    /// The reason as a constant word, the label of counters.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Invalid(_) => "rule_result",
            Self::Script => "script",
            Self::Failed(_) => "script_error",
            Self::OutOfTime => "script_time",
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule => f.write_str("dropped by the rule"),
            Self::Invalid(why) => write!(f, "dropped: {why}"),
            Self::Script => f.write_str("dropped by the script"),
            Self::Failed(why) => write!(f, "error in {why}"),
            Self::OutOfTime => write!(
                f,
                "not called, because scripts have taken {} ms of this second; make them simpler",
                SHARE.as_millis()
            ),
        }
    }
}

impl Rule {
    /// Its name and its line in the file, for people.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// The level that it sets.
    pub(super) fn level(&self) -> Option<&str> {
        match &self.action {
            Action::Change(edit) => edit.level.as_ref().map(Level::as_str),
            Action::Drop | Action::Keep => None,
        }
    }

    pub(super) fn matches(&self, series: &Series<'_>) -> bool {
        let Matcher { name, others, tags } = &self.matches;
        let collectd = series.collectd.unwrap_or_default();
        name.as_ref().is_none_or(|name| name.matches(series.name))
            && others.iter().all(|(of, pattern)| pattern.matches(of(series, &collectd)))
            && tags
                .iter()
                .all(|(tag, pattern)| series.tag(tag).is_some_and(|value| pattern.matches(value)))
    }

    /// What becomes of a series that it matches.
    pub(super) fn change(&self, series: &Series<'_>) -> Result<Change, Dropped> {
        match &self.action {
            Action::Change(edit) => {
                let name = self.matches.name.as_ref();
                edit.apply(series, name.and_then(|name| name.captures(series.name)).as_ref())
            }
            Action::Drop => Err(Dropped::Rule),
            Action::Keep => Ok(Change::NONE),
        }
    }
}

impl Edit {
    fn apply(&self, series: &Series<'_>, groups: Option<&Captures<'_>>) -> Result<Change, Dropped> {
        let name = self.rename.as_ref().map(|to| valid("name", to.expand_name(series, groups)));
        let host = self.host.as_ref().map(|to| valid("host", to.expand(series, groups)));
        Ok(Change {
            name: name.transpose()?,
            host: host.transpose()?,
            level: self.level.clone(),
            tags: self.change_tags(series, groups)?,
            scale: self.scale.unwrap_or(1.0),
        })
    }
}

impl Edit {
    /// All tags, if they change. A tag whose new value is empty is removed.
    fn change_tags(
        &self,
        series: &Series<'_>,
        groups: Option<&Captures<'_>>,
    ) -> Result<Option<Vec<(String, String)>>, Dropped> {
        if self.tags.is_empty() {
            return Ok(None);
        }
        let others = series.tags.iter().filter(|(tag, _)| !self.tags.contains_key(*tag));
        let mut tags: Vec<_> =
            others.map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect();
        for (tag, value) in &self.tags {
            let value = value.expand(series, groups);
            if !value.is_empty() {
                tags.push((tag.clone(), valid("tag", value)?));
            }
        }
        tags.sort();
        Ok(Some(tags))
    }
}

/// The text, if it is a valid name, host or value of a tag.
pub(super) fn valid(what: &str, text: String) -> Result<String, Dropped> {
    match check_name(&text) {
        Ok(()) => Ok(text),
        Err(problem) => Err(Dropped::Invalid(format!("the {what} {text:?} {problem}").into())),
    }
}
