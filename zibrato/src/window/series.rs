//! One series of a window, and its key.

use super::gauge_seconds::GaugeSeconds;
use crate::measurement::{Gauge, Kind, finite_sum};
use crate::summary::Summary;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Maximum number of distinct members of a set in one window; further ones are counted as
/// [omitted](super::Window::omitted_members).
pub const MAX_SET_MEMBERS: usize = 100_000;

/// A series, which is identified by kind, name, source, tags and unit, with its readings in one
/// window.
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
    /// The readings of a gauge by second, in a window that [keeps them
    /// apart](super::Window::keep_gauge_seconds).
    GaugeSeconds(Box<GaugeSeconds>),
    /// The readings of a histogram.
    Histogram(Box<Histogram>),
    /// The distinct members of a set.
    Set(BTreeSet<Box<str>>),
    /// The readings of a timer, in seconds.
    Timer(Box<Summary>),
}

/// The readings of a histogram in one window, in its unit.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Histogram {
    /// The unit, if it has one. It is part of the identity of the series.
    pub unit: Option<Box<str>>,
    /// The readings.
    pub summary: Summary,
}

impl Fold {
    /// `keep` is the number of readings that a timer or a histogram keeps, and whether a gauge keeps
    /// its seconds apart.
    fn empty(kind: Kind, unit: Option<&str>, (keep, seconds): (usize, bool)) -> Self {
        let summary = || if keep == 0 { Summary::new() } else { Summary::keeping(keep) };
        match kind {
            Kind::Counter => Self::Counter(0.0),
            Kind::Gauge if seconds => Self::GaugeSeconds(Box::default()),
            Kind::Gauge => Self::Gauge(None),
            Kind::Histogram => {
                let unit = unit.map(Box::from);
                Self::Histogram(Box::new(Histogram { unit, summary: summary() }))
            }
            Kind::Set => Self::Set(BTreeSet::new()),
            Kind::Timer => Self::Timer(Box::new(summary())),
        }
    }

    /// Adds the readings of the same series. Returns the number of members for which a set has no room.
    pub(super) fn merge(&mut self, more: &Self) -> u64 {
        match (self, more) {
            (Self::Counter(sum), Self::Counter(more)) => *sum = finite_sum(*sum, *more),
            (Self::Gauge(gauge), Self::Gauge(Some(more))) => merge_gauge(gauge, more),
            (Self::Gauge(_) | Self::GaugeSeconds(_), Self::Gauge(None)) => {}
            (Self::Gauge(gauge), Self::GaugeSeconds(more)) => {
                more.seconds().for_each(|more| merge_gauge(gauge, more));
            }
            (Self::GaugeSeconds(seconds), Self::Gauge(Some(more))) => seconds.add(more),
            (Self::GaugeSeconds(seconds), Self::GaugeSeconds(more)) => seconds.merge(more),
            (Self::Histogram(into), Self::Histogram(more)) => into.summary.merge(&more.summary),
            (Self::Set(into), Self::Set(more)) => {
                return more.iter().map(|member| insert(into, member)).sum();
            }
            (Self::Timer(into), Self::Timer(more)) => into.merge(more),
            _ => debug_assert!(false, "a series has one kind"),
        }
        0
    }

    /// The readings of a timer or a histogram.
    ///
    /// ```
    /// use zibrato::window::Window;
    /// use zibrato::wire::Line;
    /// let mut window = Window::new(0, 60_000, 100);
    /// window.fold_line(&Line::decode(b"info|h|response.size|512|1|web-1").unwrap());
    /// let series = window.into_series();
    /// assert_eq!(series[0].value.summary().unwrap().max(), 512.0);
    /// ```
    #[must_use]
    pub const fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Counter(_) | Self::Gauge(_) | Self::GaugeSeconds(_) | Self::Set(_) => None,
            Self::Histogram(histogram) => Some(&histogram.summary),
            Self::Timer(summary) => Some(summary),
        }
    }

    pub(super) const fn summary_mut(&mut self) -> Option<&mut Summary> {
        match self {
            Self::Counter(_) | Self::Gauge(_) | Self::GaugeSeconds(_) | Self::Set(_) => None,
            Self::Histogram(histogram) => Some(&mut histogram.summary),
            Self::Timer(summary) => Some(summary),
        }
    }

    /// Number of seconds of a gauge that are kept apart.
    pub(super) const fn seconds(&self) -> usize {
        match self {
            Self::GaugeSeconds(gauge) => gauge.len(),
            Self::Counter(_)
            | Self::Gauge(_)
            | Self::Histogram(_)
            | Self::Set(_)
            | Self::Timer(_) => 0,
        }
    }

    /// The unit of a histogram that has one.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        match self {
            Self::Histogram(histogram) => histogram.unit.as_deref(),
            Self::Counter(_)
            | Self::Gauge(_)
            | Self::GaugeSeconds(_)
            | Self::Set(_)
            | Self::Timer(_) => None,
        }
    }

    /// The kind of the series.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) | Self::GaugeSeconds(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
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
    pub(super) unit: Option<&'a str>,
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
        hash_unit(self.unit, state);
    }
}

/// Series of other kinds have no unit, and need no time for it.
fn hash_unit<H: Hasher>(unit: Option<&str>, state: &mut H) {
    if let Some(unit) = unit {
        unit.hash(state);
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
        hash_unit(self.0.value.unit(), state);
    }
}

impl Series {
    pub(super) fn new(key: &Key<'_>, source: Arc<str>, keep: (usize, bool)) -> Self {
        let tags = key.tags.iter().map(|(tag, value)| (Box::from(*tag), Box::from(*value)));
        Self {
            name: Box::from(key.name),
            source,
            tags: tags.collect(),
            value: Fold::empty(key.kind, key.unit, keep),
        }
    }

    pub(super) fn matches(&self, key: &Key<'_>) -> bool {
        *self.name == *key.name
            && *self.source == *key.source
            && self.value.kind() == key.kind
            && self.value.unit() == key.unit
            && self.tags.len() == key.tags.len()
            && self.tags.iter().zip(key.tags).all(|(a, b)| *a.0 == *b.0 && *a.1 == *b.1)
    }

    pub(super) const fn key_hash(&self) -> KeyHash<'_> {
        KeyHash(self)
    }

    pub(super) fn order(&self) -> impl Ord + '_ {
        (&self.name, &self.source, self.value.kind(), &self.tags, self.value.unit())
    }
}

/// The tags in ascending order, so that their order in an entry does not matter. If a tag is given
/// twice, the later value applies.
pub(super) fn ordered<'a>(
    tags: impl Iterator<Item = (&'a str, &'a str)>,
) -> Vec<(&'a str, &'a str)> {
    let mut all: Vec<_> = tags.collect();
    if !all.is_sorted_by(|a, b| a.0 < b.0) {
        all.reverse();
        all.sort_by(|a, b| a.0.cmp(b.0));
        all.dedup_by(|a, b| a.0 == b.0);
    }
    all
}

pub(super) fn merge_gauge(into: &mut Option<Gauge>, more: &Gauge) {
    match into {
        Some(gauge) => gauge.merge(more),
        None => *into = Some(*more),
    }
}

/// Adds a member unless the set is full. Returns the number of members for which it has no room.
pub(super) fn insert(set: &mut BTreeSet<Box<str>>, member: &str) -> u64 {
    if set.contains(member) {
        return 0;
    }
    if set.len() >= MAX_SET_MEMBERS {
        return 1;
    }
    set.insert(Box::from(member));
    0
}
