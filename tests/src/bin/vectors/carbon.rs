//! The lines that `zibrato-carbon` would send for a window, with any flags.

use crate::compare::Lines;
use anyhow::{Context, anyhow, bail};
use clap::Parser;
use serde_json::Value;
use zibrato::window::Window;
use zibrato_workers::carbon::{Carbon, CarbonFlags};
use zibrato_workers::{Backend, BackendProgram};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    flags: CarbonFlags,
}

/// The backend with these flags.
pub(crate) fn carbon(args: &[String]) -> anyhow::Result<Carbon> {
    let program = std::iter::once("zibrato-carbon".to_owned());
    let cli = Cli::try_parse_from(program.chain(args.iter().cloned()))?;
    Carbon::open(cli.flags).map_err(|failure| anyhow!(failure.message))
}

/// The lines of a window, without their time.
pub(crate) fn lines(carbon: &mut Carbon, window: Window) -> anyhow::Result<Lines> {
    let mut lines = Lines::new();
    for payload in carbon.payloads(window) {
        for line in String::from_utf8(payload.body)?.lines() {
            let fields: Vec<_> = line.split(' ').collect();
            let [name, value, _] = fields[..] else { bail!("not a line: {line}") };
            if lines.insert(name.to_owned(), value.parse()?).is_some() {
                bail!("{name} has two lines");
            }
        }
    }
    Ok(lines)
}

/// The flags for the configuration of bucky that concerns names, as `zibrato-carbon` has them.
pub(crate) fn name_flags(config: &Value) -> anyhow::Result<Vec<String>> {
    let replace = match config.get("name_replace_char") {
        Some(Value::Null) => None,
        Some(text) => Some(text.as_str().context("name_replace_char")?.to_owned()),
        None => Some("_".to_owned()),
    };
    let clean = |text: &str| replace.as_ref().map_or(text.to_owned(), |by| text.replace('.', by));
    let texts = |key: &str| -> Vec<String> {
        let all = config.get(key).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut flags = Vec::new();
    let mut flag = |name: &str, value: String| {
        flags.extend([format!("--{name}={value}")]);
    };
    // Several parts are joined here, since dots within each of them are replaced.
    let joined = |parts: Vec<String>| {
        let parts = parts.iter().filter(|part| !part.is_empty());
        parts.map(|part| clean(part)).collect::<Vec<_>>().join(".")
    };
    flag("prefix", joined([vec![text("name_prefix")], texts("name_prefix_parts")].concat()));
    flag("postfix", joined([texts("name_postfix_parts"), vec![text("name_postfix")]].concat()));
    flag("trim-host", texts("name_host_trim").join(","));
    let strip = config.get("name_strip_duplicates").is_none_or(|strip| *strip != false);
    flag("strip-duplicates", if strip { "yes" } else { "no" }.to_owned());
    Ok(flags)
}
