//! An HTTP answer, and what its head means.

use std::io::Read;
use std::time::{Duration, UNIX_EPOCH};

/// Maximum number of bytes that are read of a body; the rest is ignored.
pub(crate) const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// Maximum wait that an answer may request.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Why a body is not complete.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    #[error("it ends early: {0}")]
    Early(std::io::Error),
    #[error("it is longer than {0} bytes")]
    Long(u64),
}

/// An answer, with its body truncated at a limit.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads at most so many bytes of the body. If it is not complete, the second value says why.
    pub(super) fn read(
        response: ureq::http::Response<ureq::Body>,
        most: u64,
    ) -> (Self, Option<Cut>) {
        let (head, body) = response.into_parts();
        let headers = head.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        let headers = headers.collect();
        let mut bytes = Vec::new();
        let read = body.into_reader().take(most.saturating_add(1)).read_to_end(&mut bytes);
        let cut = match read {
            Err(error) => Some(Cut::Early(error)),
            Ok(_) if bytes.len() as u64 > most => Some(Cut::Long(most)),
            Ok(_) => None,
        };
        bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        (Self { status: head.status.as_u16(), headers, body: bytes }, cut)
    }

    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The wait that the server requests: `Retry-After`, in seconds or as a date, at most an hour.
    pub(crate) fn retry_after(&self, now_ms: u64) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
        }
        let until = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(until.saturating_sub(Duration::from_millis(now_ms)).min(LONGEST_WAIT))
    }

    /// Whether the status means that this address or account accepts no payload at all: a redirect,
    /// a missing page or method, an unpaid bill, a proxy that requires credentials.
    pub(crate) const fn is_wrong_place(&self) -> bool {
        matches!(self.status, 300..=399 | 402 | 404 | 405 | 407 | 410 | 421 | 451)
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use std::time::Duration;

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let now_ms = 784_111_777_000 - 60_000;
        for (text, wait) in [
            ("30", Some(30)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999", Some(3600)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = vec![("retry-after".to_owned(), text.to_owned())];
            let answer = Answer { status: 429, headers, body: Vec::new() };
            assert_eq!(answer.retry_after(now_ms), wait.map(Duration::from_secs), "{text:?}");
        }
        let bare = Answer { status: 429, headers: Vec::new(), body: Vec::new() };
        assert_eq!(bare.retry_after(now_ms), None);
    }
}
