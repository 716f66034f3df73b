//! Writes a window in the order of names, and makes equal names different.
//!
//! Pure. Equal names are neighbours in this order, and the parts of a series can be searched for.

use super::{Counted, Encoded, Encoder, Pages, fold, line_end, source, tags};
use crate::carbon::name;
use crate::naming::{Alike, Identity, described, mark};
use std::collections::HashSet;
use zibrato::Kind;
use zibrato::window::{Series, Window};

/// Maximum number of series that keep their kind as a part of the name. Further ones may change it
/// between windows.
const MAX_RENAMED: usize = 100_000;

/// A series with its name in Carbon.
struct Point {
    path: String,
    tags: String,
    /// The series before its name was changed.
    original: Series,
    /// Number of series in it.
    series: usize,
}

impl Point {
    fn order(&self) -> (&str, &str, Kind) {
        (&*self.path, &*self.tags, self.original.value.kind())
    }

    fn name(&self) -> String {
        format!("{}{}", self.path, self.tags)
    }

    fn identity(&self) -> Identity {
        Identity::of(&self.original)
    }

    fn described(&self) -> String {
        described(&self.original)
    }
}

impl Encoder {
    /// Writes series in the order of their names, so that equal ones are neighbours.
    pub(super) fn encode_sorted(&mut self, window: Window) -> Encoded {
        let mut encoded = Encoded::default();
        let end = line_end(window.stamp());
        let series = self.wanted(window.into_series());
        let mut points: Vec<_> = series.map(|series| self.point(series)).collect();
        points.sort_by(|a, b| a.order().cmp(&b.order()));
        self.keep_apart(&mut points, &mut encoded.alike);
        merge(&mut points, &mut encoded.merged);
        self.rename(&mut points, &mut encoded.renamed);
        let (mut pages, mut lines) = (Pages::default(), Vec::new());
        for point in points {
            lines.clear();
            let Point { path, tags, original, .. } = &point;
            self.write([path, tags], &original.name, &original.value, &end, &mut lines);
            if lines.is_empty() {
                encoded.left_out.add(&point.path);
                continue;
            }
            self.share.keep(&mut lines);
            pages.add(&lines, point.series);
        }
        pages.end();
        encoded.payloads = pages.payloads;
        encoded
    }

    fn point(&self, series: Series) -> Point {
        let path = self.naming.path(source(&series), "", &series.name);
        Point { path, tags: tags(&series), original: series, series: 1 }
    }

    /// Gives distinct names to all but one of the points with the same kind and name. The points
    /// are ordered before and after.
    fn keep_apart(&mut self, points: &mut [Point], alike: &mut Alike) {
        let mut renamed = false;
        for group in points.chunk_by_mut(|a, b| a.order() == b.order()) {
            let name = self.claim(self.hash(&group[0].name()), group[0].original.value.kind());
            let owner = self.claims.owner(name);
            if owner.is_none() && group.len() == 1 && self.claims.is_full() {
                continue;
            }
            let owner = owner.unwrap_or_else(|| group[0].identity());
            self.claims.remember(name, owner);
            let is_news = group.len() > 1 && self.claims.is_news(name);
            let mut owners = group.iter().filter(|_| is_news);
            let first = owners.find(|point| point.identity() == owner).map(Point::described);
            for point in group.iter_mut().filter(|point| point.identity() != owner) {
                point.path = name::marked_path(&point.path, mark(&point.original));
                renamed = true;
                if let Some(first) = &first {
                    alike.add(first.clone(), point.described(), &point.name());
                }
            }
        }
        if renamed {
            points.sort_by(|a, b| a.order().cmp(&b.order()));
        }
    }

    /// Gives distinct names to points whose name is used by another kind. The points are ordered
    /// before, but not after.
    fn rename(&mut self, points: &mut [Point], renamed: &mut Counted) {
        let mut taken = HashSet::new();
        let mut names = Vec::new();
        for (at, point) in points.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|at| points.get(at));
            let same = before.is_some_and(|b| b.path == point.path && b.tags == point.tags);
            let was_renamed = !self.renamed.is_empty()
                && self
                    .renamed
                    .contains(&self.claim(self.hash(&point.name()), point.original.value.kind()));
            if !same && !was_renamed && !self.is_part_of_another(points, point) {
                continue;
            }
            let mut path = point.path.clone();
            loop {
                path.push('.');
                path.push_str(word(point.original.value.kind()));
                if !is_taken(points, &path, &point.tags)
                    && !self
                        .suffixes(point)
                        .any(|suffix| is_taken(points, &format!("{path}.{suffix}"), &point.tags))
                    && taken.insert(format!("{path}{}", point.tags))
                {
                    break;
                }
            }
            names.push((at, path));
        }
        for (at, path) in names {
            if let Some(point) = points.get_mut(at) {
                let name = point.name();
                if self.renamed.len() < MAX_RENAMED {
                    let claim = self.claim(self.hash(&name), point.original.value.kind());
                    self.renamed.insert(claim);
                }
                renamed.add(&name);
                point.path = path;
            }
        }
    }

    /// The names of the parts of a timer, a histogram or a gauge that are added to its own.
    fn suffixes(&self, point: &Point) -> impl Iterator<Item = &str> {
        let (gauge, timer) = match point.original.value.kind() {
            Kind::Gauge => (Some(self.gauge_parts.of(&point.original.name)), None),
            Kind::Histogram | Kind::Timer => (None, Some(self.timer_parts.names())),
            _ => (None, None),
        };
        let gauge = gauge.into_iter().flatten().map(|part| part.suffix());
        gauge.filter(|suffix| !suffix.is_empty()).chain(timer.into_iter().flatten())
    }

    /// Whether a timer, a histogram or a gauge has a part with the name of this point.
    fn is_part_of_another(&self, points: &[Point], point: &Point) -> bool {
        let Some((base, part)) = point.path.rsplit_once('.') else { return false };
        let find = |kind| {
            let key = (base, &*point.tags, kind);
            points.binary_search_by(|p| p.order().cmp(&key)).ok().and_then(|at| points.get(at))
        };
        let has_part = |gauge: &Point| {
            self.gauge_parts.of(&gauge.original.name).iter().any(|p| p.suffix() == part)
        };
        let has_summary = || [Kind::Histogram, Kind::Timer].into_iter().any(|k| find(k).is_some());
        let has_gauge = || find(Kind::Gauge).is_some_and(has_part);
        // Searching takes much longer than comparing the part.
        (self.timer_parts.has(part) && has_summary()) || (self.gauge_parts.has(part) && has_gauge())
    }
}

/// Whether a point of any kind has this name.
fn is_taken(points: &[Point], path: &str, tags: &str) -> bool {
    points.binary_search_by(|p| (&*p.path, &*p.tags).cmp(&(path, tags))).is_ok()
}

/// Merges neighbours of the same kind and name.
fn merge(points: &mut Vec<Point>, merged: &mut Counted) {
    points.dedup_by(|later, first| {
        let same = later.order() == first.order();
        if same {
            merged.add(&first.name());
            first.series += later.series;
            fold(&mut first.original.value, &later.original.value);
        }
        same
    });
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Set => "set",
        Kind::Timer => "timer",
        _ => "counter",
    }
}
