//! What distinguishes series of the same name: their source, or their tags.
//!
//! Pure.

use super::flags::Api;
use super::tags::{self, Tag};
use super::text;
use serde::ser::SerializeMap;
use zibrato::window::Series;

/// The source of a series, or its tags, as the API accepts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Source(String),
    Tags(Vec<Tag>),
}

impl Place {
    pub(super) fn of(series: &Series, api: Api, common: &[Tag]) -> Self {
        match api {
            Api::Source => Self::Source(text::source(&series.source)),
            Api::Tagged => Self::Tags(tags::merged(common, &series.source, &series.tags)),
        }
    }

    /// The texts by which the API distinguishes series, whatever their case.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let (source, tags) = match self {
            Self::Source(source) => (Some(&**source), None),
            Self::Tags(tags) => (None, Some(tags)),
        };
        let tags = tags.into_iter().flatten().flat_map(|(tag, value)| [&**tag, &**value]);
        source.into_iter().chain(tags)
    }

    /// Adds it to a measurement, and returns the API that it is for.
    pub(super) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<Api, M::Error> {
        match self {
            Self::Source(source) => {
                map.serialize_entry("source", source)?;
                Ok(Api::Source)
            }
            Self::Tags(tags) => {
                map.serialize_entry("tags", &Pairs(tags))?;
                Ok(Api::Tagged)
            }
        }
    }
}

struct Pairs<'a>(&'a [Tag]);

impl serde::Serialize for Pairs<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(tag, value)| (tag, value)))
    }
}
