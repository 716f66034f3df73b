//! The rules file: TOML to rules, and errors with their place.

use super::pattern::Pattern;
use super::rule::{Action, Edit, Matcher, Of, Rule};
use super::sample::KINDS;
use super::template::Template;
use crate::intake::intake_level;
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use zibrato::daemon::nearest;
use zibrato::{Level, check_name};

/// The protocols of the program `zibrato-broker`.
const INTAKES_WITH_RULES: [&str; 4] = ["statsd", "collectd", "librato", "metricsd"];

/// An error in a file, and where it begins, both from 1 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) why: String,
}

/// What a rules file says.
#[derive(Debug)]
pub(super) struct File {
    /// In the order in which they are tried.
    pub(super) rules: Vec<Rule>,
    pub(super) script: Option<Spanned<String>>,
    pub(super) drop_on_error: bool,
    /// The functions of the script that name the values of CollectD's plugins, by plugin.
    pub(super) converters: BTreeMap<String, Spanned<String>>,
    /// What is probably a mistake.
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    script: Option<Spanned<String>>,
    #[serde(default)]
    drop_on_error: bool,
    #[serde(default)]
    converters: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    rule: Vec<Spanned<RuleText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    name: Option<String>,
    #[serde(default)]
    priority: i64,
    #[serde(rename = "match")]
    matches: MatchText,
    #[serde(default)]
    drop: bool,
    #[serde(default)]
    keep: bool,
    rename: Option<Spanned<Template>>,
    host: Option<Spanned<Template>>,
    #[serde(default, deserialize_with = "scale")]
    scale: Option<f64>,
    #[serde(default, deserialize_with = "level")]
    level: Option<Level>,
    #[serde(default)]
    tags: BTreeMap<String, Spanned<Template>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchText {
    protocol: Option<Pattern>,
    kind: Option<Spanned<Pattern>>,
    level: Option<Pattern>,
    host: Option<Pattern>,
    name: Option<Pattern>,
    plugin: Option<Pattern>,
    plugin_instance: Option<Pattern>,
    #[serde(rename = "type")]
    type_name: Option<Pattern>,
    type_instance: Option<Pattern>,
    value_name: Option<Pattern>,
    #[serde(default)]
    tags: BTreeMap<String, Pattern>,
}

fn scale<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let scale = f64::deserialize(from)?;
    if scale == 0.0 || !scale.is_finite() {
        return Err(de::Error::custom("expected a finite number other than 0"));
    }
    Ok(Some(scale))
}

fn level<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Level>, D::Error> {
    intake_level(&String::deserialize(from)?).map(Some).map_err(de::Error::custom)
}

impl File {
    /// Parses the text of a rules file.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let file: FileText = toml::from_str(text).map_err(|error| {
            let why = explained(error.message());
            problem(text, error.span().unwrap_or_default(), why)
        })?;
        let at = |(span, why): (Range<usize>, String)| problem(text, span, why);
        let mut warnings = Vec::new();
        let rules = file.rule.into_iter().map(|rule| {
            let span = rule.span();
            let line = place(text, span.start).0;
            let doubts = rule.get_ref().matches.doubts();
            let rule = rule.into_inner().into_rule(span, line).map_err(at)?;
            warnings.extend(doubts.map(|doubt| format!("the rule {}: {doubt}", rule.title)));
            Ok(rule)
        });
        let mut rules = rules.collect::<Result<Vec<_>, _>>()?;
        // A stable sort: rules of one priority stay in the order of the file.
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        warnings.extend(never_tried(&rules));
        let FileText { script, drop_on_error, converters, .. } = file;
        if let Some(converter) = converters.values().next()
            && script.is_none()
        {
            let why = "converters are functions of a script; add script = \"FILE\" above";
            return Err(problem(text, converter.span(), why.to_owned()));
        }
        Ok(Self { rules, script, drop_on_error, converters, warnings })
    }
}

impl RuleText {
    fn into_rule(self, span: Range<usize>, line: usize) -> Result<Rule, (Range<usize>, String)> {
        let Self { name, priority, matches, drop, keep, rename, host, scale, level, tags } = self;
        let wrong = |why: &str| Err((span.clone(), why.to_owned()));
        let changes = rename.is_some()
            || host.is_some()
            || scale.is_some()
            || level.is_some()
            || !tags.is_empty();
        let groups = matches.name.as_ref().map_or(0, Pattern::groups);
        let known = |template: Spanned<Template>| {
            let (needs, span) = (template.get_ref().groups(), template.span());
            if needs > groups {
                let why = format!(
                    "there is no {{{needs}}}: the pattern match.name has {groups} wildcards or \
                     groups"
                );
                return Err((span, why));
            }
            Ok(template.into_inner())
        };
        let action = match (drop, keep, changes) {
            (true, false, false) => Action::Drop,
            (false, true, false) => Action::Keep,
            (false, false, true) => {
                let mut templates = BTreeMap::new();
                for (tag, value) in tags {
                    if let Err(problem) = check_name(&tag) {
                        return Err((value.span(), format!("the tag {tag:?} {problem}")));
                    }
                    templates.insert(tag, known(value)?);
                }
                Action::Change(Box::new(Edit {
                    rename: rename.map(known).transpose()?,
                    host: host.map(known).transpose()?,
                    scale,
                    level,
                    tags: templates,
                }))
            }
            (false, false, false) => {
                return wrong(
                    "the rule does nothing; give it drop = true, keep = true, or rename, host, \
                     scale, level or tags",
                );
            }
            _ => {
                return wrong(
                    "drop = true, keep = true and changes exclude each other; leave only one of \
                     them",
                );
            }
        };
        let title = match name {
            Some(name) => format!("{name:?} (line {line})"),
            None => format!("in line {line}"),
        };
        Ok(Rule { title, priority, matches: matches.into_matcher()?, action })
    }
}

/// The rules after one that matches everything.
fn never_tried(rules: &[Rule]) -> impl Iterator<Item = String> {
    let first = rules.iter().position(|rule| rule.matches.is_everything());
    let (all, others) = rules.split_at(first.map_or(rules.len(), |first| first + 1));
    let title = all.last().map(|rule| &rule.title);
    others.iter().filter_map(move |rule| {
        let (rule, before) = (&rule.title, title?);
        Some(format!("the rule {rule} is never tried: the rule {before} matches everything"))
    })
}

impl MatchText {
    /// What probably matches nothing.
    fn doubts(&self) -> impl Iterator<Item = String> + use<> {
        let protocols = INTAKES_WITH_RULES;
        let matches_none = |pattern: &&Pattern| !protocols.iter().any(|name| pattern.matches(name));
        let unknown = self.protocol.as_ref().filter(matches_none);
        let unknown =
            unknown.map(|_| format!("match.protocol is none of {}", protocols.join(", ")));
        let looks_like_regex = self.name.as_ref().is_some_and(Pattern::looks_like_regex);
        let regex = looks_like_regex.then(|| {
            "match.name is a glob, in which ^ and $ stand for themselves; write { regex = '…' }"
                .to_owned()
        });
        unknown.into_iter().chain(regex)
    }

    fn into_matcher(self) -> Result<Matcher, (Range<usize>, String)> {
        let kind = word(self.kind, &KINDS.map(|(_, word)| word))?;
        let others: [(Option<Pattern>, Of); 9] = [
            (self.protocol, |series, _| series.protocol),
            (kind, |series, _| series.kind_word()),
            (self.level, |series, _| series.level),
            (self.host, |series, _| series.host),
            (self.plugin, |_, collectd| collectd.plugin),
            (self.plugin_instance, |_, collectd| collectd.plugin_instance),
            (self.type_name, |_, collectd| collectd.type_name),
            (self.type_instance, |_, collectd| collectd.type_instance),
            (self.value_name, |_, collectd| collectd.value_name),
        ];
        let others = others.into_iter().filter_map(|(pattern, of)| Some((of, pattern?))).collect();
        Ok(Matcher { name: self.name, others, tags: self.tags })
    }
}

/// The message of an error of the parser in one line, with the remedy that it lacks.
fn explained(message: &str) -> String {
    let why = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if why.starts_with("invalid type: string") && why.ends_with("expected f64") {
        return format!("{}a number, without quotes", why.trim_end_matches("f64"));
    }
    let mut quoted = why.split('`').skip(1).step_by(2);
    let near = match quoted.next() {
        Some(given) if why.starts_with("unknown field") => nearest(given, quoted),
        Some(_) | None => None,
    };
    match near {
        Some(near) => format!("{why}; did you mean `{near}`?"),
        None => why,
    }
}

/// A pattern that matches at least one of these words.
fn word(
    pattern: Option<Spanned<Pattern>>,
    words: &[&str],
) -> Result<Option<Pattern>, (Range<usize>, String)> {
    if let Some(pattern) = &pattern
        && !words.iter().any(|word| pattern.get_ref().matches(word))
    {
        return Err((pattern.span(), format!("it matches none of {}", words.join(", "))));
    }
    Ok(pattern.map(Spanned::into_inner))
}

/// The line and the column of a byte, both from 1 on.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (1 + before.matches('\n').count(), 1 + line.chars().count())
}

pub(super) fn problem(text: &str, span: Range<usize>, why: String) -> Problem {
    let (line, column) = place(text, span.start);
    Problem { line, column, why }
}
