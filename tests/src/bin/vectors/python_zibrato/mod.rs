//! Lines of Python Zibrato and what its worker for Librato makes of them: group `zibrato`.

mod flush;
mod sources;
mod wire;

use crate::compare::{Differences, Outcome};
use crate::json::text;
use anyhow::{Context as _, bail};
use serde_json::Value;
use zibrato::Kind;
use zibrato::wire::{Line, LineValue};

/// The time at which the clock of the publisher was frozen.
const NOW: f64 = 1_700_000_042.0;

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let mut differences = Differences::default();
    let call = text(case, "call")?;
    match call {
        "Zibrato.pack (clock frozen at 1700000042.7)" => pack(case, &mut differences)?,
        "metric type mapping" => kind(case, &mut differences)?,
        "Librato worker parse" => parse(case, &mut differences)?,
        "Librato worker source sanitising" => sources::check(case, &mut differences)?,
        "Librato worker connect" => connect(case, &mut differences),
        _ if call.starts_with("post each message, then flush") => {
            flush::check(case, &mut differences)?;
        }
        _ if text(case, "id")?.starts_with("zib-wire-") => wire::check(case, &mut differences)?,
        other => bail!("the call `{other}` is unknown"),
    }
    Ok(differences.outcome())
}

/// A measurement as the publisher writes it.
fn pack(case: &Value, differences: &mut Differences) -> anyhow::Result<()> {
    let (args, wire) = (&case["args"], text(case, "wire")?);
    let field =
        |name: &str, default: &'static str| args[name].as_str().unwrap_or(default).to_owned();
    let (level, name) = (field("level", "info"), field("name", "default"));
    let source = field("source", "not_specified");
    let (value, is_number) = match &args["value"] {
        Value::Number(number) => (number.as_f64().context("a number")?, true),
        Value::String(text) if !text.is_empty() => (text.parse()?, true),
        // Without a value it is 1, as everything false is.
        _ => (1.0, false),
    };
    let line = Line {
        level: &level,
        kind: Kind::Gauge,
        name: &name,
        value: LineValue::Number(value),
        timestamp: NOW,
        source: &source,
    };
    if line.check().is_err() {
        // Its fields cannot be told apart.
        match Line::decode(wire.as_bytes()) {
            Ok(_) => differences.fail("a line that is refused can be read"),
            Err(_) if wire == unchecked(&line) => {
                differences.by_design("a line whose fields have bars is refused where it is made");
            }
            Err(_) => differences.fail(format!("recorded {wire}, refused {line}")),
        }
        return Ok(());
    }
    let ours = line.to_string();
    if ours == wire {
        return Ok(());
    }
    let as_true = ours.replace("|1|", "|True|");
    let as_one = ours.replace("|0|", "|1|");
    let is_same = Line::decode(wire.as_bytes()).is_ok_and(|recorded| recorded == line);
    if is_same {
        differences.by_design("numbers are written in another notation");
    } else if value == 0.0 && wire == as_one {
        differences.by_design("a value of zero stays zero");
    } else if !is_number && args["value"] == true && wire == as_true {
        differences.by_design("a value is a number, and not True");
    } else {
        differences.fail(format!("recorded {wire}, found {ours}"));
    }
    Ok(())
}

fn unchecked(line: &Line<'_>) -> String {
    let LineValue::Number(value) = line.value else { return String::new() };
    let (level, name, source) = (line.level, line.name, line.source);
    format!("{level}|Gauge|{name}|{value}|{}|{source}", line.timestamp)
}

/// What the word for a type means.
fn kind(case: &Value, differences: &mut Differences) -> anyhow::Result<()> {
    let word = text(&case["args"], "mtype")?;
    let (worker, other) = (text(case, "librato_worker")?, text(case, "generic_backend")?);
    let Some(kind) = Kind::from_mtype(word) else {
        let known = ["counters", "gauges", "timers"];
        if known.contains(&worker) && known.contains(&other) {
            differences.by_design("a type that is unknown is rejected and counted, not guessed");
        } else {
            differences.fail(format!("recorded {worker} and {other}"));
        }
        return Ok(());
    };
    // Librato's worker delivers all others as gauges.
    let is_sum = kind == Kind::Counter;
    let as_other = match kind {
        Kind::Counter => "counters",
        Kind::Timer => "timers",
        _ => "gauges",
    };
    if (worker == "counters") != is_sum || !["counters", "gauges"].contains(&worker) {
        if kind == Kind::Timer && worker == "counters" {
            differences.by_design("a timer is a timer in whatever case, and never summed up");
        } else {
            differences.fail(format!("{kind:?}: recorded {worker} in Librato's worker"));
        }
    }
    if other != as_other {
        differences.fail(format!("{kind:?}: recorded {other} in others"));
    }
    if kind == Kind::Histogram && !differences.has_reasons() {
        differences.by_design("histograms are a kind of their own");
    }
    Ok(())
}

/// A line as the worker reads it.
fn parse(case: &Value, differences: &mut Differences) -> anyhow::Result<()> {
    let (message, result) = (text(&case["args"], "message")?, &case["result"]);
    let time = result["measure_time"].as_str().unwrap_or_default();
    match (Line::decode(message.as_bytes()), result["raises"].is_string()) {
        // The old worker ends, and ours counts the line.
        (Err(_), true) => {}
        (Ok(line), false) if time.parse() == Ok(line.timestamp) && is_read(result, &line) => {}
        (Err(_), false) if time.parse::<f64>().is_err() => {
            // Everything else of it is the same.
            let with_time = message.replace(&format!("|{time}|"), "|1|");
            match Line::decode(with_time.as_bytes()) {
                Ok(line) if is_read(result, &line) => {
                    differences.by_design("a time that is not a number is rejected");
                }
                found => differences.fail(format!("recorded {result}, found {found:?}")),
            }
        }
        (found, _) => differences.fail(format!("recorded {result}, found {found:?}")),
    }
    Ok(())
}

/// Whether a line is what the worker reads, apart from its time.
fn is_read(result: &Value, line: &Line<'_>) -> bool {
    let kind = if line.kind == Kind::Counter { "counters" } else { "gauges" };
    let value = result["value"].as_f64().map(LineValue::Number);
    result["type"] == kind
        && result["name"] == line.name
        && result["source"] == line.source
        && value == Some(line.value)
}

/// How the worker looks whether the service is there.
fn connect(case: &Value, differences: &mut Differences) {
    let is_head = case["method"] == "HEAD" && case["path"] == "/v1/metrics";
    if is_head && case["result"]["returns"] == 200 {
        differences.by_design("the check of the credentials is a request for metrics, not HEAD");
    } else {
        differences
            .fail(format!("recorded {} {} {}", case["method"], case["path"], case["result"]));
    }
}
