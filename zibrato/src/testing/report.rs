//! What a failed test says: what was looked for, what was found, and what was recorded.

use crate::{DEFAULT_SOURCE, Kind, Measurement};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Maximum number of series in a message.
const MAX_LISTED: usize = 40;

/// Maximum number of readings of a series in a message.
const MAX_VALUES: usize = 8;

/// What a test looks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) kind: Kind,
    /// All of them if there is none.
    pub(super) level: Option<&'a str>,
    pub(super) name: &'a str,
    /// A reading may have others, too.
    pub(super) tags: &'a [(String, String)],
}

impl Wanted<'_> {
    /// The values of what was recorded of it.
    pub(super) fn values(&self, all: &[Measurement]) -> Vec<f64> {
        all.iter().filter(|m| self.is(m)).map(|m| m.value).collect()
    }

    fn is(&self, m: &Measurement) -> bool {
        m.kind == self.kind
            && m.name.as_str() == self.name
            && self.has_level(m)
            && self.tags.iter().all(|(tag, value)| m.tags.get(tag) == Some(value))
    }

    fn has_level(&self, m: &Measurement) -> bool {
        self.level.is_none_or(|level| m.level.as_str() == level)
    }

    /// What is looked for, such as "counter `requests` with status=200 at level `info`".
    fn text(&self) -> String {
        let Self { level, name, tags, .. } = self;
        let mut text = format!("{} `{name}`", word(self.kind));
        for (number, (tag, value)) in tags.iter().enumerate() {
            let before = if number == 0 { " with " } else { "," };
            text += &format!("{before}{tag}={value}");
        }
        if let Some(level) = level {
            text += &format!(" at level `{level}`");
        }
        text
    }
}

/// The message when nothing was recorded of it.
pub(super) fn not_recorded(wanted: &Wanted<'_>, all: &[Measurement], of_process: bool) -> String {
    let mut text = format!("{} was not recorded", wanted.text());
    let distances = distances(wanted.name, all);
    text += &nearest(wanted, all, &distances);
    let listed = list(all.iter(), |name| distances.get(name).copied());
    if listed.is_empty() {
        text += "; nothing was recorded";
    } else {
        text += "\nrecorded, the nearest name first:";
        text += &listed;
    }
    if !of_process {
        text += "\nOnly threads that are attached to the capture are captured: see \
                 `Capture::attach`, `Capture::in_task` and `capture_process`.";
    }
    text
}

/// The message when something else was recorded of it than expected.
pub(super) fn differs(
    wanted: &Wanted<'_>,
    all: &[Measurement],
    expected: &[f64],
    got: &[f64],
) -> String {
    let name = wanted.name;
    let listed = list(all.iter().filter(|m| m.name.as_str() == name), |_| None);
    let same = expected.iter().zip(got).take_while(|(expected, got)| expected == got).count();
    let [expected, got] = [expected, got].map(|values| match values {
        [value] if wanted.kind != Kind::Histogram => value.to_string(),
        values => format!("[{}]", part(values, same)),
    });
    format!("{}: expected {expected}, got {got}\nrecorded as `{name}`:{listed}", wanted.text())
}

/// Some of the values, if they are many: those from the first one on that differs.
fn part(values: &[f64], same: usize) -> String {
    let skipped = if values.len() > MAX_VALUES { same } else { 0 };
    let shown = values.iter().skip(skipped).take(MAX_VALUES).map(f64::to_string);
    let (before, after) = (skipped > 0, values.len() > skipped + MAX_VALUES);
    let more = |are_there: bool| are_there.then(|| "…".to_owned());
    more(before).into_iter().chain(shown).chain(more(after)).collect::<Vec<_>>().join(", ")
}

/// What was recorded instead, most probably.
fn nearest(wanted: &Wanted<'_>, all: &[Measurement], distances: &BTreeMap<&str, usize>) -> String {
    let Wanted { kind, name, .. } = *wanted;
    let named = || all.iter().filter(|m| m.name.as_str() == name);
    let of_kind = || named().filter(|m| m.kind == kind);
    if let Some(found) = named().next() {
        return if of_kind().any(|m| wanted.has_level(m)) {
            let found: Vec<_> = of_kind().filter(|m| wanted.has_level(m)).collect();
            nearest_tag(wanted.tags, &found).unwrap_or_else(|| ", but with other tags".to_owned())
        } else if let Some(found) = of_kind().next() {
            format!(", but at level `{}`", found.level)
        } else {
            format!(", but as a {}", word(found.kind))
        };
    }
    // Of equally near names the first one.
    match distances.iter().min_by_key(|(_, distance)| **distance) {
        Some((near, distance)) if is_near(near, *distance) => format!("; did you mean `{near}`?"),
        _ => String::new(),
    }
}

/// What is wrong with the first tag that none of the readings has, unless each of the tags is in one
/// of them.
fn nearest_tag(wanted: &[(String, String)], found: &[&Measurement]) -> Option<String> {
    for (tag, value) in wanted {
        let values: BTreeSet<_> = found.iter().filter_map(|m| m.tags.get(tag)).collect();
        if values.is_empty() {
            let tags = found.iter().flat_map(|m| m.tags.iter().map(|(tag, _)| tag)).collect();
            let meant = nearest_text(tag, &tags).map(|near| format!("; did you mean `{near}`?"));
            return Some(format!(", but without a tag `{tag}`{}", meant.unwrap_or_default()));
        }
        if !values.contains(value.as_str()) {
            let meant = nearest_text(value, &values);
            let meant = meant.map(|near| format!("; did you mean `{tag}={near}`?"));
            return Some(format!(", but with another `{tag}`{}", meant.unwrap_or_default()));
        }
    }
    None
}

/// The nearest of these texts, if it is near; of equally near ones the first.
fn nearest_text<'a>(text: &str, texts: &BTreeSet<&'a str>) -> Option<&'a str> {
    let near = texts.iter().map(|near| (distance(text, near), *near));
    let (distance, near) = near.min_by_key(|(distance, _)| *distance)?;
    is_near(near, distance).then_some(near)
}

/// Whether a text at this distance may be a misspelling of `near`.
fn is_near(near: &str, distance: usize) -> bool {
    distance <= near.chars().count().div_ceil(2)
}

/// The distance of each recorded name from the one that is looked for.
fn distances<'a>(name: &str, all: &'a [Measurement]) -> BTreeMap<&'a str, usize> {
    let names: BTreeSet<_> = all.iter().map(|m| m.name.as_str()).collect();
    names.into_iter().map(|recorded| (recorded, distance(name, recorded))).collect()
}

/// A line for each series, those with the smallest rank of the name first.
fn list<'a>(
    readings: impl Iterator<Item = &'a Measurement>,
    rank: impl Fn(&str) -> Option<usize>,
) -> String {
    let mut series: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for m in readings {
        let key = (&m.name, m.kind, &m.level, &m.source, &m.tags);
        series.entry(key).or_default().push(m.value);
    }
    let mut series: Vec<_> = series.into_iter().collect();
    series.sort_by_key(|((name, ..), _)| rank(name.as_str()));
    let mut text = String::new();
    for ((name, kind, level, source, tags), values) in series.iter().take(MAX_LISTED) {
        text += &format!("\n  {} {level} {name}", word(*kind));
        if source.as_str() != DEFAULT_SOURCE {
            text += &format!(" source {source}");
        }
        if !tags.is_empty() {
            text += &format!(" {tags}");
        }
        text += &format!(": {}", summary(*kind, values));
    }
    if series.len() > MAX_LISTED {
        text += &format!("\n  and {} more", series.len() - MAX_LISTED);
    }
    text
}

/// The readings of one series.
fn summary(kind: Kind, values: &[f64]) -> String {
    let number = match values.len() {
        1 => "1 reading".to_owned(),
        number => format!("{number} readings"),
    };
    match kind {
        Kind::Gauge => {
            let skipped = values.len().saturating_sub(MAX_VALUES);
            let mut text = if skipped > 0 { "…".to_owned() } else { String::new() };
            for value in values.iter().skip(skipped) {
                let comma = if text.is_empty() { "" } else { ", " };
                // Writing to a text never fails.
                write!(text, "{comma}{value}").ok();
            }
            format!("{text} ({number})")
        }
        Kind::Histogram | Kind::Timer => number,
        Kind::Counter | Kind::Set => format!("{} ({number})", sum(values)),
    }
}

/// The sum. That of `Iterator::sum` is -0 without values.
pub(super) fn sum(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |sum, value| sum + value)
}

fn word(kind: Kind) -> String {
    kind.mtype().to_lowercase()
}

/// The number of characters to insert, remove or replace (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<_> = other.chars().collect();
    let mut row: Vec<_> = (0..=other.len()).collect();
    for (at, a) in one.chars().enumerate() {
        let mut diagonal = at;
        row[0] = at + 1;
        for (at, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
