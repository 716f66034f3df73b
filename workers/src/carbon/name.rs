//! Converts any name to a path that is valid for Carbon, for Graphite's queries, and for a file
//! system.
//!
//! A text that is changed or truncated gets a hash of the original appended, so that `a b` and
//! `a_b` stay distinct.
//!
//! Pure. A path is `parts.with.dots;tag=value;tag=value`. The part before the first `;` becomes
//! directories and a file, so no part may be longer than a file name.

use crate::hash::{fnv1a, fnv1a_all};
use crate::naming::marked;
use std::borrow::Cow;

/// Maximum length of a part: a file name has at most 255 bytes, and Carbon appends `.wsp`.
const MAX_PART_BYTES: usize = 240;

/// Maximum length of a text with a hash.
const MAX_MARKED_BYTES: usize = 300;

/// Maximum length of a path with tags, without its statistic. A file system takes about 4,000 bytes,
/// with the folder of Carbon's files.
const MAX_PATH_BYTES: usize = 2_000;

/// Replaces a name without valid characters.
pub(super) const NOTHING_LEFT: &str = "_";

/// Appends the parts of `text` to `path`, separated by dots. Empty parts (a dot at either end, two
/// dots in a row) are omitted, and then the last part gets a hash.
pub(super) fn push_parts(path: &mut String, text: &str) {
    if is_usual(text) {
        return push(path, text);
    }
    let has_empty = !text.is_empty() && text.split('.').any(str::is_empty);
    let mut parts = text.split('.').filter(|part| !part.is_empty()).peekable();
    if has_empty && parts.peek().is_none() {
        push(path, &marked(NOTHING_LEFT, fnv1a(text.as_bytes()), MAX_PART_BYTES));
    }
    while let Some(part) = parts.next() {
        let part_clean = cleaned(part, breaks_a_path, MAX_PART_BYTES);
        if has_empty && parts.peek().is_none() {
            push(path, &marked(&part_clean, fnv1a(text.as_bytes()), MAX_PART_BYTES));
        } else {
            push(path, &part_clean);
        }
    }
}

/// Whether a text is a path as it is. Most are, and this is decided faster than what is wrong.
pub(super) fn is_usual(text: &str) -> bool {
    let mut before = b'.';
    let is_valid = |byte: u8| {
        let begins_part = std::mem::replace(&mut before, byte) == b'.';
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-' | b':' => true,
            _ => byte == b'.' && !begins_part,
        }
    };
    text.len() <= MAX_PART_BYTES && text.bytes().all(is_valid) && before != b'.'
}

/// Appends one part.
pub(super) fn push(path: &mut String, part: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(part);
}

/// A valid prefix, without a hash, because there is only one prefix.
pub(super) fn prefix(text: &str) -> String {
    let parts = text.split('.').filter(|part| !part.is_empty());
    let clean: Vec<_> = parts.map(|part| part.replace(breaks_a_path, "_")).collect();
    clean.join(".")
}

/// Appends ` ;tag=value` to `text` without the blank.
pub(super) fn push_tag(text: &mut String, tag: &str, value: &str) {
    let tag = cleaned(tag, breaks_a_tag, MAX_PART_BYTES);
    let value = cleaned(value, breaks_a_value, usize::MAX);
    text.push(';');
    if tag == "name" {
        // Carbon overwrites a tag `name` by the name of the metric.
        text.push('_');
    }
    text.push_str(&tag);
    text.push('=');
    if value.starts_with('~') {
        text.push_str("_~");
        text.push_str(value.trim_start_matches('~'));
    } else {
        text.push_str(&value);
    }
}

/// Appends tags as parts, `tag.value`, in this order. If the path becomes too long, the other tags are
/// one part: a hash.
pub(super) fn push_tags_as_parts<'a>(
    path: &mut String,
    tags: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) {
    let all = tags.clone();
    for (tag, value) in tags {
        let (tag, value) = (tag_part(tag), tag_part(value));
        if path.len() + tag.len() + value.len() > MAX_PATH_BYTES {
            // No text contains a line feed.
            let pieces =
                all.flat_map(|(tag, value)| [tag.as_bytes(), b"\n", value.as_bytes(), b"\n"]);
            return push(path, &marked(NOTHING_LEFT, fnv1a_all(pieces), MAX_PART_BYTES));
        }
        push(path, &tag);
        push(path, &value);
    }
}

/// A tag or a value as one part. Its dots become `_DOT_`, as in the files that Carbon has for series
/// with tags.
fn tag_part(text: &str) -> Cow<'_, str> {
    const DOT: &str = "_DOT_";
    if text.is_empty() {
        return NOTHING_LEFT.into();
    }
    let part: Cow<'_, str> =
        if text.contains('.') { text.replace('.', DOT).into() } else { text.into() };
    if fits(&part) && !part.contains(breaks_a_path) && !text.contains(DOT) {
        return part;
    }
    let hash = fnv1a(text.as_bytes());
    marked(&text.replace(|c| c == '.' || breaks_a_path(c), "_"), hash, MAX_PART_BYTES).into()
}

/// Whether a part of valid parts is not empty and not too long.
pub(super) fn fits(part: &str) -> bool {
    (1..=MAX_PART_BYTES).contains(&part.len())
}

/// A part of valid parts, truncated if it is too long.
pub(super) fn fitting(part: &str) -> Cow<'_, str> {
    cleaned(part, breaks_a_path, MAX_PART_BYTES)
}

/// A text with invalid characters replaced.
pub(super) fn legal(text: &str) -> String {
    text.replace(breaks_a_path, "_")
}

/// The path with a hash after its last part.
pub(super) fn marked_path(path: &str, hash: u64) -> String {
    let (head, last) = path.rsplit_once('.').unwrap_or(("", path));
    let dot = if head.is_empty() { "" } else { "." };
    format!("{head}{dot}{}", marked(last, hash, MAX_PART_BYTES))
}

/// Whether a character is invalid in a path. White space ends a field (Carbon splits at any Unicode
/// white space), `;` starts tags, and slashes create directories. The others cannot be queried,
/// because Graphite reads them as a pattern, a quote, or a function call.
fn breaks_a_path(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "/\\;*?[]{}(),'\"`|~".contains(c)
}

/// Whether a character is invalid in the name of a tag.
fn breaks_a_tag(c: char) -> bool {
    breaks_a_path(c) || "!^=".contains(c)
}

/// Whether a character is invalid in the value of a tag.
fn breaks_a_value(c: char) -> bool {
    c.is_whitespace() || c.is_control() || ";\\'\"".contains(c)
}

/// Replaces invalid characters and truncates a long text, and appends a hash if that changes it.
fn cleaned(text: &str, breaks: fn(char) -> bool, most: usize) -> Cow<'_, str> {
    if text.len() <= most && !text.contains(breaks) {
        return Cow::Borrowed(text);
    }
    let hash = fnv1a(text.as_bytes());
    Cow::Owned(marked(&text.replace(breaks, "_"), hash, most.min(MAX_MARKED_BYTES)))
}

#[cfg(test)]
mod tests {
    use super::{
        MAX_PART_BYTES, MAX_PATH_BYTES, NOTHING_LEFT, prefix, push_parts, push_tag,
        push_tags_as_parts,
    };
    use proptest::prelude::*;

    fn path(prefix: &str, source: Option<&str>, name: &str) -> String {
        let mut path = prefix.to_owned();
        push_parts(&mut path, source.unwrap_or_default());
        let before = path.len();
        push_parts(&mut path, name);
        if path.len() == before {
            push_parts(&mut path, NOTHING_LEFT);
        }
        path
    }

    /// A text with each hash replaced by `#`.
    fn without_marks(text: &str) -> String {
        let mut parts = text.split('_');
        let mut all = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            match part.split_at_checked(16) {
                Some((mark, rest)) if mark.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    all.extend(["#", rest]);
                }
                _ => all.extend(["_", part]),
            }
        }
        all
    }

    #[test]
    fn a_path_is_prefix_source_and_name() {
        for (before, source, name, expected) in [
            ("", Some("web-1"), "logins", "web-1.logins"),
            ("zibrato", Some("web-1"), "logins", "zibrato.web-1.logins"),
            ("a.b.", Some("node.company.tld"), "db.query", "a.b.node.company.tld.db.query"),
            ("", None, "logins", "logins"),
            ("", Some("Shop::Cart"), "a-b_c:d@e+f%g#h$i&j<k>", "Shop::Cart.a-b_c:d@e+f%g#h$i&j<k>"),
            ("", None, "café.温度", "café.温度"),
            ("", Some("..a..b."), ".c...d.", "a.b#.c.d#"),
            ("", Some("s"), "...", "s._#"),
            ("", None, ".", "_#"),
            ("", Some(""), "", "_"),
            ("", None, "a b\u{a0}c\u{3000}d", "a_b_c_d#"),
            ("", None, "GET /x/{id}?q=[1]*", "GET__x__id__q=_1__#"),
            ("", None, r#"a;b\c"d'e"#, "a_b_c_d_e#"),
            ("", None, "~f(x,y)`", "_f_x_y__#"),
            ("a b..c", None, "d e.f", "a_b.c.d_e#.f"),
        ] {
            let path = path(&prefix(before), source, name);
            assert_eq!(without_marks(&path), expected);
        }
    }

    #[test]
    fn a_tag_is_valid_for_carbon() {
        for (tag, value, expected) in [
            ("dc", "fra-1", ";dc=fra-1"),
            ("a b", "c d", ";a_b#=c_d#"),
            ("a=b!c^d;e", "f=g;h", ";a_b_c_d_e#=f=g_h#"),
            ("url", "/x/*?y=1", ";url=/x/*?y=1"),
            ("name", "x", ";_name=x"),
            ("v", "~1", ";v=_~1"),
            ("v", "~~", ";v=_~"),
            ("q", "a'b\"c\\d", ";q=a_b_c_d#"),
        ] {
            let mut text = String::new();
            push_tag(&mut text, tag, value);
            assert_eq!(without_marks(&text), expected);
        }
    }

    fn tags_in_path(tags: &[(&str, &str)]) -> String {
        let mut path = "n".to_owned();
        push_tags_as_parts(&mut path, tags.iter().copied());
        path
    }

    #[test]
    fn tags_are_parts_of_a_path() {
        let long = "ö".repeat(200);
        for (tags, expected) in [
            (&[][..], "n"),
            (&[("dc", "fra-1")], "n.dc.fra-1"),
            (
                &[("dc", "fra"), ("host", "web1.example.com")],
                "n.dc.fra.host.web1_DOT_example_DOT_com",
            ),
            (&[("a.b", "1.2")], "n.a_DOT_b.1_DOT_2"),
            (&[("a", "."), ("b", "..")], "n.a._DOT_.b._DOT__DOT_"),
            (&[("n", "n")], "n.n.n"),
            (&[("a=b!", "~1^")], "n.a=b!._1^#"),
            (&[("a", "x_DOT_y")], "n.a.x_DOT_y#"),
            (&[("a b", "c;d/e.f")], "n.a_b#.c_d_e_f#"),
            (&[("", "")], "n._._"),
        ] {
            assert_eq!(without_marks(&tags_in_path(tags)), expected);
        }
        let path = tags_in_path(&[("a", &long)]);
        assert!(path.split('.').all(|part| part.len() <= MAX_PART_BYTES), "{path}");
    }

    #[test]
    fn tags_in_a_path_stay_distinct_and_the_path_fits_a_file_system() {
        for (a, b) in [
            (&[("a", "1.2")][..], &[("a", "1"), ("2", "_")][..]),
            (&[("a", "1.2")], &[("a", "1_DOT_2")]),
            (&[("a", "1 2")], &[("a", "1_2")]),
            (&[("a", "1 2")], &[("a", "1/2")]),
            (&[("a", "b"), ("c", "d")], &[("a", "b.c.d")]),
        ] {
            assert_ne!(tags_in_path(a), tags_in_path(b));
        }
        let many = |last: &str| -> String {
            let tags: Vec<_> = (0..49).map(|n| (format!("tag{n}"), "v".repeat(200))).collect();
            let tags = tags.iter().map(|(tag, value)| (&**tag, &**value));
            let mut path = String::new();
            push_tags_as_parts(&mut path, tags.chain([("z", last)]));
            path
        };
        let (a, b) = (many("a"), many("b"));
        assert!(a.len() <= MAX_PATH_BYTES + MAX_PART_BYTES && a.starts_with("tag0.vv"), "{a}");
        assert!(a != b && a.split('.').all(|part| !part.is_empty()));
    }

    #[test]
    fn changed_names_stay_distinct() {
        for (a, b) in [
            ("a b", "a_b"),
            ("a b", "a/b"),
            ("x.a;b", "x.a_b"),
            ("(", ")"),
            ("a.b", "a..b"),
            ("a..b", ".a.b"),
            (".", ".."),
            (".", "_"),
            ("a b", ".a b"),
        ] {
            assert_ne!(path("", None, a), path("", None, b));
        }
        // Every version and machine gives the same result.
        assert_eq!(path("", None, "a b"), "a_b_e63f991904833892");
    }

    #[test]
    fn a_part_fits_a_file_name_and_stays_distinct() {
        let long = |end: &str| path("", None, &format!("{}{end}", "ö".repeat(125)));
        let (a, b) = (long("a"), long("b"));
        assert!(a.len() <= MAX_PART_BYTES && a.starts_with("öö") && a != b, "{a}");
        assert_eq!(path("", None, &"n".repeat(240)), "n".repeat(240));
    }

    proptest! {
        #[test]
        fn any_tags_in_a_path_are_whole_parts(
            tags in prop::collection::vec((any::<String>(), any::<String>()), 0..4),
        ) {
            let mut path = "n".to_owned();
            push_tags_as_parts(&mut path, tags.iter().map(|(tag, value)| (&**tag, &**value)));
            prop_assert_eq!(path.split_whitespace().count(), 1);
            prop_assert!(path.split('.').all(|p| !p.is_empty() && p.len() <= MAX_PART_BYTES));
            prop_assert!(!path.contains([';', '/', '\n', '*']));
        }

        #[test]
        fn any_path_is_one_field_of_whole_parts(
            source in prop::option::of("\\PC{0,300}"),
            name in any::<String>(),
        ) {
            let path = path("", source.as_deref(), &name);
            prop_assert!(!path.is_empty());
            prop_assert_eq!(path.split_whitespace().count(), 1);
            prop_assert!(path.split('.').all(|p| !p.is_empty() && p.len() <= MAX_PART_BYTES));
            prop_assert!(!path.contains([';', '/', '\n', '*']));
        }
    }
}
