//! The measurements in the body of a request, and what is wrong with them.
//!
//! Pure, but for the time of measurements without one.

use super::Total;
use serde_json::{Map, Value, json};

/// Larger numbers are rejected.
const MAX_NUMBER: f64 = 1e126;

/// A gauge or counter of a body.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) measure_time: u64,
    pub(super) total: Total,
}

/// Every gauge and counter of a body, or the first error: a single invalid one makes the service
/// reject all.
pub(super) fn entries(body: &Map<String, Value>) -> Result<Vec<Entry>, Value> {
    if !body.contains_key("gauges") && !body.contains_key("counters") {
        return Err(json!({"request": ["has neither gauges nor counters"]}));
    }
    let mut all = Vec::new();
    for (kind, may_be_folded) in [("gauges", Folded::May), ("counters", Folded::MayNot)] {
        match body.get(kind) {
            None => {}
            Some(Value::Array(list)) => {
                for one in list {
                    all.push(entry(body, None, one, may_be_folded)?);
                }
            }
            Some(Value::Object(by_name)) => {
                for (name, one) in by_name {
                    all.push(entry(body, Some(name), one, may_be_folded)?);
                }
            }
            Some(_) => return Err(params(kind, "is neither a list nor an object")),
        }
    }
    Ok(all)
}

/// Every measurement of a tagged body, or the first error.
pub(super) fn tagged(body: &Map<String, Value>) -> Result<Vec<Entry>, Value> {
    let Some(Value::Array(all)) = body.get("measurements") else {
        return Err(params("measurements", "is not a list"));
    };
    all.iter().map(|one| measurement(body, one)).collect()
}

fn measurement(body: &Map<String, Value>, one: &Value) -> Result<Entry, Value> {
    let Value::Object(one) = one else { return Err(params("measurements", "is no object")) };
    let mut name = one.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !is_legal(&name) {
        return Err(params("name", "is invalid"));
    }
    let Some(Value::Object(tags)) = one.get("tags").or_else(|| body.get("tags")) else {
        return Err(params("tags", "at least one tag is needed"));
    };
    if tags.is_empty() || tags.len() > 50 {
        return Err(params("tags", "are none or too many"));
    }
    let mut source = "unassigned";
    for (tag, value) in tags {
        let value = value.as_str().unwrap_or_default();
        let is_value = |c: char| is_legal_char(c) || "?\\/ ".contains(c);
        let fits = (1..=64).contains(&tag.len()) && (1..=255).contains(&value.len());
        if !fits || !tag.chars().all(is_legal_char) || !value.chars().all(is_value) {
            return Err(params("tags", "are invalid"));
        }
        if tag.eq_ignore_ascii_case("source") {
            source = value;
        } else {
            name.extend([";", tag, "=", value]);
        }
    }
    let measure_time = match one.get("time").or_else(|| body.get("time")) {
        None | Some(Value::Null) => zibrato::clock::unix_ms() / 1000,
        Some(time) => time.as_u64().ok_or_else(|| params("time", "is not an integer"))?,
    };
    let total = total(one, Folded::May)?;
    Ok(Entry { name, source: source.to_owned(), measure_time, total })
}

#[derive(Clone, Copy, PartialEq)]
enum Folded {
    May,
    MayNot,
}

pub(super) fn params(what: &str, why: &str) -> Value {
    json!({"params": {what: [why]}})
}

fn entry(
    body: &Map<String, Value>,
    name: Option<&str>,
    one: &Value,
    folded: Folded,
) -> Result<Entry, Value> {
    let Value::Object(one) = one else { return Err(params("gauges", "is no object")) };
    let name = one.get("name").and_then(Value::as_str).or(name).unwrap_or_default();
    if !is_legal(name) {
        return Err(params("name", "is invalid"));
    }
    let source = match one.get("source").or_else(|| body.get("source")) {
        None | Some(Value::Null) => "unassigned",
        Some(Value::String(source)) if is_legal(source) && !source.eq_ignore_ascii_case("all") => {
            source
        }
        Some(_) => return Err(params("source", "is invalid")),
    };
    let measure_time = match one.get("measure_time").or_else(|| body.get("measure_time")) {
        None | Some(Value::Null) => zibrato::clock::unix_ms() / 1000,
        Some(time) => time.as_u64().ok_or_else(|| params("measure_time", "is not an integer"))?,
    };
    let total = total(one, folded)?;
    Ok(Entry { name: name.to_owned(), source: source.to_owned(), measure_time, total })
}

fn total(one: &Map<String, Value>, folded: Folded) -> Result<Total, Value> {
    let number = |key: &str| match one.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) if number.abs() <= MAX_NUMBER => Ok(Some(number)),
            Some(_) => Err(params(key, "is too large")),
            None => Err(params(key, "is not a number")),
        },
    };
    let (value, sum) = (number("value")?, number("sum")?);
    let (min, max) = (number("min")?, number("max")?);
    number("sum_squares")?;
    let count = match one.get("count") {
        None => None,
        Some(count) => match count.as_u64() {
            Some(count) if count > 0 => Some(count),
            _ => return Err(params("count", "is not a positive integer")),
        },
    };
    match (value, count, sum) {
        (Some(value), None, None) => Ok(Total { count: 1, sum: value, min: value, max: value }),
        (None, Some(count), Some(sum)) if folded == Folded::May => {
            let mean = sum / count as f64;
            Ok(Total { count, sum, min: min.unwrap_or(mean), max: max.unwrap_or(mean) })
        }
        _ => Err(params("value", "is required, or count and sum together in its place")),
    }
}

fn is_legal(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.chars().all(is_legal_char)
}

const fn is_legal_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_')
}
