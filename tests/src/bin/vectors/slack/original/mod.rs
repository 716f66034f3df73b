//! What carbon-slack did, and what the commands of the bus do with the same answers of Slack.
//!
//! The programs and the client run against a server that gives the recorded answers, under the names
//! that the methods have today. Where carbon-slack's specification calls its behaviour a mistake, the
//! difference is by design.

mod answers;
mod commands;
mod refusals;

use crate::compare::{Differences, Outcome};
use answers::Recorded;
use serde_json::Value;

/// Methods that Slack has replaced.
const RENAMED: &str = "channels.list, .join and .history were removed from Slack in 2021: conversations.* are called, as the specification says";

pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let recorded = Recorded::of(case)?;
    let mut differences = Differences::default();
    if recorded.calls().any(|(old, new)| old != new) {
        differences.by_design(RENAMED);
    }
    let call = case["call"].as_str().unwrap_or_default().to_lowercase();
    let is_about = |words: &[&str]| words.iter().any(|word| call.contains(word));
    if let Some(refusal) = recorded.refusal() {
        refusals::check(&recorded, refusal, &mut differences)?;
    } else if recorded.has("chat.postMessage")
        || is_about(&["send_metrics", "sender.send", "slack-send"])
    {
        commands::send(case, &recorded, &mut differences)?;
    } else if is_about(&["recv", "receiv"]) {
        commands::receive(case, &recorded, &mut differences)?;
    } else if recorded.has("conversations.history") || is_about(&["slack-relay"]) {
        commands::relay(case, &recorded, &mut differences)?;
    } else if recorded.has("conversations.list") {
        commands::find(case, &recorded, &mut differences)?;
    } else {
        differences.fail(format!("the call `{call}` is unknown"));
    }
    Ok(differences.outcome())
}
