//! Rules and a script for the converters of a case.
//!
//! A case describes its converters: `parts` is the result of one, `fields` are the fields of the
//! sample that it returns, with `none` it returns nothing, with `raise` it fails.

use crate::compare::Differences;
use crate::json::texts;
use anyhow::bail;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The plugins for which bucky has a converter with the priority -1.
const BUILT_IN: [&str; 4] = ["_default", "cpu", "interface", "memory"];

/// Writes the rules file of these converters, if there are any.
pub(super) fn rules(
    converters: &Map<String, Value>,
    folder: &Path,
    differences: &mut Differences,
) -> anyhow::Result<Option<PathBuf>> {
    if converters.is_empty() {
        return Ok(None);
    }
    let (mut table, mut script, mut default) = (String::new(), String::new(), String::new());
    let mut plugins: Vec<_> = BUILT_IN.iter().skip(1).map(ToString::to_string).collect();
    for (plugin, converter) in converters {
        let priority = converter["priority"].as_f64().unwrap_or(0.0);
        if BUILT_IN.contains(&&**plugin) && priority <= -1.0 {
            differences
                .by_design("a converter has no priority: one that bucky ignores is not given");
        } else if plugin == "_default" {
            differences.by_design("a rule takes the place of the converter _default");
            default = format!("match = {{ protocol = \"collectd\" }}\n{}\n", change(converter)?);
        } else {
            plugins.push(plugin.clone());
            let function = format!("converter_{}", plugins.len());
            writeln!(table, "{} = \"{function}\"", json!(plugin))?;
            writeln!(script, "fn {function}(sample) {{ {} }}", body(converter)?)?;
        }
    }
    let mut file = String::new();
    if !table.is_empty() {
        write!(file, "script = \"rules.rhai\"\n[converters]\n{table}")?;
    }
    if !default.is_empty() {
        let keep = json!(plugins);
        write!(file, "[[rule]]\nmatch = {{ plugin = {keep} }}\nkeep = true\n[[rule]]\n{default}")?;
    }
    std::fs::write(folder.join("rules.rhai"), script)?;
    let path = folder.join("rules.toml");
    std::fs::write(&path, file)?;
    Ok(Some(path))
}

/// The body of the function in Rhai.
fn body(converter: &Value) -> anyhow::Result<String> {
    Ok(if converter["none"] == true {
        "return;".to_owned()
    } else if converter["raise"] == true {
        "throw \"it fails\";".to_owned()
    } else if converter["parts"].is_array() {
        json!(texts(&converter["parts"])).to_string()
    } else if converter["fields"].is_array() {
        let fields = texts(&converter["fields"]).into_iter().map(|field| format!("sample.{field}"));
        format!("[{}]", fields.collect::<Vec<_>>().join(", "))
    } else {
        bail!("there is no translation of the converter {converter}")
    })
}

/// The change of a rule.
fn change(converter: &Value) -> anyhow::Result<String> {
    let name = if converter["none"] == true || converter["raise"] == true {
        return Ok("drop = true".to_owned());
    } else if converter["parts"].is_array() {
        texts(&converter["parts"])
    } else if converter["fields"].is_array() {
        let fields = texts(&converter["fields"]).into_iter();
        fields.map(|field| format!("{{{field}}}")).collect()
    } else {
        bail!("there is no translation of the converter {converter}")
    };
    Ok(if name.is_empty() {
        "drop = true".to_owned()
    } else {
        format!("rename = {}", json!(name.join(".")))
    })
}
