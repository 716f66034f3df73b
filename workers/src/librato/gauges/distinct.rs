//! Encodes a large window whose names are all distinct, in the order in which its series arrived.
//!
//! Pure. Only the hashes of names are kept, and the series are neither moved nor sorted, so this takes
//! a fraction of the time and memory. If two series have the same name, the window is encoded in the
//! order of names, in which precedence is defined.
//!
//! A name that is claimed belongs to one series, so a series that owns its name needs no comparison with
//! others. Usually the series that follows one in a window is the one that followed it in the last
//! window, and then not even its name has to be looked up.

use super::{Encoded, Encoder, Output};
use crate::Payload;
use crate::librato::accept::Range;
use crate::librato::bodies::Bodies;
use crate::librato::flags::{Api, Timers};
use crate::librato::place::Places;
use crate::librato::text;
use crate::naming::Identity;
use std::borrow::Cow;
use std::num::NonZeroU32;
use std::slice;
use zibrato::window::{Series, Window};

/// The smallest window that is encoded in this way. Others take little time, and are easier to read
/// when they are sorted.
const LARGE: usize = 10_000;

/// Number of names that are looked up at once. The processor then waits for many places in memory at
/// the same time.
const CHUNK: usize = 64;

/// Number of missing series after which the next one is still found without its name.
const MISSING: usize = 4;

/// A large window whose names are all distinct, while it is encoded.
#[derive(Debug)]
pub(in crate::librato) struct Distinct<'a> {
    rest: slice::Iter<'a, Series>,
    stamp: u64,
    times: Range,
    api: Api,
    timers: Timers,
    prefix: &'a str,
    places: Places<'a>,
    bodies: Bodies,
    encoded: Encoded,
}

impl Distinct<'_> {
    /// The next payload. Its memory may be that of `spare`.
    pub(in crate::librato) fn next(&mut self, spare: Option<Vec<u8>>) -> Option<Payload> {
        if let Some(spare) = spare {
            self.bodies.reuse(spare);
        }
        loop {
            if let Some(payload) = self.bodies.pop() {
                return Some(payload);
            }
            let Some(series) = self.rest.next() else {
                self.bodies.finish();
                return self.bodies.pop();
            };
            let name = name(self.api, self.prefix, series);
            let (name, place) = (&*name, self.places.of(series));
            let (times, bodies) = (self.times, &mut self.bodies);
            let mut to = Output { name, place, series: 1, times, bodies };
            to.put_series(&series.value, self.stamp, self.timers, &mut self.encoded);
        }
    }

    /// What is known of the window after its last payload, which is not in it.
    pub(in crate::librato) fn into_encoded(self) -> Encoded {
        self.encoded
    }
}

fn name<'a>(api: Api, prefix: &str, series: &'a Series) -> Cow<'a, str> {
    let tags = if api == Api::Tagged { &[] } else { &*series.tags };
    text::name(prefix, &series.name, tags)
}

impl Encoder {
    /// `None` if the window is small, or if it has to be sorted.
    pub(super) fn encode_distinct(&mut self, window: &Window, now_ms: u64) -> Option<Encoded> {
        if !self.claim_distinct(window) {
            return None;
        }
        let mut distinct = self.distinct(window, now_ms);
        let payloads = std::iter::from_fn(|| distinct.next(None)).collect();
        Some(Encoded { payloads, ..distinct.into_encoded() })
    }

    /// Begins to encode a window, at `now_ms`, for which [`claim_distinct`](Self::claim_distinct) has
    /// returned `true`.
    pub(in crate::librato) fn distinct<'a>(
        &'a self,
        window: &'a Window,
        now_ms: u64,
    ) -> Distinct<'a> {
        Distinct {
            rest: window.series().iter(),
            stamp: window.stamp(),
            times: self.times.at(now_ms, window.end_ms()),
            api: self.api,
            timers: self.timers,
            prefix: &self.prefix,
            places: Places::new(self.api, &self.tags, &self.keys),
            bodies: Bodies::new(self.api),
            encoded: Encoded::default(),
        }
    }

    /// Whether a window is large, and all its series have names that no other series has. They own
    /// their names from then on.
    pub(in crate::librato) fn claim_distinct(&mut self, window: &Window) -> bool {
        // Percentiles have names of their own.
        if window.len() < LARGE || !self.percentiles.is_empty() {
            return false;
        }
        let mut places = Places::new(self.api, &self.tags, &self.keys);
        let (mut strangers, mut owners) = (Vec::new(), Vec::new());
        let (mut unclaimed, mut unlisted) = (Vec::new(), Vec::new());
        // The place of the next series among the owners.
        let mut at = 0;
        for chunk in window.series().chunks(CHUNK) {
            strangers.clear();
            let mut is_lost = false;
            for series in chunk {
                let identity = Identity::of(series);
                let next = self.owners.get(at..).unwrap_or_default().iter().take(MISSING);
                match next.into_iter().position(|owner| *owner == identity) {
                    Some(missing) => (at, is_lost) = (at + missing + 1, false),
                    None => {
                        let name = name(self.api, &self.prefix, series);
                        strangers.push((self.keys.of(&name, places.of(series)), identity));
                        is_lost = true;
                    }
                }
            }
            owners.clear();
            owners.extend(strangers.iter().map(|(key, _)| self.claims.placed(*key)));
            for (stranger, owner) in strangers.iter().zip(&owners) {
                match owner {
                    Some((owner, _)) if *owner != stranger.1 => return false,
                    Some((_, Some(after))) if is_lost => at = after.get() as usize,
                    Some((_, Some(_))) => {}
                    Some((_, None)) => unlisted.push(*stranger),
                    None => unclaimed.push(*stranger),
                }
            }
        }
        // Sorting them takes a quarter of the time in which a set is filled, which is larger than any
        // cache.
        let mut keys: Vec<_> = unclaimed.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        if !keys.is_sorted_by(|a, b| a < b) {
            return false;
        }
        unclaimed.truncate(self.claims.room());
        for (key, identity) in &unclaimed {
            self.claims.remember(*key, *identity);
        }
        for (key, identity) in unlisted.into_iter().chain(unclaimed) {
            self.owners.push(identity);
            if let Some(after) = u32::try_from(self.owners.len()).ok().and_then(NonZeroU32::new) {
                self.claims.place(key, after);
            }
        }
        true
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

    /// A window with these series, in this order.
    fn of(numbers: impl IntoIterator<Item = usize>, more: &[&str]) -> Window {
        let mut window = Window::new(60_000, 60_000, 1_000_000);
        let usual = numbers.into_iter().map(|n| format!("i|c|usual.n{n}|{n}.5|61|s"));
        for line in usual.chain(more.iter().map(|line| (*line).to_owned())) {
            window.fold_line(&Line::decode(line.as_bytes()).unwrap());
        }
        window
    }

    #[test]
    fn the_order_of_known_series_makes_no_difference() {
        const ALL: usize = LARGE + 5_000;
        let mut encoder = Encoder::new("");
        let in_batches = |order: &[usize]| -> Vec<usize> {
            order.iter().flat_map(|batch| batch * 1_000..(batch + 1) * 1_000).collect()
        };
        let windows = [
            (0..ALL).collect(),
            (0..ALL).collect(),
            (0..ALL).rev().collect(),
            in_batches(&[3, 0, 1, 2, 14, 13, 12, 11, 4, 5, 6, 7, 8]),
            (0..ALL).filter(|n| n % 3 > 0).collect(),
            // Half of them are new.
            (0..2 * ALL).step_by(2).collect(),
            (0..2 * ALL).filter(|n| n % 10 > 4).collect::<Vec<_>>(),
        ];
        for numbers in windows {
            let window = of(numbers.iter().copied(), &[]);
            let encoded = encoder.encode_distinct(&window, NOW).unwrap();
            assert_eq!(sorted(&encoded), sorted(&Encoder::new("").encode_any(window, NOW)));
        }
        assert_eq!(encoder.owners.len(), 27_000);
        // Known series do not hide two others with the same name.
        let window = of(0..ALL, &["i|c|Usual.n1|1|61|s"]);
        assert!(encoder.encode_distinct(&window, NOW).is_none());
        let window = of(0..ALL, &["i|c|new|1|61|s", "i|g|new|1|61|s"]);
        assert!(encoder.encode_distinct(&window, NOW).is_none());
    }
}
