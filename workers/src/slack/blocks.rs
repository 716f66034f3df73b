//! The blocks of messages, as Slack's Block Kit has them.
//!
//! Pure.

use super::format::shorten;
use serde_json::{Value, json};

/// Maximum number of characters of a header: Slack's limit.
pub(super) const MAX_HEADER: usize = 150;

/// A heading in plain text, in which `:red_circle:` is an emoji.
pub(super) fn header(text: &str) -> Value {
    let text = shorten(text, MAX_HEADER);
    json!({"type": "header", "text": {"type": "plain_text", "text": text, "emoji": true}})
}

/// A paragraph.
pub(super) fn section(text: &str) -> Value {
    json!({"type": "section", "text": mrkdwn(text)})
}

/// A line of small texts.
pub(super) fn context<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Value {
    let elements: Vec<_> = texts.into_iter().map(|text| mrkdwn(text.as_ref())).collect();
    json!({"type": "context", "elements": elements})
}

/// A text in Slack's mark-up. It is verbatim, so that names that look like hosts or mentions do not
/// become links.
pub(super) fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}
