//! Texts: what is read from a message, and what is written into one.

use crate::compare::{Differences, Outcome, is_equal};
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use zibrato::window::sparkline;
use zibrato_workers::slack::bus::{Contents, Packed, Ts, decode, escape, pack, read};

fn text<'a>(case: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    case[field].as_str().with_context(|| format!("the case has no text `{field}`"))
}

fn list<'a>(value: &'a Value, what: &str) -> anyhow::Result<&'a Vec<Value>> {
    value.as_array().with_context(|| format!("the case has no list `{what}`"))
}

/// Two texts that must be equal.
fn same(expected: &str, found: &str) -> Outcome {
    if expected == found {
        return Outcome::Passed;
    }
    Outcome::Failed(format!("expected {expected:?}, found {found:?}"))
}

/// The points, the rejected lines, and whether a relay deletes the message.
pub(crate) fn check_message(case: &Value) -> anyhow::Result<Outcome> {
    let ts: Ts = text(case, "message_ts")?.parse()?;
    let contents = read(text(case, "text")?, &ts);
    let strict = &case["strict"];
    let mut expected = Vec::new();
    for point in list(&strict["points"], "strict.points")? {
        let value = point[1].as_f64().context("a value is a number")?;
        expected.push((point[0].as_str().unwrap_or_default().to_owned(), value, point[2].as_u64()));
    }
    let mut rejected = Vec::new();
    for line in list(&strict["rejected"], "strict.rejected")? {
        let part = |at: usize| line[at].as_str().unwrap_or_default().to_owned();
        rejected.push((part(0), part(1)));
    }
    let delete = strict["delete"].as_bool().context("the case has no field `strict.delete`")?;
    let mut differences = Differences::default();
    if explain(&mut expected, &mut rejected, &contents) {
        differences.by_design("a name that Carbon would drop is rejected: with white space other than blanks, an empty part or an incomplete tag");
    }
    let delete = if differences.has_reasons() { contents.is_all_metrics() } else { delete };
    let same_points = expected.len() == contents.points.len()
        && expected.iter().zip(&contents.points).all(|((name, value, time), point)| {
            *name == point.name && is_equal(*value, point.value) && *time == Some(point.time)
        });
    let found = contents.rejected.iter();
    let found: Vec<_> = found.map(|line| (line.line.clone(), line.why.word().to_owned())).collect();
    if !same_points {
        differences.fail(format!("points: expected {expected:?}, found {:?}", contents.points));
    }
    if found != rejected {
        differences.fail(format!("rejected: expected {rejected:?}, found {found:?}"));
    }
    if delete != contents.is_all_metrics() {
        differences.fail(format!("delete: expected {delete}"));
    }
    Ok(differences.outcome())
}

/// Moves expected points whose names Carbon would drop to the rejected lines, in their places.
fn explain(
    expected: &mut Vec<(String, f64, Option<u64>)>,
    rejected: &mut Vec<(String, String)>,
    contents: &Contents,
) -> bool {
    let is_dropped = |name: &str| {
        let (path, tags) = name.split_once(';').unwrap_or((name, "a=b"));
        let is_tag = |tag: &str| {
            tag.split_once('=').is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
        };
        name.contains(char::is_whitespace)
            || path.split('.').any(str::is_empty)
            || !tags.split(';').all(is_tag)
    };
    let before = expected.len();
    expected.retain(|(name, ..)| !is_dropped(name));
    for (at, line) in contents.rejected.iter().enumerate() {
        let name = line.line.split([' ', '\t']).next().unwrap_or_default();
        if rejected.len() < contents.rejected.len() && is_dropped(name) {
            rejected.insert(at.min(rejected.len()), (line.line.clone(), "path".to_owned()));
        }
    }
    expected.len() < before
}

pub(crate) fn check_escape(case: &Value) -> anyhow::Result<Outcome> {
    Ok(same(text(case, "output")?, &escape(text(case, "input")?)))
}

pub(crate) fn check_decode(case: &Value) -> anyhow::Result<Outcome> {
    Ok(same(text(case, "output")?, &decode(text(case, "input")?)))
}

pub(crate) fn check_ts(case: &Value) -> anyhow::Result<Outcome> {
    let (a, b): (Ts, Ts) = (text(case, "a")?.parse()?, text(case, "b")?.parse()?);
    let (expected, found) = (case["output"].as_i64(), a.cmp(&b) as i64);
    Ok(same(&format!("{expected:?}"), &format!("{:?}", Some(found))))
}

pub(crate) fn check_sparkline(case: &Value) -> anyhow::Result<Outcome> {
    let values = list(&case["input"], "input")?.iter();
    let values: Vec<_> = values.map(|value| value.as_f64().unwrap_or(f64::NAN)).collect();
    Ok(same(text(case, "output")?, &sparkline(&values)))
}

/// The number of messages, their lengths and lines, and the lines that do not fit.
pub(crate) fn check_chunks(case: &Value) -> anyhow::Result<Outcome> {
    let args = &case["args"];
    let limit = args["limit_chars"].as_u64().context("the case has no number `limit_chars`")?;
    let Packed { messages, too_long, .. } = pack(lines(args)?, usize::try_from(limit)?);
    let mut differences = Differences::default();
    let mut compare = |what: &str, expected: &Value, found: Value| {
        let number = found.as_array().map(|list| Value::from(list.len()));
        if *expected != found && Some(expected) != number.as_ref() {
            differences.fail(format!("{what}: expected {expected}, found {found}"));
        }
    };
    let number_of =
        |count: &dyn Fn(&String) -> usize| -> Vec<usize> { messages.iter().map(count).collect() };
    let chars = number_of(&|message| message.chars().count());
    let per_message = number_of(&|message| message.lines().count());
    if let Some(expected) = case.get("chars") {
        compare("chars", expected, chars.into());
    }
    if let Some(expected) = case.get("lines_per_message") {
        compare("lines_per_message", expected, per_message.into());
    }
    compare("messages", &case["messages"], messages.into());
    compare("rejected", &case["rejected"], too_long.into());
    Ok(differences.outcome())
}

/// The lines of a case: a list, or a number of lines of a template.
fn lines(args: &Value) -> anyhow::Result<Vec<String>> {
    if let Some(lines) = args["lines"].as_array() {
        return Ok(lines.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    let count = args["lines"].as_u64().context("the case has neither lines nor their number")?;
    let template = text(args, "line_template")?;
    let Some(template) = template.strip_suffix(" (i,i)") else {
        bail!("the template `{template}` does not end in (i,i)");
    };
    ensure!(template.contains("%03d") && template.contains("%d"), "the template has no numbers");
    let line = |i: u64| template.replace("%03d", &format!("{i:03}")).replace("%d", &i.to_string());
    Ok((0..count).map(line).collect())
}
