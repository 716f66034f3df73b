//! The handle to an instrument.

use super::owner::{Owner, Pipeline};
use crate::measurement::{Annotation, Kind, Level, RecordedAnnotation, Source, TextError};
use crate::sdk::cells::amount::{Amount, Number};
use crate::sdk::cells::busy;
use crate::sdk::collection::ledger::Stats;
use crate::sdk::handles::{
    CountMe, CounterHandle, GaugeHandle, Handle, HistogramHandle, TimeMe, TimerHandle,
};
use crate::sdk::points::by_name::{self, Parts};
use crate::sdk::points::draft;
use crate::sdk::points::instrument::{HasInstrument, Instrument};
use crate::sdk::points::measure::slowly;
use crate::sdk::points::series::Loss;
use std::sync::Arc;
use std::time::Duration;

/// An instrument: measures under names known at run time, and accounts for every reading.
///
/// Clones are the same instrument. [`Builder::install`](crate::Builder::install) installs one for
/// the program, into which attributes and macros record. [`Builder::build`](crate::Builder::build)
/// builds an independent one; a process can have several of these. Such an instrument flushes when
/// its last clone is dropped.
///
/// Levels and names are texts here. `count`, `time` and `set_gauge` look them up at each call,
/// which costs about 20 ns. [`counter`](Self::counter), [`timer`](Self::timer) and
/// [`gauge`](Self::gauge) look them up once and return a handle that costs as little as a call
/// site. An invalid level is a counted loss and not an error, because instrumentation must not change
/// what a program does. An invalid name is changed: `|` and control characters become `_`.
///
/// An instrument has at most 100,000 of these names. Readings of further names are added to a
/// series `_overflow`, and [`Stats::overflowing`](crate::Stats::overflowing) is the first of them.
///
/// ```
/// # fn main() -> Result<(), zibrato::InstallError> {
/// let z = zibrato::Zibrato::builder().source("importer").build()?;
/// for shard in 0..3 {
///     z.count("info", &format!("shard.{shard}.rows"), 100);
/// }
/// z.set_gauge("info", "queue.depth", 17);
/// assert_eq!(z.stats().recorded, 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Zibrato {
    pub(super) owner: Arc<Owner>,
    source: Option<Source>,
}

impl Zibrato {
    pub(crate) fn new(owner: Owner) -> Self {
        Self { owner: Arc::new(owner), source: None }
    }

    /// A handle to the same instrument with another source.
    ///
    /// # Errors
    /// [`TextError`] if `source` is invalid.
    pub fn with_source(&self, source: &str) -> Result<Self, TextError> {
        Ok(Self { owner: Arc::clone(&self.owner), source: Some(Source::new(source)?) })
    }

    /// Records an annotation, for a rare event such as a deploy. An invalid level is a counted loss.
    ///
    /// [`annotate!`](macro@crate::annotate) is shorter; this is for events with several links, or
    /// whose times are known.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let z = zibrato::Zibrato::builder().build()?;
    /// let deploy = zibrato::Annotation::new("deploys", "version 7 is live", 1_700_000_000_000)?
    ///     .with_end(1_700_000_042_000)?
    ///     .with_link("ci", "https://ci.example.com/builds/7", Some("the build"))?;
    /// z.annotate("info", deploy);
    /// # Ok(())
    /// # }
    /// ```
    pub fn annotate(&self, level: &str, annotation: Annotation) {
        let Some(instrument) = self.owner.recorder() else { return };
        slowly(|| {
            let Ok(level) = Level::new(level) else {
                instrument.refused.add(Loss::Name, 1);
                return None;
            };
            let source = self.source.as_ref().unwrap_or(&instrument.source).clone();
            let recorded = RecordedAnnotation { level, source, annotation };
            draft::record(Some(instrument), recorded);
            Some(())
        });
    }

    /// Adds to a counter.
    #[inline]
    pub fn count<A: Amount>(&self, level: &str, name: &str, amount: A) {
        self.record(Kind::Counter, level, name, amount.number());
    }

    /// A handle to a counter, for names that are used often.
    #[must_use]
    pub fn counter(&self, level: &str, name: &str) -> CounterHandle {
        CounterHandle(self.handle(Kind::Counter, level, name))
    }

    /// A handle to a gauge, for names that are used often.
    #[must_use]
    pub fn gauge(&self, level: &str, name: &str) -> GaugeHandle {
        GaugeHandle(self.handle(Kind::Gauge, level, name))
    }

    /// A handle to a histogram, for names that are used often;
    /// [`HistogramHandle::unit`] gives it a unit.
    #[must_use]
    pub fn histogram(&self, level: &str, name: &str) -> HistogramHandle {
        HistogramHandle(self.handle(Kind::Histogram, level, name))
    }

    /// A handle to a timer, for names that are used often.
    #[must_use]
    pub fn timer(&self, level: &str, name: &str) -> TimerHandle {
        TimerHandle(self.handle(Kind::Timer, level, name))
    }

    /// Sets a gauge.
    #[inline]
    pub fn set_gauge<A: Amount>(&self, level: &str, name: &str, value: A) {
        self.record(Kind::Gauge, level, name, value.number());
    }

    /// Records a duration that was measured elsewhere.
    pub fn time(&self, level: &str, name: &str, took: Duration) {
        let seconds = Number::Float(took.as_secs_f64());
        self.record(Kind::Timer, level, name, seconds);
    }

    /// Counts 1 when the returned guard is dropped.
    pub fn count_me(&self, level: &str, name: &str) -> CountMe {
        CountMe::of(self.instrument(), level, name, self.source.as_ref())
    }

    /// Times until the returned guard is dropped.
    pub fn time_me(&self, level: &str, name: &str) -> TimeMe {
        TimeMe::of(self.instrument(), level, name, self.source.as_ref())
    }

    /// Sends everything that was recorded before the call, and waits until the broker has
    /// acknowledged it, at most `within`. What is not acknowledged in time stays pending.
    pub fn flush(&self, within: Duration) -> Stats {
        if let Some(sender) = self.owner.pipeline().and_then(Pipeline::sender) {
            sender.flush(within);
        }
        self.stats()
    }

    /// Statistics: what became of every reading.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.owner.stats()
    }

    #[inline]
    fn record(&self, kind: Kind, level: &str, name: &str, value: Number) {
        if let Some(instrument) = self.owner.recorder() {
            let parts = Parts { kind, level, name, source: self.source.as_ref() };
            by_name::record(instrument, parts, value);
        }
    }

    fn handle(&self, kind: Kind, level: &str, name: &str) -> Handle {
        let named = match self.owner.instrument() {
            Some(instrument) => {
                let parts = Parts { kind, level, name, source: self.source.as_ref() };
                busy(|| by_name::find_or_add(instrument, &parts.key(instrument.number)))
            }
            // Without an instrument the handle measures nothing, whatever the reason is.
            None => Err(Loss::Deadline),
        };
        let owner: Arc<dyn HasInstrument> = Arc::<Owner>::clone(&self.owner);
        Handle::new(named, Arc::downgrade(&owner))
    }

    fn instrument(&self) -> Option<Arc<Instrument>> {
        self.owner.instrument().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::Zibrato;
    use crate::measurement::Source;
    use crate::sdk::process::owner::Owner;
    use crate::testing::capture;
    use std::time::Duration;

    #[test]
    fn a_capture_sees_what_goes_through_a_disabled_instrument() {
        let z = Zibrato::new(Owner::disabled(Source::new("web-1").unwrap()));
        let counter = z.counter("info", "handle");
        let capture = capture();
        counter.increment(1);
        counter.with("tenant", "acme").increment(2);
        z.gauge("info", "depth").set(3);
        z.timer("info", "took").record(Duration::from_secs(4));
        z.histogram("info", "size").record(5);
        z.count("info", "by.name", 6);
        z.set_gauge("info", "depth.by.name", 7);
        z.time("info", "took.by.name", Duration::from_secs(8));
        drop(z.count_me("info", "guard"));
        drop(z.time_me("info", "guard.time"));
        let deploy = crate::Annotation::new("deploys", "live", 1).unwrap();
        z.annotate("info", deploy.clone());
        z.with_source("web-2").unwrap().count("info", "other.source", 9);
        assert_eq!(capture.counter("info", "handle"), 3.0);
        assert_eq!(capture.tagged("tenant", "acme").counter("info", "handle"), 2.0);
        assert_eq!(capture.gauge("info", "depth"), [3.0]);
        assert_eq!(capture.timer("info", "took"), [4.0]);
        assert_eq!(capture.histogram("info", "size"), [5.0]);
        assert_eq!(capture.counter("info", "by.name"), 6.0);
        assert_eq!(capture.gauge("info", "depth.by.name"), [7.0]);
        assert_eq!(capture.timer("info", "took.by.name"), [8.0]);
        assert_eq!(capture.counter("info", "guard"), 1.0);
        assert_eq!(capture.timer("info", "guard.time").len(), 1);
        for m in capture.measurements() {
            let source = if m.name.as_str() == "other.source" { "web-2" } else { "web-1" };
            assert_eq!(m.source.as_str(), source, "{m:?}");
        }
        assert_eq!(capture.annotations()[0].annotation, deploy);
        assert_eq!(capture.annotations()[0].source.as_str(), "web-1");
        drop(capture);
        counter.increment(1);
        z.count("info", "by.name", 1);
        drop(z.count_me("info", "guard"));
        let stats = z.stats();
        assert!(stats.disabled && stats.recorded == 0 && stats.pending == 0, "{stats:?}");
    }
}
