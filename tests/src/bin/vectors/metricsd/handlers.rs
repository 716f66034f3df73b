//! The interval of each metric by `metricsd_handlers`: kind `metricsd_handlers`. The handlers are
//! translated by `zibrato-broker bucky-config`.

use crate::bucky::Translated;
use crate::compare::{Differences, Outcome};
use crate::json::{list, number, some_number};
use anyhow::Context as _;
use serde_json::Value;
use std::collections::BTreeSet;
use zibrato_broker::fuzzing::MetricsdPackets;

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let mut differences = Differences::default();
    let handlers = list(&case["input"], "metricsd_handlers")?;
    let default = case["config"].get("metricsd_default_interval").map_or(Ok(10.0), some_number)?;
    let file = format!(
        "metricsd_default_interval = {default:?}\nmetricsd_handlers = {}\n",
        Value::from(handlers)
    );
    let translated = Translated::new(&file)?;
    let flags = ["metricsd-interval", "metricsd-handler"];
    let flags: Vec<_> = flags
        .iter()
        .flat_map(|key| {
            translated.texts("broker", key).into_iter().map(move |value| format!("--{key}={value}"))
        })
        .collect();
    let is_refused = translated.broker_notes().any(|note| note.contains("metricsd_handlers"));
    let opened = MetricsdPackets::new(&flags, 0).ok().filter(|_| !is_refused);
    let raised = case["expect"].get("raised").and_then(Value::as_str);
    let names = list(&case["input"], "names")?;
    let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
    let (packets, raised) = match (opened, raised) {
        (None, Some(_)) => return Ok(differences.outcome()),
        (None, None) if handlers.iter().any(|handler| !is_interval(&handler[1])) => {
            differences.by_design("an interval is a tenth of a second to a day");
            return Ok(differences.outcome());
        }
        (None, None) if handlers.iter().any(|handler| is_python(&handler[0])) => {
            differences.by_design("patterns have no look-around and no references to groups");
            return Ok(differences.outcome());
        }
        (None, None) => {
            differences.fail(format!("the handlers are refused: {:?}", translated.notes()));
            return Ok(differences.outcome());
        }
        (Some(packets), raised) => (packets, raised),
    };
    let recorded = &case["expect"]["interval_by_name"];
    for name in names {
        let found = packets.interval_ms("", name) as f64 / 1e3;
        let Some(raised) = raised else {
            let recorded =
                recorded.get(name).and_then(number).context("an interval of each name")?;
            if found == recorded {
                continue;
            }
            // Of all handlers that match, bucky takes the first.
            let of = |seconds: f64| {
                let is_it = |handler: &&Value| number(&handler[1]) == Some(seconds);
                handlers.iter().filter(is_it).map(priority).reduce(f64::max)
            };
            match (of(found), of(recorded)) {
                (Some(ours), Some(theirs)) if ours > theirs => {
                    differences.by_design("the handler with the largest priority decides");
                }
                _ => differences.fail(format!("{name}: recorded {recorded} s, found {found} s")),
            }
            continue;
        };
        let intervals: BTreeSet<_> =
            handlers.iter().map(|handler| handler[1].to_string()).collect();
        let has_pair =
            handlers.iter().any(|handler| handler.as_array().is_some_and(|h| h.len() == 2));
        let is_known = intervals.iter().any(|seconds| seconds.parse() == Ok(found));
        if has_pair && (is_known || found == default) {
            differences.by_design("a handler without a priority has 100");
        } else {
            differences.fail(format!("bucky ends with {raised}, and {name} has {found} s"));
        }
    }
    Ok(differences.outcome())
}

fn is_interval(seconds: &Value) -> bool {
    number(seconds).is_some_and(|seconds| (0.1..=86_400.0).contains(&seconds))
}

/// Whether a pattern has something that only Python knows.
fn is_python(pattern: &Value) -> bool {
    let pattern = pattern.as_str().unwrap_or_default();
    ["(?=", "(?!", "(?<=", "(?<!", "(?P=", "\\1", "\\2"].iter().any(|part| pattern.contains(part))
}

fn priority(handler: &Value) -> f64 {
    number(&handler[2]).unwrap_or(100.0)
}
