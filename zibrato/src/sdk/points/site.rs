//! A call site: the `static` behind an attribute or a macro.

use super::instrument::{self, Instrument};
use super::measure::{self, Origin};
use super::point::{self, Point};
use super::series::Series;
use super::shape::Shape;
use super::tags::{self, Tags, expect_valid};
use crate::measurement::{
    Kind, Level, MAX_NAME_BYTES, Name, Source, TextProblem, check_level, check_name,
};
use crate::sdk::cells::amount::Amount;
use crate::sdk::cells::list::{Link, Linked, List};
use crate::sdk::cells::taken::Taken;
use once_cell::race::OnceBox;
use std::sync::Arc;

/// What a call site measures. Generated code fills it in; the names are checked when the program
/// is compiled.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "generated code makes it")]
pub struct Metadata {
    pub level: &'static str,
    /// `None`: `module.path.function`.
    pub name: Option<&'static str>,
    pub module: &'static str,
    pub function: &'static str,
    /// `None`: the installation's source.
    pub source: Option<&'static str>,
    /// What else tells the series apart.
    pub tags: Tags,
}

/// One annotated place in a program.
#[doc(hidden)]
#[derive(Debug)]
pub struct Site {
    metadata: Metadata,
    point: Point,
    // Made by whoever comes first, without a lock that a fork could leave locked.
    texts: OnceBox<Texts>,
    link: Link<Self>,
}

/// The call sites that were ever used.
static SITES: List<Site> = List::new();

impl Linked for Site {
    fn link(&self) -> &Link<Self> {
        &self.link
    }
}

/// Level, name and source of a call site.
#[derive(Debug, Clone)]
pub(crate) struct Texts {
    pub(crate) level: Level,
    pub(crate) name: Name,
    /// `None`: the installation's.
    pub(crate) source: Option<Source>,
}

impl Site {
    #[must_use]
    #[track_caller]
    pub const fn counter(metadata: Metadata) -> Self {
        Self::new(Shape::Counter, metadata)
    }

    #[must_use]
    #[track_caller]
    pub const fn gauge(metadata: Metadata) -> Self {
        Self::new(Shape::Gauge, metadata)
    }

    /// A gauge whose every reading is sent.
    #[must_use]
    #[track_caller]
    pub const fn each(metadata: Metadata) -> Self {
        Self::new(Shape::Each, metadata)
    }

    /// A gauge of how many calls are running.
    #[must_use]
    #[track_caller]
    pub const fn in_flight(metadata: Metadata) -> Self {
        Self::new(Shape::InFlight, metadata)
    }

    #[must_use]
    #[track_caller]
    pub const fn timer(metadata: Metadata) -> Self {
        Self::new(Shape::Timer, metadata)
    }

    /// A timer that times one call in `every`, and counts them all.
    #[must_use]
    #[track_caller]
    pub const fn sampled(metadata: Metadata, every: u32) -> Self {
        Self::new(if every < 2 { Shape::Timer } else { Shape::Sampled(every) }, metadata)
    }

    #[track_caller]
    const fn new(shape: Shape, metadata: Metadata) -> Self {
        expect_valid(check_level(metadata.level));
        match metadata.name {
            Some(name) => expect_valid(check_name(name)),
            None => {
                if metadata.module.len() + 1 + metadata.function.len() > MAX_NAME_BYTES {
                    expect_valid(Err(TextProblem::TooLong));
                }
            }
        }
        if let Some(source) = metadata.source {
            expect_valid(check_name(source));
        }
        expect_valid(tags::check(metadata.tags));
        Self { metadata, point: Point::new(shape), texts: OnceBox::new(), link: Link::new() }
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.point.shape.kind()
    }

    pub(crate) const fn tags(&self) -> Tags {
        self.metadata.tags
    }

    /// One that is like it but for its tags.
    pub(super) const fn with_tags(&self, tags: Tags) -> Self {
        Self::new(self.point.shape, Metadata { tags, ..self.metadata })
    }

    /// One that is like it but for its name.
    pub(super) const fn with_name(&self, name: &'static str) -> Self {
        Self::new(self.point.shape, Metadata { name: Some(name), ..self.metadata })
    }

    /// One that nobody ever wants.
    pub(crate) const fn unwanted() -> Self {
        let metadata = Metadata {
            level: "_",
            name: Some("_"),
            module: "",
            function: "",
            source: None,
            tags: &[],
        };
        Self { metadata, point: Point::closed(), texts: OnceBox::new(), link: Link::new() }
    }

    /// Level, name and source, checked. They were checked when the program was compiled, so
    /// this is always something.
    pub(crate) fn texts(&self) -> Option<&Texts> {
        let make = || -> Result<_, crate::TextError> {
            let name = match self.metadata.name {
                Some(name) => Name::new(name)?,
                None => {
                    let module = self.metadata.module.replace("::", ".");
                    Name::new(&format!("{module}.{}", self.metadata.function))?
                }
            };
            let source = self.metadata.source.map(Source::new).transpose()?;
            let level = Level::new(self.metadata.level)?;
            Ok(Box::new(Texts { level, name, source }))
        };
        self.texts.get_or_try_init(make).ok()
    }

    /// Takes what has gathered, if there were readings. Only the sender calls it.
    pub(crate) fn take(&self) -> Option<Taken> {
        self.point.take()
    }

    /// What tells it apart, if its source is `default` unless it has one of its own.
    pub(crate) fn series(&self, default: &Source) -> Option<Series> {
        let Texts { level, name, source } = self.texts()?.clone();
        let source = source.unwrap_or_else(|| default.clone());
        Some(Series { level, source, name, kind: self.kind(), tags: self.tags() })
    }
}

impl Origin for &'static Site {
    #[inline]
    fn point(self) -> &'static Point {
        &self.point
    }

    fn begin(self) {
        SITES.add(self, &mut SITES.lock());
    }

    fn instrument(self) -> Option<Arc<Instrument>> {
        instrument::installed()
    }

    fn wanted_by(self, instrument: Option<&Instrument>) -> Option<bool> {
        let installed = instrument::installation();
        match instrument {
            Some(instrument) if instrument.number() == installed => {
                Some(instrument.wants(self.metadata.level))
            }
            _ if installed == 0 => Some(false),
            // Another one is just being installed; the next use will find it.
            _ => None,
        }
    }

    fn series(self) -> Option<Series> {
        Site::series(self, &Source::default())
    }
}

/// Counts at a call site.
#[doc(hidden)]
#[inline]
pub fn count<A: Amount>(site: &'static Site, amount: A) {
    measure::count(site, amount);
}

/// Sets a gauge at a call site.
#[doc(hidden)]
#[inline]
pub fn gauge<A: Amount>(site: &'static Site, value: A) {
    measure::gauge(site, value);
}

/// Whether anybody would take a reading of the site.
#[doc(hidden)]
#[inline]
#[must_use]
pub fn is_measured(site: &'static Site) -> bool {
    measure::is_measured(site)
}

/// Makes the sites those of the installation `number`, and forgets what they gathered before; or
/// makes them nobody's if it is 0.
pub(crate) fn belong_to(number: u64) {
    if number != 0 {
        sites().for_each(|site| site.point.clear());
    }
    point::ask_again(|| instrument::set_installation(number));
}

/// Every site that was ever used.
pub(crate) fn sites() -> impl Iterator<Item = &'static Site> {
    SITES.iter()
}

/// How many readings the sites have ever seen in this installation.
pub(crate) fn made_at_sites() -> u64 {
    sites().map(|site| site.point.made()).sum()
}
