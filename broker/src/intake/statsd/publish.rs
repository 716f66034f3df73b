//! Once a second: from the tables of the receiving threads to the broker.

use super::file::GaugeFile;
use super::shared::{Counts, Shared};
use super::state::{Gauges, Named, Overflow, Series, Taken};
use super::why::why;
use crate::intake::IntakeContext;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zibrato::DEFAULT_SOURCE;
use zibrato::daemon::LogLimit;
use zibrato::window::{Fold, OVERFLOW_NAME};

/// Number of series that are taken while a receiving thread waits.
const FEW: usize = 256;

/// Number of series that are published at a time.
const MANY: usize = 50_000;

/// Maximum time for the broker to accept [`MANY`] series. It also applies while the broker stops.
const TAKEN_IN: Duration = Duration::from_secs(2);

/// How often a wait checks whether the broker stops.
const CHECK_STOP: Duration = Duration::from_millis(100);

/// The reason for samples that the broker did not take before the end.
const STOP: &str = "stop";

/// Seconds after which idle series are forgotten, and how often that is checked.
const IDLE: u32 = 300;
const CHECK_IDLE: u32 = 60;

/// How often gauges are saved, in seconds.
const SAVE: u32 = 60;

/// The gauges, which two threads use.
#[derive(Debug)]
pub(crate) struct SharedGauges(Mutex<Gauges>);

impl SharedGauges {
    pub(crate) const fn new(gauges: Gauges) -> Self {
        Self(Mutex::new(gauges))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Gauges> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes what was received, and publishes it.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) receivers: Vec<Arc<Shared>>,
    pub(crate) gauges: Arc<SharedGauges>,
    pub(crate) file: Option<GaugeFile>,
    pub(crate) level: String,
    pub(crate) seconds: u32,
    /// Whether the broker has all series of earlier seconds.
    pub(crate) is_published: bool,
    pub(crate) offenders: LogLimit<60>,
    /// Number of series since the broker last had all of them.
    pub(crate) taken: usize,
    /// When all waits end, after the broker begins to stop.
    pub(crate) until: Option<Instant>,
}

/// What has been received since the last second.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Second {
    pub(crate) packets: u64,
    pub(crate) samples: u64,
    pub(crate) rejected: u64,
}

impl Publisher {
    /// Publishes what was received in the last second. While the broker has not acknowledged
    /// earlier series, the tables continue to add up.
    pub(crate) fn publish(&mut self, context: &mut IntakeContext) -> Second {
        self.seconds = self.seconds.wrapping_add(1);
        let second = self.count(context);
        if !self.is_published {
            self.is_published = context.publish(Duration::ZERO);
        }
        if self.is_published {
            self.taken = 0;
            self.end_interval(context);
            let all = self.publish_series(context) && self.repeat_gauges(context);
            self.is_published = all && context.publish(Duration::ZERO);
        }
        if self.seconds.is_multiple_of(CHECK_IDLE) {
            for shared in &self.receivers {
                shared.lock().table.forget_idle(IDLE);
            }
        }
        if self.seconds.is_multiple_of(SAVE) {
            self.save();
        }
        let tables = self.receivers.iter().map(|shared| shared.lock().table.bytes());
        context.holds(tables.sum::<usize>() + self.gauges.lock().bytes());
        second
    }

    /// Publishes everything that the broker takes until then, and saves the gauges. Other samples are
    /// counted as rejected, before the file is written, which may take long.
    ///
    /// # Errors
    /// If the gauges are not saved.
    pub(crate) fn finish(
        &mut self,
        context: &mut IntakeContext,
        until: Instant,
    ) -> Result<(), String> {
        self.count(context);
        self.end_interval(context);
        (self.taken, self.until) = (0, Some(until));
        if self.is_taken(context) && self.publish_series(context) {
            self.is_taken(context);
        }
        let left = self.receivers.iter().map(|shared| shared.lock().table.untaken()).sum();
        context.reject_many(STOP, left, b"samples that the broker did not take before its end");
        context.tell();
        for shared in &self.receivers {
            let (mut gauges, uptime_ms) = (self.gauges.lock(), context.uptime_ms());
            let mut received = shared.lock();
            received.table.gauges(|series, changes| gauges.settle(series, changes, uptime_ms));
        }
        let gauges = Arc::clone(&self.gauges);
        let file = self.file.as_mut();
        file.map_or(Ok(()), |file| file.save_last(|to| gauges.lock().write_json(to)))
    }

    fn save(&mut self) {
        if let Some(file) = &mut self.file {
            file.save(|to| self.gauges.lock().write_json(to));
        }
    }

    fn count(&mut self, context: &mut IntakeContext) -> Second {
        let mut second = Second::default();
        for shared in &self.receivers {
            let counts = std::mem::take(&mut shared.lock().counts);
            let Counts { bytes, packets, samples, rejected } = counts;
            context.received(usize::try_from(bytes).unwrap_or(usize::MAX));
            context.received_lines(samples);
            second.packets += packets;
            second.samples += samples;
            for (reason, rejected) in rejected {
                second.rejected += rejected.count;
                let (count, sample) = (rejected.count, rejected.sample.as_bytes());
                context.reject_because(reason, why(reason), count, sample);
            }
        }
        second
    }

    fn end_interval(&mut self, context: &mut IntakeContext) {
        for shared in self.receivers.clone() {
            let overflow = shared.lock().table.end_interval();
            self.report(overflow, context);
        }
    }

    /// Publishes the series of the ended interval. Returns whether the broker takes them in time.
    fn publish_series(&mut self, context: &mut IntakeContext) -> bool {
        let mut few = Vec::with_capacity(FEW);
        for shared in self.receivers.clone() {
            let mut has_more = true;
            while has_more {
                {
                    let table = &mut shared.lock().table;
                    has_more = table.take(FEW, |named, taken| few.push((named, taken)));
                    context.folded(table.take_handed());
                }
                // The receiver does not wait for rules.
                let count = few.len();
                few.drain(..).for_each(|(named, taken)| self.fold(context, &named, taken));
                if !self.has_room_after(count, context) {
                    return false;
                }
            }
        }
        true
    }

    /// Counts series that were folded. When they are many, waits until the broker has taken them,
    /// and returns whether it has.
    fn has_room_after(&mut self, series: usize, context: &mut IntakeContext) -> bool {
        self.taken += series;
        if self.taken < MANY {
            return true;
        }
        self.taken = 0;
        self.is_taken(context)
    }

    /// Waits until the broker has taken all series, but not beyond its stop.
    fn is_taken(&self, context: &mut IntakeContext) -> bool {
        let longest = Instant::now() + TAKEN_IN;
        let until = self.until.map_or(longest, |until| until.min(longest));
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if context.publish(left.min(CHECK_STOP)) {
                return true;
            }
            if left.is_zero() || (self.until.is_none() && context.stop().raised()) {
                return false;
            }
        }
    }

    fn fold(&self, context: &mut IntakeContext, named: &Named, taken: Taken) {
        let (series, uptime_ms) = (named.series(), context.uptime_ms());
        let fold = match taken {
            Taken::Fold(fold) => fold,
            Taken::Gauge(changes) => match self.gauges.lock().readings(series, &changes, uptime_ms)
            {
                Some(gauge) => Fold::Gauge(Some(gauge)),
                None => {
                    let (why, name) = (why("gauges"), series.name.as_bytes());
                    return context.reject_because("gauges", why, 1, name);
                }
            },
        };
        self.fold_into(context, series, &fold);
    }

    fn fold_into(&self, context: &mut IntakeContext, series: Series<'_>, fold: &Fold) {
        let tags: Vec<_> = series.tags.iter().map(|(tag, value)| (&**tag, &**value)).collect();
        let source = series.source.unwrap_or(DEFAULT_SOURCE);
        context.fold_series(&self.level, source, series.name, &tags, fold);
    }

    /// Workers do not remember gauges: their publisher repeats them. Returns whether the broker takes
    /// them in time; what is left is repeated the next time.
    fn repeat_gauges(&mut self, context: &mut IntakeContext) -> bool {
        let gauges = Arc::clone(&self.gauges);
        let (now_ms, uptime_ms) = (context.now_ms(), context.uptime_ms());
        gauges.lock().repeat(now_ms, uptime_ms, |series, gauge| {
            self.fold_into(context, series, &Fold::Gauge(Some(gauge)));
            self.has_room_after(1, context)
        })
    }

    fn report(&mut self, overflow: Overflow, context: &mut IntakeContext) {
        let Overflow { samples, offender } = overflow;
        context.overflowed(samples);
        if let Some(name) = offender.filter(|_| self.offenders.admits()) {
            let into = OVERFLOW_NAME;
            tracing::warn!(event = "too_many_series", intake = "statsd", name, samples, into);
        }
    }
}

#[cfg(test)]
mod tests;
