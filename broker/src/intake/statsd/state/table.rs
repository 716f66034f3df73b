//! The series of one receiving thread, found by what is on the wire: a known series costs one look-up,
//! and neither cleaning nor allocation.

use super::series::{Matching, Named, Series, series};
use super::value::{Changes, Room, Taken, Value, finite};
use crate::intake::statsd::grammar::{Reason, Sample};
use crate::intake::statsd::identity::Identity;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use zibrato::Kind;
use zibrato::window::OVERFLOW_NAME;

/// Average memory for the name and tags of a series at which a table is full, in bytes.
pub(super) const AVERAGE_BYTES: usize = 1_024;

/// Memory of a series besides its slot, its name and tags, in bytes: indexes, and the value.
const INDEX_BYTES: usize = 100;

/// Approximate memory of a member of a set, and of an octave of a sketch, in bytes.
const MEMBER_BYTES: usize = 64;
const OCTAVE_BYTES: usize = 600;

/// How far the time of a sample may be ahead, in milliseconds: a day.
const MAX_AHEAD_MS: u64 = 24 * 3_600 * 1_000;

/// Maximum number of members of all sets in one interval.
const MAX_MEMBERS: usize = 1_000_000;

/// Maximum number of octaves in the sketch of one timer or histogram, as in a window.
const MAX_OCTAVES: usize = 64;

/// Maximum average number of octaves per series that a table may have. Beyond it, each sketch is
/// reduced to [`FEW_OCTAVES`]. Only invalid data is this wide.
const MANY_OCTAVES: usize = 2;

/// Number of octaves of a reduced sketch.
const FEW_OCTAVES: usize = 2;

/// Series of one receiving thread.
#[derive(Debug)]
pub(crate) struct Table {
    max_series: usize,
    max_members: usize,
    hasher: RandomState,
    /// Indexes into `slots`.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    /// Slots with samples since the interval began, in the order of their first one.
    touched: Vec<u32>,
    /// Slots of the interval that is being taken, and how many of them are taken.
    taking: Vec<u32>,
    taken: usize,
    /// Number of intervals since the start.
    interval: u32,
    /// Memory for names and tags.
    held_bytes: usize,
    /// Number of samples that were taken since this was last asked.
    handed: u64,
    /// Number of members of all sets, and of octaves of all sketches.
    members: usize,
    octaves: usize,
    overflow: Overflow,
}

/// Samples of series that did not fit, and the first of these series.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Overflow {
    pub(crate) samples: u64,
    pub(crate) offender: Option<String>,
}

/// A series. It fits into one line of the processor's cache.
#[derive(Debug)]
#[repr(align(64))]
struct Slot {
    /// Name, then tags, as received.
    key: Box<[u8]>,
    name_bytes: u32,
    kind: Kind,
    is_touched: bool,
    /// Tags that are left out of the identity.
    left_out: u8,
    /// The interval of the last sample.
    used: u32,
    /// Number of samples that are not taken yet.
    samples: u32,
    /// `None` if the key is a clean name without tags.
    identity: Option<Arc<Identity>>,
    /// What counters, readings and members of earlier intervals add up to.
    total: f64,
    value: Value,
}

/// Why a sample was refused, besides its [`Reason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Invalid(Reason),
    /// There are too many distinct members of sets.
    Members,
}

impl Table {
    /// An empty table. New series beyond `max_series` are folded together.
    pub(crate) fn new(max_series: usize) -> Self {
        Self {
            max_series: max_series.min(u32::MAX as usize / 2),
            max_members: MAX_MEMBERS,
            hasher: RandomState::default(),
            index: HashTable::new(),
            slots: Vec::new(),
            touched: Vec::new(),
            taking: Vec::new(),
            taken: 0,
            interval: 0,
            held_bytes: 0,
            handed: 0,
            members: 0,
            octaves: 0,
            overflow: Overflow::default(),
        }
    }

    /// Adds a sample that came at `now_ms`. Returns the number of its tags that are left out.
    pub(crate) fn add(&mut self, sample: &Sample<'_>, now_ms: u64) -> Result<u8, Refused> {
        let Sample { name, tags, kind, reading, at_ms } = *sample;
        if at_ms.is_some_and(|at_ms| at_ms > now_ms.saturating_add(MAX_AHEAD_MS)) {
            return Err(Refused::Invalid(Reason::Future));
        }
        let hash = hash(&self.hasher, name, tags, kind);
        let slots = &self.slots;
        let found = self.index.find(hash, |at| slots[*at as usize].is(name, tags, kind));
        let at = match found {
            Some(at) => *at as usize,
            None => self.insert(hash, sample).map_err(Refused::Invalid)?,
        };
        let slot = &mut self.slots[at];
        let held = slot.value.octaves();
        let has_room = self.octaves < MANY_OCTAVES.saturating_mul(self.max_series);
        let room = Room {
            members: self.max_members.saturating_sub(self.members),
            octaves: if has_room { MAX_OCTAVES } else { FEW_OCTAVES },
        };
        let members = slot.value.add(reading, at_ms, now_ms, room);
        self.members += members.ok_or(Refused::Members)?;
        self.octaves = self.octaves + slot.value.octaves() - held;
        slot.samples = slot.samples.saturating_add(1);
        if !slot.is_touched {
            slot.is_touched = true;
            slot.used = self.interval;
            self.touched.push(at as u32);
        }
        Ok(slot.left_out)
    }

    /// Adds a series, or finds the one that takes further series. Returns its slot.
    #[cold]
    fn insert(&mut self, hash_of_key: u64, sample: &Sample<'_>) -> Result<usize, Reason> {
        let Sample { name, tags, kind, .. } = *sample;
        let (identity, left_out) = Identity::of(name, tags)?;
        if !self.is_full() {
            let identity =
                (identity.name.as_bytes() != name || !tags.is_empty()).then_some(identity);
            return Ok(self.push(hash_of_key, (name, tags, kind), identity, left_out));
        }
        self.overflow.samples += 1;
        self.overflow.offender.get_or_insert(identity.name);
        let name = OVERFLOW_NAME.as_bytes();
        let hash = hash(&self.hasher, name, b"", kind);
        let found = self.index.find(hash, |at| self.slots[*at as usize].is(name, b"", kind));
        let found = found.map(|at| *at as usize);
        Ok(found.unwrap_or_else(|| self.push(hash, (name, b"", kind), None, 0)))
    }

    const fn is_full(&self) -> bool {
        self.slots.len() >= self.max_series
            || self.held_bytes >= self.max_series.saturating_mul(AVERAGE_BYTES)
    }

    fn push(
        &mut self,
        hash_of_key: u64,
        (name, tags, kind): (&[u8], &[u8], Kind),
        identity: Option<Identity>,
        left_out: u64,
    ) -> usize {
        let at = self.slots.len();
        let key: Box<[u8]> = [name, tags].concat().into();
        self.held_bytes += key.len() + identity.as_ref().map_or(0, Identity::bytes);
        self.slots.push(Slot {
            key,
            name_bytes: name.len() as u32,
            kind,
            is_touched: false,
            left_out: u8::try_from(left_out).unwrap_or(u8::MAX),
            used: self.interval,
            samples: 0,
            identity: identity.map(Arc::new),
            total: 0.0,
            value: Value::new(kind),
        });
        let (hasher, slots) = (&self.hasher, &self.slots);
        self.index.insert_unique(hash_of_key, at as u32, |at| slots[*at as usize].hash(hasher));
        at
    }

    /// Ends the interval, whose series [`take`](Self::take) then returns. Returns what has
    /// overflowed in it.
    pub(crate) fn end_interval(&mut self) -> Overflow {
        self.interval += 1;
        self.taking.append(&mut self.touched);
        std::mem::take(&mut self.overflow)
    }

    /// Calls `write` with the next series of the ended interval, at most `most`, and their values.
    /// Returns whether there are more.
    pub(crate) fn take(&mut self, most: usize, mut write: impl FnMut(Named, Taken)) -> bool {
        let end = self.taking.len().min(self.taken + most);
        for at in &self.taking[self.taken..end] {
            let slot = &mut self.slots[*at as usize];
            let earlier = if slot.kind == Kind::Set { 0.0 } else { slot.total };
            slot.total = finite(earlier + slot.value.amount());
            slot.is_touched = false;
            self.handed += u64::from(std::mem::take(&mut slot.samples));
            self.members -= slot.value.members();
            self.octaves -= slot.value.octaves();
            write(slot.named(), slot.value.take());
        }
        self.taken = end;
        let has_more = self.taken < self.taking.len();
        if !has_more {
            self.taking.clear();
            self.taken = 0;
        }
        has_more
    }

    /// Calls `with` with each gauge of the ended interval that is not taken yet.
    pub(crate) fn gauges(&mut self, mut with: impl FnMut(Series<'_>, &mut Changes)) {
        for at in &self.taking[self.taken..] {
            let Slot { kind, key, identity, value, .. } = &mut self.slots[*at as usize];
            if let Value::Gauge(changes) = value {
                with(series(*kind, key, identity.as_deref()), changes);
            }
        }
    }

    /// Number of samples that were taken since the last call.
    pub(crate) const fn take_handed(&mut self) -> u64 {
        std::mem::replace(&mut self.handed, 0)
    }

    /// Approximate memory of the table, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.held_bytes
            + self.slots.capacity() * (size_of::<Slot>() + INDEX_BYTES)
            + self.members * MEMBER_BYTES
            + self.octaves * OCTAVE_BYTES
    }

    /// Number of samples that are not taken yet.
    pub(crate) fn untaken(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(slot.samples)).sum()
    }

    /// Forgets series without a sample in the last `intervals`, if they are many or the table is
    /// full.
    pub(crate) fn forget_idle(&mut self, intervals: u32) {
        let now = self.interval;
        let is_idle = |slot: &Slot| !slot.is_touched && now - slot.used > intervals;
        let idle = self.slots.iter().filter(|slot| is_idle(slot)).count();
        if idle * 4 > self.slots.len() || (idle > 0 && self.is_full()) {
            self.retain(|slot| !is_idle(slot));
        }
    }

    /// Forgets series of the kinds by name. Returns the names.
    pub(crate) fn remove(&mut self, kinds: &[Kind], names: Matching<'_>) -> Vec<String> {
        let is_meant = |slot: &Slot| kinds.contains(&slot.kind) && names.fits(slot.series().name);
        let meant = self.slots.iter().filter(|slot| is_meant(slot));
        let removed: Vec<_> = meant.map(|slot| slot.series().name.to_owned()).collect();
        // A new index takes long.
        if !removed.is_empty() {
            self.retain(|slot| !is_meant(slot));
        }
        removed
    }

    fn retain(&mut self, is_kept: impl FnMut(&Slot) -> bool) {
        self.slots.retain(is_kept);
        self.slots.shrink_to(self.slots.len() * 2);
        self.index.clear();
        self.index.shrink_to(self.slots.len(), |_| 0);
        self.held_bytes = self.slots.iter().map(Slot::held_bytes).sum();
        self.members = self.slots.iter().map(|slot| slot.value.members()).sum();
        self.octaves = self.slots.iter().map(|slot| slot.value.octaves()).sum();
        self.touched.clear();
        self.taking.clear();
        self.taken = 0;
        let (hasher, slots) = (&self.hasher, &self.slots);
        for (at, slot) in slots.iter().enumerate() {
            self.index
                .insert_unique(slot.hash(hasher), at as u32, |at| slots[*at as usize].hash(hasher));
            if slot.is_touched {
                self.touched.push(at as u32);
            }
        }
    }

    /// The series from a place on, with the sum of a counter or the number of readings since the series
    /// is known, and the number of members in the last interval of a set.
    pub(crate) fn totals(&self, from: usize) -> impl Iterator<Item = (Series<'_>, f64)> {
        self.slots.get(from..).unwrap_or_default().iter().map(|slot| {
            let current = if slot.kind == Kind::Set { 0.0 } else { slot.value.amount() };
            (slot.series(), finite(slot.total + current))
        })
    }

    /// Number of series.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }
}

impl Slot {
    /// Memory for its name and tags.
    fn held_bytes(&self) -> usize {
        self.key.len() + self.identity.as_deref().map_or(0, Identity::bytes)
    }

    fn is(&self, name: &[u8], tags: &[u8], kind: Kind) -> bool {
        self.kind == kind
            && self.name_bytes as usize == name.len()
            && self.key.len() == name.len() + tags.len()
            && self.key.starts_with(name)
            && (tags.is_empty() || self.key.ends_with(tags))
    }

    fn hash(&self, hasher: &RandomState) -> u64 {
        let (name, tags) = self.key.split_at(self.name_bytes as usize);
        hash(hasher, name, tags, self.kind)
    }

    fn series(&self) -> Series<'_> {
        series(self.kind, &self.key, self.identity.as_deref())
    }

    fn named(&self) -> Named {
        let key = if self.identity.is_none() { self.key.clone() } else { Box::default() };
        Named { kind: self.kind, key, identity: self.identity.clone() }
    }
}

fn hash(hasher: &RandomState, name: &[u8], tags: &[u8], kind: Kind) -> u64 {
    let mut state = hasher.build_hasher();
    state.write(name);
    if !tags.is_empty() {
        state.write(tags);
    }
    state.write_u8(kind as u8);
    state.finish()
}

const _: () = assert!(size_of::<Slot>() == 64);

#[cfg(test)]
mod tests;
