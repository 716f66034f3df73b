//! Where a call site measures, and sites that are like another but for their tags or name.

use super::{OFF, Site, lock_sites};
use crate::measurement::{Kind, TextProblem};
use crate::sdk::tags::Tags;
use std::sync::atomic::AtomicU32;

/// What a call site measures. Generated code fills it in; the names are checked when the program
/// is compiled.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "generated code makes it")]
pub struct Place {
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

impl Site {
    pub(crate) const fn tags(&self) -> Tags {
        self.place.tags
    }

    /// One that is like it but for its tags.
    pub(in crate::sdk) const fn with_tags(&self, tags: Tags) -> Self {
        Self::new(self.kind, Place { tags, ..self.place })
    }

    /// One that is like it but for its name.
    pub(in crate::sdk) const fn with_name(&self, name: &'static str) -> Self {
        Self::new(self.kind, Place { name: Some(name), ..self.place })
    }

    /// One that nobody ever wants.
    pub(in crate::sdk) const fn unwanted() -> Self {
        let place = Place {
            level: "_",
            name: Some("_"),
            module: "",
            function: "",
            source: None,
            tags: &[],
        };
        let mut site = Self::new(Kind::Counter, place);
        site.gate = AtomicU32::new(OFF);
        site
    }
}

// A panic while a static is made is an error of the compiler at that place, which is the caller's.
#[track_caller]
pub(in crate::sdk) const fn expect_valid(checked: Result<(), TextProblem>) {
    if let Err(problem) = checked {
        match problem {
            TextProblem::Bar => panic!("a level, name, source or tag has a `|` in it"),
            TextProblem::Control => {
                panic!("a level, name, source or tag has a control character or a line break in it")
            }
            TextProblem::Empty => panic!("a level, name, source or tag is empty"),
            TextProblem::Reserved => panic!("this level is kept for the protocol"),
            TextProblem::TooLong => panic!(
                "a level is longer than 64 bytes, or a name, source or tag longer than 255; \
                 a name made from a module path may need `name = \"…\"`"
            ),
        }
    }
}

/// Does something that no fork may come in the middle of.
pub(in crate::sdk) fn apart_from_forks<T>(what: impl FnOnce() -> T) -> T {
    let _sites = lock_sites();
    what()
}
