//! The values of gauges, which persist: changes build on them, and a file keeps them over a restart.

use super::table::{Matching, Series};
use super::value::Changes;
use crate::intake::statsd::identity::{Identity, NO_VALUE};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde_json::{Value, json};
use std::collections::BTreeMap;
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
#[derive(Debug)]
pub(crate) struct Gauges {
    max: usize,
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
    value: f64,
    /// The time of the last reading, or of the start if it is older.
    at_ms: u64,
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
        Self { max, values: HashMap::default(), key: String::new(), repeated: NEVER }
    }

    /// The readings of a gauge in an interval that ended at `now_ms`. `None` if there are none, or
    /// too many gauges to know its value.
    pub(crate) fn readings(
        &mut self,
        series: Series<'_>,
        changes: &Changes,
        now_ms: u64,
    ) -> Option<Gauge> {
        write_key(&mut self.key, series);
        if let Some(known) = self.values.get_mut(&self.key) {
            let gauge = changes.readings(known.value)?;
            (known.value, known.at_ms) = (gauge.last, now_ms);
            return Some(gauge);
        }
        if self.values.len() >= self.max {
            return None;
        }
        let gauge = changes.readings(0.0)?;
        self.values.insert(self.key.clone(), Known::new(series, gauge.last, now_ms));
        Some(gauge)
    }

    /// Replaces the changes in an interval that ended at `now_ms` by the readings that they mean,
    /// so that the gauge is known before they are published.
    pub(crate) fn settle(&mut self, series: Series<'_>, changes: &mut Changes, now_ms: u64) {
        if let Some(readings) = self.readings(series, changes, now_ms) {
            changes.settle(readings);
        }
    }

    /// Calls `write` with each gauge that has had no reading before `now_ms` in this interval, once
    /// in ten seconds, as it is repeated for workers. If `write` returns `false`, the next call
    /// continues with the other gauges. Forgets those that have had no reading for a day.
    pub(crate) fn repeat(
        &mut self,
        now_ms: u64,
        mut write: impl FnMut(Series<'_>, Gauge) -> bool,
    ) -> bool {
        let current = now_ms / REPEAT_MS;
        if self.repeated == current {
            return true;
        }
        self.values.retain(|_, known| now_ms.saturating_sub(known.at_ms) < KEPT_MS);
        for known in self.values.values_mut() {
            if known.at_ms >= now_ms || known.repeated == current {
                continue;
            }
            known.repeated = current;
            if !write(known.series(), Gauge::idle(known.value, known.at_ms)) {
                return false;
            }
        }
        self.repeated = current;
        true
    }

    /// Forgets gauges by name. Returns the names.
    pub(crate) fn remove(&mut self, names: Matching<'_>) -> Vec<String> {
        let removed = self.values.extract_if(|_, known| names.fits(&known.identity.name));
        removed.map(|(_, known)| known.identity.name).collect()
    }

    /// All gauges and their values.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Series<'_>, f64)> {
        self.values.values().map(|known| (known.series(), known.value))
    }

    /// The gauges as JSON, as bucky saves them: `{"name": value}`, or, with tags,
    /// `{"name;tag=text": [value, {"tag": "text"}]}`.
    pub(crate) fn to_json(&self) -> String {
        let mut all = BTreeMap::new();
        for Known { identity, value, .. } in self.values.values() {
            let mut key = identity.name.clone();
            let mut tags = BTreeMap::new();
            let source = identity.source.as_ref().map(|source| ("source", source));
            for (tag, text) in identity.tags.iter().map(|(tag, text)| (&**tag, text)).chain(source)
            {
                key += &format!(";{tag}={text}");
                tags.insert(tag, text);
            }
            let saved = if tags.is_empty() { json!(value) } else { json!([value, tags]) };
            all.insert(key, saved);
        }
        json!(all).to_string()
    }

    /// Adds the gauges that a file contains; those that are invalid, or too many, are left out.
    ///
    /// # Errors
    /// If it is not a JSON object.
    pub(crate) fn restore(
        &mut self,
        text: &[u8],
        now_ms: u64,
    ) -> Result<Restored, serde_json::Error> {
        let all: BTreeMap<String, Value> = serde_json::from_slice(text)?;
        let mut result = Restored::default();
        for (key, saved) in all {
            match restored(&key, &saved).and_then(|gauge| self.add(gauge, now_ms)) {
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

    fn add(&mut self, (identity, value): (Identity, f64), now_ms: u64) -> Result<(), &'static str> {
        if self.values.len() >= self.max {
            return Err("there are too many gauges; raise --statsd-max-series");
        }
        let known = Known { identity, value, at_ms: now_ms, repeated: NEVER };
        write_key(&mut self.key, known.series());
        match self.values.insert(self.key.clone(), known) {
            None => Ok(()),
            Some(_) => Err("the file has another gauge of this name and these tags"),
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
    fn new(series: Series<'_>, value: f64, at_ms: u64) -> Self {
        let identity = Identity {
            name: series.name.to_owned(),
            source: series.source.map(str::to_owned),
            tags: series.tags.to_vec(),
        };
        Self { identity, value, at_ms, repeated: NEVER }
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
mod tests {
    use super::{Gauges, KEPT_MS, Restored};
    use crate::intake::statsd::grammar::{Dialect, decode};
    use crate::intake::statsd::state::{Matching, Table, Taken};

    /// The last value of each gauge after an interval.
    fn interval(gauges: &mut Gauges, packet: &str, now_ms: u64) -> Vec<Option<f64>> {
        let mut table = Table::new(100);
        decode(packet.as_bytes(), Dialect::Statsd, |_, sample| {
            table.add(&sample.unwrap(), now_ms).unwrap();
        });
        table.end_interval();
        let mut all = Vec::new();
        table.take(100, |named, taken| {
            let Taken::Gauge(changes) = taken else { return };
            all.push(gauges.readings(named.series(), &changes, now_ms).map(|gauge| gauge.last));
        });
        all
    }

    #[test]
    fn changes_build_on_the_value_of_earlier_intervals() {
        let mut gauges = Gauges::new(100);
        for (packet, expected) in [
            ("g:10|g", 10.0),
            ("g:+1|g", 11.0),
            ("g:-20|g", -9.0),
            ("g:0|g\ng:-3|g", -3.0),
            ("g:-10|g|#x:1", -10.0),
            ("g:-10|g|#host:x", -10.0),
            ("g:+1|g", -2.0),
            // The same series in another spelling.
            ("g,x=1:+1|g", -9.0),
        ] {
            assert_eq!(interval(&mut gauges, packet, 1), [Some(expected)], "{packet}");
        }
        assert_eq!(gauges.all().count(), 3);
    }

    #[test]
    fn the_number_of_gauges_is_bounded() {
        let mut gauges = Gauges::new(2);
        let last = interval(&mut gauges, "a:1|g\nb:1|g\nc:1|g\na:+1|g", 1);
        assert_eq!(last, [Some(2.0), Some(1.0), None]);
    }

    #[test]
    fn idle_gauges_are_repeated_for_a_day() {
        let mut gauges = Gauges::new(100);
        interval(&mut gauges, "a:1|g\nb:2|g|#x:1", 1_000);
        interval(&mut gauges, "a:3|g", 10_000);
        let mut repeated = |now_ms| {
            let mut all = Vec::new();
            gauges.repeat(now_ms, |series, gauge| {
                all.push((series.name.to_owned(), gauge.last, gauge.is_idle()));
                true
            });
            all
        };
        assert_eq!(repeated(10_000), [("b".to_owned(), 2.0, true)]);
        assert_eq!(repeated(19_999), []);
        // No call may be in a certain second.
        assert_eq!(repeated(21_000).len(), 2);
        assert_eq!(repeated(29_000), []);
        assert_eq!(repeated(1_000 + KEPT_MS), [("a".to_owned(), 3.0, true)]);
    }

    #[test]
    fn a_repetition_continues_where_it_broke_off() {
        let mut gauges = Gauges::new(100);
        interval(&mut gauges, "a:1|g\nb:2|g\nc:3|g\nd:4|g\ne:5|g", 1);
        let mut all = Vec::new();
        let mut repeat = |now_ms| {
            gauges.repeat(now_ms, |series, _| {
                all.push(series.name.to_owned());
                all.len() % 2 != 0
            })
        };
        let complete: Vec<_> = (10..15).map(|second| repeat(second * 1_000)).collect();
        assert_eq!(complete, [false, false, true, true, true]);
        all.sort();
        assert_eq!(all, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn settled_changes_are_not_applied_twice() {
        let mut gauges = Gauges::new(100);
        interval(&mut gauges, "a:10|g", 1);
        let mut table = Table::new(100);
        decode(b"a:+1|g\nb:+2|g", Dialect::Statsd, |_, sample| {
            table.add(&sample.unwrap(), 2).unwrap();
        });
        table.end_interval();
        table.gauges(|series, changes| gauges.settle(series, changes, 2));
        assert_eq!(gauges.to_json(), r#"{"a":11.0,"b":2.0}"#);
        table.take(100, |named, taken| {
            let Taken::Gauge(changes) = taken else { panic!("a gauge") };
            gauges.readings(named.series(), &changes, 2);
        });
        assert_eq!(gauges.to_json(), r#"{"a":11.0,"b":2.0}"#);
    }

    #[test]
    fn they_are_saved_and_restored() {
        let mut gauges = Gauges::new(100);
        interval(&mut gauges, "g:1.5|g\nh:2|g", 1);
        assert_eq!(gauges.to_json(), r#"{"g":1.5,"h":2.0}"#);
        interval(&mut gauges, "h:3|g|#x:1,y:a;b=c,host:web-1", 1);
        let saved = gauges.to_json();
        let tagged = r#""h;x=1;y=a;b=c;source=web-1":[3.0,{"source":"web-1","x":"1","y":"a;b=c"}]"#;
        assert!(saved.contains(tagged), "{saved}");
        let mut restored = Gauges::new(100);
        let all = Restored { restored: 3, ..Restored::default() };
        assert_eq!(restored.restore(saved.as_bytes(), 1).unwrap(), all);
        assert_eq!(restored.to_json(), saved);
        let last = interval(&mut restored, "h:+1|g|#x:1,y:a;b=c,host:web-1\ng:+1|g", 1);
        assert_eq!(last, [Some(4.0), Some(2.5)]);
    }

    #[test]
    fn files_of_bucky_are_read_and_broken_ones_are_not() {
        let mut gauges = Gauges::new(5);
        let file = br#"{"g": 1.5, "h": [2, {}], "i": [3, {"env": "prod"}], "%": 1, "k": "x",
            "h2": [12.5, null], "i2": [1, {"canary": null}],
            "l": [1], "m": [1, {"a": 1}], "n": null, "o": 1}"#;
        let Restored { restored, left_out, first } = gauges.restore(file, 1).unwrap();
        assert_eq!((restored, left_out), (5, 6));
        let names: Vec<_> = first.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["%", "k", "l", "m", "n", "o"]);
        assert!(first[0].1.contains("name") && first[3].1.contains("tag"), "{first:?}");
        assert!(first[5].1.contains("--statsd-max-series"), "{first:?}");
        assert_eq!(
            gauges.to_json(),
            r#"{"g":1.5,"h":2.0,"h2":12.5,"i2;canary=true":[1.0,{"canary":"true"}],"i;env=prod":[3.0,{"env":"prod"}]}"#
        );
        for broken in ["", "{\"g\": 1.", "[]", "1"] {
            assert!(gauges.restore(broken.as_bytes(), 1).is_err(), "{broken}");
        }
    }

    #[test]
    fn they_are_removed_by_name() {
        let mut gauges = Gauges::new(100);
        interval(&mut gauges, "a.b:1|g\nb:1|g", 1);
        assert_eq!(gauges.remove(Matching("a.*")), ["a.b"]);
        assert_eq!(gauges.all().count(), 1);
    }
}
