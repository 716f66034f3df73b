//! Keeps series distinct whose names become equal under the rules of a backend.
//!
//! There are two methods, because neither is sufficient. A name that is changed or truncated gets a
//! hash of the original, which is the same in every window and after every restart. Names that
//! become equal in other ways (case, a dot in a source, a tag that looks like a part of the name)
//! are detected only when both series exist: the first one keeps the name while the worker runs,
//! and the other one gets a hash too. After a restart the order may be different.

use crate::hash::fnv1a_all;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::BuildHasher as _;
#[cfg(feature = "librato")]
use std::num::NonZeroU32;
use std::sync::LazyLock;
use zibrato::Kind;
use zibrato::window::Series;

/// Maximum number of names whose owner is remembered, in a few megabytes. A name beyond that
/// belongs to the first series of each window.
const MAX_CLAIMS: usize = 100_000;

/// Maximum number of conflicts that are reported individually per window.
const MAX_ALIKE: usize = 10;

/// Length of a mark, in bytes.
const MARK_BYTES: usize = 17;

/// At most `most` bytes of a text, followed by a hash that distinguishes it from similar ones.
pub(crate) fn marked(text: &str, hash: u64, most: usize) -> String {
    let cut = text.floor_char_boundary(most.saturating_sub(MARK_BYTES));
    let (head, _) = text.split_at(cut);
    format!("{head}_{hash:016x}")
}

/// The identity of a series in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    /// Of name, source, tags and unit.
    pub(crate) hash: u64,
}

impl Identity {
    pub(crate) fn of(series: &Series) -> Self {
        static KEYED: LazyLock<RandomState> = LazyLock::new(RandomState::default);
        let Series { name, source, tags, value, .. } = series;
        let hash = KEYED.hash_one((name, source, tags, value.unit()));
        Self { kind: value.kind(), hash }
    }
}

/// A hash of name, source, tags and unit for [`marked`]. Unlike [`Identity`], it is the same in every
/// process.
pub(crate) fn mark(series: &Series) -> u64 {
    // No text contains a line feed.
    fnv1a_all(texts(series).flat_map(|text| [text.as_bytes(), b"\n"]))
}

fn texts(series: &Series) -> impl Iterator<Item = &str> {
    let tags = series.tags.iter().flat_map(|(tag, value)| [&**tag, &**value]);
    // Tags come in pairs, so a single further text is a unit.
    [&*series.name, &*series.source].into_iter().chain(tags).chain(series.value.unit())
}

/// A series for people: `name{tag=value} in unit of source`.
pub(crate) fn described(series: &Series) -> String {
    let Series { name, source, .. } = series;
    let tags: Vec<_> = series.tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect();
    let tags = if tags.is_empty() { String::new() } else { format!("{{{}}}", tags.join(",")) };
    let unit = series.value.unit().map_or_else(String::new, |unit| format!(" in {unit}"));
    format!("{name}{tags}{unit} of {source}")
}

/// The owners of names.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// By the hash of the name at the backend.
    owners: HashMap<u64, Owner, RandomState>,
}

#[derive(Debug, Clone, Copy)]
struct Owner {
    series: Identity,
    /// Whether a conflict has been reported.
    is_reported: bool,
    /// Its place in a list of the backend, if it has one.
    #[cfg(feature = "librato")]
    place: Option<NonZeroU32>,
}

impl Claims {
    pub(crate) fn owner(&self, name: u64) -> Option<Identity> {
        self.owners.get(&name).map(|owner| owner.series)
    }

    /// The owner of a name, and its place in a list of the backend, if it has one.
    #[cfg(feature = "librato")]
    pub(crate) fn placed(&self, name: u64) -> Option<(Identity, Option<NonZeroU32>)> {
        self.owners.get(&name).map(|owner| (owner.series, owner.place))
    }

    /// Records the place of the owner of a name.
    #[cfg(feature = "librato")]
    pub(crate) fn place(&mut self, name: u64, place: NonZeroU32) {
        if let Some(owner) = self.owners.get_mut(&name) {
            owner.place = Some(place);
        }
    }

    /// Whether no further owner can be recorded.
    pub(crate) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Number of further owners that can be recorded.
    pub(crate) fn room(&self) -> usize {
        MAX_CLAIMS.saturating_sub(self.owners.len())
    }

    /// Records the owner of a name, unless it already has one.
    pub(crate) fn remember(&mut self, name: u64, owner: Identity) {
        if !self.is_full() {
            let owner = Owner {
                series: owner,
                is_reported: false,
                #[cfg(feature = "librato")]
                place: None,
            };
            self.owners.entry(name).or_insert(owner);
        }
    }

    /// Another series has the same name. Returns whether that is reported for the first time.
    pub(crate) fn is_news(&mut self, name: u64) -> bool {
        let owner = self.owners.get_mut(&name);
        owner.is_some_and(|owner| !std::mem::replace(&mut owner.is_reported, true))
    }
}

/// Series of a window with equal names, for the log: each pair is reported once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Alike(Vec<[String; 3]>);

impl Alike {
    /// Adds two series, and the new name of the second one.
    pub(crate) fn add(&mut self, first: String, second: String, now: &str) {
        if self.0.len() < MAX_ALIKE {
            self.0.push([first, second, now.to_owned()]);
        }
    }

    /// Logs them.
    pub(crate) fn log(&self) {
        for [first, second, renamed_to] in &self.0 {
            tracing::warn!(event = "series_alike", first, second, renamed_to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Claims, Identity, MAX_CLAIMS, described, mark, marked};
    use zibrato::Gauge;
    use zibrato::window::{Series, Window};
    use zibrato::wire::{BatchReader, BatchWriter};

    fn series(source: &str, write: impl FnOnce(&mut BatchWriter)) -> Series {
        let mut batch = BatchWriter::new(source, 0, 1_000);
        write(&mut batch);
        let mut window = Window::new(0, 60_000, 10);
        let body = batch.finish();
        window.fold_batch(&BatchReader::new(&body).unwrap(), |why| panic!("{why}"));
        window.into_series().remove(0)
    }

    #[test]
    fn a_mark_follows_the_part_that_fits() {
        assert_eq!(marked("abc", 0xf, 255), "abc_000000000000000f");
        assert_eq!(marked(&"x".repeat(300), 0xf, 20), "xxx_000000000000000f");
        assert_eq!(marked("ööö", 0xf, 20), "ö_000000000000000f");
        assert_eq!(marked("abc", 0xf, 3), "_000000000000000f");
    }

    #[test]
    fn series_that_differ_in_any_part_are_distinct() {
        let all = [
            series("c", |batch| batch.counter("ab", &[], 1.0)),
            series("c", |batch| batch.gauge("ab", &[], &Gauge::reading(1.0, 1))),
            series("bc", |batch| batch.counter("a", &[], 1.0)),
            series("c", |batch| batch.counter("ab", &[("d", "ef")], 1.0)),
            series("c", |batch| batch.counter("ab", &[("de", "f")], 1.0)),
            series("c", |batch| batch.histogram_readings("ab", &[], None, &[1.0])),
            series("c", |batch| batch.histogram_readings("ab", &[], Some("d"), &[1.0])),
            series("c", |batch| batch.histogram_readings("ab", &[("d", "e")], None, &[1.0])),
            series("c", |batch| batch.histogram_readings("ab", &[("d", "e")], Some("d"), &[1.0])),
        ];
        let identities: Vec<_> = all.iter().map(Identity::of).collect();
        for (at, one) in identities.iter().enumerate() {
            assert_eq!(identities.iter().position(|other| one == other), Some(at));
        }
        // Every process gives the same mark.
        assert_eq!(mark(&all[0]), 6_176_628_817_251_077_257);
        let tags = &[("a", "b"), ("c", "d")];
        let tagged = series("s", |batch| batch.histogram_readings("n", tags, Some("ms"), &[1.0]));
        assert_eq!(described(&tagged), "n{a=b,c=d} in ms of s");
        assert_eq!(described(&all[0]), "ab of c");
    }

    #[test]
    fn claims_are_bounded() {
        let of = |name| Identity::of(&series("s", |batch| batch.counter(name, &[], 1.0)));
        let (mut claims, owner) = (Claims::default(), of("n"));
        (0..MAX_CLAIMS as u64).for_each(|name| claims.remember(name, owner));
        assert!(claims.is_full());
        claims.remember(1, of("other"));
        claims.remember(u64::MAX, owner);
        assert_eq!((claims.owner(1), claims.owner(u64::MAX)), (Some(owner), None));
        assert_eq!([1, 1, u64::MAX].map(|name| claims.is_news(name)), [true, false, false]);
    }
}
