//! The request bodies for a window: every series becomes one gauge, at most 300 per body.
//!
//! Librato identifies series by name and source, ignoring case, and allows only one kind per name.
//! Among series with the same name, the first one keeps it while the worker runs; within one
//! window, a series without tags and in lower case has precedence. The other ones get their kind
//! appended (`db.query` counted and timed: `db.query` and `db.query.timer`) or, if the kind is the
//! same, a hash of the original.
//!
//! Pure.

use super::text::{self, MAX_TEXT};
use crate::Payload;
use crate::hash::fnv1a;
use crate::naming::{Alike, Claims, Identity, described, marked};
use serde::Serialize;
use std::collections::BTreeMap;
use zibrato::window::{Fold, Series, Window};
use zibrato::{Gauge, Kind, Summary};

/// Maximum number of gauges in one request; with more, the API takes longer than a client should
/// wait.
pub(super) const MAX_GAUGES: usize = 300;

/// The API rejects a request with a larger number.
const MAX_NUMBER: f64 = 1e126;

/// Encodes windows as request bodies.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// Prefix of every name, including its dot.
    prefix: String,
    /// The first series with each name, which keeps it.
    claims: Claims,
}

/// An encoded window.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) payloads: Vec<Payload>,
    /// Series merged into another one, because no free name was found.
    pub(super) merged: u64,
    /// Series with their kind or a hash in the name, because another one has the name.
    pub(super) renamed: u64,
    /// Those of them that were renamed for the first time.
    pub(super) alike: Alike,
    /// Number of omitted series, and the name of the first one.
    pub(super) dropped: u64,
    pub(super) first_dropped: Option<String>,
}

/// Name and source in lower case, by which Librato identifies series.
type Key = (String, String);

/// A future gauge, with name and source in their original case.
struct Slot {
    name: String,
    source: String,
    /// The series before its name was changed.
    series: Series,
    /// Number of series of the window in it.
    count: usize,
}

type Slots = BTreeMap<Key, Slot>;

impl Encoder {
    /// An encoder that prepends `prefix` and a dot to every name, unless it is empty.
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('.');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        Self { prefix, claims: Claims::default() }
    }

    pub(super) fn encode(&mut self, window: Window) -> Encoded {
        let measure_time = window.stamp();
        let mut encoded = Encoded::default();
        let mut slots = Slots::new();
        let (plain, others): (Vec<_>, Vec<_>) =
            window.into_series().into_iter().partition(is_plain);
        for series in plain.into_iter().chain(others) {
            let name = text::name(&self.prefix, &series.name, &series.tags);
            let source = text::source(&series.source);
            self.place(&mut slots, Slot { name, source, series, count: 1 }, &mut encoded);
        }
        let mut gauges = Vec::with_capacity(slots.len());
        for slot in slots.values() {
            let Some(reading) = reading(&slot.series.value) else { continue };
            if reading.is_taken() {
                let Slot { name, source, count, .. } = slot;
                gauges.push(Entry { name, source, measure_time, reading, series: *count });
            } else {
                encoded.drop_series(slot);
            }
        }
        for gauges in gauges.chunks(MAX_GAUGES) {
            let series = gauges.iter().map(|gauge| gauge.series).sum();
            match serde_json::to_vec(&Body { gauges }) {
                Ok(body) => encoded.payloads.push(Payload::new(body, series)),
                // This cannot happen: names are texts, and writing to memory cannot fail.
                Err(_) => encoded.dropped += series as u64,
            }
        }
        encoded
    }

    /// Adds a series under its name, or under a free one.
    fn place(&mut self, slots: &mut Slots, mut slot: Slot, encoded: &mut Encoded) {
        let (key, identity) = (slot.key(), slot.identity());
        if let Some(owner) = self.owner(slots, &key).filter(|owner| *owner != identity) {
            let plain = slot.name.clone();
            if owner.kind != identity.kind {
                slot.name = named_after_kind(&plain, identity.kind);
            }
            let other = |owner: Identity| owner != identity;
            if slot.name == plain || self.owner(slots, &slot.key()).is_some_and(other) {
                slot.name = marked(&plain, identity.hash, MAX_TEXT);
            }
            encoded.renamed += 1;
            if self.claims.is_news(hash(&key)) {
                let first = slots.get(&key).map_or_else(|| plain.clone(), Slot::described);
                encoded.alike.add(first, slot.described(), &slot.name);
            }
        }
        self.claims.remember(hash(&slot.key()), identity);
        insert(slots, slot, encoded);
    }

    /// The owner of a name.
    fn owner(&self, slots: &Slots, key: &Key) -> Option<Identity> {
        self.claims.owner(hash(key)).or_else(|| slots.get(key).map(Slot::identity))
    }
}

/// Whether Librato shows the name of a series unchanged, so that it has precedence.
fn is_plain(series: &Series) -> bool {
    let is_lower = |text: &str| !text.contains(|c: char| c.is_ascii_uppercase());
    series.tags.is_empty() && is_lower(&series.name) && is_lower(&series.source)
}

fn hash((name, source): &Key) -> u64 {
    fnv1a(format!("{name}\n{source}").as_bytes())
}

/// Two series have the same name here only if their hashes are equal, or one has the name to which
/// the other one was changed.
fn insert(slots: &mut Slots, slot: Slot, encoded: &mut Encoded) {
    let key = slot.key();
    match slots.get_mut(&key) {
        None => {
            slots.insert(key, slot);
        }
        Some(found) if found.identity().kind == slot.identity().kind => {
            encoded.merged += 1;
            encoded.alike.add(found.described(), slot.described(), &found.name);
            found.count += slot.count;
            merge(&mut found.series.value, slot.series.value);
        }
        Some(_) => encoded.drop_series(&slot),
    }
}

fn merge(into: &mut Fold, more: Fold) {
    match (into, more) {
        (Fold::Counter(sum), Fold::Counter(more)) => {
            *sum = (*sum + more).clamp(f64::MIN, f64::MAX);
        }
        (Fold::Gauge(Some(gauge)), Fold::Gauge(Some(more))) => gauge.merge(&more),
        (Fold::Gauge(gauge @ None), Fold::Gauge(more)) => *gauge = more,
        (Fold::Histogram(histogram), Fold::Histogram(more)) => {
            histogram.summary.merge(&more.summary);
        }
        (Fold::Set(set), Fold::Set(more)) => set.extend(more),
        (Fold::Timer(summary), Fold::Timer(more)) => summary.merge(&more),
        _ => {} // a gauge without a reading; kinds are the same
    }
}

impl Slot {
    fn key(&self) -> Key {
        (self.name.to_ascii_lowercase(), self.source.to_ascii_lowercase())
    }

    fn identity(&self) -> Identity {
        Identity::of(&self.series)
    }

    fn described(&self) -> String {
        described(&self.series)
    }
}

/// The name with the kind appended.
fn named_after_kind(name: &str, kind: Kind) -> String {
    let kind = kind.mtype().to_ascii_lowercase();
    let most = MAX_TEXT - 1 - kind.len();
    if name.len() <= most {
        return format!("{name}.{kind}");
    }
    format!("{}.{kind}", marked(name, fnv1a(name.as_bytes()), most))
}

impl Encoded {
    fn drop_series(&mut self, slot: &Slot) {
        self.dropped += slot.count as u64;
        self.first_dropped.get_or_insert_with(|| slot.name.clone());
    }
}

#[derive(Serialize)]
struct Body<'a> {
    gauges: &'a [Entry<'a>],
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    source: &'a str,
    measure_time: u64,
    #[serde(flatten)]
    reading: Reading,
    #[serde(skip)]
    series: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reading {
    One {
        value: f64,
    },
    Many {
        count: u64,
        sum: f64,
        min: f64,
        max: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        sum_squares: Option<f64>,
    },
}

impl Reading {
    fn is_taken(&self) -> bool {
        let small = |value: f64| value.abs() <= MAX_NUMBER;
        match *self {
            Self::One { value } => small(value),
            Self::Many { sum, min, max, sum_squares, .. } => {
                small(sum) && small(min) && small(max) && sum_squares.is_none_or(small)
            }
        }
    }
}

/// The values that are sent for a series; `None` if it has no reading.
fn reading(value: &Fold) -> Option<Reading> {
    if let Some(summary) = value.summary() {
        return (!summary.is_empty()).then(|| summary_reading(summary));
    }
    match value {
        Fold::Counter(sum) => Some(Reading::One { value: *sum }),
        Fold::Gauge(gauge) => gauge.as_ref().map(gauge_reading),
        Fold::Set(members) => Some(Reading::One { value: members.len() as f64 }),
        _ => None, // a kind that a later version may add
    }
}

const fn gauge_reading(gauge: &Gauge) -> Reading {
    // A gauge that nobody set in the window has its last value.
    if gauge.count <= 1 {
        return Reading::One { value: gauge.last };
    }
    let Gauge { count, sum, min, max, .. } = *gauge;
    Reading::Many { count, sum, min, max, sum_squares: None }
}

const fn summary_reading(summary: &Summary) -> Reading {
    if summary.count() == 1 {
        return Reading::One { value: summary.sum() };
    }
    Reading::Many {
        count: summary.count(),
        sum: summary.sum(),
        min: summary.min(),
        max: summary.max(),
        sum_squares: Some(summary.sum_squares()),
    }
}

#[cfg(test)]
mod tests;
