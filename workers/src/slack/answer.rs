//! What an answer means for a worker: the message was accepted, or it is to be sent again, held, or
//! given up.
//!
//! Pure. The client judges what Slack answers; a worker keeps its messages while nobody can.

use super::client::{Error, ErrorKind, judge_method, judge_post};
use crate::SendError;
use crate::http::Answer;
use crate::http::retry::{Again, Failed};
use crate::secret::Secret;

/// A refusal whose remedy is another address.
#[derive(Debug, thiserror::Error)]
#[error("{0}; check --webhook-url-file (or --webhook-url, or --api-url)")]
struct WrongPlace(Error);

/// Judges the answer of a method, whose body has the result.
pub(super) fn judge_api(
    method: &'static str,
    answer: &Answer,
    secrets: &[&Secret],
    now_ms: u64,
) -> Result<(), SendError> {
    let judged = judge_method(method, answer, None, secrets, now_ms);
    judged.map(drop).map_err(|failed| send_error(failed, answer, now_ms))
}

/// Judges the answer of a webhook: a status, and an error code in plain text.
pub(super) fn judge_webhook(
    answer: &Answer,
    secrets: &[&Secret],
    now_ms: u64,
) -> Result<(), SendError> {
    let judged = judge_post("webhook", answer, secrets, now_ms);
    judged.map_err(|failed| send_error(failed, answer, now_ms))
}

fn send_error(failed: Failed<Error>, answer: &Answer, now_ms: u64) -> SendError {
    let Failed { error, again } = failed;
    let kind = error.kind();
    match again {
        Again::After(after) => return SendError::Retry { after, why: error.into() },
        Again::IfSafe => {
            return SendError::Unknown { after: answer.retry_after(now_ms), why: error.into() };
        }
        Again::Never => {}
    }
    match (kind, answer.status) {
        (ErrorKind::Access | ErrorKind::Channel, _) => SendError::Stop { why: error.into() },
        // It may come from a proxy or gateway.
        (ErrorKind::Other, 408 | 425) => {
            SendError::Retry { after: answer.retry_after(now_ms), why: error.into() }
        }
        (ErrorKind::Other, 300..=399) => SendError::Stop { why: error.into() },
        (ErrorKind::Other, 401 | 403) => SendError::Stop { why: WrongPlace(error).into() },
        (ErrorKind::Other, _) if answer.is_wrong_place() => {
            SendError::Stop { why: WrongPlace(error).into() }
        }
        // It would be refused again.
        _ => SendError::Reject { why: error.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::{judge_api, judge_webhook};
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
            Err(SendError::Unknown { after, .. }) => match after {
                Some(after) => format!("unknown after {}", after.as_secs()),
                None => "unknown".to_owned(),
            },
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
            // Slack may have processed it.
            (200, None, r#"{"ok":false,"error":"internal_error"}"#, "unknown"),
            (200, None, r#"{"ok":false,"error":"service_unavailable"}"#, "unknown"),
            (200, None, r#"{"ok":false,"error":"ratelimited"}"#, "retry after 30"),
            (429, Some("7"), r#"{"ok":false,"error":"ratelimited"}"#, "retry after 7"),
            (429, None, "", "retry after 30"),
            (503, None, r#"{"ok":false,"error":"a_word"}"#, "unknown"),
            (503, Some("9"), "<html>", "unknown after 9"),
            (503, None, "", "unknown"),
            (500, None, "oops", "unknown"),
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
            assert_eq!(
                class(judge_api("m", &answer(status, after, body), &[], 0)),
                expected,
                "{body}"
            );
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
            (500, None, "rollup_error", "unknown"),
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
        ] {
            let said = said(judge_api("m", &answer(200, None, body), &secrets, 0));
            assert_eq!(said, format!("m: {text}"));
        }
        let hook = "no https://hooks.slack.com/services/S here";
        let missing = said(judge_webhook(&answer(404, None, hook), &secrets, 0));
        assert!(missing.contains("\"no *** here\"; check --webhook-url-file"), "{missing}");
        let gone = said(judge_webhook(&answer(404, None, "no_service"), &secrets, 0));
        assert!(gone.starts_with("webhook: no_service; check --webhook-url-file"), "{gone}");
        let mut redirect = answer(302, None, "");
        redirect.headers.push(("location".to_owned(), "http://portal.example/S".to_owned()));
        let redirected = said(judge_webhook(&redirect, &secrets, 0));
        assert!(redirected.contains("portal.example, which is not followed"), "{redirected}");
    }
}
