//! A series, as others than its table see it.

use crate::intake::statsd::identity::Identity;
use std::sync::Arc;
use zibrato::Kind;
use zibrato::window::OVERFLOW_NAME;

/// A series, as its readers see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    pub(crate) source: Option<&'a str>,
    pub(crate) tags: &'a [(String, String)],
}

/// What a series is called, for use without the table.
#[derive(Debug)]
pub(crate) struct Named {
    pub(super) kind: Kind,
    /// The name, if there is no identity.
    pub(super) key: Box<[u8]>,
    pub(super) identity: Option<Arc<Identity>>,
}

impl Named {
    pub(crate) fn series(&self) -> Series<'_> {
        series(self.kind, &self.key, self.identity.as_deref())
    }
}

/// A series by its identity, or by its key if that is a clean name without tags.
pub(super) fn series<'a>(kind: Kind, key: &'a [u8], identity: Option<&'a Identity>) -> Series<'a> {
    match identity {
        Some(identity) => Series {
            kind,
            name: &identity.name,
            source: identity.source.as_deref(),
            tags: &identity.tags,
        },
        // A clean name is ASCII.
        None => Series {
            kind,
            name: std::str::from_utf8(key).unwrap_or(OVERFLOW_NAME),
            source: None,
            tags: &[],
        },
    }
}

/// The names that a command of the admin port means: any of `a.b`, or all with a beginning as in `a.*`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matching<'a>(pub(crate) &'a [&'a str]);

impl Matching<'_> {
    pub(crate) fn fits(&self, name: &str) -> bool {
        let fits = |meant: &&str| {
            meant.strip_suffix('*').map_or(*meant == name, |beginning| name.starts_with(beginning))
        };
        self.0.iter().any(fits)
    }
}
