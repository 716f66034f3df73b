//! Turns any name into a path that Carbon takes, Graphite can ask for, and a file system can hold.
//!
//! Pure. A path is `parts.with.dots;tag=value;tag=value`: what stands before the first `;` becomes
//! directories and a file, so a part may not be longer than a file name.

use std::borrow::Cow;

/// The longest part of a path: a file name has at most 255 bytes, and Carbon appends `.wsp`.
const MAX_PART_BYTES: usize = 240;

/// What stands for a name of which nothing else is left.
const NOTHING_LEFT: &str = "_";

/// Appends the parts of `text` to `path`, with dots between them. Empty parts (a dot at either
/// end, two in a row) are left out.
pub(super) fn push_parts(path: &mut String, text: &str) {
    for part in text.split('.').filter(|part| !part.is_empty()) {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&bounded(&replaced(part, breaks_a_path)));
    }
}

/// Appends ` ;tag=value` to `text` without the blank.
pub(super) fn push_tag(text: &mut String, tag: &str, value: &str) {
    let tag = replaced(tag, breaks_a_tag);
    let value = replaced(value, breaks_a_value);
    text.push(';');
    if tag == "name" {
        // Carbon overwrites a tag `name` by the name of the metric.
        text.push('_');
    }
    text.push_str(&bounded(&tag));
    text.push('=');
    if value.starts_with('~') {
        text.push_str("_~");
        text.push_str(value.trim_start_matches('~'));
    } else {
        text.push_str(&value);
    }
}

/// The whole path of something with a prefix, a source and a name.
pub(super) fn path(prefix: &str, source: Option<&str>, name: &str) -> String {
    let mut path = String::with_capacity(prefix.len() + name.len() + 32);
    push_parts(&mut path, prefix);
    if let Some(source) = source {
        push_parts(&mut path, source);
    }
    let before = path.len();
    push_parts(&mut path, name);
    if path.len() == before {
        push_parts(&mut path, NOTHING_LEFT);
    }
    path
}

/// Whether a character cannot stand in a path: white space ends a field (Carbon splits at any that
/// Unicode knows), `;` starts tags, slashes make directories, and the rest cannot be asked for:
/// Graphite reads it as a pattern, a quote, or the syntax of a function call.
fn breaks_a_path(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "/\\;*?[]{}(),'\"`|~".contains(c)
}

/// Whether a character cannot stand in the name of a tag.
fn breaks_a_tag(c: char) -> bool {
    breaks_a_path(c) || "!^=".contains(c)
}

/// Whether a character cannot stand in the value of a tag.
fn breaks_a_value(c: char) -> bool {
    c.is_whitespace() || c.is_control() || ";\\'\"".contains(c)
}

fn replaced(text: &str, breaks: fn(char) -> bool) -> Cow<'_, str> {
    if text.contains(breaks) { Cow::Owned(text.replace(breaks, "_")) } else { Cow::Borrowed(text) }
}

/// Cuts what is too long, and marks it so that two long parts with the same beginning stay apart.
fn bounded(part: &str) -> Cow<'_, str> {
    if part.len() <= MAX_PART_BYTES {
        return Cow::Borrowed(part);
    }
    let mark = format!("_{:016x}", fnv1a(part.as_bytes()));
    let cut = part.floor_char_boundary(MAX_PART_BYTES - mark.len());
    let (head, _) = part.split_at(cut);
    Cow::Owned(format!("{head}{mark}"))
}

/// The 64-bit FNV-1a hash: the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::{MAX_PART_BYTES, fnv1a, path, push_tag};
    use proptest::prelude::*;

    #[test]
    fn a_path_is_prefix_source_and_name() {
        for (prefix, source, name, expected) in [
            ("", Some("web-1"), "logins", "web-1.logins"),
            ("zibrato", Some("web-1"), "logins", "zibrato.web-1.logins"),
            ("a.b.", Some("node.company.tld"), "db.query", "a.b.node.company.tld.db.query"),
            ("", None, "logins", "logins"),
            ("", Some("Shop::Cart"), "a-b_c:d@e+f%g#h$i&j<k>", "Shop::Cart.a-b_c:d@e+f%g#h$i&j<k>"),
            ("", None, "café.温度", "café.温度"),
            ("", Some("..a..b."), ".c...d.", "a.b.c.d"),
            ("", Some("s"), "...", "s._"),
            ("", None, ".", "_"),
            ("", None, "a b\u{a0}c\u{3000}d", "a_b_c_d"),
            ("", None, "GET /x/{id}?q=[1]*", "GET__x__id__q=_1__"),
            ("", None, r#"a;b\c"d'e"#, "a_b_c_d_e"),
            ("", None, "~f(x,y)`", "_f_x_y__"),
        ] {
            assert_eq!(path(prefix, source, name), expected);
        }
    }

    #[test]
    fn a_tag_is_one_that_carbon_keeps() {
        for (tag, value, expected) in [
            ("dc", "fra-1", ";dc=fra-1"),
            ("a b", "c d", ";a_b=c_d"),
            ("a=b!c^d;e", "f=g;h", ";a_b_c_d_e=f=g_h"),
            ("url", "/x/*?y=1", ";url=/x/*?y=1"),
            ("name", "x", ";_name=x"),
            ("v", "~1", ";v=_~1"),
            ("v", "~~", ";v=_~"),
            ("q", "a'b\"c\\d", ";q=a_b_c_d"),
        ] {
            let mut text = String::new();
            push_tag(&mut text, tag, value);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_part_fits_into_a_file_name_and_stays_apart_from_others() {
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        let long = |end: &str| path("", None, &format!("{}{end}", "ö".repeat(125)));
        let (a, b) = (long("a"), long("b"));
        assert!(a.len() <= MAX_PART_BYTES && a.starts_with("öö") && a != b, "{a}");
        assert_eq!(path("", None, &"n".repeat(240)), "n".repeat(240));
    }

    proptest! {
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
