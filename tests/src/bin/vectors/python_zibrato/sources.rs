//! Sources, as the workers for Librato send them.

use super::flush::gauges;
use crate::compare::Differences;
use crate::json::text;
use anyhow::Context as _;
use serde_json::Value;
use zibrato_workers::librato::client::sanitize_metric_name;

/// Runs one case.
pub(super) fn check(case: &Value, differences: &mut Differences) -> anyhow::Result<()> {
    let (source, recorded) = (text(&case["args"], "source")?, text(case, "result")?);
    let gauges = gauges(&[format!("info|Gauge|g|1|1700000042|{source}")])?;
    let found = gauges.first().context("no gauge is delivered")?["source"].as_str();
    let found = found.context("the gauge has no source")?.to_owned();
    if recorded == found {
        return Ok(());
    }
    if recorded != old(source) {
        differences.fail(format!("recorded {recorded}, found {found}"));
    } else if found == source {
        differences.by_design("a source that the API accepts is not changed");
    } else if is_marked(source, &found) {
        differences.by_design(
            "what the API does not accept in a source becomes `-`, and a hash keeps sources apart",
        );
    } else if source.is_empty() && found == "not_specified" {
        differences.by_design("an empty source is not_specified");
    } else {
        differences.fail(format!("recorded {recorded}, found {found}"));
    }
    Ok(())
}

/// What the old worker makes of a source: it replaces each byte but letters, digits, `.`, and those
/// from `:` to `_`.
pub(super) fn old(source: &str) -> String {
    let is_kept =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || (b':'..=b'_').contains(&byte);
    source.bytes().map(|byte| if is_kept(byte) { char::from(byte) } else { ':' }).collect()
}

/// Whether `found` is `text` as the API accepts it, with a hash.
pub(super) fn is_marked(text: &str, found: &str) -> bool {
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let rest = found.strip_prefix(&*sanitize_metric_name(text));
    rest.and_then(|rest| rest.strip_prefix('_')).is_some_and(is_hash)
}
