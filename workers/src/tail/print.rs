//! Formats entries in columns for people, or as one JSON object per line for programs.
//!
//! Pure: frames and times are arguments.

use super::names::Names;
use crate::rows::text::duration;
use serde_json::{Map, Value as Json, json};
use std::fmt::{self, Display, Write as _};
use zibrato::wire::{BatchReader, EncodedSummary, Entry, Message, Value, message};
use zibrato::{Annotation, Gauge, Kind, Percentile, Summary};

/// Maximum number of members of a set that are shown to people.
const SHOWN_MEMBERS: usize = 5;

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Human,
    Json,
}

/// The width of the column for the level, which grows with the longest level that was printed.
const LEVEL_WIDTHS: std::ops::RangeInclusive<usize> = 7..=24;

/// Formats the entries with these names.
#[derive(Debug)]
pub(super) struct Printer {
    format: Format,
    names: Names,
    level_width: usize,
}

/// The origin of an entry.
struct Origin<'a> {
    level: &'a str,
    source: &'a str,
    received_ms: u64,
}

impl Printer {
    pub(super) fn new(format: Format, names: Names) -> Self {
        Self { format, names, level_width: *LEVEL_WIDTHS.start() }
    }

    /// Appends the entries of one message to `text`. Messages that are not batches are ignored.
    pub(super) fn print(&mut self, frames: &[&[u8]], now_ms: u64, text: &mut Vec<u8>) {
        if frames.first().is_some_and(|topic| topic.starts_with(b"zb!")) {
            return;
        }
        let (level, stamp, body) = match message(frames) {
            Ok(Message::Batch { level, stamp, body, .. }) => (level, stamp, body),
            Ok(_) => return,
            Err(why) => return tracing::warn!(event = "refused", %why),
        };
        let batch = match BatchReader::new(body) {
            Ok(batch) => batch,
            Err(why) => return tracing::warn!(event = "refused", %why),
        };
        let received_ms = stamp.map_or(now_ms, |stamp| stamp.received_ms);
        let origin = Origin { level, source: batch.source(), received_ms };
        for entry in batch.entries() {
            match entry {
                Ok(entry) if !self.names.include(entry.name) || is_repeated(&entry) => (),
                Ok(entry) => {
                    let line = match self.format {
                        Format::Human => {
                            let width = level.chars().count().min(*LEVEL_WIDTHS.end());
                            self.level_width = self.level_width.max(width);
                            human(&origin, &entry, self.level_width)
                        }
                        Format::Json => json(&origin, &entry).to_string(),
                    };
                    text.extend_from_slice(line.as_bytes());
                    text.push(b'\n');
                }
                Err(why) => tracing::warn!(event = "refused", %why),
            }
        }
    }
}

/// Whether the entry only says that a gauge still has its value.
fn is_repeated(entry: &Entry<'_>) -> bool {
    matches!(&entry.value, Value::Gauge(gauge) if gauge.is_idle())
}

fn human(origin: &Origin<'_>, entry: &Entry<'_>, level_width: usize) -> String {
    let (time, level, source) = (TimeOfDay(origin.received_ms), origin.level, origin.source);
    let (kind, name) = (word(&entry.value), entry.name);
    let mut line = format!("{time} {level:<level_width$} {kind:<10}  {source:<16}  {name:<32}  ");
    let written = match &entry.value {
        Value::Annotation(annotation) => human_annotation(&mut line, annotation),
        Value::Counter(sum) => write!(line, "{}", Plain(*sum)),
        Value::Gauge(gauge) => human_gauge(&mut line, Some(gauge)),
        Value::GaugeReadings(readings) => {
            let gauge = folded(readings.clone());
            human_gauge(&mut line, gauge.as_ref())
        }
        Value::Set(members) => {
            let all: Vec<_> = members.clone().collect();
            let more = if all.len() > SHOWN_MEMBERS { ", …" } else { "" };
            let shown = all.get(..SHOWN_MEMBERS).unwrap_or(&all).join(", ");
            write!(line, "{} members: {shown}{more}", all.len())
        }
        Value::Histogram(summary) => human_histogram(&mut line, &decoded(summary), entry.unit),
        Value::HistogramReadings(readings) => {
            human_histogram(&mut line, &readings.clone().collect(), entry.unit)
        }
        Value::Timer(timer) => human_timer(&mut line, &decoded(timer)),
        Value::TimerReadings(seconds) => human_timer(&mut line, &seconds.clone().collect()),
        // A kind that is newer than this program.
        _ => Ok(()),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
    for (tag, value) in entry.tags.clone() {
        line.push_str("  ");
        line.push_str(tag);
        line.push('=');
        line.push_str(value);
    }
    line
}

/// The time is the duration of an event that has an end.
fn human_annotation(line: &mut String, annotation: &Annotation) -> fmt::Result {
    line.write_str(annotation.title())?;
    if let Some(end_ms) = annotation.end_ms() {
        let seconds = end_ms.saturating_sub(annotation.start_ms()) as f64 / 1e3;
        write!(line, "  took={}", Seconds(seconds))?;
    }
    let links = annotation.links().iter();
    links.into_iter().try_for_each(|link| write!(line, "  {}", link.href()))
}

fn human_gauge(line: &mut String, gauge: Option<&Gauge>) -> fmt::Result {
    let Some(gauge) = gauge else { return line.write_str("no reading") };
    write!(line, "{}", Plain(gauge.last))?;
    if gauge.count > 1 {
        let (min, max) = (Plain(gauge.min), Plain(gauge.max));
        write!(line, "  count={} min={min} max={max}", gauge.count)?;
    }
    Ok(())
}

fn human_timer(line: &mut String, summary: &Summary) -> fmt::Result {
    human_summary(line, summary, Seconds)
}

fn human_histogram(line: &mut String, summary: &Summary, unit: Option<&str>) -> fmt::Result {
    human_summary(line, summary, Short)?;
    unit.map_or(Ok(()), |unit| write!(line, " unit={unit}"))
}

fn human_summary<T: Display>(
    line: &mut String,
    summary: &Summary,
    shown: impl Fn(f64) -> T,
) -> fmt::Result {
    write!(line, "count={}", summary.count())?;
    if summary.is_empty() {
        return Ok(());
    }
    let (mean, max) = (shown(summary.mean()), shown(summary.max()));
    match summary.percentile(Percentile::P99) {
        Some(p99) => write!(line, " mean={mean} p99={} max={max}", shown(p99)),
        None => write!(line, " mean={mean} max={max}"),
    }
}

fn decoded(summary: &EncodedSummary<'_>) -> Summary {
    let mut decoded = Summary::new();
    summary.merge_into(&mut decoded);
    decoded
}

fn json(origin: &Origin<'_>, entry: &Entry<'_>) -> Json {
    let tags: Map<_, Json> = entry.tags.clone().map(|(t, v)| (t.to_owned(), json!(v))).collect();
    let mut object = json!({
        "received_ms": origin.received_ms,
        "level": origin.level,
        "kind": word(&entry.value),
        "source": origin.source,
        "name": entry.name,
        "tags": tags,
    });
    let values = match &entry.value {
        Value::Annotation(annotation) => json_annotation(annotation),
        Value::Counter(sum) => json!({ "value": number(*sum) }),
        Value::Gauge(gauge) => json_gauge(Some(gauge)),
        Value::GaugeReadings(readings) => json_gauge(folded(readings.clone()).as_ref()),
        Value::Set(members) => json!({ "members": members.clone().collect::<Vec<_>>() }),
        Value::Histogram(summary) => json_histogram(&decoded(summary), entry.unit),
        Value::HistogramReadings(readings) => {
            json_histogram(&readings.clone().collect(), entry.unit)
        }
        Value::Timer(timer) => json_summary(&decoded(timer)),
        Value::TimerReadings(seconds) => json_summary(&seconds.clone().collect()),
        // A kind that is newer than this program.
        _ => json!({}),
    };
    if let (Json::Object(object), Json::Object(mut values)) = (&mut object, values) {
        object.append(&mut values);
    }
    object
}

fn json_annotation(annotation: &Annotation) -> Json {
    let links = annotation.links().iter();
    let links = links.map(|l| json!({ "rel": l.rel(), "href": l.href(), "label": l.label() }));
    json!({
        "title": annotation.title(),
        "description": annotation.description(),
        "start_ms": annotation.start_ms(),
        "end_ms": annotation.end_ms(),
        "links": links.collect::<Vec<_>>(),
    })
}

fn json_gauge(gauge: Option<&Gauge>) -> Json {
    let Some(gauge) = gauge else { return json!({ "count": 0 }) };
    json!({
        "value": number(gauge.last),
        "at_ms": gauge.at_ms,
        "count": gauge.count,
        "sum": number(gauge.sum),
        "min": number(gauge.min),
        "max": number(gauge.max),
    })
}

fn json_histogram(summary: &Summary, unit: Option<&str>) -> Json {
    let mut values = json_summary(summary);
    if let Some(unit) = unit {
        values["unit"] = json!(unit);
    }
    values
}

fn json_summary(summary: &Summary) -> Json {
    if summary.is_empty() {
        return json!({ "count": 0 });
    }
    json!({
        "count": summary.count(),
        "sum": number(summary.sum()),
        "mean": number(summary.mean()),
        "min": number(summary.min()),
        "max": number(summary.max()),
        "p50": summary.percentile(Percentile::MEDIAN),
        "p95": summary.percentile(Percentile::P95),
        "p99": summary.percentile(Percentile::P99),
    })
}

/// A JSON number; whole numbers have no fraction.
fn number(value: f64) -> Json {
    if value == value.trunc() && value.abs() < 9_007_199_254_740_992.0 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

fn word(value: &Value<'_>) -> &'static str {
    match value.kind() {
        None => "annotation",
        Some(Kind::Counter) => "counter",
        Some(Kind::Gauge) => "gauge",
        Some(Kind::Histogram) => "histogram",
        Some(Kind::Set) => "set",
        Some(Kind::Timer) => "timer",
        Some(_) => "unknown",
    }
}

fn folded(readings: impl Iterator<Item = (u64, f64)>) -> Option<Gauge> {
    readings.map(|(at_ms, value)| Gauge::reading(value, at_ms)).reduce(|mut all, next| {
        all.merge(&next);
        all
    })
}

/// The time of day in UTC, to the millisecond.
struct TimeOfDay(u64);

impl Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02}.{millis:03}", seconds % 60)
    }
}

/// A number; whole numbers have no fraction.
struct Plain(f64);

impl Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", number(self.0))
    }
}

/// A number with at most four digits after the point.
struct Short(f64);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == self.0.trunc() || !(1e-3..1e15).contains(&self.0.abs()) {
            return write!(f, "{}", Plain(self.0));
        }
        let text = format!("{:.4}", self.0);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A duration with a suitable unit.
struct Seconds(f64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&duration(self.0))
    }
}

#[cfg(test)]
mod tests;
