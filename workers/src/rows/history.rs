//! The values of each series in its last windows, for its bars and its change.
//!
//! Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use zibrato::Kind;
use zibrato::window::Series;

/// Number of windows that are remembered. A series that is idle for this long is forgotten.
const WINDOWS: usize = 24;

/// Maximum number of series that are remembered. Further ones are shown without history.
const MAX_TRACKS: usize = 10_000;

type Tags = Box<[(Box<str>, Box<str>)]>;

/// Name, source, kind, tags and unit of a series.
type Key = (Box<str>, Arc<str>, Kind, Tags, Option<Box<str>>);

/// The last windows of many series.
#[derive(Debug, Default)]
pub(crate) struct History {
    tracks: BTreeMap<Key, Track>,
}

#[derive(Debug)]
struct Track {
    /// The number of the window of the last value.
    last: u64,
    /// Oldest first; NaN for a window in which the series was silent.
    values: VecDeque<f64>,
}

/// The history of a series, including the current window.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Past {
    /// Oldest first; NaN for a window in which the series was silent.
    pub values: Vec<f64>,
    /// The difference between the last value and the mean of the earlier ones, in percent of the
    /// larger one.
    pub change: u32,
}

impl History {
    /// Removes series that were idle until `window`, a number that increases by one per window.
    pub(crate) fn begin(&mut self, window: u64) {
        self.tracks.retain(|_, track| track.last.saturating_add(WINDOWS as u64) >= window);
    }

    /// Records the value of a series in `window`, and returns its history.
    pub(crate) fn record(&mut self, series: &Series, window: u64, value: f64) -> Past {
        let key = key(series);
        let full = self.tracks.len() >= MAX_TRACKS;
        if full && !self.tracks.contains_key(&key) {
            return Past { values: vec![value], change: 0 };
        }
        let track = self.tracks.entry(key);
        let track = track.or_insert_with(|| Track { last: window, values: VecDeque::new() });
        let silent = window.saturating_sub(track.last).saturating_sub(1).min(WINDOWS as u64);
        track.values.extend((0..silent).map(|_| f64::NAN));
        track.values.push_back(value);
        track.last = window;
        let surplus = track.values.len().saturating_sub(WINDOWS);
        track.values.drain(..surplus);
        track.past()
    }

    /// The history of a series without the current window; nothing if there is none.
    pub(crate) fn of(&self, series: &Series) -> Past {
        self.tracks.get(&key(series)).map_or_else(Past::default, Track::past)
    }
}

impl Track {
    fn past(&self) -> Past {
        let values: Vec<f64> = self.values.iter().copied().collect();
        Past { change: change(&values), values }
    }
}

fn key(series: &Series) -> Key {
    let (name, source) = (series.name.clone(), Arc::clone(&series.source));
    let unit = series.value.unit().map(Box::from);
    (name, source, series.value.kind(), series.tags.clone(), unit)
}

/// A series without earlier values counts as changed by 100 %.
fn change(values: &[f64]) -> u32 {
    let Some((now, earlier)) = values.split_last() else { return 0 };
    let finite = || earlier.iter().filter(|value| value.is_finite());
    let count = finite().count().max(1) as f64;
    let mean: f64 = finite().map(|value| value / count).sum();
    let largest = now.abs().max(mean.abs());
    if largest == 0.0 {
        return 0;
    }
    ((now / largest - mean / largest).abs() * 100.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::{History, MAX_TRACKS, WINDOWS, change};
    use zibrato::window::{Series, Window, sparkline};
    use zibrato::wire::Line;

    fn series(line: &str) -> Series {
        let mut window = Window::new(0, 60_000, 10);
        window.fold_line(&Line::decode(line.as_bytes()).unwrap());
        window.into_series().remove(0)
    }

    #[test]
    fn the_last_windows_are_remembered_and_silence_is_a_gap() {
        let (mut history, logins) = (History::default(), series("info|c|logins|1|1|a"));
        let mut drawn = String::new();
        for (window, value) in [(7, 1.0), (8, 2.0), (11, 3.0)] {
            history.begin(window);
            drawn = sparkline(&history.record(&logins, window, value).values);
        }
        assert_eq!(drawn, "▁▅··█");
        for window in 12..100 {
            history.begin(window);
            assert!(history.record(&logins, window, 1.0).values.len() <= WINDOWS);
        }
    }

    #[test]
    fn an_idle_series_is_forgotten() {
        let mut history = History::default();
        history.record(&series("info|c|logins|1|1|a"), 1, 1.0);
        history.begin(1 + WINDOWS as u64);
        assert_eq!(history.tracks.len(), 1);
        history.begin(2 + WINDOWS as u64);
        assert!(history.tracks.is_empty());
    }

    #[test]
    fn each_series_has_its_own_history() {
        let mut history = History::default();
        for line in ["info|c|n|1|1|a", "info|g|n|1|1|a", "info|c|m|1|1|a", "info|c|n|1|1|b"] {
            assert_eq!(history.record(&series(line), 1, 5.0).values, [5.0], "{line}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_tolerated() {
        let (mut history, logins) = (History::default(), series("info|c|logins|1|1|a"));
        history.record(&logins, 1_000, 1.0);
        history.begin(3);
        assert_eq!(history.record(&logins, 3, 2.0).values, [1.0, 2.0]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        for i in 0..=MAX_TRACKS {
            history.record(&series(&format!("info|c|n{i}|1|1|a")), 1, 1.0);
        }
        assert_eq!(history.tracks.len(), MAX_TRACKS);
    }

    #[test]
    fn change_is_measured_against_the_mean_before() {
        for (values, percent) in [
            (&[][..], 0),
            (&[5.0], 100),
            (&[0.0], 0),
            (&[4.0, 4.0], 0),
            (&[2.0, 4.0], 50),
            (&[4.0, 2.0], 50),
            (&[1.0, 3.0, 4.0], 50),
            (&[1.0, f64::NAN, 1.0], 0),
            (&[-1.0, 1.0], 200),
            (&[f64::MAX, -f64::MAX], 200),
        ] {
            assert_eq!(change(values), percent, "{values:?}");
        }
    }
}
