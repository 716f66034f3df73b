//! Writes a window as Carbon's lines: `NAME SP VALUE SP TIME LF`.
//!
//! Pure. Carbon keeps one value per name and time, so two series with the same name would overwrite
//! each other. Among series of one kind, the first one keeps the name while the worker runs, and
//! the others get a hash appended. Among several kinds, the first in the order counter, gauge,
//! histogram, set, timer keeps the name, and the others get their kind as a further part
//! (`queue.gauge`). Both are counted. [`by_line`] writes the lines of other naming sets.

mod by_line;

use super::gauge_parts::GaugeParts;
use super::name;
use super::names::{Idle, Naming, is_idle};
use super::parts::TimerParts;
use super::relay::Share;
use crate::backend::Payload;
use crate::hash::fnv1a_all;
use crate::naming::{Alike, Claims, Identity, described};
use std::collections::HashSet;
use std::io::Write as _;
use zibrato::window::{Fold, Series, Window};
use zibrato::{DEFAULT_SOURCE, Gauge, Kind};

/// A payload ends when it has this size.
const PAYLOAD_BYTES: usize = 64 << 10;

/// Maximum length of a name; Carbon closes the connection at a line above 16,384 bytes.
const MAX_NAME_BYTES: usize = 16_000;

/// The encoder.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    pub(super) naming: Naming,
    pub(super) timer_parts: TimerParts,
    pub(super) gauge_parts: GaugeParts,
    /// The lines that this destination gets, if there are several.
    pub(super) share: Share,
    /// The first series with each name, which keeps it.
    pub(super) claims: Claims,
}

/// A window as payloads of whole lines.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    pub(super) payloads: Vec<Payload>,
    /// Series merged into another one of the same kind and name, because no free name was found.
    pub(super) merged: Counted,
    /// Series that have the same name as another one.
    pub(super) alike: Alike,
    /// Series that got their kind as a further part.
    pub(super) renamed: Counted,
    /// Series without a line: the name is too long, or no value is finite.
    pub(super) left_out: Counted,
}

/// Maximum number of names that are reported per window.
const MAX_NAMES: usize = 100;

/// A number of series, and the names of the first of them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Counted {
    pub(super) times: u64,
    pub(super) names: Vec<String>,
}

impl Counted {
    fn add(&mut self, name: &str) {
        self.times += 1;
        if self.names.len() < MAX_NAMES && self.names.last().is_none_or(|last| last != name) {
            self.names.push(name.to_owned());
        }
    }
}

/// Joins lines to payloads.
#[derive(Debug, Default)]
struct Pages {
    payloads: Vec<Payload>,
    body: Vec<u8>,
    series: usize,
}

impl Pages {
    fn add(&mut self, lines: &[u8], series: usize) {
        if lines.is_empty() {
            return;
        }
        if !self.body.is_empty() && self.body.len() + lines.len() > PAYLOAD_BYTES {
            self.end();
        }
        self.body.extend_from_slice(lines);
        self.series += series;
    }

    fn end(&mut self) {
        if !self.body.is_empty() {
            let series = std::mem::take(&mut self.series);
            self.payloads.push(Payload::new(std::mem::take(&mut self.body), series));
        }
    }
}

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
    pub(super) fn encode(&mut self, window: Window) -> Encoded {
        if !self.naming.is_plain() {
            return self.encode_by_line(window);
        }
        let mut encoded = Encoded::default();
        let stamp = window.stamp();
        let series = self.wanted(window.into_series());
        let mut points: Vec<_> = series.map(|series| self.point(series)).collect();
        points.sort_by(|a, b| a.order().cmp(&b.order()));
        self.keep_apart(&mut points, &mut encoded.alike);
        merge(&mut points, &mut encoded.merged);
        self.rename(&mut points, &mut encoded.renamed);
        let (mut pages, mut lines) = (Pages::default(), Vec::new());
        for point in points {
            lines.clear();
            self.write(&point, stamp, &mut lines);
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

    /// The series that are delivered although nobody measured them, and all others.
    fn wanted(&self, series: Vec<Series>) -> impl Iterator<Item = Series> + use<> {
        let idle = self.naming.idle;
        series.into_iter().filter_map(move |mut series| match (idle, &mut series.value) {
            (Idle::Repeat, _) => Some(series),
            (Idle::Drop, value) => (!is_idle(value)).then_some(series),
            (Idle::Zero, Fold::Gauge(Some(gauge))) if gauge.is_idle() => {
                *gauge = Gauge::idle(0.0, gauge.at_ms);
                Some(series)
            }
            (Idle::Zero, _) => Some(series),
        })
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
            let (path, tags, kind) = group[0].order();
            let pieces = [path, tags, " ", word(kind)].map(str::as_bytes);
            let name = fnv1a_all(pieces);
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
                point.path = name::marked_path(&point.path, point.identity().hash);
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
    fn rename(&self, points: &mut [Point], renamed: &mut Counted) {
        let mut taken = HashSet::new();
        let mut names = Vec::new();
        for (at, point) in points.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|at| points.get(at));
            let same = before.is_some_and(|b| b.path == point.path && b.tags == point.tags);
            if !same && !self.is_part_of_another(points, point) {
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
                renamed.add(&point.name());
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

    /// Writes the lines of one series; none if it has no value.
    fn write(&self, point: &Point, stamp: u64, lines: &mut Vec<u8>) {
        if let Some(summary) = point.original.value.summary() {
            for (part, number) in self.timer_parts.of(summary) {
                line(lines, point, part, number, stamp);
            }
            return;
        }
        match &point.original.value {
            Fold::Counter(sum) => line(lines, point, "", *sum, stamp),
            Fold::Gauge(Some(gauge)) => {
                for part in self.gauge_parts.of(&point.original.name) {
                    line(lines, point, part.suffix(), part.of(gauge), stamp);
                }
            }
            Fold::Set(members) => line(lines, point, "", members.len() as f64, stamp),
            // A gauge without a reading, and kinds that do not exist yet.
            _ => (),
        }
    }
}

fn source(series: &Series) -> Option<&str> {
    Some(&*series.source).filter(|source| *source != DEFAULT_SOURCE)
}

/// The tags of a series as Carbon stores them, sorted.
fn tags(series: &Series) -> String {
    let tags = series.tags.iter().map(|(tag, value)| {
        let mut text = String::new();
        name::push_tag(&mut text, tag, value);
        text
    });
    let mut tags: Vec<_> = tags.collect();
    tags.sort();
    tags.concat()
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

fn fold(into: &mut Fold, more: &Fold) {
    match (into, more) {
        (Fold::Counter(sum), Fold::Counter(more)) => {
            *sum = (*sum + more).clamp(f64::MIN, f64::MAX);
        }
        (Fold::Gauge(Some(gauge)), Fold::Gauge(Some(more))) => gauge.merge(more),
        (Fold::Gauge(none), Fold::Gauge(more)) => *none = none.or(*more),
        (Fold::Histogram(histogram), Fold::Histogram(more)) => {
            histogram.summary.merge(&more.summary);
        }
        (Fold::Set(members), Fold::Set(more)) => members.extend(more.iter().cloned()),
        (Fold::Timer(summary), Fold::Timer(more)) => summary.merge(more),
        _ => debug_assert!(false, "only series of one kind are merged"),
    }
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

fn line(lines: &mut Vec<u8>, point: &Point, part: &str, value: f64, stamp: u64) {
    let dot = if part.is_empty() { "" } else { "." };
    push_line(lines, [&point.path, dot, part, &point.tags], value, stamp);
}

/// Writes a line, unless its value is not finite or its name is too long.
fn push_line(lines: &mut Vec<u8>, name: [&str; 4], value: f64, stamp: u64) {
    if !value.is_finite() || name.iter().map(|part| part.len()).sum::<usize>() > MAX_NAME_BYTES {
        return;
    }
    name.iter().for_each(|part| lines.extend_from_slice(part.as_bytes()));
    // Below 2^53 every whole double is exact as an integer.
    let written = if value == value.trunc() && value.abs() < 9_007_199_254_740_992.0 {
        writeln!(lines, " {} {stamp}", value as i64)
    } else {
        writeln!(lines, " {value:?} {stamp}")
    };
    debug_assert!(written.is_ok(), "writing to a vector cannot fail");
}

#[cfg(test)]
mod tests;
