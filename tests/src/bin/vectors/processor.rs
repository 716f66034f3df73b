//! Samples and what the processor of bucky makes of them: kind `processor`. They go through
//! `zibrato-broker rules test`.
//!
//! A case describes its processor in words, or as the tuple that it returns.

use crate::compare::{Differences, Outcome};
use crate::json::{list, number, text, texts};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use zibrato_tests::program;

/// What becomes of a sample.
#[derive(Debug, Default)]
struct Found {
    /// Host, name, value and time, unless it is dropped.
    sample: Option<(String, String, f64, f64)>,
    has_error: bool,
}

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let mut differences = Differences::default();
    let Some(body) = body(text(&case["input"], "processor")?) else {
        differences
            .by_design("scripts are Rhai, and this processor has no translation from Python");
        return Ok(differences.outcome());
    };
    let drops = case["config"]["processor_drop_on_error"] == true;
    // A word in place of a sample is a wait without one.
    let samples = list(&case["input"], "samples")?.iter().filter(|sample| sample.is_array());
    let samples: Vec<_> = samples.collect();
    let found = run(&body, drops, &samples)?;
    let mut recorded = list(&case["expect"], "out")?.iter().peekable();
    let logged = texts(&case["expect"]["log_levels"]);
    let mut errors = logged.iter().filter(|level| *level == "ERROR").count();
    for (sample, found) in samples.iter().zip(&found) {
        let mut is_logged = found.has_error;
        let is_invalid = |out: &&Value| out.as_array().is_none_or(|out| out.len() != 4);
        if recorded.peek().is_some_and(|out| is_same(found, out)) {
            recorded.next();
        } else if recorded.peek().is_some_and(|out| is_invalid(out) && out == sample) {
            // The processor of bucky failed.
            recorded.next();
            let is_read = is_same(found, &json!([sample[0], sample[1], sample[2], found.time()]));
            if is_read {
                differences.by_design("a sample without a time has the current one");
                errors = errors.saturating_sub(1);
            } else {
                differences.fail(format!("{sample} becomes {found:?}"));
            }
        } else if recorded.peek().is_some_and(is_invalid) && found.has_error {
            recorded.next();
            is_logged = false;
            if drops && found.sample.is_none() || is_same(found, sample) {
                differences.by_design("a result that is not four values is an error of the script");
            } else {
                differences.fail(format!("after an error {sample} becomes {found:?}"));
            }
        } else if found.sample.is_some() {
            differences.fail(format!("recorded {:?}, found {found:?}", recorded.peek()));
        }
        match errors.checked_sub(usize::from(is_logged)) {
            Some(left) => errors = left,
            None => differences.fail(format!("{sample} is an error, and was none in bucky")),
        }
    }
    if let Some(out) = recorded.next() {
        differences.fail(format!("{out} is dropped"));
    }
    if errors > 0 {
        differences.fail(format!("{errors} errors of bucky are none"));
    }
    Ok(differences.outcome())
}

impl Found {
    fn time(&self) -> f64 {
        self.sample.as_ref().map_or(0.0, |(.., time)| *time)
    }
}

fn is_same(found: &Found, out: &Value) -> bool {
    let Some((host, name, value, time)) = &found.sample else { return false };
    out.as_array().is_some_and(|out| out.len() == 4)
        && out[0].as_str().unwrap_or_default() == host
        && out[1].as_str() == Some(name)
        && number(&out[2]) == Some(*value)
        && number(&out[3]) == Some(*time)
}

/// The body of the function `process` in Rhai, if there is a translation.
fn body(description: &str) -> Option<String> {
    let same = "[host, name, value, time]";
    if description == "returns the four values" {
        return Some(same.to_owned());
    }
    if let Some(name) = description.strip_prefix("drops ") {
        return Some(format!("if name == {} {{ return; }} {same}", json!(name)));
    }
    if let Some(name) = description.strip_prefix("raises for ") {
        return Some(format!("if name == {} {{ throw \"it fails\"; }} {same}", json!(name)));
    }
    if description == "returns None" {
        return Some("return;".to_owned());
    }
    // Expressions with operators are the same in both languages.
    let tuple = description.strip_prefix("returns (")?.strip_suffix(')')?;
    let tuple = tuple.replace('\'', "\"").replace("None", "()");
    let is_simple = |c: char| c.is_alphanumeric() || " \"()+-*/._,".contains(c);
    let words =
        tuple.split('"').step_by(2).flat_map(|code| code.split(|c: char| !c.is_alphabetic()));
    let known = ["", "host", "name", "value", "time"];
    let mut words = words;
    (tuple.chars().all(is_simple) && words.all(|word| known.contains(&word)))
        .then(|| format!("[{tuple}]"))
}

/// What `rules test` shows for the samples.
fn run(body: &str, drops: bool, samples: &[&Value]) -> anyhow::Result<Vec<Found>> {
    let folder = tempfile::tempdir()?;
    let script = format!("fn process(host, name, value, time) {{ {body} }}");
    std::fs::write(folder.path().join("rules.rhai"), script)?;
    let file = folder.path().join("rules.toml");
    std::fs::write(&file, format!("script = \"rules.rhai\"\ndrop_on_error = {drops}\n"))?;
    let mut lines = String::new();
    for sample in samples {
        let fields = sample.as_array().into_iter().flatten();
        let fields: Vec<_> = fields
            .map(|field| match field {
                Value::Null => "-".to_owned(),
                Value::String(text) if text.is_empty() => "-".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
            .collect();
        let is_line = fields.iter().all(|field| !field.contains([' ', '|', '\n']));
        ensure!(is_line, "{sample} cannot be written as a line for `rules test`");
        lines += &fields.join(" ");
        lines.push('\n');
    }
    let shown = rules_test(&file, &lines)?;
    let mut all = Vec::new();
    for line in shown.lines() {
        let Some(result) = line.strip_prefix("  ") else {
            all.push(Found::default());
            continue;
        };
        let found = all.last_mut().context("a result before a sample")?;
        found.has_error |= result.starts_with("error in ") || result.contains(": error in ");
        if let Some(gauge) = result.strip_prefix("info gauge ") {
            let (sample, host) = gauge.split_once(" from ").unwrap_or((gauge, ""));
            let fields: Vec<_> = sample.split(' ').collect();
            let [name, value, time] = fields[..] else { anyhow::bail!("not a sample: {line}") };
            found.sample = Some((host.into(), name.into(), value.parse()?, time.parse()?));
        }
        ensure!(!result.starts_with("not a sample"), "{line}");
    }
    ensure!(all.len() == samples.len(), "{} samples give {shown}", samples.len());
    Ok(all)
}

/// Runs `zibrato-broker rules test`.
fn rules_test(file: &std::path::Path, lines: &str) -> anyhow::Result<String> {
    let mut command = Command::new(program("zibrato-broker"));
    command.args(["rules", "test"]).arg(file);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // The samples of a case fit into the buffers of both pipes.
    ensure!(lines.len() < 16_384, "there are too many samples");
    child.stdin.take().context("a pipe")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    // 65: the script has failed for a sample, which the output shows.
    ensure!(matches!(output.status.code(), Some(0 | 65)), "rules test: {error}");
    Ok(String::from_utf8(output.stdout)?)
}
