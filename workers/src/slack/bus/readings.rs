//! Lines of the bus as readings of gauges, in a batch for a broker.
//!
//! Pure.

use super::grammar::read_line;
use std::collections::BTreeMap;
use zibrato::DEFAULT_SOURCE;
use zibrato::wire::{BatchWriter, MAX_TAGS};

/// The longest name, tag or value of a tag, in bytes.
const MAX_TEXT_BYTES: usize = 255;

type Tags = BTreeMap<String, String>;

/// A batch of lines, and the number of names that had to be changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Readings {
    pub(super) body: Vec<u8>,
    pub(super) changed: usize,
}

impl Readings {
    /// The last one of several lines with the same name and time counts, as in Carbon.
    pub(super) fn of(lines: &[u8]) -> Self {
        let mut series: BTreeMap<(String, Tags), BTreeMap<u64, f64>> = BTreeMap::new();
        let (mut changed, mut first_ms, mut last_ms) = (0, u64::MAX, 0);
        for line in String::from_utf8_lossy(lines).lines() {
            // They come from a batch, so all of them are points.
            let Ok(point) = read_line(line, 0) else { continue };
            let (name, tags, is_same) = parts(&point.name);
            changed += usize::from(!is_same);
            let at_ms = point.time * 1000;
            (first_ms, last_ms) = (first_ms.min(at_ms), last_ms.max(at_ms));
            series.entry((name, tags)).or_default().insert(at_ms, point.value);
        }
        let start_ms = first_ms.min(last_ms);
        let mut batch = BatchWriter::new(DEFAULT_SOURCE, start_ms, last_ms - start_ms);
        for ((name, tags), readings) in &series {
            let tags: Vec<_> = tags.iter().map(|(tag, value)| (&**tag, &**value)).collect();
            let readings: Vec<_> = readings.iter().map(|(at_ms, value)| (*at_ms, *value)).collect();
            batch.gauge_readings(name, &tags, &readings);
        }
        Self { body: batch.finish(), changed }
    }
}

/// A name and its tags as a broker takes them, and whether nothing had to be changed.
fn parts(whole: &str) -> (String, Tags, bool) {
    let (name, tags) = whole.split_once(';').unwrap_or((whole, ""));
    let mut is_same = true;
    let mut valid = |text: &str| {
        let end = text.floor_char_boundary(MAX_TEXT_BYTES);
        let cut = text.get(..end).unwrap_or_default().replace('|', "_");
        is_same &= cut == text;
        cut
    };
    let name = valid(name);
    let pairs = tags.split(';').filter_map(|tag| tag.split_once('='));
    let mut all: Tags = pairs.map(|(tag, value)| (valid(tag), valid(value))).collect();
    while all.len() > MAX_TAGS {
        is_same = false;
        all.pop_last();
    }
    (name, all, is_same)
}

#[cfg(test)]
mod tests {
    use super::Readings;
    use zibrato::window::{Fold, Window};
    use zibrato::wire::BatchReader;

    fn window(lines: &str) -> (Vec<(String, String, f64, u64)>, usize) {
        let Readings { body, changed } = Readings::of(lines.as_bytes());
        let mut window = Window::new(0, 60_000, 1_000);
        let batch = BatchReader::new(&body).unwrap();
        assert_eq!(batch.source(), "not_specified");
        window.fold_batch(&batch, |why| panic!("{why}"));
        let series = window.into_series().into_iter().map(|series| {
            let Fold::Gauge(Some(gauge)) = series.value else { panic!("no gauge") };
            let tags: Vec<_> = series.tags.iter().map(|(t, v)| format!("{t}={v}")).collect();
            (series.name.to_string(), tags.join(";"), gauge.last, gauge.count)
        });
        (series.collect(), changed)
    }

    #[test]
    fn each_line_is_a_reading_at_its_time() {
        let lines = "a.b 1 60\na.b 3 120\na.b 2 90\nc;route=/x;dc=fra -0.5 60\nc;dc=fra 7 60\n";
        let (series, changed) = window(lines);
        let text = |text: &str| text.to_owned();
        let expected = [
            (text("a.b"), text(""), 3.0, 3),
            (text("c"), text("dc=fra"), 7.0, 1),
            (text("c"), text("dc=fra;route=/x"), -0.5, 1),
        ];
        assert_eq!((series, changed), (expected.to_vec(), 0));
        // A line that was posted twice counts once.
        let (series, _) = window("a 1 60\na 2 60\na 2 60\n");
        assert_eq!((series[0].2, series[0].3), (2.0, 1));
    }

    #[test]
    fn what_a_broker_would_not_take_is_changed_and_counted() {
        let long = "ö".repeat(300);
        let tags: String = (0..60).map(|i| format!(";t{i:02}=v")).collect();
        let (series, changed) = window(&format!("a|b 1 60\nc;d={long} 1 60\ne{tags} 1 60\n"));
        assert_eq!(changed, 3);
        assert_eq!(series[0].0, "a_b");
        assert_eq!(series[1].1.len(), "d=".len() + 254);
        assert_eq!(series[2].1.split(';').count(), 50);
    }
}
