//! Encodes a large window whose names are all distinct, in the order in which its series arrived.
//!
//! Pure. Only the hashes of names are kept, and the series are neither moved nor sorted, so this takes
//! a fraction of the time and memory. If two series have the same name, the window is encoded in the
//! order of names, in which precedence is defined.

use super::{Encoded, Encoder, Output};
use crate::librato::bodies::Bodies;
use crate::librato::flags::Api;
use crate::librato::place::Places;
use crate::librato::text;
use crate::naming::Identity;
use zibrato::window::Window;

/// The smallest window that is encoded in this way. Others take little time, and are easier to read
/// when they are sorted.
const LARGE: usize = 10_000;

/// Number of names that are looked up at once. The processor then waits for many places in memory at
/// the same time.
const CHUNK: usize = 256;

impl Encoder {
    /// `None` if the window is small, or if it has to be sorted.
    pub(super) fn encode_distinct(&mut self, window: &Window, now_ms: u64) -> Option<Encoded> {
        // Percentiles have names of their own.
        if window.len() < LARGE || !self.percentiles.is_empty() {
            return None;
        }
        let (stamp, times) = (window.stamp(), self.times.at(now_ms, window.end_ms()));
        let mut places = Places::new(self.api, &self.tags, &self.keys);
        let (mut encoded, mut bodies) = (Encoded::default(), Bodies::new(self.api));
        let (mut named, mut owners, mut unclaimed) = (Vec::new(), Vec::new(), Vec::new());
        for chunk in window.series().chunks(CHUNK) {
            named.clear();
            named.extend(chunk.iter().map(|series| {
                let tags = if self.api == Api::Tagged { &[] } else { &*series.tags };
                let (name, place) =
                    (text::name(&self.prefix, &series.name, tags), places.of(series));
                (self.keys.of(&name, &place), name, place)
            }));
            owners.clear();
            owners.extend(named.iter().map(|(key, ..)| self.claims.owner(*key)));
            for (series, ((key, name, place), owner)) in chunk.iter().zip(named.iter().zip(&owners))
            {
                match owner {
                    Some(owner) if *owner != Identity::of(series) => return None,
                    Some(_) => {}
                    None => unclaimed.push((*key, series)),
                }
                let mut to = Output { name, place, series: 1, times, bodies: &mut bodies };
                to.put_series(&series.value, stamp, self.timers, &mut encoded);
            }
        }
        // A name that is claimed belongs to one series. Sorting the others takes a quarter of the time
        // in which a set is filled, which is larger than any cache.
        unclaimed.sort_unstable_by_key(|(key, _)| *key);
        if !unclaimed.is_sorted_by(|(a, _), (b, _)| a < b) {
            return None;
        }
        for (key, series) in unclaimed.into_iter().take(self.claims.room()) {
            self.claims.remember(key, Identity::of(series));
        }
        encoded.payloads = bodies.finish();
        Some(encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::gauges;
    use super::{Encoded, Encoder, LARGE};
    use crate::librato::bodies::MAX_POINTS;
    use crate::librato::flags::{Api, Timers};
    use zibrato::window::Window;
    use zibrato::wire::{BatchReader, BatchWriter, Line};

    /// Shortly after the windows.
    const NOW: u64 = 121_000;

    /// A window that is just large enough, which begins with these lines.
    fn window(lines: &[&str]) -> Window {
        let mut window = Window::new(60_000, 60_000, 1_000_000);
        window = window.keep_gauge_seconds(true).keep_readings(true);
        let mut batch = BatchWriter::new("web 1", 60_000, 1_000);
        batch.counter("tagged/one", &[("dc", "fra"), ("path", r"a\b")], 7.0);
        window.fold_batch(&BatchReader::new(&batch.finish()).unwrap(), |why| panic!("{why}"));
        let usual = (0..LARGE).map(|n| format!("i|c|usual.n{n}|{n}.5|61|s"));
        for line in lines.iter().map(|line| (*line).to_owned()).chain(usual) {
            window.fold_line(&Line::decode(line.as_bytes()).unwrap());
        }
        window
    }

    /// The points as texts, sorted.
    fn sorted(encoded: &Encoded) -> Vec<String> {
        let mut all: Vec<_> = gauges(encoded).iter().map(ToString::to_string).collect();
        all.sort();
        all
    }

    #[test]
    fn the_points_are_those_of_a_sorted_window() {
        let odd = [
            "i|c|a b|2|61|not_specified",
            "i|c|Upper|3|61|all",
            "i|c|huge|1e300|61|s",
            "i|t|timer|0.5|61|s",
            "i|t|timer|0.25|61|s",
            "i|t|once|0.1|61|s",
            "i|g|depth|7.5|61|s",
            "i|g|depth|8|62|s",
            "i|g|depth|9|62.5|s",
            "i|g|late|9|4102444800|s",
            "i|s|users|ann|61|s",
        ];
        let long = format!("i|c|{}|1|61|s", "n".repeat(255));
        let lines: Vec<_> = odd.into_iter().chain([&*long]).collect();
        for (api, timers, prefix) in [
            (Api::Source, Timers::Summary, ""),
            (Api::Source, Timers::Raw, "staging"),
            (Api::Tagged, Timers::Summary, ""),
        ] {
            let encoder = || {
                let mut encoder = Encoder::new(prefix);
                (encoder.api, encoder.timers) = (api, timers);
                encoder.tags = vec![("env".into(), "prod".into())];
                encoder
            };
            let quick = encoder().encode_distinct(&window(&lines), NOW).unwrap();
            let slow = encoder().encode_any(window(&lines), NOW);
            assert_eq!(sorted(&quick), sorted(&slow));
            assert_eq!(quick.omitted, slow.omitted);
            let series = |of: &Encoded| of.payloads.iter().map(|p| p.series).sum::<usize>();
            assert_eq!(series(&quick), series(&slow));
            let whole = quick.payloads.len() - 1;
            assert!(quick.payloads[..whole].iter().all(|payload| {
                payload.body.iter().filter(|byte| **byte == b'{').count() > MAX_POINTS
            }));
        }
    }

    #[test]
    fn a_window_in_which_names_meet_is_sorted() {
        for meet in [
            &["i|c|queue|1|61|s", "i|g|queue|1|61|s"][..],
            &["i|c|Logins|1|61|s", "i|c|logins|1|61|s"],
            &["i|c|x|1|61|Web", "i|c|x|1|61|web"],
            &["i|c|tagged-one|1|61|s", "i|t|tagged-one|1|61|s"],
        ] {
            assert!(Encoder::new("").encode_distinct(&window(meet), NOW).is_none(), "{meet:?}");
        }
        let few = Window::new(60_000, 60_000, 10);
        assert!(Encoder::new("").encode_distinct(&few, NOW).is_none());
        let mut percentiles = Encoder::new("");
        percentiles.percentiles = vec!["99".parse().unwrap()];
        assert!(percentiles.encode_distinct(&window(&[]), NOW).is_none());
    }

    #[test]
    fn a_series_keeps_its_name_in_large_windows_too() {
        let mut encoder = Encoder::new("");
        let first = window(&["i|c|Logins|1|61|s"]);
        let names = sorted(&encoder.encode_distinct(&first, NOW).unwrap());
        assert_eq!(sorted(&encoder.encode_distinct(&first, NOW).unwrap()), names);
        // The same name of another series, which has precedence only in its own window.
        let other = window(&["i|c|logins|1|61|s"]);
        assert!(encoder.encode_distinct(&other, NOW).is_none());
        let all = sorted(&encoder.encode_any(other, NOW));
        assert!(all.iter().any(|point| point.contains(r#""name":"logins_"#)), "{:?}", &all[..3]);
        // And back: the first one still has it.
        assert_eq!(sorted(&encoder.encode_distinct(&first, NOW).unwrap()), names);
    }
}
