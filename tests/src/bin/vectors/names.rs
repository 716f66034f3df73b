//! The names that bucky builds of host and name: kind `names`.

use crate::carbon::{carbon, lines, name_flags};
use crate::compare::{Difference, Lines, Outcome, differences, judge};
use anyhow::Context;
use serde_json::Value;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter};
use zibrato::{DEFAULT_SOURCE, Gauge};

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let mut flags = name_flags(&case["config"])?;
    flags.push("--names=bucky-collectd".to_owned());
    let host = case["input"]["host"].as_str().filter(|host| !host.is_empty());
    let name = case["input"]["name"].as_str().context("a name")?;
    // Intakes read Graphite's tags as tags.
    let (name, tags) = name.split_once(';').unwrap_or((name, ""));
    let tags: Vec<_> = tags.split(';').filter_map(|tag| tag.split_once('=')).collect();
    let mut batch = BatchWriter::new(host.unwrap_or(DEFAULT_SOURCE), 0, 1_000);
    batch.gauge(name, &tags, &Gauge::reading(1.0, 1));
    let body = batch.finish();
    let mut window = Window::new(0, 1_000, 10);
    // What is not valid is rejected and counted by each receiver.
    window.fold_batch(&BatchReader::new(&body)?, drop);
    let found = lines(&mut carbon(&flags)?, window)?;
    let recorded: Lines =
        case["expect"]["stat"].as_str().map(|stat| (stat.to_owned(), 1.0)).into_iter().collect();
    let only = found.keys().next().cloned();
    let differences = differences(&recorded, &found);
    Ok(judge(differences, |difference| explain(case, difference, only.as_deref())))
}

fn explain(case: &Value, difference: &Difference, found: Option<&str>) -> Option<&'static str> {
    let recorded = case["expect"]["stat"].as_str();
    let name = case["input"]["name"].as_str().unwrap_or_default();
    let recommended = case["recommend"].as_str().unwrap_or_default();
    let path = |text: &str| text.split(';').next().unwrap_or_default().to_owned();
    let has_empty = |text: &str| path(text).split('.').any(str::is_empty);
    let Some(found) = found else {
        return (name.is_empty()).then_some("a sample without a name is refused");
    };
    let Some(recorded) = recorded else {
        // Bucky ended with an error.
        let is_recommended = recommended.ends_with(&format!("-> {found}"));
        return is_recommended.then_some("what ended bucky has the recommended name");
    };
    let sorted = |text: &str| {
        let mut parts: Vec<_> = text.split(';').skip(1).map(str::to_owned).collect();
        parts.sort_unstable();
        (path(text), parts)
    };
    if difference.recorded.is_some() && sorted(recorded) == sorted(found) {
        return Some("tags are sorted, as Carbon stores them");
    }
    if difference.found.is_some() && sorted(recorded) == sorted(found) {
        return Some("tags are sorted, as Carbon stores them");
    }
    if recommended.ends_with(&format!(": {found}")) {
        return Some("the recommended name");
    }
    if recommended.contains("before the first semicolon") && !found.contains(".post;") {
        return None;
    }
    if recommended.contains("before the first semicolon") {
        return Some("a postfix is before the tags");
    }
    if has_empty(recorded) && !has_empty(found) {
        return Some("empty parts are omitted, and a hash keeps the name distinct");
    }
    let is_bad = |c: char| c.is_whitespace() || "/\\;*?[]{}(),'\"`|~".contains(c);
    if path(recorded).contains(is_bad) && !path(found).contains(is_bad) {
        return Some("characters that Graphite cannot query become `_`, and a hash is appended");
    }
    None
}
