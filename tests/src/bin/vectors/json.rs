//! Fields of a case.

use anyhow::{Context as _, bail};
use serde_json::Value;

/// A number; those that JSON cannot write are words.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(word) => word.parse().ok(),
        _ => value.as_f64(),
    }
}

/// A number of a case.
pub(crate) fn some_number(value: &Value) -> anyhow::Result<f64> {
    number(value).with_context(|| format!("`{value}` is not a number"))
}

/// Bytes in hexadecimal.
pub(crate) fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        bail!("`{hex}` is not bytes in hexadecimal");
    }
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

/// A text, or a list of texts.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The items of a list of a case.
pub(crate) fn list<'a>(of: &'a Value, field: &str) -> anyhow::Result<&'a [Value]> {
    let list = of.get(field).and_then(Value::as_array);
    list.map(Vec::as_slice).with_context(|| format!("the field `{field}` is not a list"))
}

/// A text of a case.
pub(crate) fn text<'a>(of: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    let text = of.get(field).and_then(Value::as_str);
    text.with_context(|| format!("the field `{field}` is not a text"))
}
