//! Guards, which measure until they are dropped, by return, `?` or panic.

use super::running::Running;
use crate::measurement::{Kind, Source};
use crate::sdk::cells::ticks::Moment;
use crate::sdk::points::choice::Choice;
use crate::sdk::points::family::Family;
use crate::sdk::points::instrument::Instrument;
use crate::sdk::points::measure;
use crate::sdk::points::noted::Found;
use crate::sdk::points::site::Site;
use crate::sdk::points::target::{Measures, Target};
use std::fmt::Display;
use std::sync::Arc;

/// Counts 1 when it is dropped, however the scope ends.
///
/// ```
/// use zibrato::CountMe;
///
/// fn handle(request: &str) -> Option<u32> {
///     let count = CountMe::new("info", "requests");
///     if request == "ping" {
///         count.cancel(); // do not count these
///         return None;
///     }
///     request.parse().ok()
/// }
///
/// let capture = zibrato::testing::capture();
/// handle("ping");
/// handle("7");
/// assert_eq!(capture.counter("info", "requests"), 1.0);
/// ```
#[derive(Debug)]
#[must_use = "it counts when it is dropped; bind it to a name, not to `_`"]
pub struct CountMe {
    running: Option<Running>,
}

/// Records its lifetime in seconds when it is dropped, however the scope ends.
///
/// ```
/// use zibrato::TimeMe;
/// let capture = zibrato::testing::capture();
/// {
///     let _time = TimeMe::new("info", "db.query");
///     // … the query
/// }
/// assert_eq!(capture.timer("info", "db.query").len(), 1);
/// ```
#[derive(Debug)]
#[must_use = "it measures until it is dropped; bind it to a name, not to `_`"]
pub struct TimeMe {
    // Two fields and not an enum: what a call site makes has one of them alone, which the compiler
    // sees through, and leaves out all that belongs to the other.
    /// No moment: a call of a sampled timer that is only counted.
    site: Option<(&'static Site, Option<Moment>)>,
    running: Option<Box<(Running, Option<Moment>)>>,
}

impl CountMe {
    /// Begins a scope that is counted under a name known at run time, in the installed instrument.
    /// Without one it does nothing. A name that may not be is made legal; a level that may not be is
    /// a counted loss.
    pub fn new(level: &str, name: &str) -> Self {
        Self { running: Running::installed(Kind::Counter, level, name) }
    }

    pub(crate) fn of(
        instrument: Option<Arc<Instrument>>,
        level: &str,
        name: &str,
        source: Option<&Source>,
    ) -> Self {
        let of = |instrument| Running::given(instrument, Kind::Counter, level, name, source);
        Self { running: instrument.and_then(of) }
    }

    /// Adds a tag, or changes its value.
    ///
    /// ```
    /// # let capture = zibrato::testing::capture();
    /// let mut count = zibrato::CountMe::new("info", "requests");
    /// count.tag("status", 200);
    /// drop(count);
    /// assert_eq!(capture.measurements()[0].tags, [("status", "200")]);
    /// ```
    pub fn tag(&mut self, tag: &str, value: impl Display) {
        if let Some(running) = &mut self.running {
            running.tag(tag, &value);
        }
    }

    /// Does not count the scope.
    pub fn cancel(mut self) {
        self.running = None;
    }
}

impl Drop for CountMe {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.count();
        }
    }
}

impl TimeMe {
    /// Begins a scope that is timed under a name known at run time, in the installed instrument.
    /// Without one it does nothing. A name that may not be is made legal; a level that may not be is
    /// a counted loss.
    pub fn new(level: &str, name: &str) -> Self {
        Self::started(Running::installed(Kind::Timer, level, name))
    }

    pub(crate) fn of(
        instrument: Option<Arc<Instrument>>,
        level: &str,
        name: &str,
        source: Option<&Source>,
    ) -> Self {
        let of = |instrument| Running::given(instrument, Kind::Timer, level, name, source);
        Self::started(instrument.and_then(of))
    }

    /// Times a series of a family that was found.
    pub(super) fn found(found: Option<(&'static Family, Found)>) -> Self {
        match found {
            Some((_, Found::Site(site))) => time(site),
            Some((family, Found::Named(named))) => Self::started(Some(Running::of(family, named))),
            None => Self { site: None, running: None },
        }
    }

    #[inline]
    fn started(running: Option<Running>) -> Self {
        let start = |running: Running| {
            let since = running.is_timed().then(Moment::now);
            Box::new((running, since))
        };
        Self { site: None, running: running.map(start) }
    }

    /// Adds a tag, or changes its value. The time is recorded with the tags that there are when the
    /// guard is dropped.
    ///
    /// ```
    /// # fn answer(path: &str) -> u16 { 404 }
    /// let capture = zibrato::testing::capture();
    /// let mut time = zibrato::time!("info", "http.request", tags(method = "GET"));
    /// let status = answer("/");
    /// time.tag("status", status);
    /// drop(time);
    /// let tags = capture.measurements()[0].tags.clone();
    /// assert_eq!(tags, [("method", "GET"), ("status", "404")]);
    /// ```
    pub fn tag(&mut self, tag: &str, value: impl Display) {
        if let Some((site, since)) = self.site.take() {
            self.running = Some(Box::new((Running::site(site), since)));
        }
        if let Some(running) = &mut self.running {
            running.0.tag(tag, &value);
        }
    }

    /// Does not time the scope.
    pub fn cancel(mut self) {
        (self.site, self.running) = (None, None);
    }
}

impl Drop for TimeMe {
    #[inline]
    fn drop(&mut self) {
        if let Some((site, since)) = self.site {
            measure::end(site, since);
        }
        if let Some(running) = &self.running {
            running.0.time(running.1);
        }
    }
}

/// Counts a call as in flight until it is dropped.
#[doc(hidden)]
#[derive(Debug)]
#[must_use = "the call counts as running until it is dropped"]
pub struct InFlight(Option<&'static Site>);

impl Drop for InFlight {
    #[inline]
    fn drop(&mut self) {
        // Even if it is not wanted any more: every increment needs its decrement.
        if let Some(site) = self.0 {
            measure::move_in_flight(site, -1);
        }
    }
}

/// Starts a timer at a call site.
#[doc(hidden)]
#[inline]
#[must_use = "it measures until it is dropped"]
pub fn time<T: Measures>(target: T) -> TimeMe {
    match target.target() {
        Target::Site(site) => {
            let begin = || measure::is_timed(site).then(Moment::now);
            let site = if measure::is_measured(site) { Some((site, begin())) } else { None };
            TimeMe { site, running: None }
        }
        Target::Variant(variant) => TimeMe::started(Running::variant(&variant)),
        Target::Nowhere => TimeMe { site: None, running: None },
    }
}

/// Starts the timer with these values of tags.
#[doc(hidden)]
#[inline]
#[must_use = "it measures until it is dropped"]
pub fn time_chosen<C: Choice>(family: &'static Family, choice: C) -> TimeMe {
    if C::IS_FEW {
        return time(family.at(choice));
    }
    let running = if family.is_measured() { Running::chosen(family, &choice) } else { None };
    TimeMe::started(running)
}

/// Ends a timer after `value` has been computed, and returns the value.
#[doc(hidden)]
#[inline]
pub fn timed<T>(timer: TimeMe, value: T) -> T {
    drop(timer);
    value
}

/// Counts a call as in flight until the returned value is dropped.
#[doc(hidden)]
#[inline]
#[must_use = "the call counts as running until it is dropped"]
pub fn in_flight(site: &'static Site) -> InFlight {
    let measured = measure::is_measured(site);
    if measured {
        measure::move_in_flight(site, 1);
    }
    InFlight(measured.then_some(site))
}
