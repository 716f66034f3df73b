//! What distinguishes series of the same name: their source, or their tags.
//!
//! Pure.

use super::flags::Api;
use super::tags::{self, Tag};
use super::text::{self, MAX_TEXT};
use foldhash::fast::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use zibrato::window::Series;

/// The source of a series, or its tags, as the API accepts them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As a member of a measurement: `"source":"web-1"`, or `"tags":{…}`.
    pub(super) json: String,
    /// The hash of its texts, whatever their case.
    hash: u64,
}

/// Hashes names and places as the API distinguishes series: whatever their case.
#[derive(Debug, Default)]
pub(super) struct Keys(RandomState);

impl Keys {
    /// The key of a series with a legal name.
    pub(super) fn of(&self, name: &str, place: &Place) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u64(place.hash);
        // A legal name has room. Copying it first is faster than hashing it byte by byte.
        let mut lower = [0; MAX_TEXT];
        let length = name.len().min(MAX_TEXT);
        let (lower, _) = lower.split_at_mut(length);
        lower.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from.to_ascii_lowercase());
        hasher.write(lower);
        hasher.finish()
    }

    fn of_place<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> u64 {
        let mut hasher = self.0.build_hasher();
        for text in texts {
            hasher.write(text.to_ascii_lowercase().as_bytes());
            hasher.write_u8(b'\n');
        }
        hasher.finish()
    }
}

/// Makes the places of the series of a window.
#[derive(Debug)]
pub(super) struct Places<'a> {
    api: Api,
    common: &'a [Tag],
    keys: &'a Keys,
    /// The last source, which is usually that of the next series, and the place of its series without
    /// tags.
    last: Option<(Arc<str>, Arc<Place>)>,
    /// The place of the last series with tags.
    own: Option<Arc<Place>>,
}

impl<'a> Places<'a> {
    /// `common` are the tags of all series.
    pub(super) const fn new(api: Api, common: &'a [Tag], keys: &'a Keys) -> Self {
        Self { api, common, keys, last: None, own: None }
    }

    pub(super) fn of(&mut self, series: &Series) -> &Arc<Place> {
        if self.api == Api::Tagged && !series.tags.is_empty() {
            let place = Arc::new(self.tagged(series));
            return self.own.insert(place);
        }
        let last = match self.last.take() {
            Some(last) if Arc::ptr_eq(&last.0, &series.source) => last,
            _ => {
                let place = match self.api {
                    Api::Source => self.source(&series.source),
                    Api::Tagged => self.tagged(series),
                };
                (Arc::clone(&series.source), Arc::new(place))
            }
        };
        &self.last.insert(last).1
    }

    fn source(&self, source: &str) -> Place {
        let source = text::source(source);
        Place { json: format!("\"source\":\"{source}\""), hash: self.keys.of_place([&*source]) }
    }

    fn tagged(&self, series: &Series) -> Place {
        let tags = tags::merged(self.common, &series.source, &series.tags);
        let mut json = String::from("\"tags\":{");
        for (n, (tag, value)) in tags.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            // A legal value has one character that has to be escaped, and a legal name none.
            let value = value.replace('\\', "\\\\");
            json.extend([comma, "\"", tag, "\":\"", &value, "\""]);
        }
        json.push('}');
        let texts = tags.iter().flat_map(|(tag, value)| [&**tag, &**value]);
        Place { json, hash: self.keys.of_place(texts) }
    }
}
