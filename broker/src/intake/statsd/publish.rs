//! Once a second: from the tables of the receiving threads to the broker.

use super::file::GaugeFile;
use super::shared::{Counts, Shared};
use super::state::{Gauges, Overflow, Series, Taken};
use crate::intake::IntakeContext;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zibrato::daemon::LogLimit;
use zibrato::window::{Fold, OVERFLOW_NAME};

/// Number of series that are taken while a receiving thread waits.
const FEW: usize = 256;

/// Number of series that are published at a time.
const MANY: usize = 50_000;

/// Maximum wait until the broker has taken so many series.
const TAKEN_IN: Duration = Duration::from_secs(2);

/// Seconds after which a gauge without readings is repeated, as the SDK does.
const REPEAT: u64 = 10;

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
    /// The source of series whose tags name none.
    pub(crate) source: String,
    pub(crate) seconds: u32,
    /// Whether the broker has all series of earlier seconds.
    pub(crate) is_published: bool,
    pub(crate) offenders: LogLimit<60>,
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
            self.publish_series(context);
            self.repeat_gauges(context);
            self.is_published = context.publish(Duration::ZERO);
        }
        if self.seconds.is_multiple_of(CHECK_IDLE) {
            for shared in &self.receivers {
                shared.lock().table.forget_idle(IDLE);
            }
        }
        if self.seconds.is_multiple_of(SAVE) {
            self.save();
        }
        second
    }

    /// Publishes everything, and saves the gauges.
    pub(crate) fn finish(&mut self, context: &mut IntakeContext) {
        self.count(context);
        self.is_published = context.publish(TAKEN_IN);
        if self.is_published {
            self.publish_series(context);
        }
        self.save();
    }

    fn save(&mut self) {
        if let Some(file) = &mut self.file {
            let gauges = self.gauges.lock().to_json();
            file.save(&gauges);
        }
    }

    fn count(&mut self, context: &mut IntakeContext) -> Second {
        let mut second = Second::default();
        for shared in &self.receivers {
            let counts = std::mem::take(&mut shared.lock().counts);
            let Counts { bytes, packets, samples, rejected } = counts;
            context.received(usize::try_from(bytes).unwrap_or(usize::MAX));
            context.taken(samples);
            second.packets += packets;
            second.samples += samples;
            for (reason, rejected) in rejected {
                second.rejected += rejected.count;
                context.reject_many(reason, rejected.count, rejected.sample.as_bytes());
            }
        }
        second
    }

    fn publish_series(&mut self, context: &mut IntakeContext) {
        let gauges = Arc::clone(&self.gauges);
        for shared in self.receivers.clone() {
            let overflow = shared.lock().table.end_interval();
            self.report(overflow);
            let (mut has_more, mut taken) = (true, 0);
            while has_more {
                let mut gauges = gauges.lock();
                has_more = shared.lock().table.take(FEW, |series, readings| {
                    self.fold(context, &mut gauges, series, readings);
                });
                taken += FEW;
                if taken >= MANY {
                    taken = 0;
                    if !context.publish(TAKEN_IN) {
                        return;
                    }
                }
            }
        }
    }

    fn fold(
        &self,
        context: &mut IntakeContext,
        gauges: &mut Gauges,
        series: Series<'_>,
        readings: Taken,
    ) {
        let fold = match readings {
            Taken::Fold(fold) => fold,
            Taken::Gauge(changes) => match gauges.readings(series, &changes, context.now_ms()) {
                Some(gauge) => Fold::Gauge(Some(gauge)),
                None => return context.reject("gauges", series.name.as_bytes()),
            },
        };
        self.fold_into(context, series, &fold);
    }

    fn fold_into(&self, context: &mut IntakeContext, series: Series<'_>, fold: &Fold) {
        let tags: Vec<_> = series.tags.iter().map(|(tag, value)| (&**tag, &**value)).collect();
        let source = series.source.unwrap_or(&self.source);
        context.fold_series(&self.level, source, series.name, &tags, fold);
    }

    /// Workers do not remember gauges: their publisher repeats them.
    fn repeat_gauges(&self, context: &mut IntakeContext) {
        let now_ms = context.now_ms();
        if !(now_ms / 1_000).is_multiple_of(REPEAT) {
            return;
        }
        let mut repeated = 0;
        self.gauges.lock().repeat(now_ms, now_ms, |series, gauge| {
            self.fold_into(context, series, &Fold::Gauge(Some(gauge)));
            repeated += 1;
            // What is left is repeated the next time.
            repeated % MANY != 0 || context.publish(TAKEN_IN)
        });
    }

    fn report(&mut self, overflow: Overflow) {
        let Overflow { samples, offender } = overflow;
        if let Some(name) = offender.filter(|_| self.offenders.admits()) {
            let into = OVERFLOW_NAME;
            tracing::warn!(event = "too_many_series", intake = "statsd", name, samples, into);
        }
    }
}
