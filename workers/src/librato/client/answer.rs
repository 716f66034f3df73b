//! Answers of the server: success, rejection, or something else.
//!
//! Pure.

use super::auth::Credentials;
use super::error::{ApiError, Error, Failed};
use super::payload::ErrorPayload;
use super::rate_limits::RateLimits;
use crate::http::retry::Again;
use crate::http::{Answer, Cut};
use serde::de::DeserializeOwned;
use serde_json::Value;
use zibrato::daemon::one_line;

/// The number of characters of a foreign text that an error shows.
const SHOWN: usize = 200;

/// A successful answer.
#[derive(Debug)]
pub(super) struct Success {
    pub(super) code: u16,
    /// The place of what was created, or of a job.
    pub(super) location: Option<String>,
    body: Vec<u8>,
    is_json: bool,
}

/// Judges an answer that was received at `now_ms`.
pub(super) fn judge(
    answer: Answer,
    cut: Option<Cut>,
    credentials: &Credentials,
    now_ms: u64,
) -> Result<Success, Failed> {
    let code = answer.status;
    match code {
        200..=299 => {}
        300..=399 => {
            let location =
                answer.header("location").map(|place| one_line(&credentials.redact(place)));
            return Err(Failed { error: Error::Moved { code, location }, again: Again::Never });
        }
        _ => {
            let error = api_error(&answer, credentials, now_ms);
            let again = match code {
                429 | 503 => Again::After(error.retry_after),
                // The server does not have this part of the API.
                501 => Again::Never,
                500.. => Again::IfSafe,
                _ => Again::Never,
            };
            return Err(Failed { error: Error::Api(Box::new(error)), again });
        }
    }
    if let Some(cut) = cut {
        let again = if matches!(cut, Cut::Early(_)) { Again::IfSafe } else { Again::Never };
        return Err(Failed { error: Error::Unreadable { code, why: cut.to_string() }, again });
    }
    let is_json = answer.header("content-type").is_none_or(is_json);
    let location = answer.header("location").map(str::to_owned);
    let success = Success { code, location, body: answer.body, is_json };
    if !success.is_json && !success.body.is_empty() {
        let text = one_line(&credentials.redact(&String::from_utf8_lossy(&success.body)));
        let shown: String = text.chars().take(SHOWN).collect();
        let why = format!("it is not JSON, but begins with {shown:?}");
        return Err(Failed { error: Error::Unreadable { code, why }, again: Again::Never });
    }
    Ok(success)
}

fn api_error(answer: &Answer, credentials: &Credentials, now_ms: u64) -> ApiError {
    let payload = ErrorPayload::read(&answer.body, |text| credentials.redact(text));
    let rate_limits = RateLimits::read(|name| answer.header(name));
    let reset = || rate_limits.and_then(|limits| limits.until_reset(now_ms));
    let retry_after = answer.retry_after(now_ms).or_else(reset);
    ApiError { code: answer.status, payload, rate_limits, retry_after }
}

fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || media.ends_with("+json")
}

impl Success {
    /// The object in the body.
    pub(super) fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.decode_if_any()?.ok_or_else(|| self.unreadable("it is empty".to_owned()))
    }

    /// The object in the body, if there is a body.
    pub(super) fn decode_if_any<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let read = serde_json::from_slice(&self.body);
        read.map(Some).map_err(|error| self.unreadable(error.to_string()))
    }

    /// Fails if the body says that part of the request was rejected.
    pub(super) fn whole(&self, credentials: &Credentials) -> Result<(), Error> {
        let Some(value) = self.decode_if_any::<Value>()? else { return Ok(()) };
        let is_full = |errors: &Value| match errors {
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::String(text) => !text.is_empty(),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        };
        let failed = value.pointer("/measurements/summary/failed").and_then(Value::as_u64);
        let is_rejected =
            ["error", "errors"].iter().any(|field| value.get(field).is_some_and(is_full));
        if !is_rejected && failed.unwrap_or_default() == 0 {
            return Ok(());
        }
        let payload = ErrorPayload::read(&self.body, |text| credentials.redact(text));
        let (code, rate_limits, retry_after) = (self.code, None, None);
        Err(Error::Api(Box::new(ApiError { code, payload, rate_limits, retry_after })))
    }

    pub(super) fn unreadable(&self, why: String) -> Error {
        Error::Unreadable { code: self.code, why }
    }
}

#[cfg(test)]
mod tests {
    use super::{Again, Answer, Credentials, Cut, Error, Failed, Success, judge};
    use std::time::Duration;

    fn answer(
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
        cut: Option<Cut>,
    ) -> Result<Success, Failed> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(own).collect();
        let credentials = Credentials::new("user@example.com", "tok123").unwrap();
        judge(Answer { status, headers, body: body.into() }, cut, &credentials, 1_000_000)
    }

    #[test]
    fn the_status_decides_whether_another_attempt_makes_sense() {
        let again =
            |status, headers: &[(&str, &str)]| answer(status, headers, "", None).unwrap_err().again;
        for status in [400, 401, 403, 404, 408, 409, 415, 422, 501] {
            assert_eq!(again(status, &[]), Again::Never, "{status}");
        }
        for status in [500, 502, 504] {
            assert_eq!(again(status, &[]), Again::IfSafe, "{status}");
        }
        assert_eq!(again(503, &[]), Again::After(None));
        let seconds = |seconds| Again::After(Some(Duration::from_secs(seconds)));
        assert_eq!(again(429, &[("retry-after", "7")]), seconds(7));
        let limit = "limit=60,remaining=0,reset=1030";
        assert_eq!(again(429, &[("x-librato-ratelimit-std", limit)]), seconds(30));
    }

    #[test]
    fn a_redirect_is_not_followed_and_shows_no_credentials() {
        let failed = answer(302, &[("location", "https://a/?t=tok123\r\n")], "", None).unwrap_err();
        let text = failed.error.to_string();
        assert!(text.starts_with("the API has moved (302) to https://a/?t=***"), "{text}");
        assert_eq!(failed.again, Again::Never);
        let nowhere = answer(301, &[], "", None).unwrap_err().error.to_string();
        assert!(nowhere.contains("does not name"), "{nowhere}");
    }

    #[test]
    fn what_is_no_answer_of_the_api_is_unreadable() {
        let why = |headers: &[(&str, &str)], body: &str, cut| {
            let failed = answer(200, headers, body, cut).unwrap_err();
            (failed.error.to_string(), failed.again)
        };
        let html = [("content-type", "text/html; charset=utf-8")];
        let (text, again) = why(&html, "<p>tok123 please\nlog in</p>", None);
        assert_eq!(again, Again::Never);
        assert!(text.starts_with("the answer (200) cannot be read: it is not JSON"), "{text}");
        assert!(!text.contains("tok123") && text.contains("log in"), "{text}");
        let early = Cut::Early(std::io::ErrorKind::UnexpectedEof.into());
        assert_eq!(why(&[], "{", Some(early)).1, Again::IfSafe);
        assert_eq!(why(&[], "{", Some(Cut::Long(7))).1, Again::Never);
        for (kind, body) in
            [("application/json", "x"), ("Application/JSON; a=b", "{"), ("a/b+json", "")]
        {
            let success = answer(200, &[("content-type", kind)], body, None).unwrap();
            let error = success.decode::<Vec<u8>>().unwrap_err();
            assert!(matches!(error, Error::Unreadable { code: 200, .. }), "{error}");
        }
        assert!(
            answer(200, &html, "", None).unwrap().decode_if_any::<Vec<u8>>().unwrap().is_none()
        );
        assert_eq!(answer(200, &[], "[1]", None).unwrap().decode::<Vec<u8>>().unwrap(), [1]);
    }

    #[test]
    fn a_success_may_hide_rejections() {
        let credentials = Credentials::new("user@example.com", "tok123").unwrap();
        for (body, expected) in [
            ("", Ok(())),
            ("{}", Ok(())),
            (r#"{"errors":[]}"#, Ok(())),
            (r#"{"measurements":{"summary":{"failed":0}}}"#, Ok(())),
            (r#"{"errors":["a is invalid"]}"#, Err("[202] a is invalid")),
            (r#"{"errors":"a is invalid"}"#, Err("[202] a is invalid")),
            (r#"{"error":"a is invalid"}"#, Err("[202] a is invalid")),
            (r#"{"error":null,"errors":{}}"#, Ok(())),
            (
                r#"{"measurements":{"summary":{"failed":1}}}"#,
                Err(r#"[202] {"measurements":{"summary":{"failed":1}}}"#),
            ),
        ] {
            let whole = answer(202, &[], body, None).unwrap().whole(&credentials);
            assert_eq!(whole.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
        }
    }
}
