//! Handles to one series each, for names known at run time that are measured often.

use super::amount::Amount;
use super::kept::{Kept, Through};
use super::point;
use super::ticks::Moment;
use std::sync::Arc;
use std::time::Duration;

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
///     shards[row % 3].count(1);
/// }
/// assert_eq!(z.stats().recorded, 300);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CounterHandle(Through);

/// A gauge whose name was known only at run time.
///
/// Made by [`Zibrato::gauge`](crate::Zibrato::gauge). Clones read the same series. It does not
/// keep the instrument alive: once that has ended, reading does nothing.
///
/// ```
/// # fn main() -> Result<(), zibrato::InstallError> {
/// let z = zibrato::Zibrato::builder().build()?;
/// let depth = z.gauge("info", "queue.incoming.depth");
/// depth.read(17);
/// depth.read(11);
/// assert_eq!(z.stats().recorded, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct GaugeHandle(Through);

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
pub struct TimerHandle(Through);

impl CounterHandle {
    pub(crate) fn new(kept: Arc<Kept>) -> Self {
        Self(Through::new(kept))
    }

    /// Counts.
    #[inline]
    pub fn count<A: Amount>(&self, amount: A) {
        point::count(&self.0, amount);
    }
}

impl GaugeHandle {
    pub(crate) fn new(kept: Arc<Kept>) -> Self {
        Self(Through::new(kept))
    }

    /// Reads the gauge.
    #[inline]
    pub fn read<A: Amount>(&self, value: A) {
        point::gauge(&self.0, value);
    }
}

impl TimerHandle {
    pub(crate) fn new(kept: Arc<Kept>) -> Self {
        Self(Through::new(kept))
    }

    /// Records how long something took that was measured elsewhere.
    pub fn record(&self, took: Duration) {
        point::record_seconds(&self.0, took.as_secs_f64());
    }

    /// Times until the returned guard is dropped.
    #[inline]
    pub fn start(&self) -> TimerGuard<'_> {
        let measured = point::is_measured(&self.0);
        TimerGuard(measured.then(|| (&self.0, Moment::now())))
    }
}

/// Records how long it lived, in seconds, when it is dropped, however the scope is left. Made by
/// [`TimerHandle::start`].
#[derive(Debug)]
#[must_use = "it measures until it is dropped; bind it to a name, not to `_`"]
pub struct TimerGuard<'a>(Option<(&'a Through, Moment)>);

impl TimerGuard<'_> {
    /// Leaves the scope untimed.
    pub fn cancel(mut self) {
        self.0 = None;
    }
}

impl Drop for TimerGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((through, since)) = self.0 {
            point::record(through, since.elapsed());
        }
    }
}
