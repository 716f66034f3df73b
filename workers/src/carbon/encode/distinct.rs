//! Writes a large window whose names are all distinct, in the order in which its series arrived.
//!
//! Pure. Only the hashes of names are kept, so this takes less than half of the time and memory that
//! sorting them does. If two series have the same name, or one has the name of a part of another, the
//! window is sorted, which shows which series these are.

use super::{Counted, Encoded, Encoder, Pages, delivered, line_end, source, tags};
use crate::carbon::name;
use crate::naming::Identity;
use std::collections::HashSet;
use std::sync::Arc;
use zibrato::Kind;
use zibrato::window::{Series, Window};

/// The smallest window that is written in this way. Others take little time, and are easier to read
/// when they are sorted.
const LARGE: usize = 10_000;

/// The hashes of the names of a window.
#[derive(Default)]
struct Names {
    all: Vec<u64>,
    /// Those of series with parts.
    with_parts: HashSet<u64, foldhash::fast::RandomState>,
    /// Those that would have a part with the name of a series.
    wholes: Vec<u64>,
}

impl Names {
    /// Whether all lines have different names.
    fn are_distinct(mut self) -> bool {
        // Sorting them takes a quarter of the time in which a set is filled, which is larger than
        // any cache.
        self.all.sort_unstable();
        self.all.is_sorted_by(|a, b| a < b)
            && !self.wholes.iter().any(|whole| self.with_parts.contains(whole))
    }
}

impl Encoder {
    /// `None` if the window is small, or if it has to be sorted.
    pub(super) fn encode_distinct(&mut self, window: &Window) -> Option<Encoded> {
        if window.len() < LARGE {
            return None;
        }
        let mut names = Names::default();
        names.all.reserve(window.len());
        let (end, idle) = (line_end(window.stamp()), self.naming.idle);
        let (mut pages, mut left_out) = (Pages::default(), Counted::default());
        let (mut lines, mut name) = (Vec::new(), String::new());
        let mut around: Option<(&Arc<str>, (String, String))> = None;
        let mut unclaimed = Vec::new();
        for series in window.series() {
            let Some(value) = delivered(&series.value, idle) else { continue };
            let (before, after) = match &around {
                Some((known, texts)) if Arc::ptr_eq(known, &series.source) => texts,
                _ => {
                    let texts = self.naming.around(source(series))?;
                    &around.insert((&series.source, texts)).1
                }
            };
            name.clear();
            name.push_str(before);
            push_name(&mut name, &series.name);
            name.push_str(after);
            let length = name.len();
            if !series.tags.is_empty() {
                name.push_str(&tags(series));
            }
            let hash = self.hash(&name);
            names.all.push(hash);
            let claim = self.claim(hash, value.kind());
            if !self.renamed.is_empty() && self.renamed.contains(&claim) {
                return None;
            }
            match self.claims.owner(claim) {
                Some(owner) if owner != Identity::of(series) => return None,
                Some(_) => {}
                None if unclaimed.len() < self.claims.room() => unclaimed.push((claim, series)),
                None => {}
            }
            let (path, tags) = name.split_at(length);
            self.note_parts(&mut names, hash, [path, tags], series);
            lines.clear();
            self.write([path, tags], &series.name, &value, &end, &mut lines);
            if lines.is_empty() {
                left_out.add(path);
                continue;
            }
            self.share.keep(&mut lines);
            pages.add(&lines, 1);
        }
        if !names.are_distinct() {
            return None;
        }
        for (claim, series) in unclaimed {
            self.claims.remember(claim, Identity::of(series));
        }
        pages.end();
        Some(Encoded { payloads: pages.payloads, left_out, ..Encoded::default() })
    }

    /// Notes whether the series has parts, and whether it may have the name of one.
    fn note_parts(&self, names: &mut Names, hash: u64, [path, tags]: [&str; 2], series: &Series) {
        let has_parts = match series.value.kind() {
            Kind::Gauge => self.gauge_parts.of(&series.name).iter().any(|p| !p.suffix().is_empty()),
            Kind::Histogram | Kind::Timer => true,
            _ => false,
        };
        if has_parts {
            names.with_parts.insert(hash);
        }
        if let Some((whole, part)) = path.rsplit_once('.')
            && (self.timer_parts.has(part) || self.gauge_parts.has(part))
        {
            let whole =
                if tags.is_empty() { self.hash(whole) } else { self.hash(&[whole, tags].concat()) };
            names.wholes.push(whole);
        }
    }
}

/// Appends the name of a series. Before it is nothing, or a dot.
fn push_name(path: &mut String, text: &str) {
    if name::is_usual(text) {
        return path.push_str(text);
    }
    let mut parts = String::new();
    name::push_parts(&mut parts, text);
    path.push_str(if parts.is_empty() { name::NOTHING_LEFT } else { &parts });
}

#[cfg(test)]
mod tests {
    use super::{Encoded, Encoder, LARGE};
    use zibrato::window::Window;
    use zibrato::wire::{BatchReader, BatchWriter, Line};

    /// A window that is just large enough, which begins with these lines.
    fn window(lines: &[&str]) -> Window {
        let mut window = Window::new(60_000, 60_000, 1_000_000);
        let usual = (0..LARGE).map(|n| format!("i|c|usual.n{n}|1|61|s"));
        for line in lines.iter().map(|line| (*line).to_owned()).chain(usual) {
            window.fold_line(&Line::decode(line.as_bytes()).unwrap());
        }
        window
    }

    fn lines(encoded: &Encoded) -> Vec<String> {
        let bodies = encoded.payloads.iter().map(|payload| String::from_utf8_lossy(&payload.body));
        bodies.flat_map(|body| body.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// What sorting the window writes, sorted.
    fn by_sorting(encoder: &mut Encoder, window: Window) -> Vec<String> {
        let mut all = lines(&encoder.encode_sorted(window));
        all.sort();
        all
    }

    #[test]
    fn the_lines_are_those_of_a_sorted_window() {
        let odd = [
            "i|c|plain|2|61|not_specified",
            "i|c|a b..c|3|61|web 1",
            "i|c|...|4|61|s",
            "i|t|timer|0.5|61|s",
            "i|t|timer|0.25|61|s",
            "i|g|depth|7.5|61|s",
            "i|g|x.in_flight|7|61|s",
            "i|c|queue.max|7|61|s",
            "i|s|users|ann|61|s",
            "i|c|timer.count|1|61|other",
        ];
        for encoder in [Encoder::default, || {
            let gauge_parts = "last,max,count".parse().unwrap();
            let mut encoder = Encoder { gauge_parts, ..Encoder::default() };
            encoder.naming.set_prefix("a.b");
            encoder
        }] {
            let (mut quick, mut sorting) = (encoder(), encoder());
            let encoded = quick.encode_distinct(&window(&odd)).unwrap();
            let series: usize = encoded.payloads.iter().map(|payload| payload.series).sum();
            assert_eq!(series, LARGE + odd.len() - 1);
            let mut all = lines(&encoded);
            assert!(!all.is_sorted());
            all.sort();
            assert_eq!(all, by_sorting(&mut sorting, window(&odd)));
        }
    }

    #[test]
    fn a_window_in_which_names_meet_is_sorted() {
        for meets in [
            &["i|c|queue|1|61|s", "i|g|queue|1|61|s"][..],
            &["i|c|a.b|1|61|s", "i|c|b|1|61|s.a"],
            &["i|c|a b|1|61|s", "i|c|A|1|61|s", "i|c|s.A|1|61|not_specified"],
            &["i|t|timer|1|61|s", "i|c|timer.count|1|61|s"],
            &["i|c|x.in_flight.max|1|61|s", "i|g|x.in_flight|1|61|s"],
        ] {
            let window = window(meets);
            assert!(Encoder::default().encode_distinct(&window).is_none(), "{meets:?}");
        }
        let few = Window::new(60_000, 60_000, 10);
        assert!(Encoder::default().encode_distinct(&few).is_none());
    }

    #[test]
    fn a_series_keeps_its_name_in_large_windows_too() {
        let mut encoder = Encoder::default();
        assert!(encoder.encode_distinct(&window(&["i|c|a.b|1|61|s"])).is_some());
        assert!(encoder.encode_distinct(&window(&["i|c|a.b|1|61|s"])).is_some());
        // The same name of another series.
        let other = window(&["i|c|b|1|61|s.a"]);
        assert!(encoder.encode_distinct(&other).is_none());
        let written = by_sorting(&mut encoder, other);
        assert!(written.iter().any(|line| line.starts_with("s.a.b_")), "{:?}", &written[..3]);
    }

    #[test]
    fn a_name_that_is_too_long_is_left_out() {
        let mut window = window(&[]);
        let mut batch = BatchWriter::new("s", 0, 1000);
        let (tag, value) = (|n| format!("{n:0>255}"), "v".repeat(255));
        let tags: Vec<_> = (0..50).map(tag).collect();
        let tags: Vec<_> = tags.iter().map(|tag| (&**tag, &*value)).collect();
        batch.counter("long", &tags, 1.0);
        window.fold_batch(&BatchReader::new(&batch.finish()).unwrap(), |_| {});
        let encoded = Encoder::default().encode_distinct(&window).unwrap();
        assert_eq!((encoded.left_out.times, lines(&encoded).len()), (1, LARGE));
        assert_eq!(encoded.left_out.names, ["s.long"]);
    }
}
