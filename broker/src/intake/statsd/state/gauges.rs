//! The values of gauges, which persist: changes build on them, and a file keeps them over a restart.

use super::series::{Matching, Series};
use super::table::AVERAGE_BYTES;
use super::value::{Changes, Current};
use crate::intake::statsd::identity::{Identity, NO_VALUE};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Write};
use zibrato::{Gauge, Kind};

/// How long a gauge without readings is repeated, in milliseconds: a day.
const KEPT_MS: u64 = 24 * 3_600 * 1_000;

/// How often a gauge without readings is repeated, in milliseconds, as the SDK does.
const REPEAT_MS: u64 = 10_000;

/// Maximum number of gauges whose errors a restoration returns.
const MAX_ERRORS: usize = 10;

/// Not repeated yet.
const NEVER: u64 = u64::MAX;

/// The last value of each gauge.
///
/// A clock that is set must not make them forgotten, so their age is a difference of uptimes: of times
/// since the intake was opened.
#[derive(Debug)]
pub(crate) struct Gauges {
    max: usize,
    /// Memory for names and tags.
    held_bytes: usize,
    /// By [`key`].
    values: HashMap<String, Known, RandomState>,
    /// A buffer for keys.
    key: String,
    /// The last multiple of [`REPEAT_MS`] at which all were repeated.
    repeated: u64,
}

/// What became of the gauges of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Restored {
    pub(crate) restored: usize,
    pub(crate) left_out: usize,
    /// The first gauges that were left out, and why.
    pub(crate) first: Vec<(String, &'static str)>,
}

#[derive(Debug)]
struct Known {
    identity: Identity,
    /// Its time is that of the start if it is older.
    current: Current,
    /// The uptime at the end of the last interval with a reading, in milliseconds.
    read_ms: u64,
    /// The last multiple of [`REPEAT_MS`] at which it was repeated.
    repeated: u64,
}

/// The key of a series of gauges. Valid texts contain no control characters.
fn write_key(key: &mut String, series: Series<'_>) {
    key.clear();
    key.push_str(series.name);
    for text in series.source.into_iter().chain(texts(series.tags)) {
        key.push('\u{1}');
        key.push_str(text);
    }
    if series.source.is_some() {
        key.push('\u{2}');
    }
}

fn texts(tags: &[(String, String)]) -> impl Iterator<Item = &str> {
    tags.iter().flat_map(|(tag, value)| [&**tag, &**value])
}

impl Gauges {
    /// No gauges yet, and at most `max`.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, held_bytes: 0, values: HashMap::default(), key: String::new(), repeated: NEVER }
    }

    /// The readings of a gauge in an interval that ended at this uptime. `None` if there are none, or
    /// too many gauges to know its value.
    pub(crate) fn readings(
        &mut self,
        series: Series<'_>,
        changes: &Changes,
        uptime_ms: u64,
    ) -> Option<Gauge> {
        self.apply(series, changes, uptime_ms).map(|(readings, _)| readings)
    }

    /// Returns also the gauge's new value, if there is one.
    fn apply(
        &mut self,
        series: Series<'_>,
        changes: &Changes,
        uptime_ms: u64,
    ) -> Option<(Gauge, Option<Current>)> {
        write_key(&mut self.key, series);
        if let Some(known) = self.values.get_mut(&self.key) {
            let (readings, current) = changes.readings(known.current)?;
            known.read_ms = uptime_ms;
            known.current = current.unwrap_or(known.current);
            return Some((readings, current));
        }
        if self.is_full() {
            return None;
        }
        let (readings, current) = changes.readings(Current::default())?;
        self.insert(Known::new(series, current.unwrap_or_default(), uptime_ms));
        Some((readings, current))
    }

    fn is_full(&self) -> bool {
        self.values.len() >= self.max || self.held_bytes >= self.max.saturating_mul(AVERAGE_BYTES)
    }

    /// Inserts a gauge under the key in the buffer. Returns whether there was none.
    fn insert(&mut self, known: Known) -> bool {
        self.held_bytes += known.held_bytes(&self.key);
        let before = self.values.insert(self.key.clone(), known);
        self.held_bytes -= before.as_ref().map_or(0, |before| before.held_bytes(&self.key));
        before.is_none()
    }

    /// Approximate memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.held_bytes + self.values.capacity() * size_of::<(String, Known)>()
    }

    /// Replaces the changes in an interval that ended at this uptime by the readings that they mean,
    /// so that the gauge is known before they are published.
    pub(crate) fn settle(&mut self, series: Series<'_>, changes: &mut Changes, uptime_ms: u64) {
        if let Some((readings, Some(_))) = self.apply(series, changes, uptime_ms) {
            changes.settle(readings);
        }
    }

    /// Calls `write` with each gauge that has had no reading in the interval that ends now, once in ten
    /// seconds of the wall clock, as it is repeated for workers. If `write` returns `false`, the next
    /// call continues with the other gauges. Forgets those that have had no reading for a day.
    pub(crate) fn repeat(
        &mut self,
        now_ms: u64,
        uptime_ms: u64,
        mut write: impl FnMut(Series<'_>, Gauge) -> bool,
    ) -> bool {
        let current = now_ms / REPEAT_MS;
        if self.repeated == current {
            return true;
        }
        self.values.retain(|key, known| {
            let is_kept = uptime_ms.saturating_sub(known.read_ms) < KEPT_MS;
            self.held_bytes -= if is_kept { 0 } else { known.held_bytes(key) };
            is_kept
        });
        for known in self.values.values_mut() {
            if known.read_ms >= uptime_ms || known.repeated == current {
                continue;
            }
            known.repeated = current;
            let Current { value, at_ms } = known.current;
            if !write(known.series(), Gauge::idle(value, at_ms)) {
                return false;
            }
        }
        self.repeated = current;
        true
    }

    /// Forgets gauges by name. Returns the names.
    pub(crate) fn remove(&mut self, names: Matching<'_>) -> Vec<String> {
        let removed = self.values.extract_if(|_, known| names.fits(&known.identity.name));
        let removed = removed.map(|(key, known)| {
            self.held_bytes -= known.held_bytes(&key);
            known.identity.name
        });
        removed.collect()
    }

    /// All gauges and their values.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Series<'_>, f64)> {
        self.values.values().map(|known| (known.series(), known.current.value))
    }

    /// Writes the gauges as JSON, as bucky saves them: `{"name": value}`, or, with tags,
    /// `{"name;tag=text": [value, {"tag": "text"}]}`. They are in no order.
    pub(crate) fn write_json(&self, to: &mut impl Write) -> io::Result<()> {
        let mut separator: &[u8] = b"{";
        let mut key = String::new();
        for Known { identity, current, .. } in self.values.values() {
            key.clone_from(&identity.name);
            let source = identity.source.as_deref().map(|source| ("source", source));
            let all = identity.tags.iter().map(|(tag, text)| (&**tag, &**text)).chain(source);
            let mut tags = BTreeMap::new();
            for (tag, text) in all {
                key.extend([";", tag, "=", text]);
                tags.insert(tag, text);
            }
            to.write_all(std::mem::replace(&mut separator, b","))?;
            serde_json::to_writer(&mut *to, &key)?;
            to.write_all(b":")?;
            if tags.is_empty() {
                serde_json::to_writer(&mut *to, &current.value)?;
            } else {
                serde_json::to_writer(&mut *to, &(current.value, tags))?;
            }
        }
        to.write_all(if self.values.is_empty() { b"{}" } else { b"}" })
    }

    /// Adds the gauges that a file contains; those that are invalid, or too many, are left out.
    ///
    /// # Errors
    /// If it is not a JSON object.
    pub(crate) fn restore(
        &mut self,
        text: &[u8],
        now_ms: u64,
        uptime_ms: u64,
    ) -> Result<Restored, serde_json::Error> {
        let all: BTreeMap<String, Value> = serde_json::from_slice(text)?;
        let mut result = Restored::default();
        for (key, saved) in all {
            match restored(&key, &saved).and_then(|gauge| self.add(gauge, now_ms, uptime_ms)) {
                Ok(()) => result.restored += 1,
                Err(why) => {
                    result.left_out += 1;
                    if result.first.len() < MAX_ERRORS {
                        result.first.push((key, why));
                    }
                }
            }
        }
        Ok(result)
    }

    fn add(
        &mut self,
        (identity, value): (Identity, f64),
        now_ms: u64,
        uptime_ms: u64,
    ) -> Result<(), &'static str> {
        if self.is_full() {
            return Err("there are too many gauges; raise --statsd-max-series");
        }
        let current = Current { value, at_ms: now_ms };
        let known = Known { identity, current, read_ms: uptime_ms, repeated: NEVER };
        write_key(&mut self.key, known.series());
        if self.insert(known) {
            Ok(())
        } else {
            Err("the file has another gauge of this name and these tags")
        }
    }
}

/// Reads a gauge of a file. Bucky saves `[value, null]` for a gauge without tags, and `null` for a
/// tag without a value.
fn restored(key: &str, saved: &Value) -> Result<(Identity, f64), &'static str> {
    const FORM: &str = "expected a number, or a list of a number and an object of tags";
    let name = key.split_once(';').map_or(key, |(name, _)| name);
    let (value, tags) = match saved {
        Value::Array(pair) => match &**pair {
            [value, Value::Null] => (value, None),
            [value, Value::Object(tags)] => (value, Some(tags)),
            _ => return Err(FORM),
        },
        value => (value, None),
    };
    let value = value.as_f64().filter(|value| value.is_finite()).ok_or(FORM)?;
    let text = |(tag, text): (&String, &Value)| match text {
        Value::Null => Ok((tag.clone(), NO_VALUE.to_owned())),
        Value::String(text) => Ok((tag.clone(), text.clone())),
        _ => Err("the value of a tag is neither a text nor null"),
    };
    let tags = tags.into_iter().flatten().map(text).collect::<Result<_, _>>()?;
    let (identity, left_out) = Identity::with_tags(name, tags)
        .map_err(|_| "its name is empty or longer than 255 bytes")?;
    if left_out > 0 {
        return Err("a tag is empty, too long or invalid, or there are more than 50");
    }
    Ok((identity, value))
}

impl Known {
    fn new(series: Series<'_>, current: Current, read_ms: u64) -> Self {
        let identity = Identity {
            name: series.name.to_owned(),
            source: series.source.map(str::to_owned),
            tags: series.tags.to_vec(),
        };
        Self { identity, current, read_ms, repeated: NEVER }
    }

    /// Memory for its name and tags, with its key.
    fn held_bytes(&self, key: &str) -> usize {
        key.len() + self.identity.bytes()
    }

    fn series(&self) -> Series<'_> {
        Series {
            kind: Kind::Gauge,
            name: &self.identity.name,
            source: self.identity.source.as_deref(),
            tags: &self.identity.tags,
        }
    }
}

#[cfg(test)]
mod tests;
