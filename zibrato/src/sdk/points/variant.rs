//! Variants of call sites: series like theirs, but with another name or with more tags, which are known
//! only at the call.

use super::cache;
use super::instrument::{self, Instrument};
use super::key::{Item, Key, legal};
use super::measure::{Origin, slowly};
use super::names::{
    Limit, MAX_IN_THREADS, MAX_NAMES, Named, OVERFLOW_NAME, Place, Registry, beginning,
};
use super::point::Point;
use super::series::{Loss, Series};
use super::site::{self, Site};
use super::tags::MAX_TAGS;
use crate::measurement::{Name, Tags};
use crate::sdk::cells::per_process::PerProcess;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Maximum number of series of a call site unless it or the builder says otherwise.
pub(crate) const DEFAULT_MAX_SERIES: u32 = 1000;

/// The limit that the builder sets.
static MAX_SERIES: AtomicU32 = AtomicU32::new(DEFAULT_MAX_SERIES);

/// Sets the limit for call sites that do not have their own.
pub(crate) fn limit_series(most: u32) {
    MAX_SERIES.store(most, Ordering::Relaxed);
}

/// The variants of all call sites.
static VARIANTS: PerProcess<Registry> = PerProcess::new(Registry::new(0));

/// The variants of all call sites, in this process.
pub(crate) fn variants() -> &'static Registry {
    VARIANTS.get(|_| Registry::new(0))
}

/// Assigns the call sites to the installation `number`, and discards earlier readings.
pub(crate) fn belong_to(number: u64) {
    variants().clear();
    site::belong_to(number);
}

/// How many readings the call sites have ever seen in this installation.
pub(crate) fn made_at_sites() -> u64 {
    site::made_at_sites() + variants().made()
}

/// What the series of a call site have in common, and what is different.
#[derive(Debug)]
pub(crate) struct Varying {
    /// What all of them are like; itself for a value that has no index.
    pub(crate) like: Site,
    /// The tags whose values are in the key, in this order.
    pub(crate) keys: &'static [&'static str],
    /// Maximum number of series that are looked up. 0: what the builder says.
    pub(crate) max_series: u32,
    /// Whether the key begins with the name.
    pub(crate) has_name: bool,
}

#[inline]
pub(crate) fn origin_of(site: &'static Site) -> u64 {
    ptr::from_ref(site).addr() as u64
}

#[inline]
pub(crate) fn key_of(site: &'static Site) -> Key {
    Key::new(origin_of(site))
}

/// A series like that of a call site, but with another name or with more tags.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Variant {
    site: &'static Site,
    /// Describes the key; `None` if the key contains only tags that were added later.
    varying: Option<&'static Varying>,
    key: Key,
}

/// What a series is a variant of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Like {
    Varying(&'static Varying),
    Site(&'static Site),
}

impl Variant {
    /// The variant of what this key says.
    pub(crate) const fn of(like: Like, key: Key) -> Self {
        match like {
            Like::Varying(varying) => Self { site: &varying.like, varying: Some(varying), key },
            Like::Site(site) => Self { site, varying: None, key },
        }
    }

    pub(crate) fn like(&self) -> Like {
        self.varying.map_or(Like::Site(self.site), Like::Varying)
    }

    /// Calls `act` with the series.
    #[inline]
    pub(crate) fn with<T>(&self, act: impl FnOnce(&Arc<Named>) -> T) -> Option<T> {
        cache::with(&self.key, || slowly(|| self.find()), act)
    }

    /// The series in the registry; beyond the limit, the series `_overflow`.
    #[cold]
    pub(crate) fn find(&self) -> Option<Arc<Named>> {
        let max_series = match self.varying {
            Some(varying) if varying.keys.is_empty() => u32::MAX,
            Some(varying) if varying.max_series > 0 => varying.max_series,
            _ => MAX_SERIES.load(Ordering::Relaxed),
        };
        let place = Place {
            shape: self.site.point().shape,
            site: ptr::from_ref(self.site).addr(),
            has_source: self.site.has_source(),
            limit: Limit::of_site(max_series),
        };
        let found = variants().find_or_make(&self.key, place, || {
            let (series, changed) = self.series(false)?;
            if changed {
                self.site.notices.renamed.warn(|| self.renamed(&series));
            }
            Ok((series, changed))
        });
        match found.or_else(|why| self.overflow(why, place)) {
            Ok(named) => Some(named),
            Err(why) => {
                if let Some(instrument) = instrument::installed() {
                    instrument.refused.add(why, 1);
                }
                None
            }
        }
    }

    fn overflow(&self, why: Loss, place: Place) -> Result<Arc<Named>, Loss> {
        if why != Loss::TooManyNames {
            return Err(why);
        }
        let variants = variants();
        if variants.overflowing().is_none() {
            variants.overflow(&self.series(false)?.0.name);
        }
        self.site.notices.overflow.warn(|| self.overflowing(place.limit));
        let mut key = key_of(self.site);
        // No other key is like this, because a tag has a value.
        key.tag(OVERFLOW_NAME);
        let place = Place { limit: Limit::OVERFLOW, ..place };
        variants.find_or_make(&key, place, || self.series(true))
    }

    fn renamed(&self, series: &Series) -> String {
        // Without their values, which may contain what should not be in a log.
        let tags: Vec<_> = series.tags.iter().map(|(tag, _)| tag).collect();
        let with_tags = match &*tags {
            [] => String::new(),
            [tag] => format!(" with the tag {tag}"),
            tags => format!(" with the tags {}", tags.join(", ")),
        };
        format!(
            "a name or tag in {} contains `|` or a control character, is empty, or is too long, so it \
             is changed, here of `{}`{with_tags}; Stats::renamed counts such series",
            self.site.module(),
            beginning(&series.name),
        )
    }

    fn overflowing(&self, limit: Limit) -> String {
        let (limit, remedy) = if variants().is_full() {
            let limit = format!("at most {MAX_NAMES} of all call sites together");
            (limit, "give this or other call sites names and tags with fewer values")
        } else {
            let limit = format!("at most {} of a call site", limit.at_site());
            (limit, "Builder::max_series_per_site or `max_series` allows more")
        };
        let name = self.site.series().map_or(OVERFLOW_NAME, |series| series.name.as_str());
        format!(
            "`{name}` in {} has too many series ({limit}); further ones are counted together, with \
             tags of the value {OVERFLOW_NAME}; {remedy}",
            self.site.module()
        )
    }

    /// The series, or, `beyond` the limit, the series `_overflow`; and whether a text had to be changed
    /// to be valid.
    fn series(&self, beyond: bool) -> Result<(Series, bool), Loss> {
        let mut changed = false;
        let mut made_legal = |text: &str| -> Box<str> {
            let (legal, is_other) = legal(text);
            changed |= is_other;
            legal.into()
        };
        let like = self.site.series().ok_or(Loss::Name)?;
        let mut name = like.name.clone();
        let mut tags: Vec<(Box<str>, Box<str>)> =
            like.tags.iter().map(|(tag, value)| (tag.into(), value.into())).collect();
        let mut items = self.key.items();
        if self.varying.is_some_and(|varying| varying.has_name)
            && let Some(Item::Text(text)) = items.next()
            && !beyond
        {
            name = Name::new(&made_legal(&text)).map_err(|_| Loss::Name)?;
        }
        let mut keys = self.varying.map_or(&[][..], |varying| varying.keys).iter();
        while let Some(item) = items.next() {
            let (tag, value): (Box<str>, _) = match item {
                // The unit of a call site is fixed.
                Item::Unit(_) => continue,
                Item::Text(value) => match keys.next() {
                    Some(tag) => ((*tag).into(), value),
                    None => continue,
                },
                Item::Tag(tag) => match items.next() {
                    Some(Item::Text(value)) => (made_legal(&tag), value),
                    _ => continue,
                },
            };
            let value = if beyond { OVERFLOW_NAME.into() } else { made_legal(&value) };
            tags.push((tag, value));
        }
        // Those that were added last are left out.
        tags.truncate(MAX_TAGS);
        Ok((Series { name, tags: Tags::made(tags), ..like.clone() }, changed))
    }
}

impl Origin for &Named {
    #[inline]
    fn point(self) -> &'static Point {
        self.point
    }

    fn instrument(self) -> Option<Arc<Instrument>> {
        instrument::installed()
    }

    fn wanted_by(self, instrument: Option<&Instrument>) -> Option<bool> {
        instrument::is_wanted(instrument, self.series.level.as_str())
    }

    fn series(self) -> Option<Series> {
        Some(self.series_in(&instrument::source()))
    }

    fn grows(self, index: u32) -> bool {
        index < MAX_IN_THREADS
    }
}
