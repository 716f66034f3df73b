//! Results of calls: values and errors.

use anyhow::Context as _;
use serde_json::Value;
use zibrato_workers::librato::client::{ApiErrorKind, Error};

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    Failed {
        /// The type of the error, as python-librato calls it.
        class: String,
        code: Option<u64>,
        /// Any message if there is none.
        message: Option<String>,
    },
    Returned(Value),
}

impl Ended {
    pub(super) fn recorded(result: &Value) -> anyhow::Result<Self> {
        if let Some(class) = result["raises"].as_str() {
            let message = result["message"].as_str().map(str::to_owned);
            return Ok(Self::failed(class, result["code"].as_u64(), message.as_deref()));
        }
        result.get("returns").cloned().map(Self::Returned).context("the case has no result")
    }

    pub(super) fn failed(class: &str, code: Option<u64>, message: Option<&str>) -> Self {
        Self::Failed { class: class.to_owned(), code, message: message.map(str::to_owned) }
    }

    /// Nothing, as functions without a result return it.
    pub(super) const fn nothing() -> Self {
        Self::Returned(Value::Null)
    }

    /// The result of a call of the client.
    pub(super) fn of(result: Result<Value, Error>) -> Self {
        let error = match result {
            Ok(value) => return Self::Returned(value),
            Err(error) => error,
        };
        let class = match (&error, error.kind()) {
            (_, Some(ApiErrorKind::BadRequest)) => "BadRequest",
            (_, Some(ApiErrorKind::Unauthorized)) => "Unauthorized",
            (_, Some(ApiErrorKind::Forbidden)) => "Forbidden",
            (_, Some(ApiErrorKind::NotFound)) => "NotFound",
            (_, Some(ApiErrorKind::RateLimited | ApiErrorKind::Other)) => "ClientError",
            (Error::NoTag, _) => "Exception",
            (Error::NotFinite { .. }, _) => "NotFinite",
            (Error::Moved { .. }, _) => "Moved",
            (Error::Unreadable { .. }, _) => "Unreadable",
            (Error::Connection(_), _) => "Connection",
            _ => "Error",
        };
        Self::failed(class, error.code().map(u64::from), Some(&error.to_string()))
    }

    pub(super) fn class(&self) -> Option<&str> {
        match self {
            Self::Failed { class, .. } => Some(class),
            Self::Returned(_) => None,
        }
    }
}

/// The difference between two results, if there is one.
pub(super) fn difference(recorded: &Ended, found: &Ended) -> Option<String> {
    let is_same = match (recorded, found) {
        (Ended::Returned(recorded), Ended::Returned(found)) => is_same(recorded, found),
        (
            Ended::Failed { class: a, code: b, message },
            Ended::Failed { class: c, code: d, message: found },
        ) => a == c && b == d && (message.is_none() || message == found),
        _ => false,
    };
    (!is_same).then(|| format!("recorded {recorded:?}, found {found:?}"))
}

/// Whether a value is the recorded one. A field that is absent is the same as one that is empty; an
/// object of a class may have more fields, because python-librato drops those that it does not know.
fn is_same(recorded: &Value, found: &Value) -> bool {
    match (recorded, found) {
        (Value::Object(recorded), Value::Object(found)) => {
            let class = recorded.get("class").and_then(Value::as_str);
            let known = |(name, value): (&String, &Value)| match field(class, name) {
                None => true,
                Some("chart_ids") => charts(found) == *value,
                Some(name) => is_same(value, found.get(name).unwrap_or(&Value::Null)),
            };
            let is_kind = class.is_none_or(|class| is_class(class, found));
            let has_no_more = class.is_some()
                || found.iter().all(|(name, value)| is_empty(value) || recorded.contains_key(name));
            is_kind && has_no_more && recorded.iter().all(known)
        }
        (Value::Array(recorded), Value::Array(found)) => {
            recorded.len() == found.len()
                && recorded.iter().zip(found).all(|(recorded, found)| is_same(recorded, found))
        }
        // Events of annotations are a list of one object.
        (Value::Array(recorded), Value::Object(_)) if recorded.len() == 1 => {
            is_same(&recorded[0], found)
        }
        (Value::Number(recorded), Value::Number(found)) => recorded.as_f64() == found.as_f64(),
        _ => recorded == found || is_empty(recorded) && is_empty(found),
    }
}

/// The name of a field of a class; `None` if it says nothing about the server's object.
fn field<'a>(class: Option<&str>, name: &'a str) -> Option<&'a str> {
    match (class, name) {
        (Some(_), "class" | "_charts" | "space_id") => None,
        (Some(_), "_id") => Some("id"),
        _ => Some(name),
    }
}

fn is_class(class: &str, found: &serde_json::Map<String, Value>) -> bool {
    let kind = found.get("type").and_then(Value::as_str);
    match class {
        // Composite metrics too.
        "Gauge" => matches!(kind, Some("gauge" | "composite")),
        "Counter" => kind == Some("counter"),
        "Alert" => found.contains_key("conditions"),
        "Annotation" => found.contains_key("name"),
        "Chart" => found.contains_key("streams"),
        "Service" => found.contains_key("settings"),
        "Space" => found.contains_key("id") && found.contains_key("name"),
        "Stream" => found.contains_key("metric") || found.contains_key("composite"),
        _ => false,
    }
}

fn charts(space: &serde_json::Map<String, Value>) -> Value {
    let charts = space.get("charts").and_then(Value::as_array).into_iter().flatten();
    charts.map(|chart| chart["id"].clone()).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
