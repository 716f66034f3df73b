//! Answers of Slack: success, refusal, or something else.
//!
//! Pure.

use super::error::{Error, Failed, Refused};
use crate::http::retry::Again;
use crate::http::{Answer, Cut};
use crate::secret::Secret;
use crate::slack::words::ErrorKind;
use serde_json::Value;
use std::time::Duration;
use ureq::http::Uri;
use zibrato::daemon::one_line;

/// The wait after a rate limit without a time.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(30);

/// The number of characters of a foreign text that an error shows.
const SHOWN: usize = 200;

/// Judges the answer of a method, whose body says what became of the call.
pub(crate) fn judge(
    method: &'static str,
    answer: &Answer,
    cut: Option<&Cut>,
    secrets: &[&Secret],
    now_ms: u64,
) -> Result<Value, Failed> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let text_of = |key: &str| body.as_ref().and_then(|body| body[key].as_str());
    if let Some(word) = text_of("error").filter(|_| cut.is_none()) {
        let shown = |text: &str| shown(text, secrets);
        let refused = Refused {
            method,
            status: answer.status,
            word: shown(word),
            needed: text_of("needed").map(shown),
            provided: text_of("provided").map(shown),
            retry_after: answer.retry_after(now_ms),
        };
        return Err(refused.into_failed());
    }
    match body {
        Some(body) if cut.is_none() && body["ok"] == Value::Bool(true) => match answer.status {
            200..=299 => Ok(body),
            _ => Err(unreadable(method, answer, cut, secrets, now_ms)),
        },
        _ => Err(unreadable(method, answer, cut, secrets, now_ms)),
    }
}

/// Judges the answer of a webhook: a status, and an error code in plain text.
pub(crate) fn judge_webhook(
    method: &'static str,
    answer: &Answer,
    secrets: &[&Secret],
    now_ms: u64,
) -> Result<(), Failed> {
    let word = shown(&String::from_utf8_lossy(&answer.body), secrets);
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match answer.status {
        200..=299 => Ok(()),
        400..=599 if is_word => {
            let retry_after = answer.retry_after(now_ms);
            let (status, needed, provided) = (answer.status, None, None);
            Err(Refused { method, status, word, needed, provided, retry_after }.into_failed())
        }
        _ => Err(unreadable(method, answer, None, secrets, now_ms)),
    }
}

/// An answer that does not come from Slack's API.
fn unreadable(
    method: &'static str,
    answer: &Answer,
    cut: Option<&Cut>,
    secrets: &[&Secret],
    now_ms: u64,
) -> Failed {
    let status = answer.status;
    let again = match status {
        429 => {
            let (word, needed, provided) = ("ratelimited".to_owned(), None, None);
            let retry_after = answer.retry_after(now_ms);
            return Refused { method, status, word, needed, provided, retry_after }.into_failed();
        }
        300..=399 => {
            let error = Error::Moved { status, host: redirect_host(answer) };
            return Failed { error, again: Again::Never };
        }
        200..=299 | 500..=599 => Again::IfSafe,
        _ => Again::Never,
    };
    let why = match cut {
        Some(cut) => cut.to_string(),
        None if answer.body.is_empty() => "it is empty".to_owned(),
        None => {
            let text = String::from_utf8_lossy(&answer.body);
            format!("it is not what Slack answers, but begins with {:?}", shown(&text, secrets))
        }
    };
    let again = if matches!(cut, Some(Cut::Long(_))) { Again::Never } else { again };
    Failed { error: Error::Unreadable { status, why }, again }
}

impl Refused {
    fn into_failed(self) -> Failed {
        let again = match self.kind() {
            ErrorKind::RateLimited => {
                Again::After(Some(self.retry_after.unwrap_or(RATE_LIMIT_WAIT)))
            }
            ErrorKind::Transient => Again::IfSafe,
            _ => Again::Never,
        };
        Failed { error: Error::Refused(Box::new(self)), again }
    }
}

/// The host that a redirect leads to, if it names one. The rest of the address may be a secret.
fn redirect_host(answer: &Answer) -> Option<String> {
    let place = answer.header("location")?.trim().parse::<Uri>().ok()?;
    place.host().map(str::to_owned)
}

/// The beginning of a foreign text, on one line and without secrets.
fn shown(text: &str, secrets: &[&Secret]) -> String {
    let hidden = secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text));
    one_line(&hidden).trim().chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::{Again, Answer, Cut, Error, Secret, judge, judge_webhook, redirect_host};
    use std::time::Duration;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Answer { status, headers: headers.iter().map(own).collect(), body: body.into() }
    }

    #[test]
    fn the_body_decides_and_else_the_status() {
        let after = |seconds| Again::After(Some(Duration::from_secs(seconds)));
        let limited = r#"{"ok":false,"error":"ratelimited"}"#;
        for (status, body, again) in [
            (200, r#"{"ok":false,"error":"invalid_auth"}"#, Again::Never),
            (200, r#"{"ok":false,"error":"internal_error"}"#, Again::IfSafe),
            (200, r#"{"ok":false,"error":"a_word_of_next_year"}"#, Again::Never),
            (503, r#"{"ok":false,"error":"a_word_of_next_year"}"#, Again::IfSafe),
            (200, limited, after(30)),
            (429, "<html>", after(30)),
            (500, "oops", Again::IfSafe),
            (503, "", Again::IfSafe),
            (503, "<html>", Again::IfSafe),
            (200, "<p>log in</p>", Again::IfSafe),
            (200, "", Again::IfSafe),
            (200, r#"{"ok":false}"#, Again::IfSafe),
            (404, "", Again::Never),
            (404, r#"{"ok":true}"#, Again::Never),
            (302, "", Again::Never),
        ] {
            let failed = judge("x", &answer(status, &[], body), None, &[], 0).unwrap_err();
            assert_eq!(failed.again, again, "{status} {body}");
        }
        let asked = answer(429, &[("retry-after", "7")], limited);
        assert_eq!(judge("x", &asked, None, &[], 0).unwrap_err().again, after(7));
        assert!(judge("x", &answer(200, &[], r#"{"ok":true}"#), None, &[], 0).is_ok());
        let long = judge("x", &answer(200, &[], r#"{"ok":true}"#), Some(&Cut::Long(7)), &[], 0);
        assert_eq!(long.unwrap_err().again, Again::Never);
    }

    #[test]
    fn an_error_names_the_scope_and_the_remedy_but_no_secret() {
        let secret = Secret::new("xoxb-1");
        let text = |body: &str| {
            let failed = judge("chat.delete", &answer(200, &[], body), None, &[&secret], 0);
            failed.unwrap_err().error.to_string()
        };
        for (body, expected) in [
            (
                r#"{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"a,b"}"#,
                "chat.delete: missing_scope: the token has a,b and needs chat:write",
            ),
            (
                r#"{"ok":false,"error":"not_in_channel"}"#,
                "chat.delete: not_in_channel: invite the app to the channel",
            ),
            (r#"{"ok":false,"error":"xoxb-1"}"#, "chat.delete: ***"),
            (
                "xoxb-1 is\nwrong",
                "the answer (200) cannot be read: it is not what Slack answers, but begins with \
                 \"*** is wrong\"",
            ),
        ] {
            assert_eq!(text(body), expected);
        }
        let moved = answer(302, &[("location", "https://portal.example/xoxb-1")], "");
        let moved = judge("x", &moved, None, &[&secret], 0).unwrap_err().error.to_string();
        assert!(moved.contains("portal.example,") && !moved.contains("xoxb"), "{moved}");
    }

    #[test]
    fn a_webhook_answers_with_a_word() {
        let word = |status, body: &str| {
            let failed = judge_webhook("webhook", &answer(status, &[], body), &[], 0).unwrap_err();
            (failed.error.word().map(str::to_owned), failed.again)
        };
        assert!(judge_webhook("webhook", &answer(200, &[], "ok"), &[], 0).is_ok());
        for (status, body) in
            [(404, "no_service"), (400, "invalid_payload"), (410, "channel_is_archived")]
        {
            assert_eq!(word(status, body), (Some(body.to_owned()), Again::Never));
        }
        let limited = Again::After(Some(Duration::from_secs(30)));
        assert_eq!(word(429, "rate_limited"), (Some("rate_limited".to_owned()), limited));
        assert_eq!(word(500, "rollup_error"), (Some("rollup_error".to_owned()), Again::IfSafe));
        assert_eq!(word(502, "<html>"), (None, Again::IfSafe));
        let failed = judge_webhook("webhook", &answer(404, &[], "<html>"), &[], 0).unwrap_err();
        assert!(matches!(failed.error, Error::Unreadable { status: 404, .. }));
    }

    #[test]
    fn a_redirect_names_its_host_and_nothing_else() {
        for (location, host) in [
            ("https://me:secret@portal.example:8443/login?token=x", Some("portal.example")),
            ("/login/secret", None),
            ("not an address", None),
        ] {
            let answer = answer(302, &[("location", location)], "");
            assert_eq!(redirect_host(&answer).as_deref(), host, "{location}");
        }
        assert_eq!(redirect_host(&answer(302, &[], "")), None);
    }
}
