//! The readings of a gauge, by the second in which they were taken.

use crate::measurement::Gauge;

/// Maximum number of seconds of one gauge that are kept apart.
const MOST_SECONDS: usize = 3_600;

/// The readings of a gauge in one window, by the second in which they were taken.
///
/// ```
/// use zibrato::window::{Fold, Window};
/// use zibrato::wire::Line;
/// let mut window = Window::new(1_700_000_040_000, 60_000, 100).keep_gauge_seconds(true);
/// for line in ["info|g|depth|4|1700000041|web-1", "info|g|depth|6|1700000041.5|web-1",
///     "info|g|depth|1|1700000043|web-1"] {
///     window.fold_line(&Line::decode(line.as_bytes()).unwrap());
/// }
/// let Fold::GaugeSeconds(depth) = &window.into_series()[0].value else { panic!() };
/// let seconds: Vec<_> = depth.seconds().map(|g| (g.at_ms / 1000, g.count, g.sum)).collect();
/// assert_eq!(seconds, [(1_700_000_041, 2, 10.0), (1_700_000_043, 1, 1.0)]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GaugeSeconds {
    // Invariant: in ascending order of their seconds, each second once.
    seconds: Vec<Gauge>,
    /// The value before the window, while there is no reading.
    idle: Option<Gauge>,
    /// Number of seconds beyond which readings are added to the nearest earlier second.
    most: usize,
}

impl Default for GaugeSeconds {
    fn default() -> Self {
        Self { seconds: Vec::new(), idle: None, most: MOST_SECONDS }
    }
}

impl GaugeSeconds {
    /// The readings of each second, the oldest first; [`Gauge::at_ms`] is in that second. If nobody
    /// set the gauge in the window, its [idle](Gauge::idle) value.
    pub fn seconds(&self) -> impl Iterator<Item = &Gauge> {
        let idle = if self.seconds.is_empty() { self.idle.as_ref() } else { None };
        self.seconds.iter().chain(idle)
    }

    /// All readings as one. `None` if there is none.
    #[must_use]
    pub fn whole(&self) -> Option<Gauge> {
        self.seconds().copied().reduce(|mut all, second| {
            all.merge(&second);
            all
        })
    }

    /// Adds readings to the second of the last one of them. A gauge keeps at most 3,600 seconds
    /// apart; readings of others are added to the nearest earlier one, so none is lost.
    pub fn add(&mut self, more: &Gauge) {
        if more.is_idle() {
            match &mut self.idle {
                Some(idle) => idle.merge(more),
                None => self.idle = Some(*more),
            }
            return;
        }
        let second = |gauge: &Gauge| gauge.at_ms / 1000;
        // The usual reading belongs to the last second, or to a new one.
        let after = match self.seconds.last() {
            Some(last) if second(last) <= second(more) => self.seconds.len(),
            _ => self.seconds.partition_point(|gauge| second(gauge) <= second(more)),
        };
        let before = after.saturating_sub(1);
        let is_same = after > 0 && second(&self.seconds[before]) == second(more);
        if is_same || (self.seconds.len() >= self.most && !self.seconds.is_empty()) {
            self.seconds[before].merge(more);
        } else {
            self.seconds.insert(after, *more);
        }
    }

    /// Adds all readings of another part of the same gauge.
    pub fn merge(&mut self, more: &Self) {
        more.seconds.iter().chain(&more.idle).for_each(|gauge| self.add(gauge));
    }

    /// Number of seconds.
    pub(super) const fn len(&self) -> usize {
        self.seconds.len()
    }

    /// Keeps no further seconds apart.
    pub(super) fn limit(&mut self) {
        self.most = self.seconds.len().max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{GaugeSeconds, MOST_SECONDS};
    use crate::measurement::Gauge;
    use proptest::prelude::*;

    fn seconds(gauge: &GaugeSeconds) -> Vec<(u64, u64, f64)> {
        gauge.seconds().map(|second| (second.at_ms / 1000, second.count, second.sum)).collect()
    }

    #[test]
    fn an_idle_value_counts_until_there_is_a_reading() {
        let mut gauge = GaugeSeconds::default();
        assert_eq!((gauge.whole(), seconds(&gauge)), (None, vec![]));
        gauge.add(&Gauge::idle(7.0, 1_000));
        gauge.add(&Gauge::idle(8.0, 2_000));
        assert_eq!(seconds(&gauge), [(2, 0, 0.0)]);
        assert_eq!(gauge.whole().unwrap().last, 8.0);
        gauge.add(&Gauge::reading(3.0, 1_500));
        assert_eq!(seconds(&gauge), [(1, 1, 3.0)]);
        assert_eq!(gauge.whole().unwrap().last, 3.0);
    }

    #[test]
    fn readings_beyond_the_limit_are_added_to_an_earlier_second() {
        let mut gauge = GaugeSeconds::default();
        for second in 10..MOST_SECONDS as u64 + 15 {
            gauge.add(&Gauge::reading(1.0, second * 1000));
        }
        assert_eq!((gauge.len(), gauge.whole().unwrap().count), (MOST_SECONDS, 3_605));
        gauge.add(&Gauge::reading(1.0, 0));
        assert_eq!(seconds(&gauge)[0], (10, 2, 2.0));
        let mut limited = GaugeSeconds::default();
        limited.limit();
        for at_ms in [5_000, 1_000, 9_000] {
            limited.add(&Gauge::reading(1.0, at_ms));
        }
        assert_eq!(seconds(&limited), [(9, 3, 3.0)]);
    }

    proptest! {
        #[test]
        fn every_reading_is_in_its_second(
            readings in prop::collection::vec((0..30_000_u64, -9..9_i32), 1..60),
            cut in 0..60_usize,
        ) {
            let (mut one, mut other, mut whole) =
                (GaugeSeconds::default(), GaugeSeconds::default(), GaugeSeconds::default());
            let mut expected = std::collections::BTreeMap::<u64, (u64, f64)>::new();
            for (at, (at_ms, value)) in readings.iter().enumerate() {
                let reading = Gauge::reading(f64::from(*value), *at_ms);
                if at < cut { one.add(&reading) } else { other.add(&reading) }
                whole.add(&reading);
                let second = expected.entry(at_ms / 1000).or_default();
                *second = (second.0 + 1, second.1 + f64::from(*value));
            }
            one.merge(&other);
            prop_assert_eq!(&one, &whole);
            let expected: Vec<_> = expected.iter().map(|(at, (n, sum))| (*at, *n, *sum)).collect();
            prop_assert_eq!(seconds(&whole), expected);
            prop_assert_eq!(whole.whole().unwrap().count, readings.len() as u64);
        }
    }
}
