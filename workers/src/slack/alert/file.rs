//! The rules file: TOML to rules, and errors with their place and what to write instead.
//!
//! Pure, except that the system knows the time zones.

use super::mute::{DAYS, Mute, time_of_day};
use super::pattern::Pattern;
use super::rules::{Condition, Matches, Rule, Rules};
use super::value::{FUNCTIONS, KINDS};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use toml::Spanned;
use zibrato::daemon::nearest;

/// Maximum number of rules.
const MAX_RULES: usize = 1_000;

/// Maximum length of the name of a rule, which is in the header of messages.
const MAX_NAME: usize = 100;

/// Maximum length of a link in a message.
const MAX_RUNBOOK: usize = 1_000;

/// The default of `rearm`, in seconds.
const REARM: f64 = 600.0;

/// The longest time, in seconds.
const LONGEST: f64 = 7.0 * 86_400.0;

/// An error in a file, and where it begins, both from 1 on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    group_above: Option<Spanned<i64>>,
    zone: Option<Spanned<String>>,
    #[serde(default)]
    rule: Vec<Spanned<RuleText>>,
    #[serde(default)]
    mute: Vec<MuteText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    name: Spanned<String>,
    metric: Pattern,
    source: Option<Pattern>,
    kind: Option<Spanned<String>>,
    #[serde(default)]
    tags: BTreeMap<String, Pattern>,
    above: Option<Spanned<f64>>,
    below: Option<Spanned<f64>>,
    #[serde(default)]
    absent: bool,
    clear: Option<Spanned<f64>>,
    #[serde(rename = "for")]
    lasts: Option<Spanned<f64>>,
    summary: Option<Spanned<String>>,
    rearm: Option<Spanned<f64>>,
    #[serde(default)]
    mention: Vec<Spanned<String>>,
    runbook: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MuteText {
    rules: Option<Pattern>,
    #[serde(default)]
    days: Vec<Spanned<String>>,
    from: Spanned<String>,
    to: Spanned<String>,
    #[serde(default)]
    only_mentions: bool,
}

/// The place of a mistake, and what to write instead.
type Mistake = (Range<usize>, String);

/// Parses the text of a rules file.
pub(super) fn parse(text: &str) -> Result<Rules, Problem> {
    let at = |(span, why): Mistake| problem(text, &span, why);
    let file: FileText = toml::from_str(text)
        .map_err(|error| at((error.span().unwrap_or_default(), explained(error.message()))))?;
    if file.rule.is_empty() {
        let why = "there is no rule; write [[rule]] with name, metric, and above, below or absent";
        return Err(at((0..0, why.to_owned())));
    }
    if file.rule.len() > MAX_RULES {
        let why = format!("there are {} rules, at most {MAX_RULES}", file.rule.len());
        return Err(at((0..0, why)));
    }
    let group_above = match &file.group_above {
        None => 5,
        Some(given) => {
            usize::try_from(*given.get_ref()).ok().filter(|n| *n > 0).ok_or_else(|| {
                at((given.span(), "expected a whole number of alerts, at least 1".to_owned()))
            })?
        }
    };
    let zone = file.zone.as_ref().map_or(Ok(TimeZone::UTC), zone).map_err(at)?;
    let (mut rules, mut names) = (Vec::new(), BTreeSet::new());
    for rule in file.rule {
        let (span, rule) = (rule.span(), rule.into_inner());
        let name = rule.name.span();
        let rule = rule.into_rule(span).map_err(at)?;
        if !names.insert(rule.name.clone()) {
            return Err(at((name, format!("a second rule has the name `{}`", rule.name))));
        }
        rules.push(rule);
    }
    let mutes = file.mute.into_iter().map(MuteText::into_mute);
    let mutes = mutes.collect::<Result<_, _>>().map_err(at)?;
    Ok(Rules { rules, mutes, zone, group_above })
}

fn zone(name: &Spanned<String>) -> Result<TimeZone, Mistake> {
    let text = name.get_ref();
    if text == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(text).map_err(|_| {
        let why = format!(
            "this system knows no time zone `{text}`; write one such as Europe/Berlin, or UTC, or \
             install the system's time zones (tzdata)"
        );
        (name.span(), why)
    })
}

impl RuleText {
    fn into_rule(self, span: Range<usize>) -> Result<Rule, Mistake> {
        let condition = self.condition(&span)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        let name = self.name.get_ref();
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
            let why = format!("expected 1 to {MAX_NAME} letters, digits, `.`, `_`, `:` and `-`");
            return Err((self.name.span(), why));
        }
        let kind = self.kind.map(|kind| word(&kind, &KINDS)).transpose()?;
        let summary = self.summary.map(|summary| word(&summary, &FUNCTIONS)).transpose()?;
        let for_ms = self.lasts.as_ref().map_or(Ok(0), milliseconds)?;
        let rearm = self.rearm.as_ref().map_or(Ok((REARM * 1000.0) as u64), milliseconds)?;
        let mentions = self.mention.iter().map(mention).collect::<Result<_, _>>()?;
        let runbook = self.runbook.map(runbook).transpose()?;
        let Self { metric, source, tags, .. } = self;
        Ok(Rule {
            name: self.name.into_inner(),
            matches: Matches { metric, source, kind, tags },
            condition,
            for_ms,
            summary,
            rearm_ms: rearm,
            mentions,
            runbook,
        })
    }

    fn condition(&self, span: &Range<usize>) -> Result<Condition, Mistake> {
        let finite = |number: &Spanned<f64>| match *number.get_ref() {
            value if value.is_finite() => Ok(value),
            _ => Err((number.span(), "expected a finite number".to_owned())),
        };
        let wrong = |span: Range<usize>, why: &str| Err((span, why.to_owned()));
        match (&self.above, &self.below, self.absent) {
            (Some(limit), None, false) => {
                let limit = finite(limit)?;
                let clear = self.clear.as_ref().map_or(Ok(limit), finite)?;
                match &self.clear {
                    Some(given) if clear > limit => {
                        wrong(given.span(), "`clear` of a rule with `above` is at most that")
                    }
                    _ => Ok(Condition::Above { limit, clear }),
                }
            }
            (None, Some(limit), false) => {
                let limit = finite(limit)?;
                let clear = self.clear.as_ref().map_or(Ok(limit), finite)?;
                match &self.clear {
                    Some(given) if clear < limit => {
                        wrong(given.span(), "`clear` of a rule with `below` is at least that")
                    }
                    _ => Ok(Condition::Below { limit, clear }),
                }
            }
            (None, None, true) => match (&self.clear, &self.summary) {
                (Some(given), _) => wrong(given.span(), "a rule with `absent` has no `clear`"),
                (_, Some(given)) => wrong(given.span(), "a rule with `absent` has no `summary`"),
                (None, None) => Ok(Condition::Absent),
            },
            (None, None, false) => wrong(
                span.clone(),
                "the rule has no condition; add above = NUMBER, below = NUMBER or absent = true",
            ),
            _ => wrong(
                span.clone(),
                "above, below and absent exclude each other; write a rule for each",
            ),
        }
    }
}

impl MuteText {
    fn into_mute(self) -> Result<Mute, Mistake> {
        let day = |day: &Spanned<String>| word(day, &DAYS);
        let days = self.days.iter().map(day).collect::<Result<_, _>>()?;
        let time = |text: &Spanned<String>| -> Result<Time, Mistake> {
            let why = || (text.span(), "expected a time of day such as 07:30".to_owned());
            time_of_day(text.get_ref()).ok_or_else(why)
        };
        if self.from.get_ref() == "24:00" {
            let why = "a mute time cannot begin at 24:00; write 00:00, and the next day in `days`";
            return Err((self.from.span(), why.to_owned()));
        }
        let (from, to) = (time(&self.from)?, time(&self.to)?);
        Ok(Mute { rules: self.rules, days, from, to, only_mentions: self.only_mentions })
    }
}

/// A time in seconds.
fn milliseconds(seconds: &Spanned<f64>) -> Result<u64, Mistake> {
    let value = *seconds.get_ref();
    if !(0.0..=LONGEST).contains(&value) {
        return Err((seconds.span(), format!("expected seconds from 0 to {LONGEST} (a week)")));
    }
    Ok((value * 1000.0).round() as u64)
}

/// One of these words.
fn word<T: Copy>(given: &Spanned<String>, known: &[(&str, T)]) -> Result<T, Mistake> {
    let text = given.get_ref();
    if let Some((_, value)) = known.iter().find(|(word, _)| word == text) {
        return Ok(*value);
    }
    let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
    let near = nearest(text, words.iter().copied());
    let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    Err((given.span(), format!("expected one of {}{near}", words.join(", "))))
}

/// A mention as Slack reads it.
fn mention(given: &Spanned<String>) -> Result<String, Mistake> {
    let text = given.get_ref();
    let is_id = text.len() >= 5
        && text.len() <= 30
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    match (text.as_str(), text.chars().next()) {
        ("@here" | "@channel" | "@everyone", _) => {
            Ok(format!("<!{}>", text.trim_start_matches('@')))
        }
        (_, Some('U' | 'W')) if is_id => Ok(format!("<@{text}>")),
        (_, Some('S')) if is_id => Ok(format!("<!subteam^{text}>")),
        _ => Err((
            given.span(),
            "expected @here, @channel, @everyone, or the id of a member (U…) or of a user group \
             (S…), as Slack shows it in the profile"
                .to_owned(),
        )),
    }
}

fn runbook(given: Spanned<String>) -> Result<String, Mistake> {
    let text = given.get_ref();
    let is_link = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | '|');
    if !is_link || text.len() > MAX_RUNBOOK || !text.chars().all(fits) {
        let why = format!(
            "expected a link such as https://wiki.example/runbook, without spaces, \
                           `<`, `>` and `|`, of at most {MAX_RUNBOOK} bytes"
        );
        return Err((given.span(), why));
    }
    Ok(given.into_inner())
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

fn problem(text: &str, span: &Range<usize>, why: String) -> Problem {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Problem { line: 1 + before.matches('\n').count(), column: 1 + line.chars().count(), why }
}

#[cfg(test)]
mod tests;
