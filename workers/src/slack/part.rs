//! Reads the body of a request again: its kind, its text, the names of its series, and its halves.
//!
//! Pure.

use super::format::unescape;
use crate::Payload;
use serde_json::Value;

/// Splits a digest that Slack rejects in two, each with the header and half of the series; `None` if
/// it shows fewer than two.
pub(super) fn split(payload: &Payload) -> Option<[Payload; 2]> {
    let message: Value = serde_json::from_slice(&payload.body).ok()?;
    let blocks = message.get("blocks")?.as_array()?;
    let is_section = |block: &Value| block["type"] == "section";
    let first = blocks.iter().position(is_section)?;
    let sections = blocks.iter().filter(|block| is_section(block)).count();
    let (head, rest) = blocks.split_at_checked(first)?;
    if sections < 2 {
        return None;
    }
    let (left, right) = rest.split_at_checked(sections / 2)?;
    let half = |blocks: &[Value], series| {
        let mut message = message.clone();
        message["blocks"] = [head, blocks].concat().into();
        Payload::new(message.to_string().into_bytes(), series)
    };
    // The last block says how many series are not shown.
    Some([half(left, left.len()), half(right, payload.series.saturating_sub(left.len()))])
}

/// The text of a message.
pub(super) fn text(payload: &Payload) -> Option<String> {
    let message = serde_json::from_slice::<Value>(&payload.body).ok()?;
    message["text"].as_str().map(unescape)
}

/// Whether a message is a digest, which begins with its title.
pub(super) fn is_digest(payload: &Payload) -> bool {
    let message = serde_json::from_slice::<Value>(&payload.body);
    message.is_ok_and(|message| message["blocks"][0]["type"] == "header")
}

/// Whether a request changes a message.
pub(super) fn is_update(payload: &Payload) -> bool {
    serde_json::from_slice::<Value>(&payload.body).is_ok_and(|body| body.get("ts").is_some())
}

/// The channel and the timestamp of a message that was accepted.
pub(super) fn place(answer: &[u8]) -> Option<(String, String)> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let text = |key: &str| answer[key].as_str().map(str::to_owned);
    Some((text("channel")?, text("ts")?))
}

/// The first names that a message shows, with their sources.
pub(super) fn names(payload: &Payload, most: usize) -> Vec<String> {
    let Ok(message) = serde_json::from_slice::<Value>(&payload.body) else { return Vec::new() };
    let blocks = message["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sections = blocks.iter().filter(|block| block["type"] == "section");
    let name = |block: &Value| {
        // `*name* _source_ `, followed by tags and values.
        let text = block["text"]["text"].as_str()?.strip_prefix('*')?;
        let (name, rest) = text.split_once("* _")?;
        let (source, _) = rest.split_once("_ ")?;
        Some(unescape(&format!("{name} ({source})")))
    };
    sections.filter_map(name).take(most).collect()
}
