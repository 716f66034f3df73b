//! What tells a series apart from all others.

use super::tags::Tags;
use crate::measurement::{Kind, Level, Name, Source};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) level: Level,
    pub(crate) source: Source,
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    pub(crate) tags: Tags,
}
