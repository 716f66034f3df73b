//! Lines, and what the workers for Librato deliver of them.

use super::sources::{is_marked, old};
use crate::compare::{Differences, is_equal};
use crate::json::texts;
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::time::Duration;
use zibrato::window::Window;
use zibrato::wire::Line;
use zibrato_tests::fake::{Reply, ScriptedServer};
use zibrato_workers::librato::{Librato, LibratoFlags};
use zibrato_workers::{Backend, BackendProgram};

/// The start of the window, in Unix seconds.
const START: u64 = 1_700_000_040;

/// A hundred years: the times of the cases are not today's.
const LONG: Duration = Duration::from_secs(100 * 365 * 86_400);

fn worker(url: Option<&str>) -> anyhow::Result<Librato> {
    let mut flags = LibratoFlags::new("user@example.com", "tok123");
    (flags.accept_past, flags.accept_future) = (LONG, LONG);
    if let Some(url) = url {
        flags.api_url = url.to_owned();
    }
    Librato::open(flags).map_err(|failure| anyhow::anyhow!(failure.message))
}

fn window(lines: &[String]) -> anyhow::Result<Window> {
    let mut window = Window::new(START * 1000, 60_000, 1000);
    for line in lines {
        window.fold_line(&Line::decode(line.as_bytes()).with_context(|| line.clone())?);
    }
    Ok(window)
}

/// The gauges that are delivered of lines.
pub(super) fn gauges(lines: &[String]) -> anyhow::Result<Vec<Value>> {
    let payloads = worker(None)?.payloads(window(lines)?);
    let mut all = Vec::new();
    for payload in payloads {
        let body: Value = serde_json::from_slice(&payload.body)?;
        all.extend(body["gauges"].as_array().context("no gauges")?.iter().cloned());
    }
    Ok(all)
}

/// A series and its value.
struct Found {
    source: String,
    name: String,
    sum: f64,
    time: u64,
}

fn found(gauge: &Value) -> anyhow::Result<Found> {
    let text =
        |field: &str| gauge[field].as_str().map(str::to_owned).with_context(|| field.to_owned());
    let sum = gauge["sum"].as_f64().or_else(|| gauge["value"].as_f64()).context("a value")?;
    let time = match &gauge["measure_time"] {
        Value::String(text) => text.parse()?,
        time => time.as_u64().context("a time")?,
    };
    Ok(Found { source: text("source")?, name: text("name")?, sum, time })
}

/// Runs one case.
pub(super) fn check(case: &Value, differences: &mut Differences) -> anyhow::Result<()> {
    let lines = texts(&case["args"]["messages"]);
    let recorded = case["body"]["gauges"].as_array().context("the case has no gauges")?;
    let recorded = recorded.iter().map(found).collect::<anyhow::Result<Vec<_>>>()?;
    let gauges = gauges(&lines)?;
    let ours = gauges.iter().map(found).collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!recorded.is_empty() && !ours.is_empty(), "nothing is delivered");
    // Each of ours belongs to a series of theirs, and the sums are the same.
    for one in &ours {
        if !recorded.iter().any(|theirs| is_same(theirs, one)) {
            differences.fail(format!("{} {} was not recorded", one.source, one.name));
        }
    }
    for theirs in &recorded {
        let is_series = |other: &&Found| other.source == theirs.source && other.name == theirs.name;
        let total: f64 = recorded.iter().filter(is_series).map(|one| one.sum).sum();
        let same: Vec<_> = ours.iter().filter(|one| is_same(theirs, one)).collect();
        let sum: f64 = same.iter().map(|one| one.sum).sum();
        if is_equal(total, sum) {
            // The same.
        } else if (total - sum).abs() <= total.abs() * 5e-12 && !same.is_empty() {
            differences.by_design("sums have all their digits, not twelve");
        } else {
            differences
                .fail(format!("{} {}: recorded {total}, found {sum}", theirs.source, theirs.name));
        }
        if same.iter().any(|one| one.source != theirs.source) {
            differences.by_design("a source that the API accepts is not changed");
        }
        if same.iter().any(|one| one.name != theirs.name) {
            differences.by_design("a name that the API does not accept is made legal");
        }
        if recorded.iter().filter(is_series).count() > same.len() {
            differences.by_design("the readings of a timer are summed up to one gauge");
        }
        for one in same {
            match one.time {
                time if time == theirs.time => {}
                START => differences.by_design("the time of a sum is the start of its window"),
                time => {
                    differences.fail(format!("recorded the time {}, found {time}", theirs.time))
                }
            }
        }
    }
    if gauges.iter().any(|gauge| !gauge["measure_time"].is_u64()) {
        bail!("a time is not a whole number");
    }
    differences.by_design("times are numbers, not texts");
    send(case, &lines, differences)
}

fn is_same(recorded: &Found, found: &Found) -> bool {
    let is_name = recorded.name == found.name || is_marked(&recorded.name, &found.name);
    is_name && recorded.source == old(&found.source)
}

/// Sends the lines to a server that answers as recorded.
fn send(case: &Value, lines: &[String], differences: &mut Differences) -> anyhow::Result<()> {
    let server = ScriptedServer::start()?;
    let response = &case["response"];
    let status = response["status"].as_u64().context("the status of the answer")?;
    let body = response["body"].as_str().unwrap_or_default();
    server.answer_always(Some(Reply::status(status.try_into()?).body(body)));
    let mut worker = worker(Some(&server.url()))?;
    let payloads = worker.payloads(window(lines)?);
    let sent = payloads.iter().try_for_each(|payload| worker.send(payload));
    match (sent, case["result"]["raises"].is_string()) {
        (Ok(()), false) => {}
        (Err(zibrato_workers::SendError::Retry { .. }), true) => {
            differences
                .by_design("what the server cannot take now is sent again, and ends nothing");
        }
        (sent, _) => differences.fail(format!("recorded {}, found {sent:?}", case["result"])),
    }
    for request in server.requests() {
        let header = |name: &str| request.header(name).map(str::to_owned);
        let is_same = case["method"] == request.method
            && case["path"] == request.path
            && case["headers"]["authorization"].as_str() == header("authorization").as_deref()
            && case["headers"]["content-type"].as_str() == header("content-type").as_deref();
        if !is_same {
            differences.fail(format!("{} {}: the request differs", request.method, request.path));
        }
    }
    Ok(())
}
