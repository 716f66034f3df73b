//! Tags of a series as the tagged API accepts them.
//!
//! Pure.

use super::text::replace_runs;
use crate::hash::{fnv1a, fnv1a_all};
use crate::naming::marked;
use zibrato::DEFAULT_SOURCE;

/// Maximum number of tags of a measurement.
const MAX_TAGS: usize = 50;

/// Maximum lengths of a tag's name and value, in characters, which are all ASCII.
const MAX_NAME: usize = 64;
const MAX_VALUE: usize = 255;

/// The tag with the source of a series.
const SOURCE: &str = "source";

/// The tag in the place of those for which a measurement has no room. Its value is their hash.
const REST: &str = "more_tags";

/// A name and a value.
pub(super) type Tag = (String, String);

/// The tags of a measurement: those of all measurements, the source, and those of the series. Of two
/// with the same name the later one is used. Names and values are made legal; a changed one gets a
/// hash of the original.
pub(super) fn merged(common: &[Tag], source: &str, own: &[(Box<str>, Box<str>)]) -> Vec<Tag> {
    let source = if source.is_empty() { DEFAULT_SOURCE } else { source };
    let mut tags: Vec<Tag> = Vec::with_capacity(common.len() + 1 + own.len());
    tags.extend(common.iter().map(|(tag, text)| (name(tag), value(text))));
    put(&mut tags, (SOURCE.to_owned(), value(source)));
    let inherited = tags.len();
    for (tag, text) in own {
        let (mut legal, text) = (name(tag), value(text));
        // The API ignores the case of tags.
        let of_series = tags.get(inherited..).unwrap_or_default();
        if of_series.iter().any(|(known, _)| known.eq_ignore_ascii_case(&legal)) {
            legal = marked(&legal, fnv1a(tag.as_bytes()), MAX_NAME);
        }
        tags.push((legal, text));
    }
    let own = tags.split_off(inherited);
    tags.retain(|(known, _)| !own.iter().any(|(tag, _)| tag.eq_ignore_ascii_case(known)));
    tags.extend(own);
    if tags.len() > MAX_TAGS {
        let rest = tags.split_off(MAX_TAGS - 1);
        let pieces = rest.iter().flat_map(|(tag, text)| [tag.as_bytes(), b"=", text.as_bytes()]);
        tags.push((REST.to_owned(), format!("{:016x}", fnv1a_all(pieces))));
    }
    tags
}

fn put(tags: &mut Vec<Tag>, tag: Tag) {
    tags.retain(|(known, _)| !known.eq_ignore_ascii_case(&tag.0));
    tags.push(tag);
}

fn name(text: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_');
    made_legal(text, legal, MAX_NAME)
}

fn value(text: &str) -> String {
    let legal = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_' | '?' | '\\' | '/' | ' ')
    };
    made_legal(text, legal, MAX_VALUE)
}

/// An empty text becomes `_`.
fn made_legal(text: &str, legal: impl Fn(char) -> bool, most: usize) -> String {
    if text.is_empty() {
        return "_".to_owned();
    }
    let clean = replace_runs(text, legal);
    if clean == text && clean.len() <= most {
        return clean;
    }
    marked(&clean, fnv1a(text.as_bytes()), most)
}

#[cfg(test)]
mod tests {
    use super::{MAX_TAGS, merged};
    use proptest::prelude::*;

    fn tags(own: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
        own.iter().map(|(tag, value)| (Box::from(*tag), Box::from(*value))).collect()
    }

    fn shown(common: &[(&str, &str)], source: &str, own: &[(&str, &str)]) -> String {
        let common: Vec<_> =
            common.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect();
        let merged = merged(&common, source, &tags(own));
        let shown: Vec<_> = merged.iter().map(|(tag, value)| format!("{tag}={value}")).collect();
        shown.join(",")
    }

    #[test]
    fn tags_are_merged_and_the_nearest_one_is_used() {
        for (common, source, own, expected) in [
            (&[][..], "web-1", &[][..], "source=web-1"),
            (&[], "", &[], "source=not_specified"),
            (&[("env", "prod")], "web-1", &[("dc", "fra")], "env=prod,source=web-1,dc=fra"),
            (&[("dc", "ams")], "web-1", &[("dc", "fra")], "source=web-1,dc=fra"),
            (&[("DC", "ams")], "web-1", &[("dc", "fra")], "source=web-1,dc=fra"),
            (&[("source", "all")], "web-1", &[], "source=web-1"),
            (&[], "web-1", &[("Source", "mine")], "Source=mine"),
            (&[], "a b/c?d\\e", &[], "source=a b/c?d\\e"),
            (&[], "web-1", &[("dc", "")], "source=web-1,dc=_"),
        ] {
            assert_eq!(shown(common, source, own), expected);
        }
    }

    #[test]
    fn changed_tags_stay_distinct() {
        let changed = shown(&[], "w", &[("a b", "x|y")]);
        assert!(changed.starts_with("source=w,a-b_e63f991904833892=x-y_"), "{changed}");
        let two = shown(&[], "w", &[("DC", "1"), ("dc", "2")]);
        assert!(two.starts_with("source=w,DC=1,dc_") && two.ends_with("=2"), "{two}");
        assert_ne!(shown(&[], "é", &[]), shown(&[], "è", &[]));
    }

    #[test]
    fn tags_beyond_fifty_are_one_tag() {
        let all: Vec<_> = (0..50).map(|n| (format!("t{n:02}"), "v")).collect();
        let of = |last: &str| {
            let mut own: Vec<_> = all.iter().map(|(tag, value)| (&**tag, *value)).collect();
            own[49].1 = last;
            merged(&[], "web-1", &tags(&own))
        };
        let (one, other) = (of("x"), of("y"));
        assert_eq!((one.len(), other.len()), (MAX_TAGS, MAX_TAGS));
        assert_ne!(one, other);
        assert_eq!(one[49].0, "more_tags");
    }

    proptest! {
        #[test]
        fn every_tag_is_legal(
            source in any::<String>(),
            own in prop::collection::btree_map(any::<String>(), any::<String>(), 0..60),
        ) {
            let own: Vec<_> = own.iter().map(|(tag, value)| (&**tag, &**value)).collect();
            let merged = merged(&[], &source, &tags(&own));
            prop_assert!((1..=MAX_TAGS).contains(&merged.len()));
            let mut names = std::collections::BTreeSet::new();
            for (tag, value) in merged {
                prop_assert!((1..=64).contains(&tag.len()) && (1..=255).contains(&value.len()));
                let legal = |c: char| c.is_ascii_alphanumeric() || "-.:_".contains(c);
                prop_assert!(tag.chars().all(legal));
                prop_assert!(value.chars().all(|c| legal(c) || "?\\/ ".contains(c)));
                prop_assert!(names.insert(tag.to_ascii_lowercase()));
            }
        }
    }
}
