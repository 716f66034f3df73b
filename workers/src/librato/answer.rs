//! What Librato's answer means for the payload: accepted, retry, hold, or rejected.
//!
//! Pure.

use crate::http::Answer;
use crate::secret::Secret;
use crate::{RefusedPart, SendError};
use serde_json::{Map, Value};
use std::time::Duration;
use zibrato::daemon::one_line;

/// Maximum wait for a rate limit; its windows are minutes.
const LONGEST_WAIT_S: u64 = 3600;

/// The remedy if the credentials are rejected.
const CREDENTIALS: &str = "; check --username and --apitoken-file (or --apitoken)";

/// The remedy if the address is wrong.
const ADDRESS: &str = "; check --api-url";

/// The remedy if a web page answers.
const PAGE: &str = "; that is a web page and not an API; check --api-url";

/// Part of a page in which its title is looked for, in bytes.
const MAX_HEAD: usize = 10_000;

/// An answer that is not a success.
#[derive(Debug, thiserror::Error)]
#[error("Librato answered {status}: {text}{remedy}")]
struct Refusal {
    status: u16,
    text: String,
    /// What the user can do, if that is known.
    remedy: &'static str,
}

/// Classifies an answer that was received at `now_ms`. Secrets that it repeats are not shown.
pub(super) fn judge(answer: &Answer, secrets: &[&Secret], now_ms: u64) -> Result<(), SendError> {
    let status = answer.status;
    let is_page = is_page(&answer.body);
    if (200..300).contains(&status) && !is_page {
        return Ok(());
    }
    let body = message(&answer.body);
    let limited = body.to_ascii_lowercase().contains("limit");
    let text = match answer.header("location") {
        Some(place) if (300..400).contains(&status) => {
            format!("the API has moved to {place}; set --api-url to it")
        }
        _ => body,
    };
    let hidden = secrets.iter().fold(text, |text, secret| secret.redact(&text));
    let remedy = match status {
        401 => CREDENTIALS,
        403 if !limited => CREDENTIALS,
        200..=299 => PAGE,
        // The text of a redirect already says what to do.
        404 | 405 | 410 | 421 | 501 => ADDRESS,
        _ => "",
    };
    let why = Box::new(Refusal { status, text: one_line(&hidden), remedy });
    match status {
        401 => Err(SendError::Stop { why }),
        403 if !limited => Err(SendError::Stop { why }),
        200..=299 | 501 => Err(SendError::Stop { why }),
        _ if answer.is_wrong_place() => Err(SendError::Stop { why }),
        // A proxy or gateway got no answer from the API.
        502 | 504 => Err(SendError::Unknown { after: answer.retry_after(now_ms), why }),
        403 | 408 | 425 | 429 | 500..=599 => {
            let after = answer.retry_after(now_ms).or_else(|| until_reset(answer, now_ms));
            Err(SendError::Retry { after, why })
        }
        _ => Err(SendError::Reject { why }),
    }
}

/// The error of a successful answer that rejects part of the payload.
pub(super) fn in_part(answer: &Answer, refused: RefusedPart, secrets: &[&Secret]) -> SendError {
    let (status, text) = (answer.status, message(&answer.body));
    let hidden = secrets.iter().fold(text, |text, secret| secret.redact(&text));
    let why = Box::new(Refusal { status, text: one_line(&hidden), remedy: "" });
    SendError::Partial { refused, why }
}

/// The time until the exhausted one of the two rate limits is reset. The headers have the form
/// `limit=600000,remaining=0,reset=1531370400`.
fn until_reset(answer: &Answer, now_ms: u64) -> Option<Duration> {
    let exhausted = |name| {
        let value = answer.header(name)?;
        let field = |key: &str| {
            let pairs = value.split(',').filter_map(|pair| pair.trim().split_once('='));
            pairs.filter(|(k, _)| *k == key).find_map(|(_, v)| v.trim().parse::<u64>().ok())
        };
        (field("remaining") == Some(0)).then(|| field("reset"))?
    };
    let resets = ["x-librato-ratelimit-agg", "x-librato-ratelimit-std"].map(exhausted);
    let reset = resets.into_iter().flatten().max()?;
    Some(Duration::from_secs(reset.saturating_sub(now_ms / 1000).min(LONGEST_WAIT_S)))
}

/// The API's message in an error body, found like python-librato does.
pub(super) fn message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return "no explanation".to_owned();
    }
    if is_page(body) {
        return title(&text).unwrap_or_else(|| "a web page".to_owned());
    }
    match serde_json::from_str(&text) {
        Ok(Value::String(text)) => text,
        Ok(Value::Object(object)) => from_object(&object).unwrap_or_else(|| text.into_owned()),
        Ok(_) | Err(_) => text.into_owned(),
    }
}

/// Whether a body is a web page, whatever its `Content-Type` says: servers answer with an empty text
/// as `text/html` too.
pub(super) fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// The title of a web page.
fn title(page: &str) -> Option<String> {
    let head = page.get(..page.floor_char_boundary(MAX_HEAD))?;
    // Only ASCII changes, so indexes into both are the same.
    let lower = head.to_ascii_lowercase();
    let begin = lower.find("<title")?;
    let begin = begin + lower.get(begin..)?.find('>')? + 1;
    let end = begin + lower.get(begin..)?.find("</title")?;
    let title = one_line(head.get(begin..end)?.trim());
    (!title.is_empty()).then(|| format!("the page {title:?}"))
}

fn from_object(object: &Map<String, Value>) -> Option<String> {
    if let Some(value) = object.get("error").or_else(|| object.get("message")) {
        return Some(plain(value));
    }
    match object.get("errors")? {
        Value::Object(errors) => {
            let entries = errors.iter().flat_map(|(key, value)| entries(key, value));
            Some(entries.collect::<Vec<_>>().join(", "))
        }
        value => Some(flat(value)),
    }
}

/// The messages under one key of `errors`.
fn entries(key: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| format!("{key}: {}", plain(item))).collect(),
        Value::Object(inner) => {
            inner.iter().map(|(sub, value)| format!("{key}: {sub}: {}", flat(value))).collect()
        }
        value => vec![format!("{key}: {}", plain(value))],
    }
}

fn flat(value: &Value) -> String {
    let joined = |texts: Vec<String>| texts.join(", ");
    match value {
        Value::Array(items) => joined(items.iter().map(plain).collect()),
        Value::Object(inner) => joined(
            inner
                .iter()
                .map(|(key, value)| match value {
                    Value::Array(items) => {
                        let items: Vec<_> = items.iter().map(plain).collect();
                        format!("{key}: {}", items.join(", "))
                    }
                    value => format!("{key}: {}", plain(value)),
                })
                .collect(),
        ),
        value => plain(value),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{judge, message};
    use crate::SendError;
    use crate::http::Answer;
    use crate::secret::Secret;
    use std::error::Error;
    use std::time::Duration;

    const NOW_MS: u64 = 1_531_370_300_000;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Answer { status, headers: headers.collect(), body: body.as_bytes().to_vec() }
    }

    #[derive(Debug, PartialEq)]
    enum Class {
        Taken,
        Retry(Option<u64>),
        Reject,
        Stop,
        Unknown,
    }

    fn class(answer: &Answer) -> Class {
        match judge(answer, &[&Secret::new("tok123")], NOW_MS) {
            Ok(()) => Class::Taken,
            Err(SendError::Retry { after, .. }) => Class::Retry(after.map(|wait| wait.as_secs())),
            Err(SendError::Reject { .. }) => Class::Reject,
            Err(SendError::Stop { .. }) => Class::Stop,
            Err(SendError::Unknown { .. }) => Class::Unknown,
            Err(error @ SendError::Partial { .. }) => panic!("{error}"),
        }
    }

    #[test]
    fn each_status_has_its_class() {
        for (status, expected) in [
            (200, Class::Taken),
            (201, Class::Taken),
            (202, Class::Taken),
            (204, Class::Taken),
            (300, Class::Stop),
            (301, Class::Stop),
            (302, Class::Stop),
            (308, Class::Stop),
            (400, Class::Reject),
            (401, Class::Stop),
            (403, Class::Stop),
            (402, Class::Stop),
            (404, Class::Stop),
            (405, Class::Stop),
            (407, Class::Stop),
            (410, Class::Stop),
            (413, Class::Reject),
            (425, Class::Retry(None)),
            (408, Class::Retry(None)),
            (415, Class::Reject),
            (422, Class::Reject),
            (429, Class::Retry(None)),
            (500, Class::Retry(None)),
            (502, Class::Unknown),
            (503, Class::Retry(None)),
            (501, Class::Stop),
            (504, Class::Unknown),
            (599, Class::Retry(None)),
        ] {
            assert_eq!(class(&answer(status, &[], "oops")), expected, "{status}");
        }
    }

    #[test]
    fn a_web_page_is_no_acceptance() {
        let page = "<!DOCTYPE html><title>Welcome</title>";
        for (status, expected) in [
            (200, Class::Stop),
            (202, Class::Stop),
            (400, Class::Reject),
            (503, Class::Retry(None)),
        ] {
            assert_eq!(class(&answer(status, &[], page)), expected, "{status}");
        }
        for body in ["", "OK", "  ", "{}"] {
            let html = answer(200, &[("content-type", "text/html")], body);
            assert_eq!(class(&html), Class::Taken, "{body}");
        }
    }

    #[test]
    fn a_rate_limit_delays_the_retry() {
        let value =
            r#"{"error":"You have hit the API limit for measurements [measure:raw_rate]."}"#;
        let std = "x-librato-ratelimit-std";
        for (status, headers, after) in [
            (403, vec![], None),
            (429, vec![("retry-after", "7")], Some(7)),
            (429, vec![(std, "limit=600,remaining=0,reset=1531370400")], Some(100)),
            (403, vec![(std, "limit=600, remaining=0, reset=1531370400")], Some(100)),
            (429, vec![(std, "limit=600,remaining=5,reset=1531370400")], None),
            (429, vec![(std, "limit=600,remaining=0,reset=1")], Some(0)),
            (429, vec![(std, "limit=600,remaining=0,reset=9999999999")], Some(3600)),
            (429, vec![(std, "nonsense")], None),
            (
                429,
                vec![("retry-after", "7"), (std, "limit=600,remaining=0,reset=1531370400")],
                Some(7),
            ),
        ] {
            assert_eq!(class(&answer(status, &headers, value)), Class::Retry(after), "{headers:?}");
        }
    }

    #[test]
    fn the_message_is_found_in_every_form_of_error() {
        for (body, text) in [
            (r#"{"errors": {"request": ["bad"]}}"#, "request: bad"),
            (r#"{"errors": {"request": "scalar"}}"#, "request: scalar"),
            (
                r#"{"errors": {"params": {"name": ["duplicate etc", "bad character etc"]}}}"#,
                "params: name: duplicate etc, bad character etc",
            ),
            (
                r#"{"errors": {"params": {"conditions": {"duration": ["must be set"]}}}}"#,
                "params: conditions: duration: must be set",
            ),
            (
                r#"{"errors": {"params": {"measure_time": ["is too far in the past"]}}}"#,
                "params: measure_time: is too far in the past",
            ),
            (r#"{"errors": ["a", "b"]}"#, "a, b"),
            (r#"{"request_time": 1467306906, "error": "API limit"}"#, "API limit"),
            (r#"{"message": "gone"}"#, "gone"),
            (r#""text""#, "text"),
            (r#"{"other": 1}"#, r#"{"other": 1}"#),
            ("<html>", "a web page"),
            (
                "\n<!doctype html><TITLE lang=en> End of\nlife é </title>",
                "the page \"End of life é\"",
            ),
            ("<title>", "a web page"),
            ("<title></title>", "a web page"),
            ("", "no explanation"),
        ] {
            assert_eq!(message(body.as_bytes()), text, "{body}");
        }
    }

    #[test]
    fn errors_contain_the_answer_but_never_the_token() {
        let said = |answer: &Answer| {
            let error = judge(answer, &[&Secret::new("tok123")], NOW_MS).unwrap_err();
            error.source().unwrap().to_string()
        };
        assert_eq!(
            said(&answer(400, &[], r#"{"errors":{"params":{"name":["is in\nvalid"]}}}"#)),
            "Librato answered 400: params: name: is in valid"
        );
        assert_eq!(
            said(&answer(401, &[], "bad token tok123")),
            "Librato answered 401: bad token ***; check --username and --apitoken-file (or --apitoken)"
        );
        assert_eq!(
            said(&answer(301, &[("location", "https://elsewhere/v1/metrics")], "")),
            "Librato answered 301: the API has moved to https://elsewhere/v1/metrics; set --api-url to it"
        );
        assert!(said(&answer(500, &[], &"x".repeat(70_000))).len() < 400);
        let wait = judge(&answer(429, &[("retry-after", "1")], ""), &[], NOW_MS);
        let Err(SendError::Retry { after, .. }) = wait else { panic!("{wait:?}") };
        assert_eq!(after, Some(Duration::from_secs(1)));
    }
}
