//! From a name and tags as received to the series that they mean.

use super::grammar::Reason;
use std::borrow::Cow;
use zibrato::check_name;

/// Maximum number of tags of a series; further ones are left out.
const MAX_TAGS: usize = 50;

/// Approximate memory of a tag besides its characters, in bytes.
const TAG_BYTES: usize = 100;

/// The value of a tag without one, as in `#canary`.
pub(crate) const NO_VALUE: &str = "true";

/// Who measured what: a series, apart from its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    /// A valid name, of ASCII letters, digits, `_`, `-` and `.`.
    pub(crate) name: String,
    /// The source that the tag `source`, or else `host`, gives.
    pub(crate) source: Option<String>,
    /// Valid tags in ascending order, without `source` and `host`.
    pub(crate) tags: Vec<(String, String)>,
}

impl Identity {
    /// Cleans the name, and reads the tags inside it and those after `#`. Also returns the number of
    /// tags that were left out, because they are invalid or occur twice.
    pub(crate) fn of(name: &[u8], tags: &[u8]) -> Result<(Self, u64), Reason> {
        let name = std::str::from_utf8(name).map_err(|_| Reason::Encoding)?;
        let mut left_out = 0;
        let mut all = Vec::new();
        let (name, inner) = split(name);
        all.extend(inner.into_iter().map(|(tag, value)| (tag.to_owned(), value.to_owned())));
        if !tags.is_empty() {
            for tag in tags.split(|byte| *byte == b',') {
                match read_tag(tag) {
                    Some(tag) => all.push(tag),
                    None => left_out += 1,
                }
            }
        }
        let (identity, more) = Self::with_tags(&name, all)?;
        Ok((identity, left_out + more))
    }

    /// Cleans the name, and checks the tags. Also returns the number of tags that were left out.
    pub(crate) fn with_tags(
        name: &str,
        tags: Vec<(String, String)>,
    ) -> Result<(Self, u64), Reason> {
        let name = cleaned(name);
        check_name(&name).map_err(|_| Reason::Name)?;
        let mut identity = Self { name, source: None, tags: Vec::new() };
        let left_out = identity.take_tags(tags);
        Ok((identity, left_out))
    }

    /// Approximate memory that it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let tags = self.tags.iter().map(|(tag, value)| tag.len() + value.len() + TAG_BYTES);
        let source = self.source.as_ref().map_or(0, |source| source.len() + TAG_BYTES);
        size_of::<Self>() + self.name.len() + source + tags.sum::<usize>()
    }

    /// Of several values of one tag, the last one counts.
    fn take_tags(&mut self, all: Vec<(String, String)>) -> u64 {
        let (mut host, mut left_out) = (None, 0);
        for (tag, value) in all {
            if check_name(&tag).is_err() || check_name(&value).is_err() {
                left_out += 1;
                continue;
            }
            let before = match &*tag {
                "source" => self.source.replace(value),
                "host" => host.replace(value),
                _ => match self.tags.binary_search_by(|(other, _)| other.cmp(&tag)) {
                    Ok(at) => Some(std::mem::replace(&mut self.tags[at].1, value)),
                    Err(_) if self.tags.len() == MAX_TAGS => Some(value),
                    Err(at) => {
                        self.tags.insert(at, (tag, value));
                        None
                    }
                },
            };
            left_out += u64::from(before.is_some());
        }
        self.source = self.source.take().or(host);
        left_out
    }
}

/// Reads `TAG:VALUE` or `TAG`. Some clients repeat the `#` in front of each. `None` if tag or value
/// is empty or not UTF-8, as in a packet that was cut.
fn read_tag(text: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let text = text.strip_prefix('#').unwrap_or(text);
    let (tag, value) = text.split_once(':').unwrap_or((text, NO_VALUE));
    (!tag.is_empty() && !value.is_empty()).then(|| (tag.to_owned(), value.to_owned()))
}

type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// Splits a name with tags: `a,k=v` (Influx), `a;k=v` (Graphite), `a.[k=v]` and `a[k=v]` (SignalFx).
/// A name that only looks similar has no tags.
fn split(name: &str) -> (Cow<'_, str>, Pairs<'_>) {
    if let Some((before, rest)) = name.split_once('[')
        && let Some((inner, after)) = rest.split_once(']')
        && let Some(tags) = pairs(inner, ',')
    {
        let before = before.strip_suffix('.').unwrap_or(before);
        let after = after.strip_prefix('.').unwrap_or(after);
        let dot = if before.is_empty() || after.is_empty() { "" } else { "." };
        return (format!("{before}{dot}{after}").into(), tags);
    }
    for separator in [';', ','] {
        if let Some((bare, inner)) = name.split_once(separator)
            && let Some(tags) = pairs(inner, separator)
        {
            return (bare.into(), tags);
        }
    }
    (name.into(), Vec::new())
}

fn pairs(text: &str, separator: char) -> Option<Pairs<'_>> {
    let is_full = |(tag, value): &(&str, &str)| !tag.is_empty() && !value.is_empty();
    text.split(separator).map(|pair| pair.split_once('=').filter(is_full)).collect()
}

/// White space becomes `_`, `/` becomes `-`, and all but ASCII letters, digits, `_`, `-` and `.`
/// is removed, as in StatsD.
fn cleaned(name: &str) -> String {
    let mut clean = String::with_capacity(name.len());
    let mut is_blank = false;
    for char in name.chars() {
        let was_blank = std::mem::replace(&mut is_blank, char.is_whitespace());
        if is_blank && !was_blank {
            clean.push('_');
        }
        match char {
            '/' => clean.push('-'),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' | '.' => clean.push(char),
            _ => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::Identity;
    use proptest::prelude::*;
    use zibrato::check_name;

    /// The series as `name;tag=value@source`, and the number of tags left out; or the reason.
    fn shown(name: &[u8], tags: &[u8]) -> String {
        match Identity::of(name, tags) {
            Ok((identity, left_out)) => {
                let mut shown = identity.name;
                for (tag, value) in identity.tags {
                    shown += &format!(";{tag}={value}");
                }
                shown += &identity.source.map(|source| format!("@{source}")).unwrap_or_default();
                if left_out > 0 { format!("{shown} -{left_out}") } else { shown }
            }
            Err(reason) => format!("!{}", reason.word()),
        }
    }

    #[test]
    fn names_are_cleaned() {
        for (name, expected) in [
            ("a", "a"),
            ("my metric/name%#!", "my_metric-name"),
            (" a ", "_a_"),
            ("a \t b", "a_b"),
            ("a..b.", "a..b."),
            ("AbC", "AbC"),
            ("a(b)[c]{d}@e", "abcde"),
            ("café.über", "caf.ber"),
            ("a\0b", "ab"),
            ("a,b", "ab"),
            ("a;b", "ab"),
            ("a[b", "ab"),
            ("é", "!name"),
            ("%", "!name"),
            (",k=v", "!name"),
        ] {
            assert_eq!(shown(name.as_bytes(), b""), expected, "{name:?}");
        }
        assert_eq!(shown(b"b\xff", b""), "!encoding");
        assert_eq!(shown(&[b'a'; 255], b""), "a".repeat(255));
        assert_eq!(shown(&[b'a'; 256], b""), "!name");
    }

    #[test]
    fn names_may_contain_tags() {
        for (name, expected) in [
            ("a,k=v", "a;k=v"),
            ("a,k=v,b=c d", "a;b=c d;k=v"),
            ("a;env=prod", "a;env=prod"),
            ("a;env=prod;x=1", "a;env=prod;x=1"),
            ("a.[k=v]", "a;k=v"),
            ("a[k=v,x=y]", "a;k=v;x=y"),
            ("a.[k=v]b", "a.b;k=v"),
            ("a[k=v].b", "a.b;k=v"),
            ("a,k=v,k2", "akvk2"),
            ("a,k=", "ak"),
            ("a[k]", "ak"),
            ("a,host=web-1", "a@web-1"),
        ] {
            assert_eq!(shown(name.as_bytes(), b""), expected, "{name:?}");
        }
    }

    #[test]
    fn tags_follow_the_hash_sign() {
        for (tags, expected) in [
            ("", "a"),
            ("country:china,env:prod", "a;country=china;env=prod"),
            ("z:1,a:2", "a;a=2;z=1"),
            ("addr:0.0.0.0:443", "a;addr=0.0.0.0:443"),
            ("canary", "a;canary=true"),
            ("k=v", "a;k=v=true"),
            ("x:1,#y:2", "a;x=1;y=2"),
            ("x:é", "a;x=é"),
            ("x:1,x:2", "a;x=2 -1"),
            ("x:1,", "a;x=1 -1"),
            ("x:1,env:", "a;x=1 -1"),
            (":1", "a -1"),
            ("x:\u{1}", "a -1"),
            ("host:web-1,x:1", "a;x=1@web-1"),
            ("host:web-1,source:api", "a@api"),
            ("source:api,host:web-1", "a@api"),
        ] {
            assert_eq!(shown(b"a", tags.as_bytes()), expected, "{tags:?}");
        }
        // A packet that was cut within a character.
        assert_eq!(shown(b"a", b"x:1,y:\xc3"), "a;x=1 -1");
        assert_eq!(shown(b"a,x=1", b"x:2,y:3"), "a;x=2;y=3 -1");
        let many: Vec<_> = (0..60).map(|n| format!("t{n:02}:1")).collect();
        let (identity, left_out) = Identity::of(b"a", many.join(",").as_bytes()).unwrap();
        assert_eq!((identity.tags.len(), left_out), (50, 10));
        assert_eq!(shown(b"a", format!("x:{}", "v".repeat(256)).as_bytes()), "a -1");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_valid_series_or_a_reason(
            name in prop::collection::vec(any::<u8>(), 0..40),
            text in "[a-c \u{e9}\u{85},;=\\[\\].:#]{0,40}",
            tags in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            for name in [&name, text.as_bytes()] {
                for tags in [&tags, text.as_bytes()] {
                    let Ok((identity, _)) = Identity::of(name, tags) else { continue };
                    prop_assert_eq!(check_name(&identity.name), Ok(()));
                    prop_assert!(identity.tags.is_sorted_by(|a, b| a.0 < b.0));
                    for text in identity.tags.iter().flat_map(|(k, v)| [k, v]).chain(&identity.source) {
                        prop_assert_eq!(check_name(text), Ok(()));
                    }
                }
            }
        }
    }
}
