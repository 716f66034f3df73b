//! Names with tags as Carbon stores them, and its files for them: kinds `carbon_tags` and
//! `carbon_tags_encode`.
//!
//! Zibrato writes names as Carbon stores them, because relays hash names as they arrive.

use crate::carbon::{carbon, lines};
use crate::compare::{Differences, Outcome, is_cleaned, path};
use crate::json::text;
use anyhow::Context as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter};
use zibrato::{DEFAULT_SOURCE, Gauge};

/// Runs a case with a name and the one that Carbon stores.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let given = text(&case["input"], "path")?;
    let found = sent(given)?;
    let mut differences = Differences::default();
    match (case["expect"].get("result").and_then(Value::as_str), found) {
        (Some(stored), Some(found)) if stored == found => {}
        (Some(stored), Some(found)) => match reason(given, stored, &found) {
            Some(reason) => differences.by_design(reason),
            None => differences.fail(format!("Carbon stores {stored}, and {found} is sent")),
        },
        (Some(stored), None) if path(stored).is_empty() => {}
        (Some(stored), None) => differences.fail(format!("{stored} is not sent")),
        (None, found) => {
            case["expect"].get("raised").context("`expect.result` or `expect.raised`")?;
            match found {
                None => {}
                // An independent reader of Carbon's rules says that it is valid.
                Some(found) if stored_name(&found).as_deref() != Some(&*found) => {
                    differences.fail(format!("{found} is sent, which Carbon cannot parse"));
                }
                Some(_) if stored_name(given).is_some() => {
                    differences.fail(format!("Carbon can parse {given}"));
                }
                Some(_) => differences.by_design(
                    "tags that Carbon cannot parse are omitted, or made valid with a hash",
                ),
            }
        }
    }
    Ok(differences.outcome())
}

/// Why another name is sent than the one that Carbon stores.
fn reason(given: &str, stored: &str, found: &str) -> Option<&'static str> {
    if stored_name(given).as_deref() != Some(stored) {
        return None;
    }
    let tags = |name: &str| -> BTreeMap<String, String> {
        let tags = name.split(';').skip(1).filter_map(|tag| tag.split_once('='));
        tags.map(|(tag, value)| (tag.to_owned(), value.to_owned())).collect()
    };
    if !given.contains(';') && given.contains('{') {
        return is_cleaned(given, found)
            .then_some("a name in the form of OpenMetrics is not parsed, and made valid");
    }
    let (stored_tags, mut found_tags) = (tags(stored), tags(found));
    if let Some(name) = found_tags.remove("_name")
        && given.contains(&format!(";name={name}"))
        && stored_tags == found_tags
    {
        return Some("a tag `name` is kept as `_name`, because Carbon would drop it");
    }
    let is_kept = |(tag, value): (&String, &String)| {
        found_tags.get(tag).is_some_and(|found| found == value || is_cleaned(value, found))
    };
    let is_same = stored_tags.len() == found_tags.len() && stored_tags.iter().all(is_kept);
    let is_path = path(stored) == path(found) || is_cleaned(path(given), path(found));
    (is_same && is_path)
        .then_some("characters that Graphite cannot query become `_`, and a hash is appended")
}

/// Runs a case with a name and the file that Carbon has for it.
pub(crate) fn check_file(case: &Value) -> anyhow::Result<Outcome> {
    let given = text(&case["input"], "path")?;
    let separator = text(&case["config"], "sep")?;
    let is_hash = case["config"]["hash_only"] == true;
    let recorded = text(&case["expect"], "result")?;
    let found = sent(given)?.with_context(|| format!("{given} is not sent"))?;
    let mut differences = Differences::default();
    let of_found = file(&found, separator, is_hash);
    if of_found != recorded {
        if found != given && file(given, separator, is_hash) == recorded {
            differences.by_design("names are sent sorted and valid, which is another file");
        } else {
            differences.fail(format!("recorded {recorded}, and {found} is in {of_found}"));
        }
    }
    Ok(differences.outcome())
}

/// The name that is sent for a series with this name and these tags. `None` if it is refused where it
/// enters.
fn sent(name: &str) -> anyhow::Result<Option<String>> {
    let (bare, tags) = name.split_once(';').unwrap_or((name, ""));
    // As intakes do: a tag without a name or a value is left out, and the last one of a name counts.
    let tags = tags.split(';').filter_map(|tag| tag.split_once('='));
    let tags: BTreeMap<_, _> =
        tags.filter(|(tag, value)| !tag.is_empty() && !value.is_empty()).collect();
    let tags: Vec<_> = tags.into_iter().collect();
    let mut batch = BatchWriter::new(DEFAULT_SOURCE, 0, 1_000);
    batch.gauge(bare, &tags, &Gauge::reading(1.0, 1));
    let body = batch.finish();
    let mut window = Window::new(0, 1_000, 10);
    window.fold_batch(&BatchReader::new(&body)?, drop);
    Ok(lines(&mut carbon(&[])?, window)?.into_keys().next())
}

/// The name that Carbon stores, by its rules; `None` if it cannot parse the name.
fn stored_name(name: &str) -> Option<String> {
    let (metric, tags) = if name.ends_with("\"}") && name.contains('{') {
        let (metric, rest) = name.strip_suffix('}')?.split_once('{')?;
        let tags = rest.split(',').map(|tag| {
            let (tag, value) = tag.split_once('=')?;
            Some((tag, value.strip_prefix('"')?.strip_suffix('"')?))
        });
        (metric, tags.collect::<Option<Vec<_>>>()?)
    } else {
        let mut segments = name.split(';');
        let metric = segments.next()?;
        (metric, segments.map(|tag| tag.split_once('=')).collect::<Option<_>>()?)
    };
    let metric = metric.trim_start_matches('~');
    let is_valid = |(tag, value): &(&str, &str)| {
        let is_tag = !tag.is_empty() && !tag.contains([';', '!', '^', '=']);
        is_tag && !value.is_empty() && !value.starts_with('~') && !value.contains(';')
    };
    if metric.is_empty() || !tags.iter().all(is_valid) {
        return None;
    }
    let tags: BTreeMap<_, _> = tags.into_iter().filter(|(tag, _)| *tag != "name").collect();
    let mut tags: Vec<_> = tags.iter().map(|(tag, value)| format!(";{tag}={value}")).collect();
    tags.sort();
    Some(format!("{metric}{}", tags.concat()))
}

/// The file of a name, without its extension.
fn file(name: &str, separator: &str, is_hash: bool) -> String {
    if !name.contains(';') {
        return name.replace('.', separator).trim_start_matches(separator).to_owned();
    }
    let hash: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, rest) = hash.split_at(3);
    let (second, _) = rest.split_at(3);
    let last = if is_hash { hash.clone() } else { name.replace('.', "_DOT_") };
    ["_tagged", first, second, &last].join(separator)
}
