//! Call sites whose names are made at run time, so that a name is turned into a site once.

use super::capture;
use super::instrument::installed;
use super::loss::Loss;
use super::registry::Registry;
use super::site::Site;
use crate::measurement::Name;
use std::ptr;

/// The most names made at run time, of all call sites together. It is lower than that of named
/// series, because each of these has a cell in every thread that measures.
const MAX_NAMES: usize = 10_000;

static NAMES: Registry<NamedSite> = Registry::new();

#[derive(Debug)]
struct NamedSite {
    like: &'static Site,
    name: &'static str,
    site: Site,
}

/// What a name made at run time can be; where it cannot, the compiler complains here.
#[doc(hidden)]
#[inline]
pub fn name<T: AsRef<str> + ?Sized>(name: &T) -> &str {
    name.as_ref()
}

/// The site that is like this one but for its name. Beyond the limit it is this one, which has the
/// name of all those.
#[doc(hidden)]
pub fn named(like: &'static Site, name: &str) -> &'static Site {
    let is_it = |known: &NamedSite| ptr::eq(known.like, like) && known.name == name;
    let make = || {
        Name::new(name)?;
        let name: &'static str = String::leak(name.to_owned());
        Ok::<_, crate::TextError>(NamedSite { like, name, site: like.with_name(name) })
    };
    if let Ok(named) = NAMES.find_or_make((ptr::from_ref(like), name), is_it, make, MAX_NAMES) {
        return &named.site;
    }
    match Name::new(name) {
        Ok(name) => {
            NAMES.overflow(name);
            like
        }
        Err(_) => {
            if let Some(instrument) = installed().filter(|_| !capture::capturing()) {
                instrument.refuse(Loss::Name);
            }
            nowhere()
        }
    }
}

/// The first name that found no room.
pub(crate) fn overflowing() -> Option<Name> {
    NAMES.overflowing()
}

/// A site that nobody wants.
#[doc(hidden)]
#[must_use]
pub fn nowhere() -> &'static Site {
    static NOWHERE: Site = Site::unwanted();
    &NOWHERE
}
