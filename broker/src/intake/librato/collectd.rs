//! From CollectD's value lists to values. An invalid list does not affect the others: CollectD sends
//! nothing again.
//!
//! Names, rates and the treatment of each kind are those of the CollectD intake. Types are those that the
//! sender names, so no `types.db` is needed, and there are no limits of values.
//!
//! Pure: takes times, opens nothing.

use super::answer::Answer;
use super::checked::{Clock, MAX_AHEAD};
use super::faults::Faults;
use super::scalar::Scalar;
use super::value_lists::{Exact, MAX_VALUES, ValueList, ValueLists};
use crate::intake::collectd::{
    Converter, DataSource, ListId, MAX_TEXT_BYTES, Sample, SourceKind, UNITS_PER_SECOND,
};
use serde_json::json;

/// Why something is not taken: the word of the counter, and a sentence.
pub(super) type Why = (&'static str, String);

/// What became of the value lists of a request.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Number of values that are not in `faults` and not `unknown`. Of those of which only differences
    /// mean something, the first ones give no measurement.
    pub(super) accepted: usize,
    /// Number of gauges that CollectD does not know.
    pub(super) unknown: usize,
    /// The last of them, for the log.
    pub(super) sample: String,
    pub(super) failed: usize,
    pub(super) faults: Faults,
}

impl Taken {
    /// The answer to a request with so many values. It is an error if all of them failed: CollectD logs
    /// other answers than 200, and sends nothing again.
    pub(super) fn answer(&self, total: usize) -> Answer {
        let Self { accepted, unknown, failed, faults, .. } = self;
        let summary = json!({
            "total": total, "accepted": accepted, "failed": failed, "filtered": unknown
        });
        let mut body = faults.body();
        if faults.is_empty() {
            body = json!({});
        }
        body["measurements"] = json!({ "summary": summary });
        Answer::json(if *failed == total { 400 } else { 200 }, &body)
    }
}

/// A valid list.
struct Checked<'a> {
    id: ListId<'a>,
    sources: Vec<DataSource>,
    readings: Vec<u64>,
}

/// Takes the lists of a request: passes each value to `give`, which can refuse it. `uptime_ms` is for
/// how long the intake has been open.
pub(super) fn take(
    converter: &mut Converter,
    lists: &ValueLists<'_>,
    (clock, uptime_ms): (Clock, u64),
    mut give: impl FnMut(&Sample<'_>) -> Result<(), Why>,
) -> Taken {
    let mut taken = Taken::default();
    for (at, list) in lists.lists.iter().enumerate() {
        let count = list.values.all.len().max(1);
        let Checked { id, sources, readings } = match checked(list, clock) {
            Ok(checked) => checked,
            Err((reason, why)) => {
                taken.faults.add(&label(list, at), reason, why);
                taken.failed += count;
                continue;
            }
        };
        let clocks = (clock.now_ms, uptime_ms);
        let (mut failed, mut unknown) = (0, 0);
        converter.convert(&id, &sources, readings.iter().copied(), clocks, |value| {
            let refused = match value {
                Ok(sample) => give(&sample),
                Err((source, "value")) if source.kind == SourceKind::Gauge => {
                    unknown += 1;
                    taken.sample = format!("{id}: {}", source.name);
                    return;
                }
                Err((source, reason)) => {
                    Err((reason, format!("{}: {}", source.name, meaning(reason))))
                }
            };
            if let Err((reason, why)) = refused {
                taken.faults.add(&id.to_string(), reason, why);
                failed += 1;
            }
        });
        taken.failed += failed;
        taken.unknown += unknown;
        taken.accepted += count - failed - unknown;
    }
    taken
}

/// What a reason of the CollectD intake means.
fn meaning(reason: &str) -> &'static str {
    match reason {
        "late" => "is not newer than the last value of this list",
        "series" => "the rates of too many lists are kept",
        _ => "is not a number",
    }
}

/// How a list is called in errors: by its identity, or by its place.
fn label(list: &ValueList<'_>, at: usize) -> String {
    match identity(list) {
        Ok(id) => id.to_string(),
        Err(_) => format!("[{at}]"),
    }
}

fn checked<'a>(list: &'a ValueList<'_>, clock: Clock) -> Result<Checked<'a>, Why> {
    let mut id = identity(list)?;
    id.time = time(&list.time, clock)?;
    id.interval = match list.interval.number() {
        Ok(interval) => units(interval.unwrap_or(0.0)),
        Err(_) => return fault("type", "interval: is not a number of seconds"),
    };
    let ValueList { values, kinds, names, .. } = list;
    for (field, is_wrong) in
        [("values", values.is_wrong), ("dstypes", kinds.is_wrong), ("dsnames", names.is_wrong)]
    {
        if is_wrong {
            return fault("type", format!("{field}: are not a list"));
        }
    }
    let count = values.all.len();
    if count == 0 {
        return fault("value", "values: are missing");
    }
    if count > MAX_VALUES {
        return fault("value", format!("values: are more than {MAX_VALUES}"));
    }
    if kinds.all.len() != count || names.all.len() != count {
        return fault("value", "values, dstypes and dsnames: differ in number");
    }
    let (mut sources, mut readings) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for ((value, kind), name) in values.all.iter().zip(&kinds.all).zip(&names.all) {
        let name = text("dsnames", name)?;
        let kind = kind.text().ok().flatten().unwrap_or_default();
        let Some(source) = DataSource::unlimited(name, kind) else {
            return fault("type", "dstypes: must be absolute, counter, derive or gauge");
        };
        readings
            .push(reading(source.kind, *value).map_err(|why| ("value", format!("{name}: {why}")))?);
        sources.push(source);
    }
    Ok(Checked { id, sources, readings })
}

/// The identity of a list, without its time.
fn identity<'a>(list: &'a ValueList<'_>) -> Result<ListId<'a>, Why> {
    if list.is_wrong {
        return fault("type", "is not an object");
    }
    let plugin = text("plugin", &list.plugin)?;
    let type_name = text("type", &list.type_name)?;
    for (field, text) in [("plugin", plugin), ("type", type_name)] {
        if text.is_empty() {
            return fault("name", format!("{field}: is missing"));
        }
    }
    Ok(ListId {
        host: text("host", &list.host).map_err(|(_, why)| ("source", why))?,
        plugin,
        plugin_instance: text("plugin_instance", &list.plugin_instance)?,
        type_name,
        type_instance: text("type_instance", &list.type_instance)?,
        time: 0,
        interval: 0,
    })
}

/// A part of the identity; empty if it is missing.
fn text<'a>(field: &str, of: &'a Scalar<'_>) -> Result<&'a str, Why> {
    match of.text() {
        Err(_) => fault("name", format!("{field}: is not a text")),
        Ok(Some(text)) if text.len() > MAX_TEXT_BYTES => {
            fault("name", format!("{field}: is longer than {MAX_TEXT_BYTES} bytes"))
        }
        Ok(Some(text)) if text.contains(['\0', char::REPLACEMENT_CHARACTER]) => {
            fault("name", format!("{field}: is not UTF-8, or contains NUL"))
        }
        Ok(text) => Ok(text.unwrap_or_default()),
    }
}

/// The time in units of 2^-30 s.
fn time(time: &Scalar<'_>, Clock { now_ms, max_age }: Clock) -> Result<u64, Why> {
    let now = now_ms / 1_000;
    match time.number() {
        Ok(Some(time)) if time < now.saturating_sub(max_age) as f64 => {
            fault("time", "time: is too far in the past")
        }
        Ok(Some(time)) if time >= (now + MAX_AHEAD + 1) as f64 => {
            fault("time", "time: is too far in the future")
        }
        Ok(Some(time)) => Ok(units(time)),
        Ok(None) => fault("time", "time: is missing"),
        Err(_) => fault("time", "time: is not a number of seconds since 1970"),
    }
}

/// From seconds to units of 2^-30 s. What is negative is 0.
fn units(seconds: f64) -> u64 {
    (seconds * UNITS_PER_SECOND as f64) as u64
}

/// A reading as the converter takes it.
fn reading(kind: SourceKind, value: Exact) -> Result<u64, &'static str> {
    match (kind, value) {
        (_, Exact::Wrong) => Err("is not a number"),
        (SourceKind::Gauge, value) => Ok(match value {
            Exact::Float(value) => value,
            Exact::Signed(value) => value as f64,
            Exact::Unsigned(value) => value as f64,
            Exact::Null | Exact::Wrong => f64::NAN,
        }
        .to_bits()),
        (SourceKind::Derive, Exact::Signed(value)) => Ok(value.cast_unsigned()),
        (_, Exact::Unsigned(value)) => Ok(value),
        // A rate would be taken for a total, and its changes for the rate.
        _ => Err("is not a whole number; write_http needs StoreRates false"),
    }
}

fn fault<T>(reason: &'static str, why: impl Into<String>) -> Result<T, Why> {
    Err((reason, why.into()))
}

#[cfg(test)]
mod tests;
