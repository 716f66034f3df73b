//! Answers of Slack that are no success.

use super::answers::{Recorded, Refusal};
use crate::compare::Differences;
use std::sync::{Arc, Mutex, PoisonError};
use zibrato_workers::slack::client::{Client, Error, HistoryQuery, Post, RetryPolicy};

const WAITS: &str = "an answer with 429 is waited for as long as Slack asks, and the call is made again; carbon-slack \
     took it for an empty channel";

const SAYS: &str = "an error of Slack is reported with its code; carbon-slack took it for an empty channel, or \
                    ended with an exception";

const REPEATS: &str = "an answer that does not come from Slack's API is an error, and the call is made again; carbon-slack ended";

/// The client must report the error, or wait as long as Slack asks, and call again.
pub(super) fn check(
    recorded: &Recorded,
    refusal: Refusal<'_>,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    let Refusal { call, word } = refusal;
    let server = recorded.server("C1")?;
    let waits = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&waits);
    let client = Client::builder(recorded.token())
        .url(format!("{}/api", server.url()))
        .retries(RetryPolicy::default().attempts(2))
        .pause(move |wait| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(wait);
            true
        })
        .build()?;
    let error = match call.method {
        "conversations.list" => client.find_channel("metrics").err(),
        "conversations.join" => client.join("C1").err(),
        "conversations.history" => client.history_page(&HistoryQuery::of("C1"), None).err(),
        "chat.postMessage" => client.post(&Post::plain("C1", "a 1 1").repeat()).err(),
        _ => client.auth_test().err(),
    };
    let Some(error) = error else {
        differences.fail(format!("{}: the answer {} is a success", call.method, call.status));
        return Ok(());
    };
    let calls = server.requests().iter().filter(|one| one.path.ends_with(call.method)).count();
    let waits = waits.lock().unwrap_or_else(PoisonError::into_inner);
    if call.status == 429 || matches!(word, Some("ratelimited" | "rate_limited")) {
        differences.by_design(WAITS);
        let least = call.retry_after.unwrap_or(30);
        if calls != 2 || !waits.iter().any(|wait| wait.as_secs() >= least) {
            differences.fail(format!("expected a wait of {least} s, found {waits:?}"));
        }
        return Ok(());
    }
    match (word, &error) {
        (Some(word), Error::Refused(refused)) if refused.word == word => {
            differences.by_design(SAYS)
        }
        (None, Error::Unreadable { status, .. }) if *status == call.status => {
            differences.by_design(REPEATS);
            if call.status >= 500 && calls != 2 {
                differences.fail(format!("expected a second call, found {calls} calls"));
            }
        }
        _ => differences.fail(format!("expected the error {word:?}, found {error}")),
    }
    Ok(())
}
