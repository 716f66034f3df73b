//! The metadata of a call site, as it is written into its static.

use syn::{LitInt, Path};

use crate::args::Args;
use crate::function::Function;
use crate::tags::Tag;
use crate::text::Text;

/// The constructor of the site.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Counter,
    /// A gauge that keeps every reading.
    Each,
    Gauge,
    Histogram,
    InFlight,
    /// A timer that times one call in this number.
    Sampled(u32),
    Timer,
}

/// The metadata of a call site.
pub(crate) struct Place<'a> {
    pub(crate) kind: Kind,
    pub(crate) level: Option<&'a Text>,
    pub(crate) name: Option<&'a Text>,
    pub(crate) source: Option<&'a Text>,
    /// The unit of a histogram.
    pub(crate) unit: Option<&'a Text>,
    /// The suffix of the name.
    pub(crate) ending: &'static str,
    pub(crate) tag: Option<(&'static str, &'a str)>,
    pub(crate) tags: &'a [Tag],
    /// Maximum number of series, where tags are known only at the call.
    pub(crate) max_series: Option<&'a LitInt>,
    /// The default name of the site; empty for macros, whose sites always have a name.
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
            unit: args.unit.as_ref(),
            ending: "",
            tag: None,
            tags: &args.tags,
            max_series: args.max_series.as_ref(),
            function: &function.name,
            krate: args.krate.as_ref(),
        }
    }
}
