//! The names that bucky builds of host and name: kind `names`.

use crate::carbon::{carbon, lines, name_flags};
use crate::compare::{Differences, Lines, Outcome, is_cleaned, path};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter};
use zibrato::{DEFAULT_SOURCE, Gauge};

/// The longest name that a measurement has, in bytes.
const LONGEST_NAME: usize = 255;

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let mut flags = name_flags(&case["config"])?;
    flags.push("--names=bucky-collectd".to_owned());
    let host = case["input"]["host"].as_str().filter(|host| !host.is_empty());
    let name = case["input"]["name"].as_str().context("a name")?;
    // Intakes read Graphite's tags as tags.
    let (bare, tags) = name.split_once(';').unwrap_or((name, ""));
    let tags: Vec<_> = tags.split(';').filter_map(|tag| tag.split_once('=')).collect();
    let mut batch = BatchWriter::new(host.unwrap_or(DEFAULT_SOURCE), 0, 1_000);
    batch.gauge(bare, &tags, &Gauge::reading(1.0, 1));
    let body = batch.finish();
    let mut window = Window::new(0, 1_000, 10);
    // What is not valid is rejected and counted by each receiver.
    window.fold_batch(&BatchReader::new(&body)?, drop);
    let found = lines(&mut carbon(&flags)?, window)?;
    let mut differences = Differences::default();
    let recorded = match case["expect"]["stat"].as_str() {
        Some(stat) => stat.to_owned(),
        None => {
            ensure!(case["expect"].get("raised").is_some(), "the field `expect.stat`");
            differences
                .by_design("an entry of name_host_trim that is longer than the host is not used");
            untrimmed(case)
        }
    };
    differences.compare(&Lines::from([(recorded, 1.0)]), &found);
    explain_names(std::iter::once((host.unwrap_or_default(), name)), &mut differences);
    Ok(differences.outcome())
}

/// The name without `name_host_trim`, for a plain configuration.
fn untrimmed(case: &Value) -> String {
    let (host, name) = (case["input"]["host"].as_str(), case["input"]["name"].as_str());
    let prefix = case["config"]["name_prefix"].as_str().map(|prefix| prefix.replace('.', "_"));
    let labels = host.into_iter().flat_map(|host| host.rsplit('.')).map(str::to_owned);
    let name = name.into_iter().flat_map(|name| name.split('.')).map(str::to_owned);
    let mut parts: Vec<_> = prefix.into_iter().chain(labels).chain(name).collect();
    parts.dedup();
    parts.join(".")
}

/// Explains the differences of names, for these hosts and names.
pub(crate) fn explain_names<'a>(
    inputs: impl Iterator<Item = (&'a str, &'a str)>,
    differences: &mut Differences,
) {
    let (hosts, names): (Vec<_>, Vec<_>) = inputs.unzip();
    let is_nameless = names.iter().any(|name| name.is_empty());
    differences.explain("a sample without a name is refused", |difference| {
        let is_nothing = difference.name.is_empty() || difference.name.ends_with('.');
        difference.is_missing() && is_nameless && is_nothing
    });
    differences.explain("a name of more than 255 bytes is refused where it enters", |difference| {
        let is_it = |name: &&str| name.len() > LONGEST_NAME && difference.name.contains(*name);
        difference.is_missing() && names.iter().any(is_it)
    });
    let sorted = |text: &str| {
        let mut tags: Vec<_> = text.split(';').skip(1).map(str::to_owned).collect();
        tags.sort_unstable();
        (path(text).to_owned(), tags)
    };
    differences.explain_names("tags are sorted, as Carbon stores them", |recorded, found| {
        sorted(recorded) == sorted(found)
    });
    // Bucky appends it to the last tag.
    let moved = |recorded: &str, found: &str| {
        let (path, tags) = recorded.split_once(';')?;
        let postfix = found.split(';').next()?.strip_prefix(path)?.strip_prefix('.')?;
        let tags = tags.strip_suffix(postfix)?.strip_suffix('.')?;
        Some(sorted(&format!("{path}.{postfix};{tags}")) == sorted(found))
    };
    differences.explain_names("a postfix is before the tags", |recorded, found| {
        moved(recorded, found).unwrap_or_default()
    });
    differences.explain_names("a host has no empty label", |recorded, found| {
        let has_empty = hosts.iter().any(|host| host.split('.').any(str::is_empty));
        let without_empty = |name: &str| {
            let parts = name.split('.').filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect::<Vec<_>>()
        };
        has_empty && without_empty(recorded) == without_empty(found)
    });
    let cleaned = "characters that Graphite cannot query become `_`, empty parts are omitted, and a \
                   hash is appended";
    differences.explain_names(cleaned, |recorded, found| {
        sorted(recorded).1 == sorted(found).1 && is_cleaned(path(recorded), path(found))
    });
}
