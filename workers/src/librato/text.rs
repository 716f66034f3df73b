//! Converts names and sources to valid ones for Librato.
//!
//! Pure.

use crate::hash::fnv1a;
use crate::naming::marked;
use std::borrow::Cow;
use zibrato::DEFAULT_SOURCE;

/// Maximum length of a name or source, in characters, which are all ASCII.
pub(super) const MAX_TEXT: usize = 255;

/// Replaces every run of characters outside `A-Z a-z 0-9 . : - _` by one `-`, like python-librato's
/// `sanitize_metric_name`. A changed or truncated text gets a hash of the original appended, so
/// that `a b` and `a/b` stay distinct.
pub(super) fn sanitise(text: &str) -> Cow<'_, str> {
    if is_legal(text) {
        return Cow::Borrowed(text);
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_');
    Cow::Owned(marked(&replace_runs(text, legal), fnv1a(text.as_bytes()), MAX_TEXT))
}

/// Whether a text is unchanged. Most are. All bytes are looked at, because that can be done for many at
/// once.
fn is_legal(text: &str) -> bool {
    let legal = |byte: u8| {
        (byte | 0x20).is_ascii_lowercase() | matches!(byte, b'-'..=b'.' | b'0'..=b':' | b'_')
    };
    text.len() <= MAX_TEXT && text.bytes().fold(true, |all, byte| all & legal(byte))
}

/// Replaces every run of other characters by one `-`.
pub(super) fn replace_runs(text: &str, is_legal: impl Fn(char) -> bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut in_run = false;
    for c in text.chars() {
        let legal = is_legal(c);
        if legal {
            clean.push(c);
        } else if !in_run {
            clean.push('-');
        }
        in_run = !legal;
    }
    clean
}

/// A source, sanitised. Librato keeps `all` for itself, whatever its case; it becomes `all_`. An
/// empty one becomes the default source.
pub(super) fn source(text: &str) -> String {
    if text.is_empty() {
        return DEFAULT_SOURCE.to_owned();
    }
    let clean = sanitise(text);
    if clean.eq_ignore_ascii_case("all") { format!("{clean}_") } else { clean.into_owned() }
}

/// The name of a series: prefix, name, and for each tag `.tag.value`, because Librato's sources
/// know no tags. Sanitised as a whole.
pub(super) fn name<'a>(prefix: &str, name: &'a str, tags: &[(Box<str>, Box<str>)]) -> Cow<'a, str> {
    if prefix.is_empty() && tags.is_empty() {
        return sanitise(name);
    }
    let mut whole = format!("{prefix}{name}");
    for (tag, value) in tags {
        whole.extend([".", tag, ".", value]);
    }
    Cow::Owned(sanitise(&whole).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{name, sanitise, source};
    use proptest::prelude::*;

    /// Without the mark, if there is one.
    fn unmarked(text: &str) -> &str {
        match text.rsplit_once('_') {
            Some((head, mark)) if mark.len() == 16 => head,
            _ => text,
        }
    }

    #[test]
    fn names_are_sanitized_like_python_librato_does_and_marked() {
        let long = "x".repeat(254);
        for (from, to) in [
            ("abcdefghijklmnopqrstuvwxyz.:-_", "abcdefghijklmnopqrstuvwxyz.:-_"),
            ("   \t\nbat$$$*[]()m#@%^&=`~an", "-bat-m-an"),
            ("Just*toBeSafe", "Just-toBeSafe"),
            ("café au lait", "caf-au-lait"),
            ("a/b/c", "a-b-c"),
            ("--a--", "--a--"),
            ("[[]]", "-"),
            ("A.b:C-d_9", "A.b:C-d_9"),
            ("a|b", "a-b"),
            (&format!("{long}!!y"), long.get(..238).unwrap()),
        ] {
            let clean = sanitise(from);
            assert_eq!((unmarked(&clean), clean == to), (to, from == to), "{from}");
        }
    }

    #[test]
    fn truncated_or_changed_names_stay_distinct() {
        let long = |end: &str| sanitise(&format!("{}{end}", "x".repeat(255))).into_owned();
        assert_ne!(long(".ok"), long(".err"));
        assert_eq!((long(".ok").len(), long("").len()), (255, 255));
        for (a, b) in [("a b", "a-b"), ("a b", "a/b"), ("é", "è"), ("a  b", "a b"), ("[", "-")] {
            assert_ne!(sanitise(a), sanitise(b));
        }
        // Every version and machine gives the same result.
        assert_eq!(sanitise("a b"), "a-b_e63f991904833892");
    }

    #[test]
    fn reserved_sources_are_renamed() {
        for (from, to) in [
            ("web-1", "web-1"),
            ("host.example.com:80", "host.example.com:80"),
            ("my prog/1", "my-prog-1_"),
            ("", "not_specified"),
            ("all", "all_"),
            ("ALL", "ALL_"),
            ("allegro", "allegro"),
        ] {
            let source = source(from);
            assert!(source == to || to.ends_with("1_") && source.starts_with(to), "{source}");
        }
    }

    #[test]
    fn tags_follow_the_name() {
        let tags = [("dc".into(), "eu west".into()), ("status".into(), "200".into())];
        let tagged = name("", "http.requests", &tags);
        assert!(tagged.starts_with("http.requests.dc.eu-west.status.200_"), "{tagged}");
        assert_eq!(name("staging.", "logins", &[]), "staging.logins");
    }

    proptest! {
        #[test]
        fn every_result_is_valid(text in any::<String>()) {
            let legal = |text: &str| {
                text.len() <= 255
                    && text.chars().all(|c| c.is_ascii_alphanumeric() || ".:-_".contains(c))
            };
            prop_assert!(legal(&sanitise(&text)));
            let clean = sanitise(&text);
            prop_assert_eq!(sanitise(&clean), &*clean);
            let source = source(&text);
            prop_assert!(legal(&source) && !source.is_empty());
            prop_assert!(!source.eq_ignore_ascii_case("all"));
        }
    }
}
