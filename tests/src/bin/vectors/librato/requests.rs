//! Whether requests are the same.

use super::records::Sent;
use serde_json::{Map, Value};

/// The first difference between recorded and found requests.
pub(super) fn difference(recorded: &[Sent], found: &[Sent]) -> Option<String> {
    if recorded.len() != found.len() {
        let lines = |all: &[Sent]| {
            all.iter().map(|sent| format!("{} {}", sent.method, sent.path)).collect::<Vec<_>>()
        };
        return Some(format!("recorded {:?}, found {:?}", lines(recorded), lines(found)));
    }
    recorded.iter().zip(found).find_map(|(recorded, found)| {
        let is_same = recorded.method == found.method
            && recorded.path == found.path
            && recorded.query == found.query
            && recorded.authorization == found.authorization
            && recorded.content_type == found.content_type
            && is_same(&recorded.body, &found.body);
        (!is_same).then(|| format!("recorded {recorded:?}, found {found:?}"))
    })
}

/// Whether a body is the recorded one, in which a long list may be shortened to its length, its first
/// and its last item.
fn is_same(recorded: &Value, found: &Value) -> bool {
    match (recorded, found) {
        (Value::Object(recorded), Value::Object(found)) => {
            recorded.len() == found.len()
                && recorded
                    .iter()
                    .all(|(name, value)| found.get(name).is_some_and(|found| is_same(value, found)))
        }
        (Value::Object(short), Value::Array(found)) => is_shortened(short, found),
        (Value::Array(recorded), Value::Array(found)) => {
            recorded.len() == found.len()
                && recorded.iter().zip(found).all(|(recorded, found)| is_same(recorded, found))
        }
        _ => recorded == found,
    }
}

fn is_shortened(short: &Map<String, Value>, found: &[Value]) -> bool {
    short.get("__count__").and_then(Value::as_u64) == Some(found.len() as u64)
        && short.get("first").zip(found.first()).is_some_and(|(a, b)| is_same(a, b))
        && short.get("last").zip(found.last()).is_some_and(|(a, b)| is_same(a, b))
}
