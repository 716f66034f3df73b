//! A scope whose series is known only at run time, from its beginning to its end.

use crate::measurement::{Kind, Source};
use crate::sdk::cells::amount::Number;
use crate::sdk::cells::ticks::{self, Moment};
use crate::sdk::points::by_name::{self, Of, Parts, series_of};
use crate::sdk::points::capture;
use crate::sdk::points::choice::Choice;
use crate::sdk::points::family::Family;
use crate::sdk::points::instrument::{Instrument, installation, source};
use crate::sdk::points::key::Key;
use crate::sdk::points::measure;
use crate::sdk::points::names::Named;
use crate::sdk::points::site::Site;
use crate::sdk::points::variant::{Like, Variant, Varying, key_of};
use std::fmt::Display;
use std::sync::Arc;

/// The series of a scope.
#[derive(Debug)]
pub(super) struct Running {
    whose: Whose,
    /// The series as it is looked up at the end: where something was added to it since the beginning.
    key: Option<Box<Key>>,
    /// The series that was found at the beginning.
    found: Option<Arc<Named>>,
}

#[derive(Debug)]
enum Whose {
    /// What this thread records into at the end.
    Captured,
    Given(Arc<Instrument>),
    /// The installed instrument, if it has still this number.
    Installed(u64),
    Site(&'static Site),
    Varying(&'static Varying),
}

impl From<Like> for Whose {
    fn from(like: Like) -> Self {
        match like {
            Like::Varying(varying) => Self::Varying(varying),
            Like::Site(site) => Self::Site(site),
        }
    }
}

impl Running {
    /// A series of the installed instrument, or of the capture of this thread; nothing if there is
    /// neither, or if nobody would take a reading.
    #[inline]
    pub(super) fn installed(kind: Kind, level: &str, name: &str) -> Option<Self> {
        let (number, parts) = (installation(), Parts { kind, level, name, source: None });
        if capture::capturing() {
            let key = Some(Box::new(parts.key(number)));
            return Some(Self { whose: Whose::Captured, key, found: None });
        }
        if number == 0 {
            return None;
        }
        let found = by_name::with_parts(None, number, parts, Arc::clone)?;
        Some(Self { whose: Whose::Installed(number), key: None, found: Some(found) })
    }

    /// A series of an instrument.
    pub(super) fn given(
        instrument: Arc<Instrument>,
        kind: Kind,
        level: &str,
        name: &str,
        source: Option<&Source>,
    ) -> Option<Self> {
        let parts = Parts { kind, level, name, source };
        let found = by_name::with_parts(Some(&instrument), instrument.number, parts, Arc::clone)?;
        Some(Self { whose: Whose::Given(instrument), key: None, found: Some(found) })
    }

    /// A series of a call site.
    #[inline]
    pub(super) fn chosen<C: Choice>(family: &'static Family, choice: &C) -> Option<Self> {
        Some(Self::of(family, family.with(choice, Arc::clone)?))
    }

    /// A series of a family.
    pub(super) fn of(family: &'static Family, found: Arc<Named>) -> Self {
        Self { whose: family.like().into(), key: None, found: Some(found) }
    }

    /// A series of a call site.
    pub(super) fn variant(variant: &Variant) -> Option<Self> {
        let found = variant.with(Arc::clone)?;
        Some(Self { whose: variant.like().into(), key: None, found: Some(found) })
    }

    /// The series of a call site, to which tags are to be added.
    pub(super) fn site(site: &'static Site) -> Self {
        let key = Some(Box::new(key_of(site)));
        Self { whose: Whose::Site(site), key, found: None }
    }

    /// Adds a tag, or changes its value.
    pub(super) fn tag(&mut self, tag: &str, value: &dyn Display) {
        if self.key.is_none() {
            self.key = self.found.take().map(|named| Box::new(named.key()));
        }
        if let Some(key) = &mut self.key {
            key.tag(tag);
            key.shown(value);
        }
    }

    /// Whether this call of a sampled timer is one that is timed.
    #[inline]
    pub(super) fn is_timed(&self) -> bool {
        self.found.as_ref().is_none_or(|named| measure::is_timed(&**named))
    }

    #[inline]
    pub(super) fn count(&self) {
        self.end(
            |_| Number::Whole(1),
            |named| measure::count(&**named, 1_u64),
            |of| measure::count(of, 1_u64),
        );
    }

    #[inline]
    pub(super) fn time(&self, since: Option<Moment>) {
        self.end(
            |()| Number::Float(since.map_or(0.0, |since| ticks::seconds(since.elapsed()))),
            |named| measure::end(&**named, since),
            |of| measure::end(of, since),
        );
    }

    /// Ends the scope: what is captured takes a value; anything else is done by `act`, or by
    /// `in_given` in an instrument that may not be the installed one.
    #[inline]
    fn end(
        &self,
        value: impl FnOnce(()) -> Number,
        act: impl FnOnce(&Arc<Named>),
        in_given: impl FnOnce(Of<'_>),
    ) {
        match (&self.whose, &self.found, &self.key) {
            (Whose::Given(given), ..) if !given.is_ours() => {}
            (Whose::Given(given), Some(named), _) => in_given(Of { named, given }),
            (Whose::Given(given), None, Some(key)) => {
                let act = |named: &Arc<Named>| in_given(Of { named, given });
                by_name::with(Some(given), given.number, key, act);
            }
            (_, Some(named), _) => act(named),
            (Whose::Installed(number), None, Some(key)) => {
                by_name::with(None, *number, key, act);
            }
            (Whose::Site(site), None, Some(key)) => {
                Variant::of(Like::Site(site), Key::clone(key)).with(act);
            }
            (Whose::Varying(varying), None, Some(key)) => {
                Variant::of(Like::Varying(varying), Key::clone(key)).with(act);
            }
            (Whose::Captured, None, Some(key)) => {
                let series = || Some(series_of(key, &source()).ok()?.0);
                capture::catch(series, value(()).to_f64());
            }
            (_, None, None) => {}
        }
    }
}
