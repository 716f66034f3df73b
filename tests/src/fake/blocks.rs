//! Slack's limits on blocks, according to its documentation.

use serde_json::Value;
use std::collections::BTreeSet;

/// Maximum number of characters in all blocks. The real limit is not documented; messages above
/// about 13,000 are rejected.
const MAX_SUM: usize = 13_000;

/// Returns the error code with which Slack would reject the blocks.
pub(super) fn check(blocks: &Value) -> Result<(), &'static str> {
    let Value::Array(blocks) = blocks else { return Err("invalid_blocks_format") };
    if blocks.len() > 50 {
        return Err("invalid_blocks");
    }
    let mut ids = BTreeSet::new();
    for block in blocks {
        if let Some(id) = block.get("block_id") {
            let id = id.as_str().filter(|id| (1..=255).contains(&id.chars().count()));
            if !id.is_some_and(|id| ids.insert(id)) {
                return Err("invalid_blocks");
            }
        }
        if !is_block(block) {
            return Err("invalid_blocks");
        }
    }
    if blocks.iter().map(characters).sum::<usize>() > MAX_SUM {
        return Err("msg_blocks_too_long");
    }
    Ok(())
}

fn is_block(block: &Value) -> bool {
    match block["type"].as_str() {
        Some("header") => is_text(&block["text"], &["plain_text"], 150),
        Some("section") => {
            let fields = &block["fields"];
            let text = &block["text"];
            let text_is_fine = is_text(text, &["plain_text", "mrkdwn"], 3000);
            let fields_are_fine = fields.as_array().is_some_and(|fields| {
                let short = |field| is_text(field, &["plain_text", "mrkdwn"], 2000);
                (1..=10).contains(&fields.len()) && fields.iter().all(short)
            });
            (text_is_fine || text.is_null())
                && (fields_are_fine || fields.is_null())
                && !(text.is_null() && fields.is_null())
        }
        Some("context") => block["elements"].as_array().is_some_and(|elements| {
            let short = |element| is_text(element, &["plain_text", "mrkdwn"], 3000);
            (1..=10).contains(&elements.len()) && elements.iter().all(short)
        }),
        Some("divider") => true,
        _ => false, // none that the project sends
    }
}

/// Whether it is a text object of one of the types, neither empty nor longer than allowed.
fn is_text(text: &Value, types: &[&str], longest: usize) -> bool {
    let kind = text["type"].as_str().unwrap_or_default();
    let length = text["text"].as_str().unwrap_or_default().chars().count();
    let only_for = |key: &str, of: &str| text.get(key).is_none_or(|v| kind == of && v.is_boolean());
    types.contains(&kind)
        && (1..=longest).contains(&length)
        && only_for("emoji", "plain_text")
        && only_for("verbatim", "mrkdwn")
}

/// The characters of all texts in a block.
fn characters(value: &Value) -> usize {
    match value {
        Value::Object(object) => {
            let own = object.get("text").and_then(Value::as_str).map_or(0, |t| t.chars().count());
            own + object.values().map(characters).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(characters).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::{Value, json};

    fn header(text: &str) -> Value {
        json!({"type": "header", "text": {"type": "plain_text", "text": text}})
    }

    fn section(text: &str) -> Value {
        json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
    }

    #[test]
    fn blocks_within_the_limits_are_accepted() {
        for good in [
            json!([]),
            json!([header(&"t".repeat(150)), section(&"t".repeat(3000)), {"type": "divider"}]),
            json!(vec![section("t"); 50]),
            json!([{"type": "section", "fields": [{"type": "mrkdwn", "text": "t"}]}]),
            json!([{"type": "context", "elements": [{"type": "mrkdwn", "text": "t"}]}]),
            json!([{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "b"}]),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
    }

    #[test]
    fn blocks_beyond_the_limits_are_rejected() {
        let invalid = "invalid_blocks";
        for (bad, word) in [
            (json!("text"), "invalid_blocks_format"),
            (json!(vec![section("t"); 51]), invalid),
            (json!([header("")]), invalid),
            (json!([header(&"t".repeat(151))]), invalid),
            (json!([{"type": "header", "text": {"type": "mrkdwn", "text": "t"}}]), invalid),
            (json!([section(&"é".repeat(3001))]), invalid),
            (json!([{"type": "section"}]), invalid),
            (json!([{"type": "context", "elements": []}]), invalid),
            (json!([{"type": "poem"}]), invalid),
            (
                json!([{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}]),
                invalid,
            ),
            (json!(vec![section(&"t".repeat(2900)); 5]), "msg_blocks_too_long"),
        ] {
            assert_eq!(check(&bad), Err(word), "{bad}");
        }
    }
}
