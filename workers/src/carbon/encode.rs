//! Writes a window as Carbon's lines: `NAME SP VALUE SP TIME LF`.
//!
//! Pure. Carbon keeps one value per name and time, so two series with the same name would overwrite
//! each other. Among series of one kind, the first one keeps the name while the worker runs, and
//! the others get a hash appended. Among several kinds, the first in the order counter, gauge,
//! histogram, set, timer keeps the name, and the others get their kind as a further part
//! (`queue.gauge`). Both are counted ([`sorted`]). [`distinct`] writes large windows in which this does not
//! happen, and [`by_line`] the lines of other naming sets.

mod by_line;
mod distinct;
mod sorted;

use super::gauge_parts::GaugeParts;
use super::name;
use super::names::{Idle, Naming, is_idle};
use super::parts::TimerParts;
use super::relay::Share;
use crate::backend::Payload;
use crate::naming::{Alike, Claims};
use crate::once::Once;
use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::BuildHasher as _;
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
    /// Names that got the kind of their series as a further part, and keep it. Otherwise a gauge that is
    /// repeated would have another name in windows without the timer whose part it is named like.
    pub(super) renamed: HashSet<u64>,
    /// Hashes names.
    pub(super) hasher: foldhash::fast::RandomState,
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
    /// The window, if it is large. Freeing it takes as long as sending it.
    pub(super) spent: Option<Window>,
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

impl Encoded {
    /// Logs which names were changed or left out, each once.
    pub(super) fn log(&self, stamp: u64, once: &mut Once) {
        for (event, Counted { times, names }) in [
            ("series_merged", &self.merged),
            ("series_renamed", &self.renamed),
            ("series_left_out", &self.left_out),
        ] {
            for name in names.iter().filter(|name| once.is_news(event, name)) {
                tracing::warn!(event, stamp, name, times);
            }
        }
        self.alike.log();
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
            // The next one is about as large.
            self.body.reserve(PAYLOAD_BYTES);
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

impl Encoder {
    pub(super) fn encode(&mut self, mut window: Window) -> Encoded {
        // Carbon has only series.
        window.count_annotations();
        if !self.naming.is_plain() {
            return self.encode_by_line(window);
        }
        if let Some(mut encoded) = self.encode_distinct(&window) {
            encoded.spent = Some(window);
            return encoded;
        }
        self.encode_sorted(window)
    }

    /// The series that are delivered.
    fn wanted(&self, series: Vec<Series>) -> impl Iterator<Item = Series> + use<> {
        let idle = self.naming.idle;
        series.into_iter().filter_map(move |mut series| {
            if let Cow::Owned(value) = delivered(&series.value, idle)? {
                series.value = value;
            }
            Some(series)
        })
    }

    /// Writes the lines of one series; none if it has no value.
    fn write(&self, at: [&str; 2], name: &str, value: &Fold, end: &str, lines: &mut Vec<u8>) {
        let [path, tags] = at;
        let mut line = |part: &str, value| {
            let dot = if part.is_empty() { "" } else { "." };
            push_line(lines, [path, dot, part, tags], value, end);
        };
        if let Some(summary) = value.summary() {
            self.timer_parts.of(summary).for_each(|(part, number)| line(part, number));
            return;
        }
        match value {
            Fold::Counter(sum) => line("", *sum),
            Fold::Gauge(Some(gauge)) => {
                self.gauge_parts.of(name).iter().for_each(|p| line(p.suffix(), p.of(gauge)));
            }
            Fold::Set(members) => line("", members.len() as f64),
            // A gauge without a reading, and kinds that do not exist yet.
            _ => (),
        }
    }

    /// The hash of a name with its tags.
    fn hash(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }

    /// By which the owner of a name is remembered, given its hash.
    fn claim(&self, name: u64, kind: Kind) -> u64 {
        self.hasher.hash_one((name, kind as u8))
    }
}

/// A value as it is delivered; `None` if it is not, because nobody measured anything.
fn delivered(value: &Fold, idle: Idle) -> Option<Cow<'_, Fold>> {
    match (idle, value) {
        (Idle::Drop, value) if is_idle(value) => None,
        (Idle::Zero, Fold::Gauge(Some(gauge))) if gauge.is_idle() => {
            Some(Cow::Owned(Fold::Gauge(Some(Gauge::idle(0.0, gauge.at_ms)))))
        }
        (Idle::Drop | Idle::Repeat | Idle::Zero, value) => Some(Cow::Borrowed(value)),
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

/// What each line of a window ends in.
fn line_end(stamp: u64) -> String {
    format!(" {stamp}\n")
}

/// Writes a line, unless its value is not finite or its name is too long.
fn push_line(lines: &mut Vec<u8>, name: [&str; 4], value: f64, end: &str) {
    if !value.is_finite() || name.iter().map(|part| part.len()).sum::<usize>() > MAX_NAME_BYTES {
        return;
    }
    name.iter().for_each(|part| lines.extend_from_slice(part.as_bytes()));
    lines.push(b' ');
    // Below 2^53 every whole double is exact as an integer.
    if value == value.trunc() && value.abs() < 9_007_199_254_740_992.0 {
        lines.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        let written = write!(lines, "{value:?}");
        debug_assert!(written.is_ok(), "writing to a vector cannot fail");
    }
    lines.extend_from_slice(end.as_bytes());
}

#[cfg(test)]
mod tests;
