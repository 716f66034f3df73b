//! The measurements of a request as its client wrote them, before they are judged.
//!
//! ```text
//! {"gauges": [{"name": …, "value": …}, …], "counters": …, "measurements": …, "source": …, …}
//! {"gauges": {"NAME": {"value": …}, …}}
//! {"gauges": {"0": {"name": …, "value": …}, …}}
//! ```
//!
//! Pure: takes bytes, opens nothing.

use super::lenient::{AnyType, Key, Lenient, deserialize_leniently};
use super::scalar::Scalar;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Maximum number of measurements in a request.
pub(super) const MAX_MEASUREMENTS: usize = 10_000;

/// Maximum number of tags that are kept of one object; more are an error later.
const MAX_TAGS_KEPT: usize = 100;

/// A request with measurements.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Payload<'a> {
    pub(super) gauges: List<'a>,
    pub(super) counters: List<'a>,
    /// Those with tags.
    pub(super) measurements: List<'a>,
    /// What applies to each measurement that does not say it.
    pub(super) common: Entry<'a>,
}

impl<'a> Payload<'a> {
    /// Reads JSON.
    ///
    /// # Errors
    /// If it is not JSON, or not an object.
    pub(super) fn of_json(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        // All of it is known to be text after one look, which is faster than one for each string.
        match std::str::from_utf8(json) {
            Ok(json) => serde_json::from_str(json),
            Err(_) => serde_json::from_slice(json),
        }
    }

    /// The lists with their names.
    pub(super) const fn lists(&self) -> [(&'static str, &List<'a>); 3] {
        let Self { gauges, counters, measurements, .. } = self;
        [("gauges", gauges), ("counters", counters), ("measurements", measurements)]
    }

    /// The number of measurements, including those beyond the limit.
    pub(super) fn len(&self) -> usize {
        self.lists().iter().map(|(_, list)| list.entries.len() + list.omitted).sum()
    }
}

/// Some measurements.
#[derive(Debug, Default, PartialEq)]
pub(super) struct List<'a> {
    /// Whether the client gave it, even if it is empty.
    pub(super) is_given: bool,
    /// Whether it is neither a list nor an object.
    pub(super) is_wrong: bool,
    pub(super) entries: Vec<Entry<'a>>,
    /// Number of measurements beyond the limit, which are not kept.
    pub(super) omitted: usize,
}

impl<'a> List<'a> {
    const fn wrong() -> Self {
        Self { is_given: true, is_wrong: true, entries: Vec::new(), omitted: 0 }
    }

    /// A list that is given, and empty yet.
    pub(super) const fn new() -> Self {
        Self { is_given: true, is_wrong: false, entries: Vec::new(), omitted: 0 }
    }

    /// Whether another entry is kept.
    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < MAX_MEASUREMENTS
    }
}

/// The fields of one measurement.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Entry<'a> {
    /// The key under which it stands, if the measurements are an object.
    pub(super) key: Option<Cow<'a, str>>,
    /// Whether it is not an object.
    pub(super) is_wrong: bool,
    pub(super) name: Scalar<'a>,
    pub(super) value: Scalar<'a>,
    pub(super) source: Scalar<'a>,
    /// `measure_time`, or `time` of measurements with tags.
    pub(super) time: Scalar<'a>,
    pub(super) tags: Tags<'a>,
    /// See [`more`](Self::more).
    pub(super) rest: Option<Box<More<'a>>>,
}

/// The fields that few measurements have, apart from the others, which are moved several times.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct More<'a> {
    pub(super) period: Scalar<'a>,
    pub(super) count: Scalar<'a>,
    pub(super) sum: Scalar<'a>,
    pub(super) min: Scalar<'a>,
    pub(super) max: Scalar<'a>,
    pub(super) last: Scalar<'a>,
    pub(super) sum_squares: Scalar<'a>,
    pub(super) stddev: Scalar<'a>,
    pub(super) display_name: Scalar<'a>,
    pub(super) description: Scalar<'a>,
}

/// The fields of a measurement that has none of them.
static NO_MORE: More<'static> = More {
    period: Scalar::Absent,
    count: Scalar::Absent,
    sum: Scalar::Absent,
    min: Scalar::Absent,
    max: Scalar::Absent,
    last: Scalar::Absent,
    sum_squares: Scalar::Absent,
    stddev: Scalar::Absent,
    display_name: Scalar::Absent,
    description: Scalar::Absent,
};

impl<'a> Entry<'a> {
    /// The fields that few measurements have.
    pub(super) fn more(&self) -> &More<'a> {
        self.rest.as_deref().unwrap_or(&NO_MORE)
    }

    /// The place of a field, or `None` if it has no meaning here.
    pub(super) fn field(&mut self, name: &str) -> Option<&mut Scalar<'a>> {
        Some(match name {
            "name" => &mut self.name,
            "value" => &mut self.value,
            "source" => &mut self.source,
            "measure_time" | "time" => &mut self.time,
            "period" => &mut self.rest.get_or_insert_default().period,
            "count" => &mut self.rest.get_or_insert_default().count,
            "sum" => &mut self.rest.get_or_insert_default().sum,
            "min" => &mut self.rest.get_or_insert_default().min,
            "max" => &mut self.rest.get_or_insert_default().max,
            "last" => &mut self.rest.get_or_insert_default().last,
            "sum_squares" => &mut self.rest.get_or_insert_default().sum_squares,
            "stddev" => &mut self.rest.get_or_insert_default().stddev,
            "display_name" => &mut self.rest.get_or_insert_default().display_name,
            "description" => &mut self.rest.get_or_insert_default().description,
            _ => return None,
        })
    }
}

/// The tags of a measurement or of a request.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) enum Tags<'a> {
    /// They are missing or `null`.
    #[default]
    Absent,
    Given(Vec<(Cow<'a, str>, Scalar<'a>)>),
    /// Something else than an object.
    Wrong,
}

impl<'a> Tags<'a> {
    /// Adds a tag. Many are cut to a number that is still too large.
    pub(super) fn push(&mut self, tag: Cow<'a, str>, value: Scalar<'a>) {
        if !matches!(self, Self::Given(_)) {
            *self = Self::Given(Vec::new());
        }
        if let Self::Given(tags) = self
            && tags.len() < MAX_TAGS_KEPT
        {
            tags.push((tag, value));
        }
    }
}

deserialize_leniently!(Entry, List, Tags);

impl<'de> Lenient<'de> for Entry<'de> {
    fn wrong() -> Self {
        Self { is_wrong: true, ..Self::default() }
    }

    fn of_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut entry = Self::default();
        while let Some(Key(key)) = map.next_key()? {
            if key == "tags" {
                entry.tags = map.next_value()?;
            } else if let Some(field) = entry.field(&key) {
                *field = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(entry)
    }
}

impl<'de> Lenient<'de> for List<'de> {
    fn wrong() -> Self {
        List::wrong()
    }

    fn of_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut all = Self::new();
        while all.has_room() {
            let Some(entry) = list.next_element()? else { return Ok(all) };
            all.entries.push(entry);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            all.omitted += 1;
        }
        Ok(all)
    }

    fn of_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut all = Self::new();
        while let Some(Key(key)) = map.next_key()? {
            if !all.has_room() {
                map.next_value::<IgnoredAny>()?;
                all.omitted += 1;
                continue;
            }
            let entry: Entry<'de> = map.next_value()?;
            all.entries.push(Entry { key: Some(key), ..entry });
        }
        Ok(all)
    }
}

impl<'de> Lenient<'de> for Tags<'de> {
    fn wrong() -> Self {
        Self::Wrong
    }

    fn of_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut tags = Self::Given(Vec::new());
        while let Some((Key(tag), value)) = map.next_entry()? {
            tags.push(tag, value);
        }
        Ok(tags)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Payload<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Payload<'de>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object such as {\"gauges\": [{\"name\": \"a\", \"value\": 1}]}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut payload = Payload::default();
                while let Some(Key(key)) = map.next_key()? {
                    let list = match &*key {
                        "gauges" => &mut payload.gauges,
                        "counters" => &mut payload.counters,
                        "measurements" => &mut payload.measurements,
                        "tags" => {
                            payload.common.tags = map.next_value()?;
                            continue;
                        }
                        other => {
                            match payload.common.field(other) {
                                Some(field) => *field = map.next_value()?,
                                None => drop(map.next_value::<IgnoredAny>()?),
                            }
                            continue;
                        }
                    };
                    // Whose second list would count is unclear, and nothing may be lost silently.
                    if list.is_given {
                        return Err(A::Error::custom(format_args!("{key} is given twice")));
                    }
                    *list = map.next_value()?;
                }
                Ok(payload)
            }
        }
        from.deserialize_map(Object)
    }
}
