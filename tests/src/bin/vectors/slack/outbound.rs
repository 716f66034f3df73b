//! Messages about alerts and digests: the windows of a case go through the backend, with the times of
//! now, because a worker says nothing about alerts of long ago.

use crate::compare::{Differences, Outcome};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use zibrato::Gauge;
use zibrato::clock::unix_ms;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter};
use zibrato_workers::slack::{Mode, Slack, SlackFlags};
use zibrato_workers::{Backend as _, BackendProgram as _};

const MINUTE_MS: u64 = 60_000;

/// A gauge: its name, its source, and its readings in a window.
type Row = (String, String, Vec<f64>);

/// A window of a minute with gauges.
fn window(start_ms: u64, rows: &[Row]) -> anyhow::Result<Window> {
    let mut window = Window::new(start_ms, MINUTE_MS, 1_000);
    for (metric, source, values) in rows {
        let mut batch = BatchWriter::new(source, start_ms, MINUTE_MS);
        let readings = values.iter().zip(0_u64..);
        let readings = readings.map(|(value, at)| Gauge::reading(*value, start_ms + at * 1_000));
        let gauge = readings.reduce(|mut all, next| {
            all.merge(&next);
            all
        });
        batch.gauge(metric, &[], &gauge.context("a row has no value")?);
        let (body, mut refused) = (batch.finish(), None);
        window.fold_batch(&BatchReader::new(&body)?, |why| refused = Some(why.to_string()));
        ensure!(refused.is_none(), "{metric}: {refused:?}");
    }
    Ok(window)
}

fn numbers(value: &Value) -> anyhow::Result<Vec<f64>> {
    let list = value.as_array().context("`series` is no list")?;
    list.iter().map(|one| one.as_f64().context("a value is no number")).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The body of the last message that windows of these rows cause, one value after the other. Also the
/// start of the first window, in Unix milliseconds.
fn last_body(
    slack: &mut Slack,
    rows: &[Row],
    all_in_last: bool,
) -> anyhow::Result<(Option<Value>, u64)> {
    let count = rows.iter().map(|(.., values)| values.len()).max().unwrap_or(1);
    let now_ms = unix_ms() / MINUTE_MS * MINUTE_MS;
    let first_ms = now_ms - count as u64 * MINUTE_MS;
    let mut last = None;
    for at in 0..count {
        let is_last = all_in_last && at + 1 == count;
        let of = |(metric, source, values): &Row| {
            let values = if is_last { values.clone() } else { vec![values[at]] };
            (metric.clone(), source.clone(), values)
        };
        let rows: Vec<_> = rows.iter().map(of).collect();
        let window = window(first_ms + at as u64 * MINUTE_MS, &rows)?;
        last = slack.payloads(window).pop().or(last);
    }
    let body = last.map(|payload| serde_json::from_slice(&payload.body)).transpose()?;
    Ok((body, first_ms))
}

/// Marks all texts as verbatim.
fn verbatim(body: &mut Value) {
    match body {
        Value::Array(all) => all.iter_mut().for_each(verbatim),
        Value::Object(fields) => {
            if fields.get("type") == Some(&json!("mrkdwn")) {
                fields.insert("verbatim".to_owned(), json!(true));
            }
            fields.values_mut().for_each(verbatim);
        }
        _ => {}
    }
}

const VERBATIM: &str = "texts are verbatim, so that names that look like hosts do not become links";

fn differ(expected: &Value, found: &Value, reasons: &[&str]) -> Outcome {
    let mut differences = Differences::default();
    reasons.iter().for_each(|reason| differences.by_design(reason));
    if expected != found {
        differences.fail(format!("expected {expected}, found {found}"));
    }
    differences.outcome()
}

/// A message about an alert.
pub(crate) fn check_alert(case: &Value) -> anyhow::Result<Outcome> {
    let input = &case["input"];
    let (rule, state) = (text(&input["rule"]), text(&input["state"]));
    let series = numbers(&input["series"])?;
    let limit = if input["op"] == ">" { "above" } else { "below" };
    let mut rules = format!(
        "[[rule]]\nname = {}\nmetric = {}\n{limit} = {}\n",
        input["rule"], input["metric"], input["thr"]
    );
    if state == "resolved" {
        rules += &format!("clear = {}\n", input["value"]);
    }
    if input["runbook"].is_string() {
        rules += &format!("runbook = {}\n", input["runbook"]);
    }
    let folder = std::env::temp_dir().join(format!("zibrato-vectors-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{}.toml", text(&case["id"])));
    std::fs::write(&file, rules)?;
    let mut flags = SlackFlags::webhook("http://127.0.0.1:1/x");
    flags.mode = Mode::Alert;
    flags.alert.alert_state = Some(file.with_extension("json"));
    flags.alert.alert_rules = Some(file.clone());
    let opened = Slack::open(flags);
    std::fs::remove_file(&file).ok();
    std::fs::remove_dir(&folder).ok();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    let mut slack = match opened {
        Err(why) if !rule.chars().all(is_plain) => {
            let is_named = why.message.contains("letters, digits");
            ensure!(is_named, "{why}");
            let mut differences = Differences::default();
            differences.by_design("the name of a rule has only letters, digits and ._:-");
            return Ok(differences.outcome());
        }
        opened => opened.map_err(|why| anyhow::anyhow!("{why}"))?,
    };
    let rows = [(text(&input["metric"]), text(&input["source"]), series.clone())];
    let (found, first_ms) = last_body(&mut slack, &rows, false)?;
    let found = found.context("nothing was posted")?;
    let limit = input["thr"].as_f64().unwrap_or_default();
    let begins = |value: &f64| if input["op"] == ">" { *value > limit } else { *value < limit };
    let begun = series.iter().position(begins).context("no value begins the alert")? as u64;
    let since = (first_ms + begun * MINUTE_MS) / 1_000;
    let since = since.to_string();
    let recorded = case["body"].to_string().replace(&input["since"].to_string(), &since);
    let mut expected: Value = serde_json::from_str(&recorded)?;
    let light = if state == "resolved" { ":large_green_circle:" } else { ":red_circle:" };
    let header = format!("{light} {}", text(&expected["blocks"][0]["text"]["text"]));
    expected["blocks"][0]["text"]["text"] = json!(header);
    let mut reasons = vec![VERBATIM, "the header has the colour of the state"];
    if state == "resolved" {
        let lasted = format!("lasted {} min", series.len());
        let context = expected["blocks"].as_array_mut().and_then(|blocks| blocks.last_mut());
        if let Some(elements) = context.and_then(|block| block["elements"].as_array_mut()) {
            elements.insert(0, json!({"type": "mrkdwn", "text": lasted}));
        }
        reasons.push("an alert that has ended says how long it lasted");
    }
    verbatim(&mut expected);
    Ok(differ(&expected, &found, &reasons))
}

/// A digest.
pub(crate) fn check_digest(case: &Value) -> anyhow::Result<Outcome> {
    let input = &case["input"];
    let mut flags = SlackFlags::webhook("http://127.0.0.1:1/x");
    flags.title = text(&input["title"]);
    let mut slack = Slack::open(flags).map_err(|why| anyhow::anyhow!("{why}"))?;
    let rows: Vec<Row> = match &input["rows"] {
        // m000 to m059, of which each has i and i + 1.
        Value::String(_) => {
            let row =
                |i: u32| (format!("m{i:03}"), "h".to_owned(), vec![f64::from(i), f64::from(i + 1)]);
            (0..60).map(row).collect()
        }
        rows => {
            let rows = rows.as_array().context("`rows` is no list")?;
            let row = |row: &Value| {
                Ok((text(&row["metric"]), text(&row["source"]), numbers(&row["series"])?))
            };
            rows.iter().map(row).collect::<anyhow::Result<_>>()?
        }
    };
    if rows.is_empty() {
        let (found, _) = last_body(&mut slack, &rows, true)?;
        let mut differences = Differences::default();
        differences.by_design("a window without measurements gives no message");
        if let Some(found) = found {
            differences.fail(format!("found {found}"));
        }
        return Ok(differences.outcome());
    }
    let (found, _) = last_body(&mut slack, &rows, true)?;
    let mut found = found.context("nothing was posted")?;
    let reasons = [
        VERBATIM,
        "limits belong to alerts, which have messages of their own",
        "the series that changed most come first, and not those above a limit",
        "the window is shown with its date and its times, and with the number of series",
    ];
    let title = text(&input["title"]);
    let mut expected = case["body"].clone();
    if expected.is_null() {
        let summary = &case["body_summary"];
        let blocks = found["blocks"].as_array().context("there are no blocks")?;
        let found = json!({
            "text": found["text"], "blocks": blocks.len(),
            "third_block": blocks.get(2), "last_block": blocks.last(),
        });
        let mut expected = json!({
            "text": format!("{title}: {} series", rows.len()), "blocks": summary["blocks"],
            "third_block": summary["third_block"], "last_block": summary["last_block"],
        });
        verbatim(&mut expected);
        return Ok(differ(&expected, &found, &reasons));
    }
    expected["text"] = json!(format!("{title}: {} series", rows.len()));
    expected = serde_json::from_str(&expected.to_string().replace(":red_circle: ", ""))?;
    verbatim(&mut expected);
    for body in [&mut expected, &mut found] {
        let blocks = body["blocks"].as_array_mut().context("there are no blocks")?;
        ensure!(blocks.get(1).is_some_and(|block| block["type"] == "context"), "no window");
        blocks.remove(1);
        blocks.sort_by_key(ToString::to_string);
    }
    Ok(differ(&expected, &found, &reasons))
}
