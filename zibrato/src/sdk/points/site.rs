//! A call site: the `static` behind an attribute or a macro.

use super::instrument::{self, Instrument};
use super::measure::Origin;
use super::point::{self, Point};
use super::series::{Series, Shape};
use super::tags::{self, FixedTags, expect_valid};
use crate::measurement::{
    Level, MAX_NAME_BYTES, Name, Source, Tags, TextProblem, Unit, check_level, check_name,
    check_unit,
};
use crate::sdk::cells::list::{Link, Linked, List};
use crate::sdk::notices::Once;
use once_cell::race::OnceBox;
use std::sync::Arc;

/// What a call site measures. Generated code fills it in; the names are checked at compile time.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "generated code creates it")]
pub struct Metadata {
    pub level: &'static str,
    /// `None` means `module.path.function`.
    pub name: Option<&'static str>,
    pub module: &'static str,
    pub function: &'static str,
    /// `None` means the source of the installed instrument.
    pub source: Option<&'static str>,
    /// What else tells the series apart.
    pub tags: FixedTags,
}

/// One annotated place in a program.
#[doc(hidden)]
#[derive(Debug)]
pub struct Site {
    metadata: Metadata,
    pub(crate) point: Point,
    // Created at the first use, without a lock, because a fork could leave a lock locked.
    series: OnceBox<Series>,
    link: Link<Self>,
    pub(super) notices: Notices,
}

/// What is said once about a call site, in the log of the application.
#[derive(Debug)]
pub(super) struct Notices {
    /// It has too many series.
    pub(super) overflow: Once,
    /// A text of a series had to be changed.
    pub(super) renamed: Once,
}

/// The call sites that were ever used.
static SITES: List<Site> = List::new();

impl Linked for Site {
    fn link(&self) -> &Link<Self> {
        &self.link
    }
}

impl Site {
    #[must_use]
    #[track_caller]
    pub const fn new(shape: Shape, metadata: Metadata) -> Self {
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
        if let Some(unit) = shape.unit() {
            expect_valid(check_unit(unit));
        }
        tags::check(metadata.tags);
        Self {
            metadata,
            point: Point::new(shape),
            series: OnceBox::new(),
            link: Link::new(),
            notices: Notices { overflow: Once::new(), renamed: Once::new() },
        }
    }

    /// The module that it is in, for notices.
    pub(super) const fn module(&self) -> &'static str {
        self.metadata.module
    }

    pub(crate) const fn tags(&self) -> FixedTags {
        self.metadata.tags
    }

    /// One that is like it but for its tags.
    pub(super) const fn with_tags(&self, tags: FixedTags) -> Self {
        Self::new(self.point.shape, Metadata { tags, ..self.metadata })
    }

    /// What tells it apart, but for the source of the installation. Its texts were checked when the
    /// program was compiled, so this is always something.
    pub(crate) fn series(&self) -> Option<&Series> {
        let make = || -> Result<_, crate::TextError> {
            let name = match self.metadata.name {
                Some(name) => Name::new(name)?,
                None => {
                    let module = self.metadata.module.replace("::", ".");
                    Name::new(&format!("{module}.{}", self.metadata.function))?
                }
            };
            let source = self.metadata.source.map(Source::new).transpose()?.unwrap_or_default();
            let level = Level::new(self.metadata.level)?;
            Ok(Box::new(Series {
                level,
                source,
                name,
                kind: self.point.shape.kind(),
                tags: Tags::fixed(self.metadata.tags),
                unit: self.point.shape.unit().map(Unit::new).transpose()?,
            }))
        };
        self.series.get_or_try_init(make).ok()
    }

    /// Whether the source is its own, and not that of the installation.
    pub(crate) const fn has_source(&self) -> bool {
        self.metadata.source.is_some()
    }

    /// The series in an installation whose source is `source`.
    pub(crate) fn series_of(&self, source: &Source) -> Option<Series> {
        let source = if self.metadata.source.is_none() { source } else { &self.series()?.source };
        Some(Series { source: source.clone(), ..self.series()?.clone() })
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
        instrument::is_wanted(instrument, self.metadata.level)
    }

    fn series(self) -> Option<Series> {
        self.series_of(&instrument::source())
    }
}

/// Assigns the sites to the installation `number`, and discards earlier readings.
pub(crate) fn belong_to(number: u64) {
    sites().for_each(|site| site.point.clear());
    point::ask_again(|| instrument::set_installation(number));
}

/// Ends the installation `number`, unless the sites belong to another one.
pub(crate) fn leave(number: u64) {
    point::ask_again(|| instrument::end_installation(number));
}

/// Every site that was ever used.
pub(crate) fn sites() -> impl Iterator<Item = &'static Site> {
    SITES.iter()
}

/// The number of readings of all sites in this installation.
pub(crate) fn made_at_sites() -> u64 {
    sites().map(|site| site.point.made()).sum()
}
