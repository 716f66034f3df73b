//! Where something is recorded, as it is written into the static of a call site.

use syn::Path;

use crate::args::Args;
use crate::function::Function;
use crate::tags::Tag;
use crate::text::Text;

/// Which constructor makes the site.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Counter,
    /// A gauge that keeps every reading.
    Each,
    Gauge,
    InFlight,
    /// A timer that times one call of so many.
    Sampled(u32),
    Timer,
}

/// Where something is recorded, as it is written into the static.
pub(crate) struct Place<'a> {
    pub(crate) kind: Kind,
    pub(crate) level: Option<&'a Text>,
    pub(crate) name: Option<&'a Text>,
    pub(crate) source: Option<&'a Text>,
    /// What is put behind the name, given or not.
    pub(crate) ending: &'static str,
    pub(crate) tag: Option<(&'static str, &'a str)>,
    pub(crate) tags: &'a [Tag],
    /// What the site is called by where it has no name; empty for macros, whose sites have one.
    pub(crate) function: &'a str,
    pub(crate) krate: Option<&'a Path>,
}

impl<'a> Place<'a> {
    pub(crate) fn of(kind: Kind, function: &'a Function, args: &'a Args) -> Self {
        Self {
            kind,
            level: args.level.as_ref(),
            name: args.name.as_ref(),
            source: args.source.as_ref(),
            ending: "",
            tag: None,
            tags: &args.tags,
            function: &function.name,
            krate: args.krate.as_ref(),
        }
    }
}
