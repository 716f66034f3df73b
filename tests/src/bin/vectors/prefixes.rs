//! The namespaces that bucky builds of prefixes: kind `statsd_prefix`.

use crate::carbon::{carbon, lines};
use crate::compare::Outcome;
use serde_json::Value;
use zibrato::window::Window;
use zibrato::wire::Line;

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let parts = case["input"]["parts"].as_array().into_iter().flatten();
    let parts: Vec<_> = parts.map(|part| part.as_str().unwrap_or_default()).collect();
    let (global, others) = parts.split_first().unwrap_or((&"", &[]));
    let others: Vec<_> = others.iter().copied().filter(|part| !part.is_empty()).collect();
    let flags = [
        "--names=statsd".to_owned(),
        "--strip-duplicates=no".to_owned(),
        format!("--statsd-prefixes=global={global},counter={}", others.join(".")),
    ];
    let mut window = Window::new(0, 1_000, 10);
    window.fold_line(&Line::decode(b"info|c|x|1|1|s")?);
    let found = lines(&mut carbon(&flags)?, window)?;
    let prefix = case["expect"]["prefix"].as_str().unwrap_or_default();
    let expected = format!("{prefix}x.rate");
    Ok(if found.contains_key(&expected) {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("{expected} is not among {found:?}"))
    })
}
