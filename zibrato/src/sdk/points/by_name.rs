//! Series that are measured by level and name, in an instrument.

use super::cache;
use super::capture;
use super::instrument::{Instrument, installed};
use super::key::{Item, Key, KeyHash, after_origin, after_text, legal};
use super::measure::{self, Origin, slowly};
use super::names::{Limit, MAX_IN_THREADS, MAX_NAMES, Named, OVERFLOW_NAME, Place, beginning};
use super::point::Point;
use super::series::{Loss, Series, Shape};
use super::tags::MAX_TAGS;
use crate::measurement::{Kind, Level, MAX_UNIT_BYTES, Name, Source, Tags, Unit};
use crate::sdk::cells::amount::Number;
use crate::sdk::notices::Once;
use std::borrow::Cow;
use std::sync::Arc;

/// How many bits of a key's origin are the kind; the others are the number of the instrument.
const KIND_BITS: u32 = 3;

/// What a series is measured by, in an instrument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) kind: Kind,
    pub(crate) level: &'a str,
    pub(crate) name: &'a str,
    /// The instrument's unless it is given.
    pub(crate) source: Option<&'a Source>,
}

impl Parts<'_> {
    #[inline]
    const fn origin(self, number: u64) -> u64 {
        number << KIND_BITS | self.kind as u64
    }

    /// What the series of the instrument with this number is looked up by.
    pub(crate) fn key(self, number: u64) -> Key {
        let mut key = Key::new(self.origin(number));
        key.text(self.level);
        key.text(self.name);
        if let Some(source) = self.source {
            key.text(source.as_str());
        }
        key
    }

    #[inline]
    fn hash(self, number: u64) -> KeyHash {
        let hash = KeyHash::new(self.origin(number));
        let hash = hash.text(self.level.as_bytes()).text(self.name.as_bytes());
        match self.source {
            Some(source) => hash.text(source.as_str().as_bytes()),
            None => hash,
        }
    }

    #[inline]
    fn is(self, number: u64, key: &[u8]) -> bool {
        let after = || {
            let key = after_origin(key, self.origin(number))?;
            let key = after_text(key, self.level.as_bytes())?;
            let key = after_text(key, self.name.as_bytes())?;
            self.source.map_or(Some(key), |source| after_text(key, source.as_str().as_bytes()))
        };
        after().is_some_and(<[u8]>::is_empty)
    }
}

/// Calls `act` with a series of the instrument with this number. If none is `given`, that is the
/// installed one; if the installed one has another number, as in a forked child, it does nothing.
#[inline]
pub(crate) fn with_parts<T>(
    given: Option<&Arc<Instrument>>,
    number: u64,
    parts: Parts<'_>,
    act: impl FnOnce(&Arc<Named>) -> T,
) -> Option<T> {
    let find = || slowly(|| find_wanted(given, number, &parts.key(number)));
    cache::with_parts(parts.hash(number).get(), |key| parts.is(number, key), find, act)
}

/// Like [`with_parts`], by a key.
pub(crate) fn with<T>(
    given: Option<&Arc<Instrument>>,
    number: u64,
    key: &Key,
    act: impl FnOnce(&Arc<Named>) -> T,
) -> Option<T> {
    cache::with(key, || slowly(|| find_wanted(given, number, key)), act)
}

/// Takes one reading of a series.
#[inline]
pub(crate) fn record(instrument: &Arc<Instrument>, parts: Parts<'_>, value: Number) {
    if instrument.is_ours() {
        with_parts(Some(instrument), instrument.number, parts, |named| {
            let origin = Of { named, given: instrument };
            match parts.kind {
                Kind::Counter | Kind::Set => measure::count(origin, value),
                Kind::Gauge => measure::gauge_float(origin, value.to_f64()),
                Kind::Histogram => measure::histogram_float(origin, value.to_f64()),
                Kind::Timer => measure::record_seconds(origin, value.to_f64()),
            }
        });
    }
}

#[cold]
fn find_wanted(given: Option<&Arc<Instrument>>, number: u64, key: &Key) -> Option<Arc<Named>> {
    match given {
        Some(instrument) => find_if_wanted(instrument, key),
        None => find_if_wanted(&*installed().filter(|it| it.number == number)?, key),
    }
}

/// The series, if its level is wanted, or if what this thread measures is captured.
fn find_if_wanted(instrument: &Instrument, key: &Key) -> Option<Arc<Named>> {
    let level = level_of(key)?;
    if !capture::capturing() && !instrument.wants(&level) {
        instrument.note_level(&level);
        return None;
    }
    find_or_add(instrument, key).map_err(|why| instrument.refused.add(why, 1)).ok()
}

/// The series; beyond the limit, the series `_overflow`.
///
/// # Errors
/// [`Loss::Name`] if its level may not be, and [`Loss::TooManyNames`] far beyond the limit.
pub(crate) fn find_or_add(instrument: &Instrument, key: &Key) -> Result<Arc<Named>, Loss> {
    static RENAMED: Once = Once::new();
    static OVERFLOWING: Once = Once::new();
    let (series, changed) = series_of(key, &instrument.source)?;
    if changed {
        RENAMED.warn(|| {
            let name = beginning(&series.name);
            format!("a name or tag cannot be sent and is changed, here of `{name}`; Stats::renamed counts them")
        });
    }
    let place =
        Place { shape: Shape::of(series.kind), site: 0, has_source: true, limit: Limit::NAMES };
    let made = || Ok((series.clone(), changed));
    match instrument.names.find_or_make(key, place, made) {
        Err(Loss::TooManyNames) => {
            instrument.names.overflow(&series.name);
            OVERFLOWING.warn(|| {
                let name = beginning(&series.name);
                format!(
                    "there are too many names and tags made at run time, first `{name}` (at most {MAX_NAMES} of an \
                     instrument); further ones are counted together as {OVERFLOW_NAME}"
                )
            });
            let (kind, level) = (series.kind, series.level.as_str());
            let parts = Parts { kind, level, name: OVERFLOW_NAME, source: Some(&series.source) };
            let beyond = parts.key(instrument.number);
            let place = Place { limit: Limit::OVERFLOW, ..place };
            let made = || series_of(&beyond, &instrument.source);
            instrument.names.find_or_make(&beyond, place, made)
        }
        found => found,
    }
}

fn level_of(key: &Key) -> Option<String> {
    match key.items().next()? {
        Item::Text(level) => Some(level.into_owned()),
        Item::Tag(_) | Item::Unit(_) => None,
    }
}

/// The series that a key of an instrument means, and whether a text had to be changed.
pub(crate) fn series_of(key: &Key, default_source: &Source) -> Result<(Series, bool), Loss> {
    let kind = *Kind::ALL.get((key.origin() % (1 << KIND_BITS)) as usize).ok_or(Loss::Name)?;
    let mut items = key.items();
    let mut text = || match items.next() {
        Some(Item::Text(text)) => Ok(text),
        _ => Err(Loss::Name),
    };
    let level = Level::new(&text()?).map_err(|_| Loss::Name)?;
    let given = text()?;
    let (name, mut changed) = legal(&given);
    let name = Name::new(&name).map_err(|_| Loss::Name)?;
    let mut source = default_source.clone();
    let (mut tags, mut unit) = (Vec::new(), None);
    while let Some(item) = items.next() {
        match item {
            Item::Text(text) => source = Source::new(&text).map_err(|_| Loss::Name)?,
            Item::Unit(text) => {
                let (text, other) = legal_unit(&text);
                changed |= other;
                unit = Some(Unit::new(&text).map_err(|_| Loss::Name)?);
            }
            Item::Tag(tag) => {
                let Some(Item::Text(value)) = items.next() else { continue };
                let ((tag, other_tag), (value, other_value)) = (legal(&tag), legal(&value));
                changed |= other_tag || other_value;
                tags.push((Box::from(&*tag), Box::from(&*value)));
            }
        }
    }
    tags.truncate(MAX_TAGS);
    let tags = if tags.is_empty() { Tags::NONE } else { Tags::made(tags) };
    Ok((Series { level, source, name, kind, tags, unit }, changed))
}

/// The unit as it may be on the wire, and whether that is another one.
fn legal_unit(text: &str) -> (Cow<'_, str>, bool) {
    let (unit, is_other) = legal(text);
    if unit.len() <= MAX_UNIT_BYTES {
        return (unit, is_other);
    }
    let mut unit = unit.into_owned();
    unit.truncate(unit.floor_char_boundary(MAX_UNIT_BYTES));
    (unit.into(), true)
}

/// A series of an instrument that need not be the installed one.
#[derive(Clone, Copy)]
pub(crate) struct Of<'a> {
    pub(crate) named: &'a Named,
    pub(crate) given: &'a Arc<Instrument>,
}

impl Origin for Of<'_> {
    #[inline]
    fn point(self) -> &'static Point {
        self.named.point
    }

    fn instrument(self) -> Option<Arc<Instrument>> {
        Some(Arc::clone(self.given))
    }

    fn wanted_by(self, instrument: Option<&Instrument>) -> Option<bool> {
        let level = self.named.series.level.as_str();
        Some(instrument.is_some_and(|instrument| instrument.wants(level)))
    }

    fn series(self) -> Option<Series> {
        Some(self.named.series.clone())
    }

    fn grows(self, index: u32) -> bool {
        index < MAX_IN_THREADS
    }
}
