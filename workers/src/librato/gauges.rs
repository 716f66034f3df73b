//! The request bodies for a window: every series becomes one gauge, at most 300 to a body.
//!
//! Librato tells series apart by name and source without case, and takes no two kinds under one
//! name. Series that become the same are folded together if they are of one kind. If not, the one
//! that came first keeps the name, for as long as the worker runs, and the other's kind is appended
//! to its name (`db.query` counted and timed: `db.query` and `db.query.timer`).

use super::text::{self, MAX_TEXT};
use crate::Payload;
use serde::Serialize;
use std::collections::BTreeMap;
use zibrato::window::{Fold, Window};
use zibrato::{Gauge, Kind, Summary};

/// The most gauges in one request; more take the API longer than a client should wait.
pub(super) const MAX_GAUGES: usize = 300;

/// A number beyond this makes the API refuse the request it stands in.
const MAX_NUMBER: f64 = 1e126;

/// The most names of which it is remembered which kind they belong to.
const MAX_CLAIMS: usize = 10_000;

/// Turns windows into bodies.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// Stands before every name, with its dot.
    prefix: String,
    /// The kind that keeps a name which another kind wanted too.
    claims: BTreeMap<Key, Kind>,
}

/// What a window came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) payloads: Vec<Payload>,
    /// Series that were folded into another one of the same name, source and kind.
    pub(super) merged: u64,
    /// Series that carry their kind in their name, because another kind has the name.
    pub(super) renamed: u64,
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
    value: Fold,
    /// How many series of the window are in it.
    series: usize,
}

type Slots = BTreeMap<Key, Slot>;

impl Encoder {
    /// An encoder that puts `prefix` and a dot before every name, unless it is empty.
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('.');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        Self { prefix, claims: BTreeMap::new() }
    }

    pub(super) fn encode(&mut self, window: Window) -> Encoded {
        let measure_time = window.stamp();
        let mut encoded = Encoded::default();
        let mut slots = Slots::new();
        for series in window.into_series() {
            let name = text::name(&self.prefix, &series.name, &series.tags);
            let source = text::source(&series.source);
            let slot = Slot { name, source, value: series.value, series: 1 };
            self.place(&mut slots, slot, &mut encoded);
        }
        let mut gauges = Vec::with_capacity(slots.len());
        for slot in slots.values() {
            let Some(reading) = reading(&slot.value) else { continue };
            if reading.is_taken() {
                let Slot { name, source, series, .. } = slot;
                gauges.push(Entry { name, source, measure_time, reading, series: *series });
            } else {
                encoded.drop_series(slot);
            }
        }
        encoded.payloads = gauges.chunks(MAX_GAUGES).map(payload).collect();
        encoded
    }

    /// Puts a series where it belongs: a place of its own, or that of its equals.
    fn place(&mut self, slots: &mut Slots, slot: Slot, encoded: &mut Encoded) {
        let (key, kind) = (slot.key(), slot.value.kind());
        let owner = self.claims.get(&key).copied();
        let owner = owner.or_else(|| slots.get(&key).map(|found| found.value.kind()));
        match owner {
            Some(owner) if owner != kind => {
                if self.claims.len() < MAX_CLAIMS {
                    self.claims.insert(key, owner);
                }
                encoded.renamed += 1;
                insert(slots, slot.named_after_kind(), encoded);
            }
            Some(_) | None => insert(slots, slot, encoded),
        }
    }
}

fn insert(slots: &mut Slots, slot: Slot, encoded: &mut Encoded) {
    let key = slot.key();
    match slots.get_mut(&key) {
        None => {
            slots.insert(key, slot);
        }
        Some(found) if found.value.kind() == slot.value.kind() => {
            encoded.merged += 1;
            found.series += slot.series;
            merge(&mut found.value, slot.value);
        }
        Some(_) => encoded.drop_series(&slot),
    }
}

fn merge(into: &mut Fold, more: Fold) {
    match (into, more) {
        (Fold::Counter(sum), Fold::Counter(more)) => *sum += more,
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

    fn named_after_kind(mut self) -> Self {
        let kind = self.value.kind().mtype().to_ascii_lowercase();
        // All ASCII, so that every place is the boundary of a character.
        self.name.truncate(MAX_TEXT - 1 - kind.len());
        self.name.extend([".", &kind]);
        self
    }
}

impl Encoded {
    fn drop_series(&mut self, slot: &Slot) {
        self.dropped += slot.series as u64;
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

#[expect(clippy::expect_used, reason = "keys are texts and writing to memory does not fail")]
fn payload(gauges: &[Entry<'_>]) -> Payload {
    let body = serde_json::to_vec(&Body { gauges }).expect("plain data becomes JSON");
    Payload::new(body, gauges.iter().map(|gauge| gauge.series).sum())
}

#[cfg(test)]
mod tests;
