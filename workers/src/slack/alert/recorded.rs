//! Reads a recorded stream: the lines of a journal (`zibrato-broker journal dump --lines`), or the
//! JSON of `zibrato-tail --json`.
//!
//! Pure.

use serde_json::Value;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter, Line, LineValue};
use zibrato::{Gauge, Kind, Summary};

/// The last millisecond of the year 9999. A later time is a mistake, and has no date.
const LATEST_MS: u64 = 253_402_300_799_999;

/// A batch of one entry, and its time in Unix milliseconds.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at_ms: u64,
    body: Vec<u8>,
}

impl Entry {
    /// Reads a line; `None` for one without an entry, such as a comment.
    pub(super) fn read(text: &str) -> Option<Result<Self, String>> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() || text.starts_with('#') {
            return None;
        }
        let entry = if text.starts_with('{') { of_json(text) } else { of_line(text) };
        Some(entry.and_then(|entry| match entry.at_ms {
            ..=LATEST_MS => Ok(entry),
            at_ms => Err(format!("its time, {at_ms} ms, is after the year 9999")),
        }))
    }

    /// Adds it to a window.
    pub(super) fn fold(&self, window: &mut Window) {
        if let Ok(batch) = BatchReader::new(&self.body) {
            window.fold_batch(&batch, |why| tracing::warn!(event = "refused", %why));
        }
    }
}

fn of_line(text: &str) -> Result<Entry, String> {
    let mut parts = text.split('\t');
    let line = Line::decode(parts.next().unwrap_or_default().as_bytes())
        .map_err(|why| format!("{why}; expected level|type|name|value|time|source"))?;
    let tags: Vec<_> = parts.filter_map(|tag| tag.split_once('=')).collect();
    let at_ms = line.timestamp_ms();
    let mut batch = BatchWriter::new(line.source, at_ms, 1);
    match (line.kind, line.value) {
        (Kind::Counter, LineValue::Number(value)) => batch.counter(line.name, &tags, value),
        (Kind::Histogram, LineValue::Number(value)) => {
            batch.histogram_readings(line.name, &tags, None, &[value]);
        }
        (Kind::Timer, LineValue::Number(value)) => batch.timer_readings(line.name, &tags, &[value]),
        (_, LineValue::Number(value)) => {
            batch.gauge(line.name, &tags, &Gauge::reading(value, at_ms));
        }
        (_, LineValue::Member(member)) => batch.set(line.name, &tags, [member].into_iter()),
    }
    Ok(Entry { at_ms, body: batch.finish() })
}

fn of_json(text: &str) -> Result<Entry, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let missing = |key: &str| format!("`{key}` is missing; expected a line of zibrato-tail --json");
    let text = |key: &str| json[key].as_str().ok_or_else(|| missing(key));
    let number = |key: &str| json[key].as_f64().ok_or_else(|| missing(key));
    let at_ms = json["received_ms"].as_u64().ok_or_else(|| missing("received_ms"))?;
    let (kind, name, source) = (text("kind")?, text("name")?, text("source")?);
    let pairs = json["tags"].as_object().into_iter().flatten();
    let tags: Vec<_> =
        pairs.filter_map(|(tag, value)| Some((tag.as_str(), value.as_str()?))).collect();
    let is_empty = json["count"] == 0;
    let summary = || -> Result<Summary, String> {
        let (sum, min, max) = (number("sum")?, number("min")?, number("max")?);
        Ok(Summary::folded(number("count")? as u64, sum, min, max, 0.0))
    };
    let mut batch = BatchWriter::new(source, at_ms, 1);
    match kind {
        "counter" => batch.counter(name, &tags, number("value")?),
        "gauge" | "timer" | "histogram" if is_empty => {}
        "gauge" => {
            let mut gauge = Gauge::reading(number("value")?, at_ms);
            gauge.count = number("count")? as u64;
            (gauge.sum, gauge.min, gauge.max) = (number("sum")?, number("min")?, number("max")?);
            batch.gauge(name, &tags, &gauge);
        }
        "timer" => batch.timer(name, &tags, &summary()?),
        "histogram" => batch.histogram(name, &tags, json["unit"].as_str(), &summary()?),
        "set" => {
            let members = json["members"].as_array().into_iter().flatten();
            let members: Vec<_> = members.filter_map(Value::as_str).collect();
            batch.set(name, &tags, members.into_iter());
        }
        // Such as a kind that is newer than this program, which has no value to compare.
        _ => {}
    }
    Ok(Entry { at_ms, body: batch.finish() })
}
