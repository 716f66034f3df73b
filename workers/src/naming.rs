//! Keeps series apart whose names become the same by the rules of a backend.
//!
//! Two means, because neither is enough. What was cut, or had characters replaced or left out,
//! carries a hash of what it was: the same in every window and after every restart. What becomes the
//! same in other ways (case, a dot in a source, a tag that looks like a part of the name) is known
//! only when both series are there: the one that came first keeps the name, for as long as the
//! worker runs, and the other one gets a hash too. After a restart the order may be another one.

use crate::hash::fnv1a_all;
use std::collections::HashMap;
use zibrato::Kind;

/// The most names of which it is remembered whose they are, in a few megabytes. Of names beyond
/// that, the first of each window has the name.
const MAX_CLAIMS: usize = 100_000;

/// The most conflicts of one window that are told one by one.
const MAX_ALIKE: usize = 10;

/// How many bytes a mark has.
const MARK_BYTES: usize = 17;

pub(crate) type Tags = [(Box<str>, Box<str>)];

/// At most `most` bytes of a text, and a mark that tells it from others which look like it.
pub(crate) fn marked(text: &str, hash: u64, most: usize) -> String {
    let cut = text.floor_char_boundary(most.saturating_sub(MARK_BYTES));
    let (head, _) = text.split_at(cut);
    format!("{head}_{hash:016x}")
}

/// What tells series apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    /// Of name, source and tags.
    pub(crate) hash: u64,
}

impl Identity {
    pub(crate) fn of(kind: Kind, name: &str, source: &str, tags: &Tags) -> Self {
        let tags = tags.iter().flat_map(|(tag, value)| [&**tag, &**value]);
        let texts = [name, source].into_iter().chain(tags);
        // No text has a line feed in it.
        let pieces = texts.flat_map(|text| [text.as_bytes(), b"\n"]);
        Self { kind, hash: fnv1a_all(pieces) }
    }
}

/// A series in words: `name{tag=value} of source`.
pub(crate) fn described(name: &str, source: &str, tags: &Tags) -> String {
    let tags: Vec<_> = tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect();
    let tags = if tags.is_empty() { String::new() } else { format!("{{{}}}", tags.join(",")) };
    format!("{name}{tags} of {source}")
}

/// Whose the names are.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// By the hash of the name at the backend; with whether it was told that others wanted it.
    owners: HashMap<u64, (Identity, bool)>,
}

impl Claims {
    pub(crate) fn owner(&self, name: u64) -> Option<Identity> {
        self.owners.get(&name).map(|(owner, _)| *owner)
    }

    /// Remembers whose a name is, unless it is somebody's already.
    pub(crate) fn remember(&mut self, name: u64, owner: Identity) {
        if self.owners.len() < MAX_CLAIMS {
            self.owners.entry(name).or_insert((owner, false));
        }
    }

    /// Another series wanted a name. Says yes if that is news.
    pub(crate) fn is_news(&mut self, name: u64) -> bool {
        self.owners.get_mut(&name).is_some_and(|(_, told)| !std::mem::replace(told, true))
    }
}

/// Series of a window that were found to become the same, for the log: each pair is told once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Alike(Vec<[String; 3]>);

impl Alike {
    /// Notes two series in words, and what the second one is called in place of the first's name.
    pub(crate) fn add(&mut self, first: String, second: String, now: &str) {
        if self.0.len() < MAX_ALIKE {
            self.0.push([first, second, now.to_owned()]);
        }
    }

    /// Writes them into the log.
    pub(crate) fn log(&self) {
        for [first, second, renamed_to] in &self.0 {
            tracing::warn!(event = "series_alike", first, second, renamed_to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Claims, Identity, MAX_CLAIMS, described, marked};
    use zibrato::Kind;

    #[test]
    fn a_mark_stands_behind_what_fits() {
        assert_eq!(marked("abc", 0xf, 255), "abc_000000000000000f");
        assert_eq!(marked(&"x".repeat(300), 0xf, 20), "xxx_000000000000000f");
        assert_eq!(marked("ööö", 0xf, 20), "ö_000000000000000f");
        assert_eq!(marked("abc", 0xf, 3), "_000000000000000f");
    }

    #[test]
    fn series_that_differ_in_anything_are_others() {
        let tags = |pairs: &[(&str, &str)]| -> Vec<(Box<str>, Box<str>)> {
            pairs.iter().map(|(tag, value)| ((*tag).into(), (*value).into())).collect()
        };
        let all = [
            Identity::of(Kind::Counter, "ab", "c", &[]),
            Identity::of(Kind::Gauge, "ab", "c", &[]),
            Identity::of(Kind::Counter, "a", "bc", &[]),
            Identity::of(Kind::Counter, "ab", "c", &tags(&[("d", "ef")])),
            Identity::of(Kind::Counter, "ab", "c", &tags(&[("de", "f")])),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|other| one == other), Some(at));
        }
        assert_eq!(described("n", "s", &tags(&[("a", "b"), ("c", "d")])), "n{a=b,c=d} of s");
        assert_eq!(described("n", "s", &[]), "n of s");
    }

    #[test]
    fn claims_are_bounded() {
        let (mut claims, owner) = (Claims::default(), Identity::of(Kind::Set, "n", "s", &[]));
        (0..MAX_CLAIMS as u64).for_each(|name| claims.remember(name, owner));
        claims.remember(1, Identity::of(Kind::Set, "other", "s", &[]));
        claims.remember(u64::MAX, owner);
        assert_eq!((claims.owner(1), claims.owner(u64::MAX)), (Some(owner), None));
        assert_eq!([1, 1, u64::MAX].map(|name| claims.is_news(name)), [true, false, false]);
    }
}
