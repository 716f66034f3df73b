//! What Slack's answer means for the message: accepted, retry, hold, or rejected.
//!
//! Pure.

use super::words::{ErrorKind, explained, kind_of};
use crate::SendError;
use crate::http::Answer;
use crate::secret::Secret;
use serde_json::Value;
use std::time::Duration;
use ureq::http::Uri;
use zibrato::daemon::one_line;

/// The wait after a rate limit without a time.
pub(super) const RATE_LIMIT_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum Class {
    /// This message will never be accepted.
    Reject,
    /// Retry later.
    Retry,
    /// Nothing will be accepted until an operator fixes it.
    Stop,
    /// The message may have been accepted; retry later.
    Unknown,
}

impl Class {
    /// The class of an error code. For a code that is not known the status decides; if that is a
    /// success, the class is [`Self::Reject`], because a retry would give the same answer.
    fn of(word: &str) -> Option<Self> {
        match kind_of(word)? {
            ErrorKind::RateLimited | ErrorKind::Transient => Some(Self::Retry),
            ErrorKind::Access | ErrorKind::Channel => Some(Self::Stop),
            ErrorKind::Message => Some(Self::Reject),
            ErrorKind::Cursor | ErrorKind::Gone | ErrorKind::Other | ErrorKind::Undeletable => None,
        }
    }
}

/// An answer that is not a success.
#[derive(Debug, thiserror::Error)]
#[error("Slack answered {status}: {text}")]
struct Refusal {
    status: u16,
    text: String,
}

/// Classifies an answer of `chat.postMessage`, whose body has the result.
pub(super) fn judge_api(
    answer: &Answer,
    secrets: &[&Secret],
    now_ms: u64,
) -> Result<(), SendError> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let text_of = |key: &str| body.as_ref().and_then(|body| body[key].as_str());
    if (200..300).contains(&answer.status)
        && body.as_ref().is_some_and(|body| body["ok"] == Value::Bool(true))
    {
        return Ok(());
    }
    let Some(word) = text_of("error") else {
        return Err(by_status(answer, secrets, now_ms));
    };
    let text = explained(word, text_of("needed").zip(text_of("provided")));
    let class = match (answer.status, Class::of(word)) {
        (429 | 500..=599, _) => Class::Retry,
        (_, Some(class)) => class,
        (200..=299, None) => Class::Reject,
        // It may come from a proxy or gateway.
        (_, None) => by_status_alone(answer),
    };
    Err(error(class, answer, (&text, ""), secrets, now_ms))
}

/// Classifies an answer of a webhook: a status, and an error code in plain text.
pub(super) fn judge_webhook(
    answer: &Answer,
    secrets: &[&Secret],
    now_ms: u64,
) -> Result<(), SendError> {
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(by_status(answer, secrets, now_ms))
}

const fn by_status_alone(answer: &Answer) -> Class {
    match answer.status {
        // A proxy or gateway got no answer from Slack, or a success has the wrong body.
        200..=299 | 502 | 504 => Class::Unknown,
        408 | 425 | 429 | 500..=599 => Class::Retry,
        401 | 403 => Class::Stop,
        _ if answer.is_wrong_place() => Class::Stop,
        _ => Class::Reject,
    }
}

fn by_status(answer: &Answer, secrets: &[&Secret], now_ms: u64) -> SendError {
    let class = by_status_alone(answer);
    let body = String::from_utf8_lossy(&answer.body);
    let redirect = || match redirect_host(answer) {
        Some(host) => format!("a redirect to {host}, which is not followed"),
        None => "a redirect, which is not followed".to_owned(),
    };
    let text = match answer.status {
        300..=399 => &redirect(),
        _ if body.trim().is_empty() => "no explanation",
        _ => &*body,
    };
    // This remedy applies only to webhooks, whose URL is the credential.
    let remedy = match class {
        Class::Stop => "; check --webhook-url-file (or --webhook-url, or --api-url)",
        Class::Reject | Class::Retry | Class::Unknown => "",
    };
    error(class, answer, (text, remedy), secrets, now_ms)
}

fn error(
    class: Class,
    answer: &Answer,
    (text, remedy): (&str, &str),
    secrets: &[&Secret],
    now_ms: u64,
) -> SendError {
    let hidden = secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text));
    let text_and_remedy = one_line(&hidden) + remedy;
    let why = Box::new(Refusal { status: answer.status, text: text_and_remedy });
    match class {
        Class::Reject => SendError::Reject { why },
        Class::Retry => {
            let limited = answer.status == 429 || text.contains("limited");
            let default = limited.then_some(RATE_LIMIT_WAIT);
            SendError::Retry { after: answer.retry_after(now_ms).or(default), why }
        }
        Class::Stop => SendError::Stop { why },
        Class::Unknown => SendError::Unknown { after: answer.retry_after(now_ms), why },
    }
}

/// The host that a redirect leads to, if it names one. The rest of the address may be a secret.
pub(super) fn redirect_host(answer: &Answer) -> Option<String> {
    let place = answer.header("location")?.trim().parse::<Uri>().ok()?;
    place.host().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{judge_api, judge_webhook, redirect_host};
    use crate::http::Answer;
    use crate::{Secret, SendError};
    use std::error::Error;

    fn answer(status: u16, after: Option<&str>, body: &str) -> Answer {
        let headers = after.map(|after| ("retry-after".to_owned(), after.to_owned()));
        Answer { status, headers: headers.into_iter().collect(), body: body.as_bytes().to_vec() }
    }

    fn class(judged: Result<(), SendError>) -> String {
        match judged {
            Ok(()) => "taken".to_owned(),
            Err(SendError::Retry { after, .. }) => match after {
                Some(after) => format!("retry after {}", after.as_secs()),
                None => "retry".to_owned(),
            },
            Err(SendError::Reject { .. }) => "reject".to_owned(),
            Err(SendError::Stop { .. }) => "stop".to_owned(),
            Err(SendError::Unknown { .. }) => "unknown".to_owned(),
            Err(error @ SendError::Partial { .. }) => panic!("{error}"),
        }
    }

    #[test]
    fn the_api_says_in_the_body_what_became_of_a_message() {
        for (status, after, body, expected) in [
            (200, None, r#"{"ok":true,"channel":"C1","ts":"1.2"}"#, "taken"),
            (200, None, r#"{"ok":true,"warning":"message_truncated"}"#, "taken"),
            (200, None, r#"{"ok":false,"error":"invalid_auth"}"#, "stop"),
            (200, None, r#"{"ok":false,"error":"not_in_channel"}"#, "stop"),
            (200, None, r#"{"ok":false,"error":"restricted_action_read_only_channel"}"#, "stop"),
            (200, None, r#"{"ok":false,"error":"msg_too_long"}"#, "reject"),
            (200, None, r#"{"ok":false,"error":"invalid_blocks_format"}"#, "reject"),
            (200, None, r#"{"ok":false,"error":"a_word_of_next_year"}"#, "reject"),
            (200, None, r#"{"ok":false,"error":"internal_error"}"#, "retry"),
            (200, None, r#"{"ok":false,"error":"ratelimited"}"#, "retry after 30"),
            (429, Some("7"), r#"{"ok":false,"error":"ratelimited"}"#, "retry after 7"),
            (429, None, "", "retry after 30"),
            (503, None, r#"{"ok":false,"error":"a_word"}"#, "retry"),
            (500, None, "oops", "retry"),
            (200, None, "<html>", "unknown"),
            (200, None, r#"{"ok":tr"#, "unknown"),
            (200, None, "", "unknown"),
            (504, None, "", "unknown"),
            (302, None, "", "stop"),
            (404, None, "not here", "stop"),
            // An answer of another server that looks like one of Slack's.
            (404, None, r#"{"error":"Not Found"}"#, "stop"),
            (307, None, r#"{"error":"moved"}"#, "stop"),
            (400, None, r#"{"error":"a_word"}"#, "reject"),
        ] {
            assert_eq!(class(judge_api(&answer(status, after, body), &[], 0)), expected, "{body}");
        }
    }

    #[test]
    fn a_webhook_says_it_by_its_status() {
        for (status, after, body, expected) in [
            (200, None, "ok", "taken"),
            (400, None, "invalid_payload", "reject"),
            (403, None, "action_prohibited", "stop"),
            (404, None, "no_service", "stop"),
            (410, None, "channel_is_archived", "stop"),
            (429, Some("1"), "rate_limited", "retry after 1"),
            (429, None, "rate_limited", "retry after 30"),
            (500, None, "rollup_error", "retry"),
            (301, None, "", "stop"),
            (302, None, "", "stop"),
            (308, None, "", "stop"),
            (402, None, "", "stop"),
            (405, None, "", "stop"),
            (407, None, "", "stop"),
            (413, None, "", "reject"),
            (425, None, "", "retry"),
        ] {
            let judged = judge_webhook(&answer(status, after, body), &[], 0);
            assert_eq!(class(judged), expected, "{status} {body}");
        }
    }

    #[test]
    fn errors_say_what_helps_but_never_a_secret() {
        let secrets = [&Secret::new("xoxb-1"), &Secret::new("https://hooks.slack.com/services/S")];
        let said =
            |judged: Result<(), SendError>| judged.unwrap_err().source().unwrap().to_string();
        for (body, text) in [
            (
                r#"{"ok":false,"error":"not_in_channel"}"#,
                "not_in_channel: invite the app to the channel",
            ),
            (
                r#"{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"none"}"#,
                "missing_scope: the token has none and needs chat:write",
            ),
            (r#"{"ok":false,"error":"xoxb-1"}"#, "***"),
            (r#"{"ok":false}"#, r#"{"ok":false}"#),
        ] {
            let said = said(judge_api(&answer(200, None, body), &secrets, 0));
            assert_eq!(said, format!("Slack answered 200: {text}"));
        }
        let hook = "no https://hooks.slack.com/services/S here";
        assert_eq!(
            said(judge_webhook(&answer(404, None, hook), &secrets, 0)),
            "Slack answered 404: no *** here; check --webhook-url-file (or --webhook-url, or --api-url)"
        );
        assert_eq!(
            said(judge_webhook(&answer(500, None, ""), &secrets, 0)),
            "Slack answered 500: no explanation"
        );
        let mut redirect = answer(302, None, "");
        redirect.headers.push(("location".to_owned(), "http://portal.example/S".to_owned()));
        let redirected = said(judge_webhook(&redirect, &secrets, 0));
        assert!(
            redirected.starts_with(
                "Slack answered 302: a redirect to portal.example, which is not followed; check"
            ),
            "{redirected}"
        );
    }

    #[test]
    fn a_redirect_names_its_host_and_nothing_else() {
        for (location, host) in [
            (Some("https://me:secret@portal.example:8443/login?token=x"), Some("portal.example")),
            (Some("/login/secret"), None),
            (Some("not an address"), None),
            (None, None),
        ] {
            let headers = location.map(|place| ("location".to_owned(), place.to_owned()));
            let headers = headers.into_iter().collect();
            let answer = Answer { status: 302, headers, body: Vec::new() };
            assert_eq!(redirect_host(&answer).as_deref(), host, "{location:?}");
        }
    }
}
