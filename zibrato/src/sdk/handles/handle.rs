//! Handles to one series each, for names known at run time that are measured often.

use crate::sdk::cells::amount::Amount;
use crate::sdk::cells::ticks::Moment;
use crate::sdk::points::instrument::{HasInstrument, Instrument};
use crate::sdk::points::loss::Loss;
use crate::sdk::points::measure::{self, Origin};
use crate::sdk::points::names::Named;
use crate::sdk::points::point::Point;
use crate::sdk::points::series::Series;
use crate::sdk::points::shape::Shape;
use crate::sdk::points::timing;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What all handles are: the way to the point of one series, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    // The series has it too, but one load further.
    point: &'static Point,
    /// Or why there is none.
    named: Result<Arc<Named>, Loss>,
    owner: Weak<dyn HasInstrument>,
}

/// Of handles without a series: each reading asks here, and is counted as lost.
static REFUSED: Point = Point::new(Shape::Counter);

impl Handle {
    pub(crate) fn new(named: Result<Arc<Named>, Loss>, owner: Weak<dyn HasInstrument>) -> Self {
        let point = named.as_ref().map_or(&REFUSED, |named| named.point());
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
            // In a forked child the instrument is another one, which does not know it yet.
            Ok(named) => instrument.names().adopt(named),
            Err(why) => instrument.refuse(*why),
        }
        Some(instrument)
    }

    fn wanted_by(self, instrument: Option<&Instrument>) -> Option<bool> {
        // Without a series each reading comes by, and is counted as lost.
        let level = self.named.as_ref().ok()?.series.level.as_str();
        Some(instrument.is_some_and(|instrument| instrument.wants(level)))
    }

    fn series(self) -> Option<Series> {
        Some(self.named.as_ref().ok()?.series.clone())
    }
}

/// A counter whose name was known only at run time; counting costs what it costs at a call site.
///
/// Made by [`Zibrato::counter`](crate::Zibrato::counter). Clones count the same series. It does
/// not keep the instrument alive: once that has ended, counting does nothing.
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

/// A gauge whose name was known only at run time.
///
/// Made by [`Zibrato::gauge`](crate::Zibrato::gauge). Clones set the same series. It does not
/// keep the instrument alive: once that has ended, setting it does nothing.
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

/// A timer whose name was known only at run time; timing costs what it costs at a call site.
///
/// Made by [`Zibrato::timer`](crate::Zibrato::timer). Clones time the same series. It does not
/// keep the instrument alive: once that has ended, timing does nothing.
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
    /// Records how long something took that was measured elsewhere.
    pub fn record(&self, took: Duration) {
        timing::record_seconds(&self.0, took.as_secs_f64());
    }

    /// Times until the returned guard is dropped.
    #[inline]
    pub fn start(&self) -> TimerGuard<'_> {
        let measured = measure::is_measured(&self.0);
        TimerGuard(measured.then(|| (&self.0, Moment::now())))
    }
}

/// Records how long it lived, in seconds, when it is dropped, however the scope is left. Made by
/// [`TimerHandle::start`].
#[derive(Debug)]
#[must_use = "it measures until it is dropped; bind it to a name, not to `_`"]
pub struct TimerGuard<'a>(Option<(&'a Handle, Moment)>);

impl TimerGuard<'_> {
    /// Leaves the scope untimed.
    pub fn cancel(mut self) {
        self.0 = None;
    }
}

impl Drop for TimerGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((handle, since)) = self.0 {
            timing::record(handle, since.elapsed());
        }
    }
}
