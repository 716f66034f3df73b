//! Times as text, in RFC 3339 and UTC.
//!
//! Pure.

use jiff::Timestamp;

/// Writes unix milliseconds as RFC 3339 in UTC, such as `2023-11-14T22:13:20.123Z`. Times after the
/// year 9999 are written as its end.
#[must_use]
pub fn rfc3339(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", time.unwrap_or(Timestamp::MAX))
}

/// Reads an RFC 3339 time, with or without fractions of a second, as unix milliseconds; `None` if it
/// is invalid, has no offset from UTC, or is before 1970.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let time: Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::{parse_rfc3339, rfc3339};

    #[test]
    fn times_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (1_700_000_101_250, "2023-11-14T22:15:01.250Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
            assert_eq!(parse_rfc3339(text), Some(ms));
        }
        assert!(rfc3339(u64::MAX).starts_with("9999-12-30T"));
    }

    #[test]
    fn an_invalid_time_is_rejected() {
        for text in [
            "",
            "yesterday",
            "2023-02-30T00:00:00Z",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "TZ",
            "1-1-1T1:1:1Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        assert_eq!(parse_rfc3339("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000));
    }
}
