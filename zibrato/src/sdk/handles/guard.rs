//! Guards: they measure until they are dropped, by return, `?` or panic alike.

use crate::measurement::{Kind, Source};
use crate::sdk::cells::amount::Number;
use crate::sdk::cells::ticks::Moment;
use crate::sdk::points::capture;
use crate::sdk::points::instrument::{Instrument, installed};
use crate::sdk::points::measure;
use crate::sdk::points::names::Key;
use crate::sdk::points::site::Site;
use crate::sdk::points::timing;
use std::sync::Arc;
use std::time::Instant;

/// Counts one when it is dropped, however the scope is left.
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
    named: Option<ByName>,
}

/// Records how long it lived, in seconds, when it is dropped, however the scope is left.
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
    // Two fields and not an enum: what a call site makes has no `named`, which the compiler sees
    // through, and leaves out all that belongs to it.
    /// No moment: a call of a sampled timer that is only counted.
    site: Option<(&'static Site, Option<Moment>)>,
    named: Option<Box<(ByName, Instant)>>,
}

/// What is measured under a name known only at run time.
#[derive(Debug)]
struct ByName {
    /// `None`: whatever this thread captures.
    instrument: Option<Arc<Instrument>>,
    level: Box<str>,
    name: Box<str>,
    source: Option<Source>,
}

impl ByName {
    /// In the installed instrument, or in what this thread captures; nothing if there is neither.
    fn current(level: &str, name: &str) -> Option<Self> {
        let instrument = if capture::capturing() { None } else { Some(installed()?) };
        Some(Self { instrument, level: level.into(), name: name.into(), source: None })
    }

    /// In an instrument; nothing without one.
    fn of(
        instrument: Option<Arc<Instrument>>,
        level: &str,
        name: &str,
        source: Option<Source>,
    ) -> Option<Self> {
        let instrument = Some(instrument?);
        Some(Self { instrument, level: level.into(), name: name.into(), source })
    }

    fn record(&self, kind: Kind, value: Number) {
        match &self.instrument {
            Some(instrument) => {
                instrument.record(kind, &self.level, &self.name, self.source.as_ref(), value);
            }
            None => {
                let source = self.source.clone().unwrap_or_default();
                let key = Key { kind, level: &self.level, name: &self.name, source: &source };
                capture::catch(|| key.series(), value.to_f64());
            }
        }
    }
}

impl CountMe {
    /// Begins a scope that is counted under a name known at run time, in the installed instrument.
    /// Without one it does nothing; a level or name that may not be is counted as lost.
    pub fn new(level: &str, name: &str) -> Self {
        Self { named: ByName::current(level, name) }
    }

    /// Does nothing without an instrument.
    pub(crate) fn of(
        instrument: Option<Arc<Instrument>>,
        level: &str,
        name: &str,
        source: Option<Source>,
    ) -> Self {
        Self { named: ByName::of(instrument, level, name, source) }
    }

    /// Leaves the scope uncounted.
    pub fn cancel(mut self) {
        self.named = None;
    }
}

impl Drop for CountMe {
    fn drop(&mut self) {
        if let Some(named) = &self.named {
            named.record(Kind::Counter, Number::Whole(1));
        }
    }
}

impl TimeMe {
    /// Begins a scope that is timed under a name known at run time, in the installed instrument.
    /// Without one it does nothing; a level or name that may not be is counted as lost.
    pub fn new(level: &str, name: &str) -> Self {
        let named = ByName::current(level, name).map(|named| Box::new((named, Instant::now())));
        Self { site: None, named }
    }

    /// Does nothing without an instrument.
    pub(crate) fn of(
        instrument: Option<Arc<Instrument>>,
        level: &str,
        name: &str,
        source: Option<Source>,
    ) -> Self {
        let named = ByName::of(instrument, level, name, source);
        Self { site: None, named: named.map(|named| Box::new((named, Instant::now()))) }
    }

    #[inline]
    pub(crate) fn at(site: &'static Site) -> Self {
        let begin = || timing::is_timed(site).then(Moment::now);
        let site = if measure::is_measured(site) { Some((site, begin())) } else { None };
        Self { site, named: None }
    }

    /// Leaves the scope untimed.
    pub fn cancel(mut self) {
        (self.site, self.named) = (None, None);
    }
}

impl Drop for TimeMe {
    #[inline]
    fn drop(&mut self) {
        if let Some((site, since)) = self.site {
            timing::end(site, since);
        }
        if let Some(named) = &self.named {
            named.0.record(Kind::Timer, Number::Float(named.1.elapsed().as_secs_f64()));
        }
    }
}

/// Counts a call as running while it lives.
#[doc(hidden)]
#[derive(Debug)]
#[must_use = "the call counts as running until it is dropped"]
pub struct InFlight(Option<&'static Site>);

impl InFlight {
    #[inline]
    pub(crate) fn at(site: &'static Site) -> Self {
        let measured = measure::is_measured(site);
        if measured {
            timing::move_in_flight(site, 1);
        }
        Self(measured.then_some(site))
    }
}

impl Drop for InFlight {
    #[inline]
    fn drop(&mut self) {
        // Also when nobody wants it any more: what went up comes down.
        if let Some(site) = self.0 {
            timing::move_in_flight(site, -1);
        }
    }
}

/// Starts a timer at a call site.
#[doc(hidden)]
#[inline]
#[must_use = "it measures until it is dropped"]
pub fn time(site: &'static Site) -> TimeMe {
    TimeMe::at(site)
}

/// Ends a timer, once the value that it timed is there.
#[doc(hidden)]
#[inline]
pub fn timed<T>(timer: TimeMe, value: T) -> T {
    drop(timer);
    value
}

/// Counts a call as running until what is returned is dropped.
#[doc(hidden)]
#[inline]
#[must_use = "the call counts as running until it is dropped"]
pub fn in_flight(site: &'static Site) -> InFlight {
    InFlight::at(site)
}
