//! Handles, each of which refers to one series.

use crate::sdk::cells::amount::Amount;
use crate::sdk::cells::busy;
use crate::sdk::cells::ticks::Moment;
use crate::sdk::points::by_name;
use crate::sdk::points::instrument::{HasInstrument, Instrument};
use crate::sdk::points::key::Key;
use crate::sdk::points::measure::{self, Origin};
use crate::sdk::points::names::Named;
use crate::sdk::points::point::Point;
use crate::sdk::points::series::{Loss, Series, Shape};
use std::fmt::Display;
use std::sync::{Arc, Weak};
use std::time::Duration;

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

    /// The series with one tag more, or with another value of it.
    pub(super) fn with(&self, tag: &str, value: &dyn Display) -> Self {
        self.adding(|key| {
            key.tag(tag);
            key.shown(value);
        })
    }

    /// The series of the key to which `add` has added something.
    pub(super) fn adding(&self, add: impl FnOnce(&mut Key)) -> Self {
        let found = || {
            let named = self.named.as_ref().map_err(|why| *why)?;
            // Without an instrument it measures nothing, whatever the reason says.
            let instrument = self.owner.upgrade().and_then(|owner| owner.instrument());
            let instrument = instrument.ok_or(Loss::Deadline)?;
            let mut key = named.key();
            add(&mut key);
            busy(|| by_name::find_or_add(&instrument, &key))
        };
        Self::new(found(), Weak::clone(&self.owner))
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
    /// A handle to the series that has this tag, too.
    ///
    /// It is looked up at each call; keep the handle if you measure often.
    ///
    /// ```
    /// # fn main() -> Result<(), zibrato::InstallError> {
    /// let z = zibrato::Zibrato::builder().build()?;
    /// let orders = z.counter("info", "orders");
    /// for tenant in ["acme", "initech", "acme"] {
    ///     orders.with("tenant", tenant).increment(1);
    /// }
    /// assert_eq!(z.stats().recorded, 3);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with(&self, tag: &str, value: impl Display) -> Self {
        Self(self.0.with(tag, &value))
    }

    /// Adds to the counter.
    #[inline]
    pub fn increment<A: Amount>(&self, amount: A) {
        measure::count(&self.0, amount);
    }
}

impl GaugeHandle {
    /// A handle to the series that has this tag, too.
    ///
    /// It is looked up at each call; keep the handle if you measure often.
    #[must_use]
    pub fn with(&self, tag: &str, value: impl Display) -> Self {
        Self(self.0.with(tag, &value))
    }

    /// Sets the gauge.
    #[inline]
    pub fn set<A: Amount>(&self, value: A) {
        measure::gauge(&self.0, value);
    }
}

impl TimerHandle {
    /// A handle to the series that has this tag, too.
    ///
    /// It is looked up at each call; keep the handle if you measure often.
    #[must_use]
    pub fn with(&self, tag: &str, value: impl Display) -> Self {
        Self(self.0.with(tag, &value))
    }

    /// Records how long something took that was measured elsewhere.
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
