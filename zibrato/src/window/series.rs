//! One series of a window, and its key.

use crate::measurement::{Gauge, Kind};
use crate::summary::Summary;
use crate::wire::Tags;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Maximum number of distinct members of a set in one window; further ones are ignored.
pub const MAX_SET_MEMBERS: usize = 100_000;

/// A series, which is identified by kind, name, source and tags, with its readings in one window.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Series {
    /// The name.
    pub name: Box<str>,
    /// The source.
    pub source: Arc<str>,
    /// Tags, in ascending order.
    pub tags: Box<[(Box<str>, Box<str>)]>,
    /// The readings.
    pub value: Fold,
}

/// The aggregated readings of one series.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Fold {
    /// The sum of a counter.
    Counter(f64),
    /// The readings of a gauge; `None` only if a batch contained the gauge without a reading.
    Gauge(Option<Gauge>),
    /// The distinct members of a set.
    Set(BTreeSet<Box<str>>),
    /// The readings of a timer, in seconds.
    Timer(Box<Summary>),
}

impl Fold {
    fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(0.0),
            Kind::Gauge => Self::Gauge(None),
            Kind::Set => Self::Set(BTreeSet::new()),
            Kind::Timer => Self::Timer(Box::default()),
        }
    }

    /// Number of octaves in its sketch.
    pub(super) fn octaves(&self) -> usize {
        match self {
            Self::Counter(_) | Self::Gauge(_) | Self::Set(_) => 0,
            Self::Timer(summary) => summary.sketch().octaves(),
        }
    }

    /// The kind of the series.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Set(_) => Kind::Set,
            Self::Timer(_) => Kind::Timer,
        }
    }
}

/// The key of a series, borrowed from an entry or a line.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) source: &'a str,
    pub(super) tags: &'a [(&'a str, &'a str)],
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.source.hash(state);
        state.write_u8(self.kind as u8);
        for (tag, value) in self.tags {
            tag.hash(state);
            value.hash(state);
        }
    }
}

/// Hashes a series in the same way as its key.
pub(super) struct KeyHash<'a>(&'a Series);

impl Hash for KeyHash<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
        self.0.source.hash(state);
        state.write_u8(self.0.value.kind() as u8);
        for (tag, value) in &self.0.tags {
            tag.hash(state);
            value.hash(state);
        }
    }
}

impl Series {
    pub(super) fn new(key: &Key<'_>, source: Arc<str>) -> Self {
        let tags = key.tags.iter().map(|(tag, value)| (Box::from(*tag), Box::from(*value)));
        Self {
            name: Box::from(key.name),
            source,
            tags: tags.collect(),
            value: Fold::empty(key.kind),
        }
    }

    pub(super) fn matches(&self, key: &Key<'_>) -> bool {
        *self.name == *key.name
            && *self.source == *key.source
            && self.value.kind() == key.kind
            && self.tags.len() == key.tags.len()
            && self.tags.iter().zip(key.tags).all(|(a, b)| *a.0 == *b.0 && *a.1 == *b.1)
    }

    pub(super) const fn key_hash(&self) -> KeyHash<'_> {
        KeyHash(self)
    }

    pub(super) fn order(&self) -> impl Ord + '_ {
        (&self.name, &self.source, self.value.kind(), &self.tags)
    }
}

/// The tags in ascending order, so that their order in an entry does not matter. If a tag is given
/// twice, the later value applies.
pub(super) fn ordered<'a>(tags: Tags<'a>) -> Vec<(&'a str, &'a str)> {
    let mut all: Vec<_> = tags.collect();
    if !all.is_sorted_by(|a, b| a.0 < b.0) {
        all.reverse();
        all.sort_by(|a, b| a.0.cmp(b.0));
        all.dedup_by(|a, b| a.0 == b.0);
    }
    all
}

/// Adds a member unless the set is full.
pub(super) fn insert(set: &mut BTreeSet<Box<str>>, member: &str) {
    if set.len() < MAX_SET_MEMBERS && !set.contains(member) {
        set.insert(Box::from(member));
    }
}
