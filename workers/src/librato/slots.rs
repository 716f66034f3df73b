//! The names of a window's series at the API.
//!
//! The API identifies series by name and source (or tags), ignoring case, and allows only one kind
//! per name. Among series with the same name, the first one keeps it while the worker runs; within
//! one window, a series without tags and in lower case has precedence. The other ones get their kind
//! appended (`db.query` counted and timed: `db.query` and `db.query.timer`) or, if the kind is the
//! same, a hash of the original.
//!
//! Pure.

use super::place::{Keys, Place};
use super::text::MAX_TEXT;
use crate::hash::{fnv1a, fnv1a_after};
use crate::naming::{Alike, Claims, Identity, described, mark, marked};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::Arc;
use zibrato::Percentile;
use zibrato::window::{Fold, Series};

/// A future gauge.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) place: Arc<Place>,
    identity: Identity,
    pub(super) what: What,
    /// Number of series of the window in it.
    pub(super) count: usize,
}

/// What the values of a slot are.
#[derive(Debug)]
pub(super) enum What {
    Series(Series),
    /// A percentile of the series in another slot.
    Percentile {
        of: usize,
        percentile: Percentile,
        value: f64,
    },
}

/// The slots of a window.
#[derive(Debug)]
pub(super) struct Slots<'a> {
    keys: &'a Keys,
    pub(super) all: Vec<Slot>,
    /// By the key of the name and the place.
    places: HashMap<u64, usize, RandomState>,
    /// Series merged into another one, because no free name was found.
    pub(super) merged: u64,
    /// Series with their kind or a hash in the name, because another one has the name.
    pub(super) renamed: u64,
    /// Those of them that were renamed for the first time.
    pub(super) alike: Alike,
    /// Series that were dropped because no free name was found, and the name of the first one.
    pub(super) homeless: u64,
    pub(super) first_homeless: Option<String>,
}

impl<'a> Slots<'a> {
    pub(super) fn with_capacity(series: usize, keys: &'a Keys) -> Self {
        Self {
            keys,
            all: Vec::with_capacity(series),
            places: HashMap::with_capacity_and_hasher(series, RandomState::default()),
            merged: 0,
            renamed: 0,
            alike: Alike::default(),
            homeless: 0,
            first_homeless: None,
        }
    }

    /// Adds a series under its name, or under a free one.
    pub(super) fn add_series(
        &mut self,
        claims: &mut Claims,
        name: String,
        place: Arc<Place>,
        of: Series,
    ) {
        let identity = Identity::of(&of);
        self.add(claims, Slot { name, place, identity, what: What::Series(of), count: 1 });
    }

    /// Adds percentiles of all timers and histograms.
    pub(super) fn add_percentiles(&mut self, claims: &mut Claims, percentiles: &[Percentile]) {
        for of in 0..self.all.len() {
            for percentile in percentiles {
                let slot = &self.all[of];
                let What::Series(series) = &slot.what else { continue };
                let value = series.value.summary().and_then(|all| all.percentile(*percentile));
                let Some(value) = value else { continue };
                let suffix = suffix(*percentile);
                let Identity { kind, hash } = slot.identity;
                let identity = Identity { kind, hash: fnv1a_after(hash, suffix.as_bytes()) };
                let name = with_suffix(&slot.name, &suffix);
                let what = What::Percentile { of, percentile: *percentile, value };
                let place = Arc::clone(&slot.place);
                self.add(claims, Slot { name, place, identity, what, count: 0 });
            }
        }
    }

    fn add(&mut self, claims: &mut Claims, mut slot: Slot) {
        let (mut key, identity) = (slot.key(self.keys), slot.identity);
        if let Some(owner) = self.owner(claims, key).filter(|owner| *owner != identity) {
            let plain = slot.name.clone();
            if owner.kind != identity.kind {
                slot.name = with_suffix(&plain, &identity.kind.mtype().to_ascii_lowercase());
            }
            let other = |owner: Identity| owner != identity;
            if slot.name == plain || self.owner(claims, slot.key(self.keys)).is_some_and(other) {
                slot.name = marked(&plain, self.mark(&slot), MAX_TEXT);
            }
            self.renamed += 1;
            if claims.is_news(key) {
                let first = self.at(key).map_or(plain, |at| self.described(&self.all[at]));
                self.alike.add(first, self.described(&slot), &slot.name);
            }
            key = slot.key(self.keys);
        }
        claims.remember(key, identity);
        self.insert(key, slot);
    }

    /// Two slots have the same name here only if their hashes are equal, or one has the name to
    /// which the other one was changed.
    fn insert(&mut self, key: u64, slot: Slot) {
        let Some(at) = self.at(key) else {
            self.places.insert(key, self.all.len());
            return self.all.push(slot);
        };
        let first = self.described(&self.all[at]);
        let second = self.described(&slot);
        let found = &mut self.all[at];
        match (&mut found.what, slot.what) {
            (What::Series(into), What::Series(more))
                if found.identity.kind == slot.identity.kind =>
            {
                self.merged += 1;
                self.alike.add(first, second, &found.name);
                found.count += slot.count;
                merge(&mut into.value, more.value);
            }
            _ => {
                self.homeless += slot.count as u64;
                self.first_homeless.get_or_insert(slot.name);
            }
        }
    }

    /// The owner of a name.
    fn owner(&self, claims: &Claims, key: u64) -> Option<Identity> {
        claims.owner(key).or_else(|| self.at(key).map(|at| self.all[at].identity))
    }

    fn at(&self, key: u64) -> Option<usize> {
        self.places.get(&key).copied()
    }

    /// A hash of the series, for its name.
    fn mark(&self, slot: &Slot) -> u64 {
        match &slot.what {
            What::Series(series) => mark(series),
            What::Percentile { of, percentile, .. } => {
                fnv1a_after(self.mark(&self.all[*of]), suffix(*percentile).as_bytes())
            }
        }
    }

    /// A slot for people.
    fn described(&self, slot: &Slot) -> String {
        match &slot.what {
            What::Series(series) => described(series),
            What::Percentile { of, percentile, .. } => {
                format!("p{percentile} of {}", self.described(&self.all[*of]))
            }
        }
    }
}

impl Slot {
    /// By which the API identifies the series.
    fn key(&self, keys: &Keys) -> u64 {
        keys.of(&self.name, &self.place)
    }
}

/// What is appended to the name of a percentile.
fn suffix(percentile: Percentile) -> String {
    format!("p{percentile}")
}

/// A name with a suffix, truncated before it.
fn with_suffix(name: &str, suffix: &str) -> String {
    let most = MAX_TEXT - 1 - suffix.len();
    if name.len() <= most {
        return format!("{name}.{suffix}");
    }
    format!("{}.{suffix}", marked(name, fnv1a(name.as_bytes()), most))
}

fn merge(into: &mut Fold, more: Fold) {
    match (into, more) {
        (Fold::Counter(sum), Fold::Counter(more)) => {
            *sum = (*sum + more).clamp(f64::MIN, f64::MAX);
        }
        (Fold::Gauge(Some(gauge)), Fold::Gauge(Some(more))) => gauge.merge(&more),
        (Fold::Gauge(gauge @ None), Fold::Gauge(more)) => *gauge = more,
        (Fold::GaugeSeconds(gauge), Fold::GaugeSeconds(more)) => gauge.merge(&more),
        (Fold::Histogram(histogram), Fold::Histogram(more)) => {
            histogram.summary.merge(&more.summary);
        }
        (Fold::Set(set), Fold::Set(more)) => set.extend(more),
        (Fold::Timer(summary), Fold::Timer(more)) => summary.merge(&more),
        _ => {} // a gauge without a reading; kinds are the same
    }
}

/// Whether the API shows the name of a series unchanged, so that it has precedence.
pub(super) fn is_plain(series: &Series) -> bool {
    let is_lower = |text: &str| !text.contains(|c: char| c.is_ascii_uppercase());
    series.tags.is_empty() && is_lower(&series.name) && is_lower(&series.source)
}
