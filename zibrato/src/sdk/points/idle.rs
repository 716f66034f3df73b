//! The last reading of a gauge, which is repeated while nobody sets the gauge.

use crate::measurement::Gauge;
use crate::sdk::cells::shared::{Taken, TakenValue};

/// What the sender takes of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// New readings.
    New,
    /// New readings; if a gauge has none, its last one again.
    Repeat,
    /// Nothing.
    Nothing,
}

impl Take {
    pub(crate) const fn new_if(wanted: bool) -> Self {
        if wanted { Self::New } else { Self::Nothing }
    }
}

/// The last reading of a gauge, and its time in Unix milliseconds.
#[derive(Debug, Default)]
pub(super) struct Idle(Option<(f64, u64)>);

impl Idle {
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// Remembers what was taken. If it is nothing, repeats the last reading, which does not count
    /// as a reading.
    pub(super) fn taken_or_repeated(&mut self, taken: Option<Taken>, what: Take) -> Option<Taken> {
        let Some(taken) = taken else {
            let (last, at_ms) = self.0.filter(|_| what == Take::Repeat)?;
            let value = TakenValue::Gauge(Gauge::idle(last, at_ms));
            return Some(Taken { readings: 0, value });
        };
        let last = match &taken.value {
            TakenValue::Gauge(gauge) | TakenValue::GaugeReadings(_, Some(gauge)) => {
                Some((gauge.last, gauge.at_ms))
            }
            TakenValue::GaugeReadings(readings, None) => {
                readings.last().map(|(at_ms, value)| (*value, *at_ms))
            }
            TakenValue::Counter(_) | TakenValue::Readings(_) | TakenValue::Summary(_) => None,
        };
        self.0 = last.or(self.0);
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::{Idle, Take};
    use crate::measurement::Gauge;
    use crate::sdk::cells::shared::{Taken, TakenValue};

    #[test]
    fn the_last_reading_is_repeated_where_there_is_no_other() {
        let mut idle = Idle::new();
        assert_eq!(idle.taken_or_repeated(None, Take::Repeat), None);
        let folded = Some(Gauge::reading(9.0, 30));
        for (value, last, at_ms) in [
            (TakenValue::Gauge(Gauge::reading(5.0, 10)), 5.0, 10),
            (TakenValue::GaugeReadings(vec![(11, 6.0), (12, 7.0)], None), 7.0, 12),
            (TakenValue::GaugeReadings(vec![(20, 8.0)], folded), 9.0, 30),
        ] {
            let taken = idle.taken_or_repeated(Some(Taken { readings: 1, value }), Take::Repeat);
            assert_eq!(taken.unwrap().readings, 1);
            let repeated =
                Taken { readings: 0, value: TakenValue::Gauge(Gauge::idle(last, at_ms)) };
            assert_eq!(idle.taken_or_repeated(None, Take::Repeat), Some(repeated));
            assert_eq!(idle.taken_or_repeated(None, Take::New), None);
        }
    }
}
