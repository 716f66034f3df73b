//! What the sender takes from the cells of one series.

use crate::measurement::{Gauge, finite_sum};
use crate::summary::Summary;

/// What was taken from a cell.
#[derive(Debug, PartialEq)]
pub(crate) struct Taken {
    /// How many readings it is made of.
    pub(crate) readings: u64,
    pub(crate) value: TakenValue,
}

#[derive(Debug, PartialEq)]
pub(crate) enum TakenValue {
    Counter(f64),
    Gauge(Gauge),
    /// Every reading, and those folded that were too many.
    GaugeReadings(Vec<(u64, f64)>, Option<Gauge>),
    Timer(Summary),
    TimerReadings(Vec<f64>),
}

impl Taken {
    /// This and what was taken elsewhere of the same series.
    pub(crate) fn with(mut self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        self.readings += other.readings;
        match (&mut self.value, other.value) {
            (TakenValue::Counter(sum), TakenValue::Counter(more)) => *sum = finite_sum(*sum, more),
            (TakenValue::Gauge(gauge), TakenValue::Gauge(more)) => gauge.merge(&more),
            (TakenValue::Timer(all), TakenValue::Timer(more)) => all.merge(&more),
            (TakenValue::Timer(all), TakenValue::TimerReadings(more)) => {
                more.into_iter().for_each(|seconds| all.record(seconds));
            }
            (TakenValue::TimerReadings(all), TakenValue::TimerReadings(more)) => {
                let summary = all.drain(..).chain(more).collect();
                self.value = TakenValue::Timer(summary);
            }
            (TakenValue::TimerReadings(all), TakenValue::Timer(mut more)) => {
                all.drain(..).for_each(|seconds| more.record(seconds));
                self.value = TakenValue::Timer(more);
            }
            (_, _) => debug_assert!(false, "a series has one kind"),
        }
        self
    }
}
