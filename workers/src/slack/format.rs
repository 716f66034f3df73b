//! Formats names, numbers, times and windows for a message.
//!
//! Pure.

use crate::hash::fnv1a;
use std::borrow::Cow;
use zibrato::daemon::rfc3339;

/// Maximum number of characters of a name or source, and of the tags. Escaping turns one into at
/// most five, so a section stays below Slack's limit of 3,000.
pub(super) const MAX_NAME: usize = 200;
pub(super) const MAX_TAGS: usize = 120;

/// Escapes the three characters that are special in Slack, so that no name becomes a link or a
/// mention.
///
/// ```
/// use zibrato_workers::slack::bus::escape;
/// assert_eq!(escape("a & <!channel>"), "a &amp; &lt;!channel&gt;");
/// ```
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The text that was [escaped](escape).
pub(super) fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// At most `most` characters of a text; a longer one ends in `…`.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A whole number with separators: `1,234,567`.
pub(super) fn grouped(value: impl ToString) -> String {
    separated(&value.to_string())
}

/// A decimal number with separators in the part before its point.
fn separated(text: &str) -> String {
    let end = text.find('.').unwrap_or(text.len());
    let begin = text.find(|c: char| c.is_ascii_digit()).unwrap_or(end);
    let mut out = String::with_capacity(text.len() + text.len() / 3);
    for (at, c) in text.char_indices() {
        if at > begin && at < end && (end - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A number: whole numbers in full, others with four significant digits. `1,234,567`, `20.58`.
pub(super) fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return grouped(value as i64);
    }
    if (1e-4..1e15).contains(&value.abs()) {
        return significant(value, 4);
    }
    format!("{value:.3e}")
}

/// A duration in a suitable unit, with three significant digits.
pub(super) fn seconds(value: f64) -> String {
    let size = value.abs();
    let (factor, unit) = match size {
        _ if size >= 1.0 || size == 0.0 => (1.0, "s"),
        _ if size >= 1e-3 => (1e3, "ms"),
        _ if size >= 1e-6 => (1e6, "µs"),
        _ => (1e9, "ns"),
    };
    let scaled = value * factor;
    if (1e-3..1e15).contains(&scaled.abs()) {
        format!("{} {unit}", significant(scaled, 3))
    } else {
        format!("{} {unit}", number(scaled))
    }
}

/// `digits` significant digits, without trailing zeros. All digits before the point are kept.
fn significant(value: f64, digits: i32) -> String {
    let whole = value.abs().log10().floor() as i32 + 1;
    let decimals = usize::try_from(digits - whole).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        separated(text.trim_end_matches('0').trim_end_matches('.'))
    } else {
        separated(&text)
    }
}

/// A name or source for a message. Backticks are replaced, because they would start a code span. A
/// shortened or changed text ends in a hash of the original, so that two series never look the
/// same.
pub(super) fn shown(text: &str, most: usize) -> String {
    let as_it_is = text.chars().count() <= most && !text.contains('`');
    if as_it_is {
        return escape(text);
    }
    let mark = format!("_{:016x}", fnv1a(text.as_bytes()));
    let head = shorten(text, most.saturating_sub(mark.len())).replace('`', "'");
    escape(&format!("{head}{mark}"))
}

/// Tags, such as `env=prod host="a b"`.
pub(super) fn tags_text(tags: &[(Box<str>, Box<str>)]) -> String {
    let pairs = tags.iter().map(|(tag, value)| format!("{}={}", quoted(tag), quoted(value)));
    pairs.collect::<Vec<_>>().join(" ")
}

/// A tag or its value, in quotes if it contains a separator.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([' ', '=', '"', '\\']) {
        Cow::Owned(format!("{text:?}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A length of time in its two largest units: `45 s`, `12 min`, `1 h 5 min`, `2 d`.
pub(super) fn time_span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: String, small: u64, unit: &str| match small {
        0 => large,
        small => format!("{large} {small} {unit}"),
    };
    match () {
        () if days > 0 => two(format!("{days} d"), hours % 24, "h"),
        () if hours > 0 => two(format!("{hours} h"), minutes % 60, "min"),
        () if minutes > 0 => two(format!("{minutes} min"), seconds % 60, "s"),
        () => format!("{seconds} s"),
    }
}

/// A window for people: `2026-11-20 12:00–12:01 UTC, 60 s`. Seconds are shown if they are not zero.
pub(super) fn window(start_ms: u64, length_ms: u64) -> String {
    let end_ms = start_ms.saturating_add(length_ms);
    let on_minutes = start_ms.is_multiple_of(60_000) && end_ms.is_multiple_of(60_000);
    let (start, end) = (rfc3339(start_ms), rfc3339(end_ms));
    let date = start.get(..10).unwrap_or_default();
    let time_of_day = |time: &str| {
        let end = if on_minutes { 16 } else { 19 };
        time.get(11..end).unwrap_or_default().to_owned()
    };
    format!(
        "{date} {}–{} UTC, {} s",
        time_of_day(&start),
        time_of_day(&end),
        number(length_ms as f64 / 1000.0)
    )
}

#[cfg(test)]
mod tests {
    use super::{escape, number, seconds, shorten, time_span, window};

    #[test]
    fn time_spans_have_at_most_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (90, "1 min 30 s"),
            (3900, "1 h 5 min"),
            (86_400 + 7200 + 59, "1 d 2 h"),
        ] {
            assert_eq!(time_span(seconds * 1000), text);
        }
    }

    #[test]
    fn special_characters_are_escaped() {
        for (from, to) in [
            ("a & <b> 1 2", "a &amp; &lt;b&gt; 1 2"),
            ("&amp;", "&amp;amp;"),
            ("<!channel>", "&lt;!channel&gt;"),
            ("a<b>&c", "a&lt;b&gt;&amp;c"),
            ("日本 & 語", "日本 &amp; 語"),
            ("\"quoted\" 'single'", "\"quoted\" 'single'"),
            ("", ""),
        ] {
            assert_eq!(escape(from), to);
        }
    }

    #[test]
    fn long_texts_are_truncated_between_characters() {
        assert_eq!(shorten("日本語", 3), "日本語");
        assert_eq!(shorten("日本語!", 3), "日本…");
        assert_eq!(shorten("", 3), "");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (9.0, "9"),
            (-3.0, "-3"),
            (999.0, "999"),
            (-1_000.0, "-1,000"),
            (1_234_567.0, "1,234,567"),
            (-123_456.0, "-123,456"),
            (123_456_789_012_345.0, "123,456,789,012,345"),
            (20.583_333, "20.58"),
            (0.012_345, "0.01235"),
            (1234.56, "1,235"),
            (123_456.7, "123,457"),
            (2.5, "2.5"),
            (-0.1, "-0.1"),
            (1e21, "1.000e21"),
            (1.5e-7, "1.500e-7"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn durations_have_a_suitable_unit() {
        for (value, text) in [
            (0.0, "0 s"),
            (1.0, "1 s"),
            (12.345, "12.3 s"),
            (3600.0, "3,600 s"),
            (1234.6, "1,235 s"),
            (0.25, "250 ms"),
            (0.012_345, "12.3 ms"),
            (0.000_25, "250 µs"),
            (1.9e-8, "19 ns"),
            (-0.5, "-500 ms"),
            (1e20, "1.000e20 s"),
        ] {
            assert_eq!(seconds(value), text, "{value}");
        }
    }

    #[test]
    fn windows_are_shown_as_times_of_day() {
        let noon_ms = 1_795_176_000_000; // 2026-11-20 12:00:00 UTC
        for (start_ms, length_ms, text) in [
            (noon_ms, 60_000, "2026-11-20 12:00–12:01 UTC, 60 s"),
            (noon_ms, 300_000, "2026-11-20 12:00–12:05 UTC, 300 s"),
            (noon_ms + 10_000, 10_000, "2026-11-20 12:00:10–12:00:20 UTC, 10 s"),
            (noon_ms, 500, "2026-11-20 12:00:00–12:00:00 UTC, 0.5 s"),
            (noon_ms + 43_140_000, 60_000, "2026-11-20 23:59–00:00 UTC, 60 s"),
            (0, 60_000, "1970-01-01 00:00–00:01 UTC, 60 s"),
        ] {
            assert_eq!(window(start_ms, length_ms), text);
        }
    }

    #[test]
    fn windows_know_leap_years() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_782, "2024-02-29"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(window(days * 86_400_000, 60_000).split(' ').next(), Some(expected));
        }
    }
}
