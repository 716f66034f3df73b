//! Guards and handles, by which an application measures scopes and series with names known at run
//! time.
//!
//! Guards measure until they are dropped, by return, `?` or panic. A handle refers to one series,
//! for names known at run time that are measured often.

mod outcome;
#[doc(hidden)]
pub mod scope;

pub use outcome::Outcome;

use crate::measurement::{Kind, Source};
use crate::sdk::cells::amount::{Amount, Number};
use crate::sdk::cells::ticks::Moment;
use crate::sdk::points::capture;
use crate::sdk::points::instrument::{HasInstrument, Instrument, installed};
use crate::sdk::points::measure::{self, Origin};
use crate::sdk::points::names::{Key, Named};
use crate::sdk::points::point::Point;
use crate::sdk::points::series::{Loss, Series, Shape};
use crate::sdk::points::site::Site;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

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
    named: Option<ByName>,
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
    // Two fields and not an enum: at a call site, the compiler knows that `named` is `None`, and
    // leaves out all code for it.
    /// `None` instead of a moment: a call of a sampled timer that is only counted.
    site: Option<(&'static Site, Option<Moment>)>,
    named: Option<Box<(ByName, Instant)>>,
}

/// A scope that is measured under a name known only at run time.
#[derive(Debug)]
struct ByName {
    /// `None` means the capture of this thread.
    instrument: Option<Arc<Instrument>>,
    level: Box<str>,
    name: Box<str>,
    source: Option<Source>,
}

impl ByName {
    /// In an instrument or in the capture of this thread. `None` if there is neither.
    fn of(
        instrument: Option<Arc<Instrument>>,
        level: &str,
        name: &str,
        source: Option<Source>,
    ) -> Option<Self> {
        let is_measured = instrument.is_some() || capture::capturing();
        is_measured.then(|| Self { instrument, level: level.into(), name: name.into(), source })
    }

    fn record(&self, kind: Kind, value: Number) {
        match &self.instrument {
            Some(instrument) => {
                let source = self.source.as_ref();
                instrument.record(instrument.key(kind, &self.level, &self.name, source), value);
            }
            None => {
                let source = self.source.clone().unwrap_or_default();
                let key = Key { kind, level: &self.level, name: &self.name, source: &source };
                capture::catch(|| key.series(), value.to_f64());
            }
        }
    }
}

/// The installed instrument, unless this thread has a capture.
fn current() -> Option<Arc<Instrument>> {
    if capture::capturing() { None } else { installed() }
}

impl CountMe {
    /// Begins a scope that is counted under a name known at run time, in the installed instrument.
    /// Without an instrument it does nothing. An invalid level or name is counted as lost.
    pub fn new(level: &str, name: &str) -> Self {
        Self::of(current(), level, name, None)
    }

    pub(crate) fn of(
        instrument: Option<Arc<Instrument>>,
        level: &str,
        name: &str,
        source: Option<Source>,
    ) -> Self {
        Self { named: ByName::of(instrument, level, name, source) }
    }

    /// Does not count the scope.
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
    /// Without an instrument it does nothing. An invalid level or name is counted as lost.
    pub fn new(level: &str, name: &str) -> Self {
        Self::of(current(), level, name, None)
    }

    pub(crate) fn of(
        instrument: Option<Arc<Instrument>>,
        level: &str,
        name: &str,
        source: Option<Source>,
    ) -> Self {
        let named = ByName::of(instrument, level, name, source);
        Self { site: None, named: named.map(|named| Box::new((named, Instant::now()))) }
    }

    /// Does not time the scope.
    pub fn cancel(mut self) {
        (self.site, self.named) = (None, None);
    }
}

impl Drop for TimeMe {
    #[inline]
    fn drop(&mut self) {
        if let Some((site, since)) = self.site {
            measure::end(site, since);
        }
        if let Some(named) = &self.named {
            named.0.record(Kind::Timer, Number::Float(named.1.elapsed().as_secs_f64()));
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
pub fn time(site: &'static Site) -> TimeMe {
    let begin = || measure::is_timed(site).then(Moment::now);
    let site = if measure::is_measured(site) { Some((site, begin())) } else { None };
    TimeMe { site, named: None }
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

/// The common part of all handles: the point of one series, and its owner.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    // Also in `named`, but one load further away.
    point: &'static Point,
    /// Or the reason why there is no series.
    named: Result<Arc<Named>, Loss>,
    owner: Weak<dyn HasInstrument>,
}

/// The point of handles without a series. It is always asked, so each reading is counted as lost.
static REFUSED: Point = Point::new(Shape::Counter);

impl Handle {
    pub(crate) fn new(named: Result<Arc<Named>, Loss>, owner: Weak<dyn HasInstrument>) -> Self {
        let point = named.as_ref().map_or(&REFUSED, |named| named.point);
        Self { point, named, owner }
    }
}

impl Origin for &Handle {
    #[inline]
    fn point(self) -> &'static Point {
        self.point
    }

    fn instrument(self) -> Option<Arc<Instrument>> {
        let instrument = self.owner.upgrade()?.instrument()?;
        match &self.named {
            // In a forked child the instrument is a new one, which does not know the series yet.
            Ok(named) => instrument.names.adopt(named),
            Err(why) => instrument.refused.add(*why, 1),
        }
        Some(instrument)
    }

    fn wanted_by(self, instrument: Option<&Instrument>) -> Option<bool> {
        // `None` without a series: each reading gets here, and is counted as lost.
        let level = self.named.as_ref().ok()?.series.level.as_str();
        Some(instrument.is_some_and(|instrument| instrument.wants(level)))
    }

    fn series(self) -> Option<Series> {
        Some(self.named.as_ref().ok()?.series.clone())
    }
}

/// A counter with a name known only at run time. Counting costs as much as at a call site.
///
/// Created by [`Zibrato::counter`](crate::Zibrato::counter). Clones count the same series. It does
/// not keep the instrument alive: after the instrument has ended, counting does nothing.
///
/// ```
/// # fn main() -> Result<(), zibrato::InstallError> {
/// let z = zibrato::Zibrato::builder().build()?;
/// let shards: Vec<_> = (0..3).map(|n| z.counter("info", &format!("shard.{n}.rows"))).collect();
/// for row in 0..300 {
///     shards[row % 3].increment(1);
/// }
/// assert_eq!(z.stats().recorded, 300);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CounterHandle(pub(crate) Handle);

/// A gauge with a name known only at run time.
///
/// Created by [`Zibrato::gauge`](crate::Zibrato::gauge). Clones set the same series. It does not
/// keep the instrument alive: after the instrument has ended, setting it does nothing.
///
/// ```
/// # fn main() -> Result<(), zibrato::InstallError> {
/// let z = zibrato::Zibrato::builder().build()?;
/// let depth = z.gauge("info", "queue.incoming.depth");
/// depth.set(17);
/// depth.set(11);
/// assert_eq!(z.stats().recorded, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct GaugeHandle(pub(crate) Handle);

/// A timer with a name known only at run time. Timing costs as much as at a call site.
///
/// Created by [`Zibrato::timer`](crate::Zibrato::timer). Clones time the same series. It does not
/// keep the instrument alive: after the instrument has ended, timing does nothing.
///
/// ```
/// # fn main() -> Result<(), zibrato::InstallError> {
/// let z = zibrato::Zibrato::builder().build()?;
/// let query = z.timer("info", "db.users.query");
/// {
///     let _time = query.start();
///     // … the query
/// }
/// query.record(std::time::Duration::from_millis(7)); // measured elsewhere
/// assert_eq!(z.stats().recorded, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TimerHandle(pub(crate) Handle);

impl CounterHandle {
    /// Adds to the counter.
    #[inline]
    pub fn increment<A: Amount>(&self, amount: A) {
        measure::count(&self.0, amount);
    }
}

impl GaugeHandle {
    /// Sets the gauge.
    #[inline]
    pub fn set<A: Amount>(&self, value: A) {
        measure::gauge(&self.0, value);
    }
}

impl TimerHandle {
    /// Records a duration that was measured elsewhere.
    pub fn record(&self, took: Duration) {
        measure::record_seconds(&self.0, took.as_secs_f64());
    }

    /// Times until the returned guard is dropped.
    #[inline]
    pub fn start(&self) -> TimerGuard<'_> {
        let measured = measure::is_measured(&self.0);
        TimerGuard(measured.then(|| (&self.0, Moment::now())))
    }
}

/// Records its lifetime in seconds when it is dropped, however the scope ends. Created by
/// [`TimerHandle::start`].
#[derive(Debug)]
#[must_use = "it measures until it is dropped; bind it to a name, not to `_`"]
pub struct TimerGuard<'a>(Option<(&'a Handle, Moment)>);

impl TimerGuard<'_> {
    /// Does not time the scope.
    pub fn cancel(mut self) {
        self.0 = None;
    }
}

impl Drop for TimerGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((handle, since)) = self.0 {
            measure::record(handle, since.elapsed());
        }
    }
}
