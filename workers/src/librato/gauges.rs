//! The request bodies for a window: every series becomes one gauge, at most 300 to a body.
//!
//! Librato tells series apart by name and source without case, and takes no two kinds under one
//! name. Of series that become the same, the one that came first keeps the name, for as long as the
//! worker runs; of those that come in one window, one without tags and all in lower case. The other's kind is appended to its name (`db.query` counted and timed: `db.query`
//! and `db.query.timer`), or, if they are of one kind, a hash of what it was.
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

/// The most gauges in one request; more take the API longer than a client should wait.
pub(super) const MAX_GAUGES: usize = 300;

/// A number beyond this makes the API refuse the request it stands in.
const MAX_NUMBER: f64 = 1e126;

/// Turns windows into bodies.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// Stands before every name, with its dot.
    prefix: String,
    /// The series that came first under each name, and keep it.
    claims: Claims,
}

/// What a window came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) payloads: Vec<Payload>,
    /// Series that were folded into another one, because no name was left for them.
    pub(super) merged: u64,
    /// Series that carry their kind or a hash in their name, because another one has the name.
    pub(super) renamed: u64,
    /// Those of them that were renamed for the first time.
    pub(super) alike: Alike,
    /// Series left out, and the name of the first of them.
    pub(super) dropped: u64,
    pub(super) first_dropped: Option<String>,
}

/// Name and source in lower case: what Librato tells apart.
type Key = (String, String);

/// One gauge to be, under its name and source as they were first written.
struct Slot {
    name: String,
    source: String,
    /// What it was before it was made legal.
    series: Series,
    /// How many series of the window are in it.
    count: usize,
}

type Slots = BTreeMap<Key, Slot>;

impl Encoder {
    /// An encoder that puts `prefix` and a dot before every name, unless it is empty.
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
                // It does not happen: names are texts, and writing to memory does not fail.
                Err(_) => encoded.dropped += series as u64,
            }
        }
        encoded
    }

    /// Puts a series where it belongs: in the place of its name, or of one that is still free.
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

    /// Whose a name is.
    fn owner(&self, slots: &Slots, key: &Key) -> Option<Identity> {
        self.claims.owner(hash(key)).or_else(|| slots.get(key).map(Slot::identity))
    }
}

/// Whether a series is called what Librato shows, so that no other has more right to the name.
fn is_plain(series: &Series) -> bool {
    let is_lower = |text: &str| !text.contains(|c: char| c.is_ascii_uppercase());
    series.tags.is_empty() && is_lower(&series.name) && is_lower(&series.source)
}

fn hash((name, source): &Key) -> u64 {
    fnv1a(format!("{name}\n{source}").as_bytes())
}

/// Two series come here to one name only if their hashes are the same, or one is called what the
/// other one was renamed to.
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
        let Series { name, source, tags, value, .. } = &self.series;
        Identity::of(value.kind(), name, source, tags)
    }

    fn described(&self) -> String {
        described(&self.series.name, &self.series.source, &self.series.tags)
    }
}

/// The name with the kind behind it.
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

/// What is sent of a series; `None` when it has no reading at all.
fn reading(value: &Fold) -> Option<Reading> {
    match value {
        Fold::Counter(sum) => Some(Reading::One { value: *sum }),
        Fold::Gauge(gauge) => gauge.as_ref().map(gauge_reading),
        Fold::Set(members) => Some(Reading::One { value: members.len() as f64 }),
        Fold::Timer(summary) if summary.is_empty() => None,
        Fold::Timer(summary) => Some(timer_reading(summary)),
        _ => None, // a kind that a later version may add
    }
}

const fn gauge_reading(gauge: &Gauge) -> Reading {
    if gauge.count == 1 {
        return Reading::One { value: gauge.last };
    }
    let Gauge { count, sum, min, max, .. } = *gauge;
    Reading::Many { count, sum, min, max, sum_squares: None }
}

const fn timer_reading(summary: &Summary) -> Reading {
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
